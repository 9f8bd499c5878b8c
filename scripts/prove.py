"""Prove that the PPO is right on two known tasks.

    python scripts/prove.py [--seeds 1 2 3]

Trains CartPole-v1 (mark: a mean return of 475) and Pendulum-v1 (mark: above -300) through the real command and reads
the mean return of the last tenth of the timesteps from TensorBoard. The exit code is 0 when every run reaches its mark.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[1]
MARKS = {"cartpole": 475.0, "pendulum": -300.0}


def mean_return(folder: Path) -> float:
    """Mean return of the episodes that ended in the last tenth of a run's timesteps."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    means, counts = (events.Scalars(f"game/{name}") for name in ("episode_return", "episodes"))
    episodes = {count.step: count.value for count in counts}
    late = [(mean.value, episodes[mean.step]) for mean in means if mean.step > 0.9 * counts[-1].step]
    return sum(mean * count for mean, count in late) / sum(count for _, count in late)


def main() -> int:
    """Train, read, compare; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one run of each task a seed")
    missed = 0
    for seed in parser.parse_args().seeds:
        for task, mark in MARKS.items():
            with tempfile.TemporaryDirectory() as scratch:
                command = [sys.executable, ROOT / "scripts" / "train.py", "--config", ROOT / "configs" / f"{task}.yaml"]
                begun = time.perf_counter()
                subprocess.run(
                    [*command, "--logdir", f"{scratch}/run", "--seed_everything", str(seed)],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                reached = mean_return(Path(scratch, "run"))
            sign = "[OK]" if reached >= mark else "[ERROR]"
            missed += reached < mark
            seconds = time.perf_counter() - begun
            print(
                f"{sign} {task} seed {seed}: mean return {reached:.1f} (mark {mark:.0f}), {seconds:.0f} s", flush=True
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
