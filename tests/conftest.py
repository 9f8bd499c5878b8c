"""Fixtures that several files share: tiny runs of the train command, in this process or in one of their own."""

import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from running import TRAIN, Run, arguments_of, train_here

from rlbot.launch import run


@pytest.fixture(scope="session")
def fit() -> Callable[..., Run]:
    """Train a tiny network in this process: ``fit(folder, *arguments)``; the run's folder is ``folder/run``."""

    def command(folder: Path, *arguments: str, out: io.StringIO | None = None) -> Run:
        handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
        path, argv, out, err = sys.path[:], sys.argv[:], out or io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
                run("rlbot.cli:train", arguments_of(folder, arguments))
        finally:
            sys.path[:], sys.argv[:] = path, argv
            for name, module in sys.modules.copy().items():  # the next test's module of this name is another one
                if (getattr(module, "__file__", None) or "").startswith(str(folder)):
                    del sys.modules[name]
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
        return Run(int(left.value.code or 0), out.getvalue(), err.getvalue(), folder / "run")

    return command


@pytest.fixture(scope="session")
def train() -> Callable[..., Run]:
    """Run ``scripts/train.py`` with bare arguments as a person does: ``train(folder, *arguments, NAME=value, ...)``."""

    def command(folder: Path, *arguments: str, python: tuple[str, ...] = (TRAIN,), **environment: str) -> Run:
        done = subprocess.run(
            [sys.executable, *python, *arguments], cwd=folder, env=os.environ | environment, capture_output=True
        )
        out, err = (
            text.decode("latin-1").replace("\r\n", "\n") for text in (done.stdout, done.stderr)
        )  # any byte is a character
        return Run(done.returncode, out, err, folder / "logs" / "latest_run")

    return command


def _flip(file: Path) -> None:
    """Change one bit in the middle of the largest tensor."""
    with zipfile.ZipFile(file) as archive:
        tensor = max((e for e in archive.infolist() if "/data/" in e.filename), key=lambda entry: entry.file_size)
    content = bytearray(file.read_bytes())
    content[tensor.header_offset + len(tensor.filename) + 100 + tensor.file_size // 2] ^= 4
    file.write_bytes(content)


@pytest.fixture(scope="session")
def damage() -> Callable[[Path, str], None]:
    """Spoil a checkpoint in place: ``damage(file, kind)``."""
    kinds: dict[str, Callable[[Path], Any]] = {
        "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        "flipped": _flip,
        "empty": lambda file: file.write_bytes(b""),
        "text": lambda file: file.write_text("no checkpoint"),
        "foreign": lambda file: torch.save({"state_dict": {}, "epoch": 1}, file),
        "missing": Path.unlink,
    }
    return lambda file, kind: kinds[kind](file)


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., BaseProcess]]:
    """Start what ``fit`` does in a process of its own, to be killed: ``start(folder, *arguments)``.

    All are forked from one process that has imported torch and Lightning and done nothing else. What they print is in
    ``folder/output.txt``; ``before`` is called in the new process first.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs signals and forks")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rlbot.cli", "running"])
    started: list[BaseProcess] = []

    def command(folder: Path, *arguments: str, before: Callable[[], None] | None = None) -> BaseProcess:
        started.append(context.Process(target=train_here, args=(arguments_of(folder, arguments), folder, before)))
        started[-1].start()
        return started[-1]

    yield command
    for process in started:
        process.kill()
        process.join()
