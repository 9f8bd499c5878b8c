"""How a command ends: exit codes, one-line errors, and output that no console can break."""

import io
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from rlbot.__main__ import ROOT
from rlbot.errors import BrokenTrainingError, InputError, TryAgainError
from rlbot.launch import run, say_error
from rlbot.sim.meshes import MeshError

SCRIPTS = ("train", "evaluate", "watch", "export_bot", "compare", "benchmark", "prove", "scaling")
ERRORS = {
    "input": (InputError("data: num_envs=0"), 2),
    "meshes": (MeshError("no meshes"), 2),
    "memory": (MemoryError(), 75),
    "gpu": (torch.OutOfMemoryError("CUDA out of memory"), 75),
    "disk": (TryAgainError("disk full"), 75),
    "nan": (BrokenTrainingError("loss was NaN"), 1),
}


@pytest.fixture(autouse=True)
def signals_as_before():
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


def fail(arguments: list[str]) -> int:
    raise ERRORS[arguments[0]][0]


def succeed(arguments: list[str]) -> int:
    return len(arguments)


def interrupt(arguments: list[str]) -> int:
    raise KeyboardInterrupt


def terminate(arguments: list[str]) -> int:
    signal.raise_signal(getattr(signal, arguments[0]))
    return 0


def crash(arguments: list[str]) -> int:
    raise ZeroDivisionError("a bug")


def leave(function: str, *arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        run(f"test_launch:{function}", arguments)
    return int(left.value.code or 0)


def in_a_process(code: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=os.environ | environment, capture_output=True
    )


@pytest.mark.parametrize("name", ERRORS)
def test_error_has_its_exit_code_and_one_line(name, capsys):
    error, code = ERRORS[name]
    assert leave("fail", name) == code
    printed = capsys.readouterr().err
    assert printed.startswith("[ERROR] ")
    assert printed.count("\n") == 1
    assert str(error) in printed or "out of memory" in printed


def ask_for_a_petabyte(arguments: list[str]) -> int:
    return len(torch.empty(10**15))


def test_memory_that_torch_does_not_get_on_a_cpu_is_out_of_memory_too(capsys):
    assert leave("ask_for_a_petabyte") == 75
    assert capsys.readouterr().err.startswith("[ERROR] out of memory: lower data.num_envs")


def test_out_of_memory_names_the_three_settings_to_lower(capsys):
    leave("fail", "memory")
    printed = capsys.readouterr().err
    assert all(name in printed for name in ("data.num_envs", "data.minibatch_size", "data.batch_size"))


def test_code_of_the_command_is_the_exit_code():
    assert (leave("succeed"), leave("succeed", "a", "b", "c")) == (0, 3)


def test_signal_and_interrupt_have_their_exit_codes():
    assert leave("interrupt") == 130
    assert leave("terminate", "SIGINT") == 130
    assert leave("terminate", "SIGTERM") == 143


def test_crash_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run("test_launch:crash", [])


def test_error_line_is_one_line_of_ascii(capsys):
    say_error("logdir=Zo\u00eb:\n   cannot be\twritten")
    assert capsys.readouterr().err == "[ERROR] logdir=Zo\\xeb: cannot be written\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_what_a_command_prints_is_ascii_on_every_console(encoding, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", console)
    monkeypatch.setattr(sys.modules[__name__], "succeed", lambda _: print("Zo\u00eb \u65e5") or 0)
    assert leave("succeed") == 0
    assert console.buffer.getvalue() == b"Zo\\xeb \\u65e5\n"


def test_lines_reach_a_file_at_once():
    """A person who redirects the output looks at it while the run goes on; a killed run has told what it did."""
    killed = """
        import os, sys, types
        from rlbot.launch import run
        sys.modules["mine"] = types.SimpleNamespace(command=lambda _: (print("[OK] Training speed"), os._exit(9)))
        run("mine:command", [])
    """
    done = in_a_process(killed, PYTHONUNBUFFERED="")
    assert (done.returncode, done.stdout) == (9, b"[OK] Training speed\n")


@pytest.mark.parametrize(("ends", "code"), [("0", 0), ("fail()", 75)])
def test_log_that_cannot_be_written_ends_no_run(ends, code, tmp_path):
    """As on a full disk, or a pipe whose reader is gone."""
    code_of_it = f"""
        import sys, types
        from pathlib import Path
        from rlbot.errors import TryAgainError
        from rlbot.launch import run
        def fail():
            raise TryAgainError("make room")
        def command(_):
            print("[OK] Training speed")
            print("[ERROR] Checkpoint not written", file=sys.stderr, flush=True)
            Path(r"{tmp_path}", "went_on").touch()
            return {ends}
        sys.modules["mine"] = types.SimpleNamespace(command=command)
        run("mine:command", [])
    """
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-c", textwrap.dedent(code_of_it)]
        done = subprocess.run(command, stdout=writer, stderr=writer)
    finally:
        os.close(writer)
    assert (done.returncode, os.listdir(tmp_path)) == (code, ["went_on"])


@pytest.mark.parametrize("words", [[], ["nonsense"]])
def test_rlbot_without_a_verb_lists_the_verbs(words):
    done = subprocess.run([sys.executable, "-m", "rlbot", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "train" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_without_the_package_says_how_to_install_it(tmp_path, script):
    """``-S``: nothing that was installed is found."""
    command = [sys.executable, "-S", str(ROOT / "scripts" / f"{script}.py")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    cure = "No module named 'rlbot': install with 'python -m pip install -e .' first"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"[ERROR] {cure}\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_command_s_verbs_are_its_scripts_from_any_folder(tmp_path, script):
    verb = script.removesuffix("_bot")
    done = subprocess.run([sys.executable, "-m", "rlbot", verb, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: {script}.py " in done.stdout
