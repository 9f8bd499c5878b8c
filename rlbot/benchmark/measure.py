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

import psutil
import torch

from rlbot.benchmark.recorder import Iteration, Pieces, Recorder
from rlbot.cli import train
from rlbot.device import num_cores
from rlbot.errors import InputError

PARTS = ("physics", "observe", "reward", "infer")
SUMS = ("timesteps", "seconds", "waited")
SPEEDS = ("physics_only", "collect", "learn", "overall")
ENDLESS = 10**12  # timesteps: the recorder ends the run


@dataclass(frozen=True)
class Run:
    """What the recorder saw of one run."""

    facts: dict[str, Any]
    others: float | None  # share of the machine's cores that other programs, and other machines on the same host, took
    iterations: list[Iteration]
    pieces: Pieces

    def total(self, name: str) -> float:
        """Sum over the iterations of ``timesteps``, ``seconds``, ``waited`` or a part of collecting."""
        return float(sum(i.parts[name] if name in i.parts else getattr(i, name) for i in self.iterations))

    @property
    def speeds(self) -> dict[str, float]:
        """Agent timesteps a second: physics alone, collecting, learning, and the whole."""
        seconds, waited = self.total("seconds"), self.total("waited")
        collect = max(waited, self.total("collect"))
        spent = {
            "physics_only": self.total("physics"), "collect": collect, "learn": seconds - waited, "overall": seconds
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
        scratch = tempfile.TemporaryDirectory(prefix="benchmark_", dir=logs, ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(f"{logs.absolute()}: cannot be written ({error.strerror})") from error
    with scratch as folder, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        own = [f"--logdir={Path(folder, 'run')}", f"--total_timesteps={ENDLESS}"]
        busy = Busy()
        try:
            code = train([*words, *own], callbacks=[recorder])
        finally:
            torch.set_num_threads(threads)
    if code:
        raise SystemExit(code)
    return Run(recorder.facts, busy.others(), recorder.iterations, recorder.pieces)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The figures of ``--json``: speeds are medians over the runs, shares those of all their time.

    Where collecting overlaps learning, the shares of its parts are those of the time that learning waited for it.
    """
    facts = runs[0].facts
    spreads = {name: spread([run.speeds[name] for run in runs]) for name in SPEEDS}
    total = {name: sum(run.total(name) for run in runs) for name in (*PARTS, "collect", *SUMS)}
    collect = max(total["collect"], total["waited"])
    share = {name: total[name] / collect * total["waited"] / total["seconds"] for name in PARTS}
    share["learn"] = 1 - total["waited"] / total["seconds"]
    share["other"] = 1 - sum(share.values())
    microseconds = 1e6 * max(facts["num_workers"], 1) / total["timesteps"]  # an agent timestep, in one process
    looked_into = sum(run.pieces.seconds for run in runs)
    pieces = {name: sum(getattr(run.pieces, name) for run in runs) for name in ("load", "learn", "checkpoint")}
    return {
        **facts,
        "timesteps_per_second": spreads["overall"]["median"],
        **{name: spreads[name]["median"] for name in SPEEDS},
        "share": share,
        "physics_us": total["physics"] * microseconds,
        "outside_physics_us": (collect - total["physics"]) * microseconds,
        "lightning_share": 1 - (pieces["load"] + pieces["learn"]) / looked_into if looked_into else None,
        "checkpoint_share": pieces["checkpoint"] / looked_into if looked_into else None,
        "repeats": len(runs),
        "iterations": len(runs[0].iterations),
        "spread": spreads,
        "machine": {**machine(), "others": max((run.others for run in runs if run.others is not None), default=None)},
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
    }


class Busy:
    """What the machine's cores have been doing since this was made."""

    def __init__(self) -> None:
        self._before = self._read()

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Seconds of all cores, those in which they worked, those in which they worked for us."""
        cores, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = cores.idle + getattr(cores, "iowait", 0.0)
        guests = getattr(cores, "guest", 0.0) + getattr(cores, "guest_nice", 0.0)  # counted in user and nice too
        return sum(cores) - guests, sum(cores) - guests - idle, sum(own[:4])  # own: itself and its ended processes

    def others(self) -> float | None:
        """Share of the cores' time that others took; None on Windows, which forgets what ended processes took."""
        if os.name == "nt":
            return None
        every, worked, ours = (now - then for now, then in zip(self._read(), self._before, strict=True))
        return min(max((worked - ours) / max(every, 1e-9), 0.0), 1.0)
