"""The soak command: train through faults and signals, then say what did not hold."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from signal import Signals

import numpy as np

from rlbot.__main__ import ROOT
from rlbot.arguments import Parser
from rlbot.errors import InputError
from rlbot.soak.lives import Life, ends, live
from rlbot.soak.verdict import PER, complaints, growth_of

DESCRIPTION = """Train for some minutes while arenas break down, and while the run is ended by SIGTERM and SIGKILL and
resumed again and again; then see that nothing was lost, nothing happened twice and nothing leaks. Other words go to
the train command, whose arenas run in its own process here. The exit code is 0 when everything holds, else 1."""


def main(arguments: Sequence[str]) -> int:
    """Soak; the exit code.

    Raises:
        InputError: the words on the command line are wrong, or this system has no such signals.
    """
    parser = Parser(description=DESCRIPTION)
    parser.add_argument("--timesteps", type=int, default=1_000_000, help="of the run")
    parser.add_argument("--nan_interval", type=int, default=50_000, help="timesteps between two breakdowns")
    parser.add_argument(
        "--end_interval", type=int, default=100_000, help="timesteps between two SIGTERM, in the first half"
    )
    parser.add_argument("--growth", type=float, default=1.0, help="MB in 100,000 timesteps that are called a leak")
    parser.add_argument("--seed", type=int, default=1, help="of the times of the signals")
    parser.add_argument("--logdir", type=Path, default=Path("logs/soak"), help="the run's folder, which must be new")
    own, words = parser.parse_known_args(arguments)
    for name in ("timesteps", "nan_interval", "end_interval"):
        if getattr(own, name) < 4:
            raise InputError(f"--{name} {getattr(own, name)}: must be at least 4")
    if os.name == "nt":
        raise InputError("soak needs Linux or macOS: Windows has no SIGTERM that a run could answer")
    if own.logdir.exists():
        raise InputError(f"--logdir {own.logdir}: is there already; name another, or delete it")
    own.logdir.parent.mkdir(parents=True, exist_ok=True)
    stacked = [f"--config={ROOT / 'configs' / name}" for name in ("base.yaml", "soak.yaml")]
    words = [*stacked, *words, f"--timesteps={own.timesteps}", "--data.num_workers=0"]
    noise = np.random.default_rng(own.seed)
    lives: list[Life] = []
    for until, signum in [*ends(own.timesteps, own.end_interval, noise), (None, 0)]:
        lives.append(live(words, own.logdir, own.nan_interval, until, signum, wait=float(noise.uniform(0, 1))))
        name = Signals(signum).name if signum else "none"
        print(f"[OK] Life {len(lives)}: signal {name}, code {lives[-1].code}, saved {lives[-1].saved}", flush=True)
        if lives[-1].code == InputError.exit_code:
            raise InputError(f"soak: the training does not run: {lives[-1].said}")
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of every resume
    found = complaints(lives, own.logdir, own.timesteps, own.growth)
    for complaint in found:
        print(f"[ERROR] {complaint}", flush=True)
    grown, breakdowns = growth_of(lives[-1].points), sum(point.breaks for life in lives for point in life.points)
    print(
        f"{'[ERROR]' if found else '[OK]'} {lives[-1].saved} timesteps in {len(lives)} lives, {breakdowns} breakdowns, "
        f"memory {'not judged' if grown is None else f'{grown:+.2f} MB in {PER} timesteps'}",
        flush=True,
    )
    return 1 if found else 0
