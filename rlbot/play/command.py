"""The evaluate command."""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from rlbot.arguments import Parser, check_writable
from rlbot.errors import InputError, TryAgainError
from rlbot.league.ratings import Ledger, Result, ratings
from rlbot.play.evaluation import Pairing, evaluate
from rlbot.play.matches import MatchResult
from rlbot.play.report import Summary, is_summary, ratings_table, summary, table

DESCRIPTION = """Play whole matches of A against B and say how good A is.

A and B are each random, idle, chaser, goalie, a checkpoint file, an exported bot's folder, or a .pt file with Nexto's
network. Both colours are played, half of the matches each. In 1v2, A is the lone car."""


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
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


def _check_files(json_file: Path | None, ledger: Path | None) -> None:
    """Before minutes are spent: files that cannot be written, and files that are something else's."""
    if json_file is not None and ledger is not None and os.path.realpath(json_file) == os.path.realpath(ledger):
        raise InputError(f"--json and --ledger are the same file, {ledger}: name two")
    if json_file is not None:
        check_writable("json", json_file)
        if not _may_overwrite(json_file):
            raise InputError(f"--json {json_file}: holds something else than this command's JSON, name another file")
    if ledger is not None:
        check_writable("ledger", ledger)
        if os.path.exists(ledger) and not os.path.isfile(ledger):
            raise InputError(f"--ledger {ledger}: is a pipe or a device and no file")
        Ledger(ledger).check()


def _may_overwrite(file: Path) -> bool:
    if not os.path.isfile(file):  # not there yet, or a device
        return True
    content = file.read_bytes()
    return not content.strip() or is_summary(content)


def _play(given: argparse.Namespace, pairing: Pairing) -> list[MatchResult]:
    begun, played = time.perf_counter(), 0

    def tell(done: int) -> None:
        nonlocal played
        played = done
        print(f"[OK] {done} of {given.games} matches, {time.perf_counter() - begun:.0f} s", flush=True)

    try:
        return evaluate(pairing, given.games, given.workers, tell)
    except (KeyboardInterrupt, SystemExit):
        with contextlib.suppress(OSError):  # Ctrl-C ended the reader of a pipe as well
            print(f"[OK] Stopped: nothing was written ({played} of {given.games} matches were done)", flush=True)
        raise


def _save(given: argparse.Namespace, found: Summary) -> dict[str, str]:
    """Write the ledger and then the JSON; by option, why one could not be written."""
    failed = {}
    if given.ledger is not None:
        try:
            Ledger(given.ledger).add(Result.of(found))
        except OSError as error:
            failed["ledger"] = f"--ledger {given.ledger} ({error.strerror})"
    if given.json is not None:
        try:
            given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            failed["json"] = f"--json {given.json} ({error.strerror})"
    return failed


def main(arguments: Sequence[str]) -> int:
    """Parse, play, report; the exit code.

    Raises:
        InputError: what was given cannot be used; nothing was played.
        TryAgainError: a process was killed, or the matches are played and printed, but a file could not be written.
    """
    given = _parse(arguments)
    _check_files(given.json, given.ledger)
    pairing = Pairing(given.a, given.b, given.mode, given.seed, given.deterministic)
    results = _play(given, pairing)
    failed = _save(given, summary(pairing, results))
    print(table(pairing, results))
    if given.ledger is not None and "ledger" not in failed:
        rated = ratings(Ledger(given.ledger).read(), given.mode)
        if rated:
            print(ratings_table(rated, given.mode))
    if failed:
        raise TryAgainError(f"not written: {', '.join(failed.values())}; the table above has the result")
    return 0
