"""Measure one configuration: the real training command, for a few iterations, several times."""

import contextlib
import io
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rlbot.benchmark.recorder import Iteration, Pieces, Recorder
from rlbot.cli import train
from rlbot.errors import InputError

PARTS = ("physics", "observe", "reward", "infer")
SUMS = ("timesteps", "seconds", "collect_seconds")
SPEEDS = ("physics_only", "collect", "learn", "overall")
ENDLESS = 10**12  # timesteps: the recorder ends the run


@dataclass(frozen=True)
class Run:
    """What the recorder saw of one run."""

    facts: dict[str, Any]
    iterations: list[Iteration]
    pieces: Pieces

    def total(self, name: str) -> float:
        """Sum over the iterations of ``timesteps``, ``seconds``, ``collect_seconds`` or a part of collecting."""
        if name in PARTS:
            return sum(iteration.parts[name] for iteration in self.iterations)
        return float(sum(getattr(iteration, name) for iteration in self.iterations))

    @property
    def speeds(self) -> dict[str, float]:
        """Agent timesteps a second: physics alone, collecting, learning, and the whole."""
        seconds, collect = self.total("seconds"), self.total("collect_seconds")
        spent = {
            "physics_only": self.total("physics"), "collect": collect, "learn": seconds - collect, "overall": seconds
        }  # fmt: skip
        return {name: self.total("timesteps") / max(time, 1e-9) for name, time in spent.items()}


def measure(words: Sequence[str], iterations: int, looked_into: int = 1) -> Run:
    """Train with the words of the train command for a warm-up iteration and as many as are to be measured.

    The run's folder is a temporary one in ``logs``, so that checkpoints go to the disk that they always go to.

    Raises:
        InputError: something given cannot be used.
        SystemExit: a signal stopped it.
    """
    recorder, threads = Recorder(iterations, looked_into), torch.get_num_threads()
    logs = Path("logs")
    try:
        logs.mkdir(exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="benchmark_", dir=logs)
    except OSError as error:
        raise InputError(f"{logs.absolute()}: cannot be written ({error.strerror})") from error
    with scratch as folder, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        own = [f"--logdir={Path(folder, 'run')}", f"--total_timesteps={ENDLESS}"]
        try:
            code = train([*words, *own], callbacks=[recorder])
        finally:
            torch.set_num_threads(threads)
    if code:
        raise SystemExit(code)
    return Run(recorder.facts, recorder.iterations, recorder.pieces)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The figures of ``--json``: speeds are medians over the runs, shares those of all their time."""
    facts = runs[0].facts
    spreads = {name: spread([run.speeds[name] for run in runs]) for name in SPEEDS}
    totals = {
        name: sum(run.total(name) for run in runs) for name in (*PARTS, "seconds", "collect_seconds", "timesteps")
    }
    share = {name: totals[name] / totals["seconds"] for name in PARTS}
    share["learn"] = 1 - totals["collect_seconds"] / totals["seconds"]
    share["other"] = 1 - sum(share.values())
    processes = max(facts["num_workers"], 1)
    microseconds = 1e6 * processes / totals["timesteps"]
    looked_into = sum(run.pieces.seconds for run in runs)
    pieces = {name: sum(getattr(run.pieces, name) for run in runs) for name in ("load", "learn", "checkpoint")}
    return {
        **facts,
        "timesteps_per_second": spreads["overall"]["median"],
        **{name: spreads[name]["median"] for name in SPEEDS},
        "share": share,
        "physics_us": totals["physics"] * microseconds,
        "outside_physics_us": (totals["collect_seconds"] - totals["physics"]) * microseconds,
        "lightning_share": 1 - (pieces["load"] + pieces["learn"]) / looked_into if looked_into else None,
        "checkpoint_share": pieces["checkpoint"] / looked_into if looked_into else None,
        "repeats": len(runs),
        "iterations": len(runs[0].iterations),
        "spread": spreads,
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """What was measured on, and how busy it was."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    return {
        "processor": processor,
        "cores": num_cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
