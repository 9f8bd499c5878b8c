"""rlgym-learn on the peers workload, in an environment of its own, to be measured in turns with this trainer."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs
import psutil
import torch
from filelock import FileLock

from rlbot.benchmark.measure import Run, spread
from rlbot.device import num_cores
from rlbot.errors import InputError

VERSION = "1.0.5"
REQUIREMENTS = (
    f"rlgym-learn=={VERSION}",
    "rlgym-learn-algos==0.2.6",
    "rlgym-rocket-league[sim]==2.0.1",
    "wandb",  # rlgym-learn-algos imports it without naming it
)
TRAINER = Path(__file__).with_name("peer_trainer.py")
SPEEDS = ("collect", "learn", "overall")


def environment() -> Path:
    """The Python of the peer's environment, which is made in the user's cache the first time.

    It shares this environment's torch, so that both learn with the same build.

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(platformdirs.user_cache_dir("rlbot-lightning", appauthor=False)) / "peer"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    torch_home = str(Path(torch.__file__).parents[1])
    made_of = json.dumps([REQUIREMENTS, sys.version, torch.__version__, torch_home])
    marker = folder / "made_of.json"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if marker.is_file() and marker.read_text(encoding="utf-8") == made_of:
                return python
            print(f"[START] Installing rlgym-learn {VERSION} into {folder} (once)", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            _install(python, torch_home)
            marker.write_text(made_of, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--peer: its environment in {folder} cannot be made ({error})") from error
    return python


def _install(python: Path, torch_home: str) -> None:
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    Path(site, "torch_of_the_trainer.pth").write_text(torch_home, encoding="utf-8")  # after its own packages
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"--peer: rlgym-learn could not be installed ({reason}); it needs the internet once")


def train(python: Path, processes: int, iterations: int) -> list[dict[str, float]]:
    """Run the peer for a warm-up iteration and as many more; what it measured of those.

    Raises:
        InputError: it did not run.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        out = Path(scratch, "iterations.jsonl")
        with Path(scratch, "output.txt").open("w+", encoding="utf-8", errors="replace") as output:
            _run(command(python, processes, iterations + 1, Path(scratch), out), output)
            output.seek(0)
            said = output.read().strip().splitlines() or ["it printed nothing"]
        measured = measured_in(out)[1:]
    if len(measured) < iterations:
        raise InputError(f"--peer: rlgym-learn did not run to its end: {said[-1]}")
    return list(measured[:iterations])


def command(
    python: Path, processes: int, iterations: int, scratch: Path, out: Path, rewards: str = "speed_test"
) -> list[str]:
    """What runs the peer: it leaves things in ``scratch`` and writes a line to ``out`` after each iteration."""
    numbers = {"processes": processes, "iterations": iterations, "seed": 1, "rewards": rewards}
    words = [f"--{name}={value}" for name, value in numbers.items()]
    return [str(python), str(TRAINER), *words, f"--scratch={scratch}", f"--out={out}"]


def measured_in(out: Path) -> list[dict[str, float]]:
    """The lines that the peer has written so far, one an iteration."""
    lines = out.read_text(encoding="utf-8").split("\n")[:-1] if out.is_file() else []  # the last may be half written
    return [json.loads(line) for line in lines]


def _run(words: Sequence[str], output: Any) -> None:
    process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        process.wait()
    finally:
        end(process)


def end(process: "subprocess.Popen[Any]") -> None:
    """End a training that still runs, letting it end its own processes first; on Windows it is ended, and they are."""
    if process.poll() is not None:
        return
    its_own = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for other in its_own:
        with contextlib.suppress(psutil.NoSuchProcess):
            other.kill()


def speeds(iterations: Sequence[dict[str, float]]) -> dict[str, float]:
    """Agent timesteps a second of collecting, learning and the whole."""
    timesteps, collect, seconds = (
        sum(iteration[name] for iteration in iterations) for name in ("timesteps", "collect_seconds", "seconds")
    )
    spent = {"collect": collect, "learn": seconds - collect, "overall": seconds}
    return {name: timesteps / max(time, 1e-9) for name, time in spent.items()}


def fastest(python: Path) -> int:
    """Number of processes with which the peer is faster: two or four a core, one iteration each."""
    cores = num_cores()
    found = {n: speeds(train(python, n, 1))["overall"] for n in (2 * cores, 4 * cores)}
    for n, overall in found.items():
        print(f"[OK] rlgym-learn with {n} processes: {overall:,.0f} timesteps/sec", flush=True)
    return max(found, key=lambda n: found[n])


def compare(runs: Sequence[Run], theirs: Sequence[dict[str, float]], processes: int) -> dict[str, Any]:
    """The figures of the peer, and the ratios of each of our runs to the peer's run that followed it."""
    spreads = {name: spread([their[name] for their in theirs]) for name in SPEEDS}
    ratio = {
        name: spread([run.speeds[name] / their[name] for run, their in zip(runs, theirs, strict=True)])
        for name in ("collect", "overall")
    }
    medians = {name: spreads[name]["median"] for name in SPEEDS}
    return {**medians, "ratio": ratio, "processes": processes, "version": VERSION, "spread": spreads}
