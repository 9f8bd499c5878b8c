"""The PPO on two tasks whose best is known, through the train command."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rlbot.__main__ import ROOT
from rlbot.arguments import Parser
from rlbot.compare import calls
from rlbot.scalars import scalars

MARKS = {"cartpole": 475.0, "pendulum": -300.0}  # mean return, by the name of the YAML
DESCRIPTION = """Train CartPole-v1 (mark: a mean return of 475) and Pendulum-v1 (mark: -300) and print the mean return
of the episodes that ended in the last tenth of the timesteps. The exit code is 0 when every run reaches its mark, else
1."""


def mean_return(run: Path) -> float:
    """Of the episodes that ended in the last tenth of a run's timesteps."""
    logged = scalars(run)
    means, counts = (logged[f"game/{name}"] for name in ("episode_return", "episodes"))
    episodes = {count.step: count.value for count in counts}
    late = [(mean.value, episodes[mean.step]) for mean in means if mean.step > 0.9 * counts[-1].step]
    return float(sum(mean * count for mean, count in late) / sum(count for _, count in late))


def main(arguments: Sequence[str]) -> int:
    """Train, read, compare; the exit code.

    Raises:
        InputError: the words on the command line are wrong.
        CallError: a training failed.
    """
    parser = Parser(description=DESCRIPTION)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one run of each task a seed")
    missed = 0
    for seed in parser.parse_args(arguments).seeds:
        for task, mark in MARKS.items():
            begun = time.perf_counter()
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                run = Path(scratch, "run")
                words = ["--config", str(ROOT / "configs" / f"{task}.yaml"), "--logdir", str(run)]
                calls.call("train", *words, "--seed_everything", str(seed))
                reached = mean_return(run)
            missed += reached < mark
            sign, seconds = "[OK]" if reached >= mark else "[ERROR]", time.perf_counter() - begun
            print(f"{sign} {task} seed {seed}: mean return {reached:.1f} (mark {mark:.0f}), {seconds:.0f} s")
    return 1 if missed else 0
