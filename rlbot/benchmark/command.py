"""The benchmark command: what is measured, in which order, and where the answer goes."""

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlbot.__main__ import ROOT
from rlbot.arguments import Parser, check_writable
from rlbot.benchmark import clock, curves, peer, tune
from rlbot.benchmark.measure import measure, summary
from rlbot.benchmark.table import report
from rlbot.errors import InputError, TryAgainError

DESCRIPTION = """Measure how fast training is on this machine, and where its time goes: physics alone, collecting,
learning and the whole in agent timesteps a second, by running the real training for a few iterations, several times.
Every setting of scripts/train.py can be given too (--config, --data.num_envs ...). Nothing else should be running."""
WORKLOADS = {"peers": ("base.yaml", "peers.yaml")}


def arguments_of(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """This command's own options, and the words that are the train command's."""
    parser = Parser(description=DESCRIPTION)
    parser.add_argument("--iterations", type=int, default=5, help="measured in each run, after one to warm up")
    parser.add_argument("--repeats", type=int, default=3, help="runs")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--workload",
        choices=list(WORKLOADS),
        help="peers: the work on which trainers are compared",
    )
    parser.add_argument("--peer", action="store_true", help="measure rlgym-learn on the peers workload too, in turns")
    parser.add_argument("--peer_processes", type=int, help="of rlgym-learn; if not given, what is fastest here")
    parser.add_argument(
        "--clock",
        type=float,
        metavar="MINUTES",
        help="train from nothing until ten touches a minute a car, at most so long, and rlgym-learn after it",
    )
    parser.add_argument("--tune", action="store_true", help="find the best settings for this machine")
    parser.add_argument("--seconds", type=float, default=60.0, help="that --tune takes, roughly")
    parser.add_argument("--out", type=Path, default=Path("tuned.yaml"), help="where --tune writes the best settings")
    parser.add_argument("--curves", type=Path, help="measure speed against arenas, cars, width, workers; plot it here")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller points of --curves, to see it work")
    own, rest = parser.parse_known_args(list(words))
    for name in ("iterations", "repeats", "peer_processes", "seconds", "clock"):
        value = getattr(own, name)
        if value is not None and not value >= 1:
            raise InputError(f"--{name}={value}: must be at least 1")
    if sum((own.peer, own.tune, own.curves is not None, own.clock is not None)) > 1:
        raise InputError("--peer, --clock, --tune and --curves exclude each other")
    if own.json is not None:
        check_writable("json", own.json)
    if own.tune:
        check_writable("out", own.out)
    if own.peer:
        own.workload = "peers"
    return own, rest


def configs_of(own: argparse.Namespace, words: Sequence[str]) -> list[str]:
    """The files that the train command stacks, by the paths that a person would type."""
    given = [b for a, b in itertools.pairwise(words) if a in ("--config", "-c")]
    given += [word.partition("=")[2] for word in words if word.startswith("--config=")]
    shipped = WORKLOADS.get(own.workload, () if given else ("base.yaml",))
    return [*(f"configs/{name}" for name in shipped), *given]


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit code.

    Raises:
        InputError: something given cannot be used; nothing was measured.
        TryAgainError: it is measured and printed, but a file could not be written.
    """
    own, rest = arguments_of(arguments)
    words = [f"--config={ROOT / 'configs' / name}" for name in WORKLOADS.get(own.workload, ())] + rest
    if own.tune:
        figures = tune.tune(words, configs_of(own, rest), own.seconds, own.out)
    elif own.clock is not None:
        figures = clock.clock(words, own.peer_processes or peer.fastest(peer.environment()), own.clock)
    elif own.curves is not None:
        figures = curves.draw(words, own.curves, own.iterations, own.quick)
    else:
        figures = speed(words, own)
        print(report(figures), flush=True)
    if own.json is not None:
        save(figures, own.json)
    return 0


def save(figures: dict[str, Any], file: Path) -> None:
    """Write the figures, which are printed already.

    Raises:
        TryAgainError: the file cannot be written, as on a full disk.
    """
    try:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TryAgainError(f"--json {file}: not written ({error.strerror}); the figures stand above") from error
    print(f"[OK] Figures written to {file}", flush=True)


def speed(words: Sequence[str], own: argparse.Namespace) -> dict[str, Any]:
    """The configuration's figures, with the peer's where it is asked for: ours, theirs, ours, theirs."""
    if own.peer:
        python = peer.environment()
        processes = own.peer_processes or peer.fastest(python)
    runs, theirs = [], []
    for number in range(1, own.repeats + 1):
        runs.append(measure(words, own.iterations))
        print(f"[OK] Run {number}: {runs[-1].speeds['overall']:,.0f} timesteps/sec", flush=True)
        if own.peer:
            theirs.append(peer.speeds(peer.train(python, processes, own.iterations)))
            print(f"[OK] rlgym-learn {number}: {theirs[-1]['overall']:,.0f} timesteps/sec", flush=True)
    figures = summary(runs)
    return {**figures, "peer": peer.compare(runs, theirs, processes)} if own.peer else figures
