"""The lives of one run: each is ended by a signal at a chosen time, and the next goes on from what it left."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlbot.errors import InputError
from rlbot.runs import CHECKPOINTS, LAST, load_run

LOOK_SECONDS = 0.05
TERMINATE, KILL = 15, 9  # SIGTERM and SIGKILL; Windows does not know the second


class Point(NamedTuple):
    """An iteration as its witness saw it; see ``rlbot.soak.witness``."""

    timesteps: int
    memory: float
    handles: int
    faults: int
    breaks: bool


class Life(NamedTuple):
    """A process of the run.

    Attributes:
        began_at: timesteps.
        signum: what ended it; 0: it was left alone.
        code: its exit code; below 0: the signal that killed it.
        points: its iterations.
        saved: timesteps of ``last.ckpt`` afterwards; None: it cannot be read.
        said: the last line that it printed.
    """

    began_at: int
    signum: int
    code: int
    points: list[Point]
    saved: int | None
    said: str

    @property
    def seen(self) -> list[int]:
        """Timesteps at its begin and after each iteration."""
        return [self.began_at, *(point.timesteps for point in self.points)]


def ends(timesteps: int, interval: int, noise: np.random.Generator) -> list[tuple[int, int]]:
    """(timesteps, signal) of each end: in the first half SIGTERM at every multiple of ``interval``, SIGKILL between.

    The second half is one life, long enough for its memory to say something.
    """
    found = []
    for end in range(interval, timesteps // 2 + 1, interval):
        found.append((end - int(noise.integers(1, interval * 3 // 4)), KILL))
        found.append((end, TERMINATE))
    return found


def live(words: Sequence[str], logdir: Path, interval: int, until: int | None, signum: int, wait: float) -> Life:
    """Train from what is there, and send the signal some seconds after so many timesteps were seen."""
    last, seen = logdir / CHECKPOINTS / LAST, logdir.with_name(f"{logdir.name}.jsonl")
    goes_on = ["--ckpt_path=last"] if last.is_file() else []
    began_at = _saved(last) or 0
    seen.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "rlbot.soak.witness", str(seen), str(interval), *words]
    output = logdir.with_name(f"{logdir.name}.txt")
    with output.open("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen([*command, f"--logdir={logdir}", *goes_on], stdout=printed, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                points = _points(seen)
                if until is not None and points and points[-1].timesteps >= until:
                    time.sleep(wait)
                    process.send_signal(signum)
                    process.wait()
                time.sleep(LOOK_SECONDS)
        finally:
            process.kill()
            process.wait()
        printed.seek(0)
        said = printed.read().strip().splitlines() or [""]
    return Life(began_at, signum, process.returncode, _points(seen), _saved(last), said[-1])


def _points(file: Path) -> list[Point]:
    whole = file.read_text(encoding="utf-8").split("\n")[:-1]  # the last line may be half written
    return [Point(**json.loads(line)) for line in whole]


def _saved(last: Path) -> int | None:
    with contextlib.suppress(InputError):
        metadata: dict[str, Any] = load_run(last)["metadata"]
        return int(metadata["timesteps"])
    return None
