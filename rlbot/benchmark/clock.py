"""Minutes until a bot drives at the ball: this trainer, then rlgym-learn, each alone and from nothing."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rlbot.__main__ import ROOT
from rlbot.benchmark import peer
from rlbot.errors import InputError
from rlbot.scalars import scalars

TOUCHES = 10.0  # a minute a car
WINDOW = 100_000  # timesteps over which touches are averaged
LOOK = 2.0  # seconds between looks at what was written
TAG = "game/touches_per_minute"
REWARDS = {"speed_test": "its speed test", "guide": "ZealanL's guide"}  # of rlgym-learn, see ``peer_trainer``


class Point(NamedTuple):
    """After an iteration: seconds since the command, timesteps, touches a minute a car in this iteration."""

    seconds: float
    timesteps: int
    touches: float


Read = Callable[[float], list[Point]]  # given when the command was started: its points so far


def clock(words: Sequence[str], processes: int, minutes: float) -> dict[str, dict[str, Any]]:
    """Each training in turn: whether, when and after how many timesteps it touched the ball often enough.

    Args:
        words: of our train command.
        processes: of rlgym-learn.
        minutes: after which a training is ended.

    Raises:
        InputError: a training ended by itself.
    """
    found = {}
    for name in ("ours", *REWARDS):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch)
            training = ours(folder, words) if name == "ours" else theirs(folder, name, processes)
            found[name] = train(*training, minutes)
        print(f"[OK] {line(name, found[name])}", flush=True)
    return found


def line(name: str, result: dict[str, Any]) -> str:
    """One training's result for people."""
    who = "this trainer" if name == "ours" else f"rlgym-learn {peer.VERSION}, rewards of {REWARDS[name]}"
    how = "after" if result["reached"] else "not reached within"
    return (
        f"{who}: {TOUCHES:.0f} touches a minute a car {how} {result['minutes']:.1f} minutes "
        f"({result['touches_per_minute']:.1f} at {result['timesteps']:,} timesteps)"
    )


def train(command: Sequence[str], read: Read, minutes: float) -> dict[str, Any]:
    """Run one training until it touches the ball often enough, or for so many minutes.

    Raises:
        InputError: it ended by itself.
    """
    begun = time.time()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            while (at := reached(read(begun))) is None and time.time() - begun < 60 * minutes:
                if process.poll() is not None:
                    output.seek(0)
                    said = output.read().strip().splitlines() or ["it printed nothing"]
                    raise InputError(f"--clock: {command[1]} ended before its time: {said[-1]}")
                time.sleep(LOOK)
        finally:
            peer.end(process)
    points = read(begun) or [Point(0.0, 0, 0.0)]
    shown = at or points[-1]._replace(touches=mean_touches(points))
    return {
        "reached": at is not None,
        "minutes": at.seconds / 60 if at else minutes,
        "timesteps": shown.timesteps,
        "touches_per_minute": shown.touches,
    }


def reached(points: Sequence[Point]) -> Point | None:
    """The first point at which the mean touches of the last ``WINDOW`` timesteps are enough, with this mean."""
    for end in range(1, len(points) + 1):
        mean = mean_touches(points[:end])
        if points[end - 1].timesteps >= WINDOW and mean >= TOUCHES:
            return points[end - 1]._replace(touches=mean)
    return None


def mean_touches(points: Sequence[Point]) -> float:
    """Over the last ``WINDOW`` timesteps, or a little more: each iteration counts by its size."""
    total, size = 0.0, 0
    before = [0, *(point.timesteps for point in points)]
    for point, start in zip(reversed(points), reversed(before[:-1]), strict=True):
        total, size = total + point.touches * (point.timesteps - start), size + point.timesteps - start
        if size >= WINDOW:
            break
    return total / max(size, 1)


def ours(folder: Path, words: Sequence[str]) -> tuple[list[str], Read]:
    """The train command, and what reads its TensorBoard events."""
    logdir = folder / "run"

    def read(begun: float) -> list[Point]:
        if not logdir.is_dir():
            return []
        found = scalars(logdir).get(TAG, [])
        return [Point(event.wall_time - begun, event.step, event.value) for event in found]

    return [sys.executable, str(ROOT / "scripts" / "train.py"), *words, f"--logdir={logdir}"], read


def theirs(folder: Path, rewards: str, processes: int) -> tuple[list[str], Read]:
    """rlgym-learn's training, and what reads the line that it writes after each iteration."""
    out = folder / "iterations.jsonl"

    def read(begun: float) -> list[Point]:
        points, timesteps = [], 0
        for iteration in peer.measured_in(out):
            timesteps += int(iteration["timesteps"])
            points.append(Point(iteration["time"] - begun, timesteps, iteration["touches_per_minute"]))
        return points

    endless = 10**6  # iterations
    return peer.command(peer.environment(), processes, endless, folder, out, rewards), read
