"""The evaluate command."""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from typing_extensions import override

from rlbot.errors import InputError
from rlbot.league.ratings import Ledger, Result, ratings
from rlbot.play.evaluation import Pairing, evaluate
from rlbot.play.report import summary, table

DESCRIPTION = """Play whole matches of A against B and say how good A is.

A and B are each random, idle, chaser, goalie, a checkpoint file, or a .pt file with Nexto's network. Both colours are
played, half of the matches each. In 1v2, A is the lone car."""


class _Parser(argparse.ArgumentParser):
    """Wrong words end with one line."""

    @override
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="A", help="whom to rate")
    parser.add_argument("b", metavar="B", help="against whom")
    parser.add_argument("--mode", default="1v1", help="1v1, 1v2, 2v2 or 3v3 (default: 1v1)")
    parser.add_argument("--games", type=int, default=200, help="matches, at least 2 (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same matches (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings here too")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="add the result and print the ratings")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument(
        "--deterministic", action="store_true", help="policies take their most likely action instead of drawing one"
    )
    return parser.parse_args(arguments)


def _check_file(option: str, file: Path | None) -> None:
    """Before minutes are spent: a file that cannot be written."""
    if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
        raise InputError(f"--{option} {file}: cannot be written")


def main(arguments: Sequence[str]) -> int:
    """Parse, play, report; the exit code."""
    given = _parse(arguments)
    _check_file("json", given.json)
    _check_file("ledger", given.ledger)
    pairing = Pairing(given.a, given.b, given.mode, given.seed, given.deterministic)
    begun = time.perf_counter()

    def tell(done: int) -> None:
        print(f"[OK] {done} of {given.games} matches, {time.perf_counter() - begun:.0f} s", flush=True)

    results = evaluate(pairing, given.games, given.workers, tell)
    print(table(pairing, results))
    found = summary(pairing, results)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if given.ledger is not None:
        ledger = Ledger(given.ledger)
        ledger.add(Result.of(found))
        print(f"{'rating in ' + given.mode + ', random = 0':28}{'':>8}   95 % interval")
        rated = ratings(ledger.read(), given.mode)
        for name, rating in sorted(rated.items(), key=lambda item: -item[1].mean):
            print(f"{rating.mean:36.1f}   {rating.low:.1f} to {rating.high:.1f}   {name}")
    return 0
