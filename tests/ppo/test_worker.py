"""Whole runs that worker processes collect for: which weights act, exact resuming, and no process left behind."""

import multiprocessing as mp
import os
import re
import signal
import time
from pathlib import Path

import lightning as L  # noqa: N812
import psutil
import pytest
import torch
from running import spawned
from small_fit import fit as fit_here

from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO

WORKERS = ("--data.num_workers=2", "--seed_everything=3")
STAGES = """
curriculum:
  stages:
    - {mode: 1v1, opponent: selfplay, from_timesteps: 0}
    - {mode: 1v2, opponent: checkpoint, from_timesteps: 64}
    - {mode: 2v2, opponent: selfplay, from_timesteps: 192}
"""


class Marks(L.Callback):
    """After iteration k the policy takes row k + 1 of the table, whatever it sees."""

    def on_train_epoch_end(self, trainer, pl_module):
        bias = pl_module.policy.actor[-1].bias.data
        torch.nn.init.zeros_(bias)
        bias[trainer.datamodule.num_iterations] = 1e4


def rows_taken(overlap):
    """Of the 90, in each of four iterations that ``Marks`` marks."""
    data = RolloutDataModule(
        num_envs=2, num_workers=1, overlap=overlap, batch_size=32, minibatch_size=32, epochs=1, total_timesteps=110
    )
    notes = fit_here(PPO(hidden_sizes=(8,), learning_rate=1e-12), data, Marks())
    assert (data.timesteps, notes.timesteps) == (110, [32, 32, 32, 14])
    return [torch.cat([batch["actions"] for batch in batches]).unique().tolist() for batches in notes.batches]


def test_workers_act_with_the_weights_after_the_last_update():
    first, *others = rows_taken(overlap=False)
    assert len(first) > 10
    assert others == [[1], [2], [3]]


def test_overlapping_rollouts_are_acted_with_weights_one_iteration_older():
    before = set(mp.active_children())
    first, second, *others = rows_taken(overlap=True)
    assert min(len(first), len(second)) > 10
    assert others == [[1], [2]]
    assert set(mp.active_children()) <= before


def same(a, b):
    """Whether two runs end with the same tensors and logged the same numbers."""
    tensors = [
        {
            **end["state_dict"],
            **{(i, k): v for i, s in end["optimizer_states"][0]["state"].items() for k, v in s.items()},
        }
        for end in (a.load(), b.load())
    ]
    logged = [{tag: points for tag, points in run.scalars().items() if not tag.startswith("speed/")} for run in (a, b)]
    return logged[0] == logged[1] and all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[1])


def test_exactly_resumed_run_with_two_workers_equals_the_uninterrupted_one(fit, tmp_path):
    for name in ("straight", "stopped"):
        (tmp_path / name).mkdir()
    words = (*WORKERS, "--exact_resume=true")
    straight = fit(tmp_path / "straight", *words, "--timesteps=128")
    fit(tmp_path / "stopped", *words, "--timesteps=64")
    resumed = fit(tmp_path / "stopped", *words, "--timesteps=128", "--ckpt_path=last")
    assert (straight.code, resumed.code, resumed.numbered) == (0, 0, [64, 128])
    assert same(resumed, straight)


def test_overlapping_run_goes_through_all_stages_to_its_exact_end_and_leaves_no_process(fit, tmp_path):
    before = set(mp.active_children())
    (tmp_path / "stages.yaml").write_text(STAGES)
    words = (*WORKERS, "--data.overlap=true", f"--config={tmp_path / 'stages.yaml'}", "--checkpoint.keep=9")
    run = fit(tmp_path, *words, "--timesteps=300")
    assert (run.code, run.err, run.numbered) == (0, "", [64, 128, 192, 256])
    assert run.load()["metadata"]["timesteps"] == 300
    stages = [run.load(f"timesteps_{n:012d}.ckpt")["metadata"]["stage"] for n in run.numbered]
    assert stages == ["1v2", "1v2", "2v2", "2v2"]
    assert set(mp.active_children()) <= before


# No worker outlives its run.


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def press_ctrl_c(workers):
    """A terminal sends it to every process of the run."""
    for worker in workers:
        worker.send_signal(signal.SIGINT)


def running(start, folder: Path, *arguments: str, printed: str):
    """A run that has printed this, and its two workers, at which Ctrl-C was pressed as soon as there were any."""
    words = (*WORKERS, "--timesteps=1000000", "--save_interval=1000000", "--checkpoint.interval=1000000")
    process = start(folder, *words, *arguments)
    press_ctrl_c(wait_for(lambda: spawned(process.pid)))
    wait_for(lambda: printed in (folder / "output.txt").read_text())
    workers = spawned(process.pid)
    assert len(workers) == 2
    return process, workers


@pytest.mark.parametrize(
    ("printed", "arguments"),
    [
        ("Training ready", ["--data.batch_size=200000"]),  # in the middle of a long rollout
        ("Training speed", ["--data.overlap=true"]),
    ],
)
def test_killed_run_leaves_no_worker(start, tmp_path, printed, arguments):
    process, workers = running(start, tmp_path, *arguments, printed=printed)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert psutil.wait_procs(workers, timeout=30)[1] == []


def test_terminated_run_saves_and_leaves_no_worker(start, tmp_path):
    process, workers = running(start, tmp_path, "--data.overlap=true", printed="Training speed")
    press_ctrl_c(workers)
    process.terminate()
    process.join(60)
    printed = (tmp_path / "output.txt").read_text()
    assert process.exitcode == 143
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["metadata"]["timesteps"]
    assert saved == int(re.findall(r"at (\d+) timesteps", printed)[-1])
    assert "replaced" not in printed
    assert "Traceback" not in printed
