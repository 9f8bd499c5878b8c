"""Tiny runs of the train command, for tests: what to run and what it did."""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from rlbot.__main__ import ROOT
from rlbot.launch import run
from rlbot.scalars import scalars

BASE = str(ROOT / "configs" / "base.yaml")
TRAIN = str(ROOT / "scripts" / "train.py")
TINY = """
trainer: {precision: 32-true}
model: {hidden_sizes: [8], entropy: 0.01}
data:
  {num_envs: 2, batch_size: 64, minibatch_size: 32, epochs: 1, anneal_timesteps: null, rewards: [
    {class_path: rlbot.game.rewards.Goal, init_args: {weight: 4.0}},
    {class_path: rlbot.game.rewards.Touch},
    {class_path: rlbot.game.rewards.SpeedTowardBall, init_args: {weight: 0.1}},
    {class_path: rlbot.game.rewards.BallTowardGoal, init_args: {weight: 0.05}},
    {class_path: rlbot.game.rewards.FacingBall, init_args: {weight: 0.01}},
  ]}
curriculum: {stages: [{mode: 1v1}]}
checkpoint: {interval: 64}
throughput: {print_seconds: 0.0}
total_timesteps: 128
save_interval: 64
"""  # 1v1 with two arenas: four agents, 16 steps an iteration; nothing depends on how long the run will be


@dataclass(frozen=True)
class Run:
    """What a command did: exit code, what it printed, and the run's folder."""

    code: int
    out: str
    err: str
    logdir: Path

    @property
    def files(self) -> list[str]:
        """Names in the checkpoint folder."""
        return sorted(file.name for file in (self.logdir / "checkpoints").iterdir())

    @property
    def numbered(self) -> list[int]:
        """Timesteps of the numbered checkpoints."""
        return [int(name[10:22]) for name in self.files if name.startswith("timesteps_")]

    def load(self, name: str = "last.ckpt") -> dict[str, Any]:
        """A checkpoint; nothing in it may be more than tensors and plain values."""
        return dict(torch.load(self.logdir / "checkpoints" / name, weights_only=True))

    def scalars(self) -> dict[str, list[tuple[int, float]]]:
        """(timesteps, value) pairs of every TensorBoard tag."""
        # Sorted: of two files begun in one second the later one may be read first (their names end in a counter).
        return {tag: sorted((e.step, e.value) for e in events) for tag, events in scalars(self.logdir).items()}


def arguments_of(folder: Path, arguments: tuple[str, ...]) -> list[str]:
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return ["--config", BASE, "--config", str(folder / "tiny.yaml"), "--logdir", str(folder / "run"), *arguments]


def train_here(arguments: list[str], folder: Path, before: Callable[[], None] | None) -> None:
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if before is not None:
        before()
    run("rlbot.cli:train", arguments)


def edited(folder: Path, text: str) -> str:
    """Argument that stacks this YAML on the others."""
    (folder / "edit.yaml").write_text(text, encoding="utf-8")
    return f"--config={folder / 'edit.yaml'}"


def refuses(run: Any, *names: str) -> None:
    """Exit code 2 and one line on stderr that holds every name."""
    assert run.code == 2, run.out + run.err
    assert run.err.startswith("[ERROR] ")
    assert run.err.count("\n") == 1
    assert all(name in run.err for name in names), run.err
    assert "environments created" not in run.out


def spawned(pid: int) -> list[psutil.Process]:
    """Worker processes of a process, begun by multiprocessing's spawn; others of its children may end meanwhile."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found
