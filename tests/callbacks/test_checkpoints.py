"""Saving by timesteps: when files appear, which stay, what they hold, and what happens when a save fails."""

import errno
import os
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import pytest
import torch
from running import Run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks.checkpoints import TimestepCheckpoint, twin


class Watcher(L.Callback):
    """Notes, before each iteration's save, how old ``last.ckpt`` is and which numbered files there are."""

    seen: list[tuple[int, int]] = []  # noqa: RUF012

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        last = Path(trainer.log_dir, "checkpoints", "last.ckpt")
        saved = torch.load(last, weights_only=True)["metadata"]["timesteps"] if last.exists() else 0
        self.seen.append((trainer.datamodule.timesteps, saved))


class Poison(L.Callback):
    """Makes a weight NaN when 128 timesteps are done."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.datamodule.timesteps == 128:
            next(pl_module.parameters()).data.view(-1)[0] = float("nan")


class Greedy(L.Callback):
    """Wants a petabyte when 128 timesteps are done."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.datamodule.timesteps == 128:
            torch.empty(10**15, dtype=torch.uint8)


class FullDisk(L.Callback):
    """At the saves of these timesteps the system lets no file grow beyond ``room`` bytes."""

    def __init__(self, full: list[int], room: int = 20_000) -> None:
        self.full, self.room = full, room

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        import resource  # POSIX only

        full = trainer.datamodule.timesteps in self.full
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.room if full else hard, hard))


@pytest.fixture
def fit_apart(start):
    """``fit`` in a process of its own: a limit on file sizes would hit what pytest prints to."""
    pytest.importorskip("resource")

    def command(folder: Path, *arguments: str) -> Run:
        process = start(folder, *arguments)
        process.join(120)
        out = (folder / "output.txt").read_text(encoding="utf-8")
        return Run(process.exitcode, out, "".join(out.splitlines(keepends=True)[-1:]), folder / "run")

    return command


def callback(name: str, **arguments: Any) -> list[str]:
    """Command line that adds a callback of this file as a user adds one."""
    named = {"class_path": f"test_checkpoints.{name}", "init_args": arguments}
    return ["--allow", "test_checkpoints", f"--trainer.callbacks={[named]}"]


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"save_interval": 0}, {"milestone_interval": -1}, {"keep": 1}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        TimestepCheckpoint(**wrong)


def test_twin_is_a_second_name_that_outlives_the_first(tmp_path):
    first, second = tmp_path / "last.ckpt", tmp_path / "timesteps_000000000064.ckpt"
    first.write_bytes(b"old")
    twin(first, second)
    (tmp_path / "new").write_bytes(b"new")
    os.replace(tmp_path / "new", first)
    assert (first.read_bytes(), second.read_bytes()) == (b"new", b"old")
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "timesteps_000000000064.ckpt"]


def test_one_numbered_file_follows_each_interval_on_odd_iterations_too(fit, tmp_path):
    run = fit(tmp_path, "--data.batch_size=60", "--checkpoint.interval=100", "--timesteps=430")  # 60, 120, ... 420, 430
    assert run.numbered == [120, 240, 300, 420]
    assert run.load()["metadata"]["timesteps"] == 430
    assert run.out.count("[OK] Checkpoint saved at ") == 4


def test_last_is_never_older_than_the_save_interval(fit, tmp_path):
    Watcher.seen.clear()
    fit(tmp_path, "--data.batch_size=60", "--checkpoint.interval=1000", "--save_interval=100", "--timesteps=360",
        *callback("Watcher"))  # fmt: skip
    assert Watcher.seen == [(60, 0), (120, 0), (180, 120), (240, 120), (300, 240), (360, 240)]


def test_newest_milestones_and_the_resumed_file_are_kept(fit, tmp_path):
    rules = ("--checkpoint.keep=2", "--checkpoint.milestone_interval=256")
    run = fit(tmp_path, *rules, "--timesteps=704")
    assert run.numbered == [256, 512, 640, 704]
    resumed = run.logdir / "checkpoints" / "timesteps_000000000640.ckpt"
    run = fit(tmp_path, *rules, "--timesteps=1088", f"--ckpt_path={resumed}")
    assert run.numbered == [256, 512, 640, 768, 1024, 1088]


def test_old_file_that_cannot_be_deleted_is_no_failed_save(fit, tmp_path, monkeypatch):
    unlink = Path.unlink

    def busy(self, missing_ok=False):
        if self.name == "timesteps_000000000064.ckpt":
            raise PermissionError(13, "another program uses it")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", busy)
    run = fit(tmp_path, "--checkpoint.keep=2", "--timesteps=384")
    assert (run.code, run.numbered) == (0, [64, 320, 384])
    assert "not written" not in run.out


def test_new_file_survives_newer_ones_of_an_abandoned_future(fit, tmp_path):
    rules = ("--checkpoint.keep=2", "--checkpoint.milestone_interval=128")
    first = fit(tmp_path, *rules, "--timesteps=320")
    assert first.numbered == [128, 256, 320]
    resumed = first.logdir / "checkpoints" / "timesteps_000000000128.ckpt"
    again = fit(tmp_path, *rules, "--timesteps=192", f"--ckpt_path={resumed}")
    assert 192 in again.numbered


def test_metadata_tells_whose_run_it_is(fit, tmp_path):
    run = fit(tmp_path, "--username=Zo\u00eb", "--timesteps=64")
    metadata = run.load()["metadata"]
    config = metadata.pop("config")
    assert metadata == {
        "username": "Zo\u00eb", "timesteps": 64, "stage": "1v1", "vectorized": True, "optimized": True,
        "precision": "32-true",
    }  # fmt: skip
    assert "batch_size: 64" in config


def test_weights_that_are_not_finite_are_never_saved(fit, tmp_path):
    run = fit(tmp_path, "--timesteps=1000", *callback("Poison"))
    assert run.code == 1
    assert run.err.startswith("[ERROR] loss or gradients were NaN or infinite in 6 updates in a row")
    assert run.err.count("\n") == 1
    assert "[ERROR] Not saved at 128 timesteps: the weights are no longer finite" in run.out
    assert run.numbered == [64]
    assert run.load()["metadata"]["timesteps"] == 64


def test_run_that_got_no_memory_goes_on_from_its_last_save(fit, tmp_path):
    run = fit(tmp_path, "--timesteps=1000", *callback("Greedy"))
    assert (run.code, run.err.count("\n")) == (75, 1)
    assert run.err.startswith("[ERROR] out of memory: lower data.num_envs")
    assert run.load()["metadata"]["timesteps"] == 64
    again = fit(tmp_path, "--timesteps=192", "--ckpt_path=last")
    assert (again.code, again.numbered) == (0, [64, 128, 192])


@pytest.mark.parametrize("room", [20_000, 5_000], ids=["for TensorBoard only", "for nothing"])
def test_disk_full_twice_in_a_row_is_survived_again_and_again(fit_apart, tmp_path, room):
    run = fit_apart(tmp_path, "--timesteps=448", *callback("FullDisk", full=[128, 192, 320, 384], room=room))
    told = [line for line in run.out.splitlines() if line.startswith("[ERROR] Checkpoint at")]
    assert (run.code, run.numbered, run.load()["metadata"]["timesteps"]) == (0, [64, 256, 448], 448)
    assert not [name for name in run.files if name.endswith(".tmp")]
    assert told == [
        f"[ERROR] Checkpoint at {n} timesteps not written ({os.strerror(errno.EFBIG)}): training goes on"
        for n in (128, 192, 320, 384)
    ]
    newest = max(run.logdir.glob("events.*"), key=lambda file: file.stat().st_mtime_ns)
    assert EventAccumulator(str(newest)).Reload().Scalars("ppo/kl")[-1].step == 448


def test_third_full_disk_in_a_row_ends_the_run_with_the_last_good_file(fit_apart, tmp_path):
    run = fit_apart(tmp_path, "--timesteps=640", *callback("FullDisk", full=[128, 192, 256]))
    assert (run.code, run.files) == (75, ["last.ckpt", "timesteps_000000000064.ckpt"])
    assert run.err.startswith("[ERROR] 3 checkpoints in a row could not be written to")
    assert run.load()["metadata"]["timesteps"] == 64


def test_run_whose_final_save_fails_does_not_claim_success(fit_apart, tmp_path):
    run = fit_apart(tmp_path, "--timesteps=128", *callback("FullDisk", full=[128]))
    assert run.code == 75
    assert run.load()["metadata"]["timesteps"] == 64


def test_run_that_ends_with_broken_weights_does_not_claim_success(fit, tmp_path):
    run = fit(tmp_path, "--timesteps=128", *callback("Poison"))
    assert (run.code, run.load()["metadata"]["timesteps"]) == (1, 64)


def test_another_checkpoint_callback_may_stand_beside_ours(fit, tmp_path):
    stages = '[{"mode": "1v1"}, {"mode": "1v2", "opponent": "checkpoint", "from_timesteps": 64}]'
    theirs = "lightning.pytorch.callbacks.ModelCheckpoint"
    run = fit(tmp_path, f"--curriculum.stages={stages}", f"--trainer.callbacks={theirs}")
    assert (run.code, run.err) == (0, "")
