"""Trainings are reused where they are the same, go on where they were cut short, and stop together."""

import os
import signal
import threading
import time

import pytest

from rlbot.compare import calls
from rlbot.compare.calls import CallError
from rlbot.errors import InputError, TryAgainError
from rlbot.launch import run


def leave(words: list[str]) -> int:
    """Exit code of the command, in this process."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    hook = threading.excepthook
    try:
        with pytest.raises(SystemExit) as left:
            run("rlbot.compare.command:main", words)
    finally:
        threading.excepthook = hook
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    return int(left.value.code)


def test_training_is_reused_only_for_the_same_words_and_settings(commands, tmp_path):
    assert commands.compare() == ["train", "evaluate"]
    (tmp_path / "a.yaml").write_text("model:\n  gamma: 0.9", encoding="utf-8")  # the same settings
    assert commands.compare() == []
    for further in (["--timesteps", "640"], ["--train", "--model.gamma", "0.8"]):
        with pytest.raises(InputError, match=r"seed_3: holds another training .* --logs or delete the folder"):
            commands.compare(*further)
    (tmp_path / "a.yaml").write_text("model: {gamma: 0.8}", encoding="utf-8")
    with pytest.raises(InputError, match="seed_3: holds another training"):
        commands.compare()
    assert commands.calls == []


def test_files_among_the_further_words_count_by_their_settings(commands, tmp_path):
    (tmp_path / "b.yaml").write_text("{}", encoding="utf-8")
    for given in (["--config", str(tmp_path / "b.yaml")], [f"--config={tmp_path / 'b.yaml'}"]):
        commands.compare("--train", *given)
    (tmp_path / "b.yaml").write_text("save_interval: 7", encoding="utf-8")
    with pytest.raises(InputError, match="holds another training"):
        commands.compare("--train", *given)


@pytest.mark.parametrize("file", ["my_rewards.py", "my_rewards/__init__.py", "my_rewards/parts/terms.py"])
@pytest.mark.parametrize("given", [["--allow", "my_rewards"], ["--allow=my_rewards"]])
def test_modules_count_by_what_is_in_them(commands, tmp_path, monkeypatch, file, given):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--allow my_rewards: there is no such module here"):
        commands.compare("--train", *given)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("one = 1", encoding="utf-8")
    assert commands.compare("--train", *given) == ["train", "evaluate"]
    assert commands.compare("--train", *given) == []
    (tmp_path / file).write_text("one = 2", encoding="utf-8")
    with pytest.raises(InputError, match="holds another training"):
        commands.compare("--train", *given)


def test_checkpoint_that_was_begun_with_counts_by_what_is_in_it(commands, tmp_path):
    given = ["--train", "--ckpt_path", str(tmp_path / "five.ckpt")]
    (tmp_path / "five.ckpt").write_bytes(b"one")
    assert commands.compare(*given) == ["train", "evaluate"]
    (tmp_path / "five.ckpt").rename(tmp_path / "moved.ckpt")
    assert commands.compare("--train", "--ckpt_path", str(tmp_path / "moved.ckpt")) == []
    (tmp_path / "five.ckpt").write_bytes(b"another")
    with pytest.raises(InputError, match="holds another training"):
        commands.compare(*given)


@pytest.mark.parametrize("file", ["trained", "config.yaml"])
def test_training_of_an_earlier_version_or_by_hand_is_not_reused(commands, file):
    (commands.seed / "checkpoints").mkdir(parents=True)
    (commands.seed / "checkpoints" / "last.ckpt").touch()
    (commands.seed / file).touch()
    with pytest.raises(InputError, match="holds another training"):
        commands.compare()


def test_training_that_was_interrupted_goes_on_from_its_last_checkpoint(commands, tmp_path):
    begin = ["--train", "--ckpt_path", "before.ckpt"]
    commands.fails = True
    for _ in range(2):
        with pytest.raises(CallError):
            commands.compare(*begin)
    with pytest.raises(InputError, match="holds another training"):
        commands.compare()
    assert commands.calls == []
    commands.fails = False
    assert commands.compare(*begin) == ["train", "evaluate"]
    words = commands.calls[0]
    assert words[-4:] == ("--ckpt_path", "last", "--logdir", str(commands.seed / "run"))
    assert words.index("before.ckpt") < words.index("last")
    assert commands.compare(*begin) == []


def test_full_disk_does_not_make_another_training_of_one_that_was_interrupted(commands):
    resource = pytest.importorskip("resource")  # POSIX only
    commands.fails = True
    with pytest.raises(CallError):
        commands.compare()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # the system lets no file grow
    try:
        with pytest.raises(TryAgainError, match=r"training: cannot be written \(File too large\)"):
            commands.compare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    commands.fails = False
    assert commands.compare() == ["train", "evaluate"]


def test_training_that_saved_nothing_begins_again(commands):
    commands.fails = True
    with pytest.raises(CallError):
        commands.compare()
    (commands.seed / "run" / "checkpoints" / "last.ckpt").unlink()
    commands.fails = False
    assert commands.compare("--timesteps", "640") == ["train", "evaluate"]  # whatever it was
    assert "--ckpt_path" not in commands.calls[0]


def test_training_whose_checkpoint_is_lost_is_done_again_and_not_taken_for_done_before(commands):
    commands.compare()
    (commands.seed / "run" / "checkpoints" / "last.ckpt").unlink()
    commands.fails = True
    with pytest.raises(CallError):
        commands.compare()
    commands.fails = False
    assert commands.compare()[0] == "train"


def test_second_recipe_that_holds_another_training_ends_it_before_the_first_is_trained(commands):
    (commands.seed.parents[1] / "b" / "seed_3").mkdir(parents=True)
    (commands.seed.parents[1] / "b" / "seed_3" / "last.ckpt").touch()
    commands.words.insert(1, commands.words[0].replace("a=", "b=", 1))
    with pytest.raises(InputError, match="seed_3: holds another training"):
        commands.compare()
    assert commands.calls == []


@pytest.mark.parametrize(("theirs", "ours"), [(2, 2), (75, 1), (1, 1)])
def test_failed_training_is_told_in_one_line(scripts, capsys, theirs, ours):
    words = scripts(f"import sys; print('[WARN] x\\n[ERROR] model: no good', file=sys.stderr); sys.exit({theirs})")
    assert leave(words) == ours
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("[ERROR] train --config ")
    assert said.endswith(": model: no good\n")


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_trainings_that_are_begun_and_begins_no_other(scripts, tmp_path, capsys, signum):
    words = scripts("""
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[-1])
def save(*_):
    (folder / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
folder.mkdir(parents=True)
time.sleep(60)
""")

    def interrupt() -> None:
        while len(list((tmp_path / "logs").glob("a/*/run"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signum)

    threading.Thread(target=interrupt, daemon=True).start()
    assert leave([*words, "--parallel", "2"]) == 128 + signum
    assert capsys.readouterr().err == ""
    logs = tmp_path / "logs" / "a"
    assert sorted(file.parent.parent.name for file in logs.glob("*/run/saved")) == ["seed_1", "seed_2"]
    assert not (logs / "seed_3").exists()
    assert not calls.RUNNING
