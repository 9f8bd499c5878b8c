"""A run's folder: its lock, its earlier runs, and which of its checkpoints can be trusted."""

import errno
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rlbot.errors import InputError, TryAgainError
from rlbot.ppo.checkpoint import AtomicCheckpointIO, load
from rlbot.runs import RunFolder, newest_valid, numbered_checkpoints, numbered_name, why_invalid

PARTS = ("state_dict", "optimizer_states", "RolloutDataModule", "callbacks", "architecture")
GOOD = {**{key: {"w": torch.arange(1000.0)} for key in PARTS}, "metadata": {"timesteps": 64}}


def write(file: Path, checkpoint: Any = GOOD) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, file)
    return file


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_numbered_names_sort_by_timesteps(tmp_path):
    for name in (numbered_name(1_000_000), numbered_name(250_000), "last.ckpt", "timesteps_5.ckpt", "mine.ckpt"):
        (tmp_path / name).touch()
    assert numbered_name(250_000) == "timesteps_000000250000.ckpt"
    assert list(numbered_checkpoints(tmp_path)) == [250_000, 1_000_000]


def test_whole_checkpoint_is_read(tmp_path):
    file = write(tmp_path / "last.ckpt")
    assert why_invalid(file) is None
    assert torch.equal(load(file)["state_dict"]["w"], torch.arange(1000.0))


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty", "text", "foreign"])
def test_damaged_checkpoint_is_refused_by_name(tmp_path, damage, kind):
    file = write(tmp_path / "last.ckpt")
    damage(file, kind)
    with pytest.raises(InputError, match=r"^ckpt_path=.*last\.ckpt: ") as refused:
        load(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content", [torch.ones(3), {**GOOD, "extra": np.ones(3)}, [GOOD], {}], ids=["tensor", "array", "list", "nothing"]
)
def test_file_with_other_contents_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"^ckpt_path=.*last\.ckpt: "):
        load(write(tmp_path / "last.ckpt", content))


def test_pickle_and_zip_of_other_programs_are_refused(tmp_path):
    (tmp_path / "pickle").write_bytes(pickle.dumps(GOOD))
    zipfile.ZipFile(tmp_path / "zip", "w").close()
    for name in ("pickle", "zip"):
        assert f"{tmp_path / name}: the file cannot be read as a checkpoint" in str(why_invalid(tmp_path / name))


def test_missing_checkpoint_and_folder_are_refused_by_name(tmp_path):
    for path, reason in ((tmp_path, "it is a folder: give a file"), (tmp_path / "none.ckpt", "there is no such file")):
        with pytest.raises(InputError, match=reason):
            load(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    trace = tmp_path / "trace"
    for name, content in {"in it": {**GOOD, "metadata": Bomb(trace)}, "all of it": Bomb(trace)}.items():
        with pytest.raises(InputError):
            load(write(tmp_path / f"{name}.ckpt", content))
    assert not trace.exists()


def test_newest_valid_checkpoint_is_taken_and_the_skipped_are_named(tmp_path, damage):
    files = [write(tmp_path / name) for name in ("last.ckpt", numbered_name(300), numbered_name(200))]
    damage(files[0], "cut")
    damage(files[1], "flipped")
    path, skipped = newest_valid(tmp_path)
    assert path == files[2]
    assert ["last.ckpt" in skipped[0], numbered_name(300) in skipped[1]] == [True, True]


def test_folder_without_a_valid_checkpoint_names_all_that_was_tried(tmp_path, damage):
    damage(write(tmp_path / "last.ckpt"), "empty")
    with pytest.raises(InputError, match=r"ckpt_path=last: .* holds no checkpoint that can be read; .*last\.ckpt"):
        newest_valid(tmp_path)


def test_a_run_that_never_was_says_how_to_begin(tmp_path):
    with pytest.raises(
        InputError, match=r"can be read; train first without --ckpt_path, or name the run with --logdir"
    ):
        newest_valid(tmp_path)


def test_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = write(tmp_path / "last.ckpt")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        AtomicCheckpointIO().save_checkpoint({**GOOD, "metadata": {"timesteps": 128}}, file)
    assert load(file)["metadata"] == {"timesteps": 64}
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_earlier_run_is_moved_aside_and_kept(tmp_path, capsys):
    run = tmp_path / "latest_run"
    for content in ("first", "second"):
        RunFolder(run, resume=False).release()
        (run / "note").write_text(content)
        os.utime(run, (0, 0))  # both last written to in the same second
    RunFolder(run, resume=False).release()
    moved = sorted(folder for folder in tmp_path.iterdir() if folder.name.startswith("run_19"))
    assert [(folder / "note").read_text() for folder in moved] == ["first", "second"]
    assert str(moved[0]) in capsys.readouterr().out
    assert list(run.iterdir()) == [run / "checkpoints"]


def test_a_folder_that_holds_no_run_is_left_alone(tmp_path):
    homework = tmp_path / "school" / "homework.txt"
    homework.parent.mkdir()
    homework.write_text("mine")
    for _ in range(2):  # nothing holds the folder after a refusal
        with pytest.raises(InputError, match=r"logdir=.*school: what is in there is no run"):
            RunFolder(homework.parent, resume=False)
    assert [homework.read_text(), *os.listdir(homework.parent)] == ["mine", "homework.txt"]


def test_resumed_folder_keeps_its_files_and_loses_leftovers(tmp_path):
    for name in ("last.ckpt", "last.123.tmp", "timesteps_000000000064.tmp"):
        write(tmp_path / "run" / "checkpoints" / name)
    for name in ("ratings.jsonl.123.tmp", "pool/timesteps_000000000064.ckpt.123.tmp"):
        write(tmp_path / "run" / name)
    RunFolder(tmp_path / "run", resume=True).release()
    assert [file.name for file in (tmp_path / "run").rglob("*.*")] == ["last.ckpt"]


def test_disk_that_is_full_at_the_start_is_worth_another_try(tmp_path, monkeypatch):
    def full(self, *given, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(TryAgainError, match=r"cannot be written \(No space left on device\)"):
        RunFolder(tmp_path / "run", resume=False)


@pytest.mark.parametrize("name", ["file", "file/run", "file/deep/run"])
def test_log_folder_that_is_or_lies_below_a_file_is_refused(fit, tmp_path, name):
    (tmp_path / "file").touch()
    run = fit(tmp_path, f"--logdir={tmp_path / name}")
    assert run.code == 2
    assert run.err.startswith(f"[ERROR] logdir={tmp_path / name}: cannot be written (")
    assert "environments created" not in run.out


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may mount")
def test_read_only_log_folder_is_refused(fit, tmp_path):
    (place := tmp_path / "mounted").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(place)]).returncode:
        pytest.skip("this root may not mount, as in a container")
    try:
        run = fit(tmp_path, f"--logdir={place / 'run'}")
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert (run.code, run.err) == (2, f"[ERROR] logdir={place / 'run'}: cannot be written (Read-only file system)\n")


@pytest.fixture(scope="module")
def rivals(fit, start, tmp_path_factory):
    """A second run in a folder that is held, and a third after the holder was killed."""
    folder = tmp_path_factory.mktemp("rivals")
    holder = start(folder, "--timesteps=1000000")
    while not (folder / "run" / "checkpoints" / "last.ckpt").exists():
        assert holder.is_alive(), (folder / "output.txt").read_text()
        time.sleep(0.01)
    second = fit(folder)
    resumed = fit(folder, "--ckpt_path=last")
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    return SimpleNamespace(pid=holder.pid, second=second, resumed=resumed, third=fit(folder))


def test_second_run_in_a_held_folder_names_the_process_that_holds_it(rivals):
    for run in (rivals.second, rivals.resumed):
        assert run.code == 2
        assert run.err.count("\n") == 1
        assert f"the run of process {rivals.pid} uses this folder" in run.err


def test_lock_of_a_dead_process_is_taken_over_and_its_run_kept(rivals):
    assert rivals.third.code == 0
    (moved,) = rivals.third.logdir.parent.glob("run_2*")
    assert why_invalid(moved / "checkpoints" / "last.ckpt") is None


def test_of_runs_that_start_together_one_gets_the_folder(start, tmp_path):
    together = multiprocessing.get_context("forkserver").Barrier(3, timeout=60)
    processes = [start(tmp_path, "--timesteps=100000000", before=together.wait) for _ in range(3)]
    deadline = time.monotonic() + 60
    while len(alive := [process for process in processes if process.is_alive()]) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sorted(process.exitcode for process in processes if process not in alive) == [2, 2]
    assert len(alive) == 1
    alive[0].kill()


class KilledInSave:
    """Makes the process die in its ``count``-th save of a checkpoint, when ``share`` of the file is on the disk."""

    def __init__(self, count: int, share: float) -> None:
        self.count, self.share = count + 1, share  # before them config.yaml is written in the same way

    def __call__(self) -> None:
        os.fsync = self.fsync

    def fsync(self, descriptor: int) -> None:
        self.count -= 1
        if self.count == 0:
            os.ftruncate(descriptor, int(self.share * os.fstat(descriptor).st_size))
            os.kill(os.getpid(), signal.SIGKILL)


def test_run_killed_in_save_after_save_loses_that_save_and_nothing_else(fit, start, tmp_path):
    checkpoints, draw, saved = tmp_path / "run" / "checkpoints", random.Random(0), 0
    for kill in range(20):
        count, share = draw.choice([2, 3]), draw.choice([0.0, draw.random(), draw.random(), 1.0])
        goes_on = ["--ckpt_path=last"] if kill else []
        process = start(tmp_path, "--timesteps=100000", *goes_on, before=KilledInSave(count, share))
        process.join(60)
        saved += 64 * (count - 1)
        assert (process.exitcode, len(list(checkpoints.glob("*.tmp")))) == (-signal.SIGKILL, 1)
        assert load(checkpoints / "last.ckpt")["metadata"]["timesteps"] == saved
    run = fit(tmp_path, "--ckpt_path=last", f"--timesteps={saved + 128}", "--checkpoint.keep=2")
    assert (run.code, run.numbered[-2:]) == (0, [saved + 64, saved + 128])
    assert not list(checkpoints.glob("*.tmp"))
