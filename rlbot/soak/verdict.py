"""What must hold of a run that was soaked; every check gives the sentences that say what does not."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from signal import Signals

import numpy as np
import yaml

from rlbot.runs import CHECKPOINTS, numbered_checkpoints, why_invalid
from rlbot.scalars import scalars
from rlbot.soak.lives import KILL, TERMINATE, Life, Point

WARM_UP = 0.2  # share of a life after which memory and handles are as they will stay
FEWEST = 3  # iterations that show a slope
PER = 100_000  # timesteps to which growth is told


def wrong_ends(lives: Sequence[Life], save_interval: int) -> Iterator[str]:
    """Every life ends as its signal says, and what it leaves is whole and new enough."""
    for number, life in enumerate(lives, 1):
        name = f"life {number} ({Signals(life.signum).name if life.signum else 'to the end'})"
        code = {0: 0, TERMINATE: 128 + TERMINATE, KILL: -KILL}[life.signum]
        if life.code != code:
            yield f"{name} ended with code {life.code} instead of {code}: {life.said}"
        if life.saved is None:
            yield f"{name} left no checkpoint that can be read as last.ckpt"
            continue
        lost = life.seen[-1] - life.saved
        allowed = save_interval + max(np.diff(life.seen), default=0) if life.signum == KILL else 0
        if lost > allowed or (life.signum != KILL and lost < 0):
            yield f"{name} came to {life.seen[-1]} timesteps and saved {life.saved}"


def uncounted_faults(lives: Sequence[Life]) -> Iterator[str]:
    """Each time the physics was broken, the next iteration counts it; and it was broken."""
    if not any(point.breaks for life in lives for point in life.points):
        yield "the physics was never broken"
    for life in lives:
        for point, after in pairwise(life.points):
            if point.breaks and after.faults <= point.faults:
                yield f"the physics was broken at {point.timesteps} timesteps and nothing was counted"


def missing_checkpoints(folder: Path, timesteps: int, interval: int, most: int) -> Iterator[str]:
    """A checkpoint that can be read within ``most`` timesteps, an iteration, after every multiple of ``interval``."""
    found = numbered_checkpoints(folder)
    yield from filter(None, map(why_invalid, found.values()))
    for multiple in range(interval, timesteps + 1, interval):
        if not any(multiple <= at < multiple + most for at in found):
            yield f"no checkpoint was kept within {most} timesteps after {multiple}"


def repeated_timesteps(logdir: Path) -> Iterator[str]:
    """In TensorBoard, time only goes forward."""
    for tag, events in scalars(logdir).items():
        steps = [event.step for event in events]
        if any(later <= earlier for earlier, later in pairwise(steps)):
            yield f"TensorBoard's {tag} has timesteps twice"


def leaks(points: Sequence[Point], most: float) -> Iterator[str]:
    """Of one life: memory grows by less than ``most`` MB in 100,000 timesteps, and handles by none."""
    growth, handles = growth_of(points), [point.handles for point in settled(points)]
    if growth is None:
        yield f"{len(points)} iterations are too few to see a leak"
    elif growth >= most:
        yield f"memory grew by {growth:.2f} MB in {PER} timesteps"
    if handles and handles[-1] > handles[0]:
        yield f"open files grew from {handles[0]} to {handles[-1]}"


def settled(points: Sequence[Point]) -> Sequence[Point]:
    """A life without its warming up."""
    return points[int(len(points) * WARM_UP) :]


def growth_of(points: Sequence[Point]) -> float | None:
    """MB in 100,000 timesteps by which a life's memory grows, by least squares; None: it was too short."""
    rest = settled(points)
    if len(rest) < FEWEST:
        return None
    timesteps, memory = (np.array([getattr(p, name) for p in rest], float) for name in ("timesteps", "memory"))
    away = timesteps - timesteps.mean()
    return float((away * memory).sum() / (away**2).sum() * PER)


def complaints(lives: Sequence[Life], logdir: Path, timesteps: int, most: float) -> list[str]:
    """Everything that does not hold."""
    config = yaml.safe_load((logdir / "config.yaml").read_text(encoding="utf-8"))
    last, interval = lives[-1], config["checkpoint"]["interval"]
    size = max(int(max(np.diff(life.seen), default=0)) for life in lives)
    ended = [] if last.saved == timesteps else [f"the run ended at {last.saved} timesteps, not {timesteps}"]
    return [
        *ended,
        *wrong_ends(lives, config["save_interval"]),
        *uncounted_faults(lives),
        *missing_checkpoints(logdir / CHECKPOINTS, timesteps, interval, size),
        *repeated_timesteps(logdir),
        *leaks(last.points, most),
    ]
