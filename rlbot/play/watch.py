"""The watch command."""

import argparse
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from rlbot.arguments import Parser, check_writable
from rlbot.errors import InputError, TryAgainError
from rlbot.files import write_whole
from rlbot.play.evaluation import Pairing, players
from rlbot.play.matches import REGULAR_SECONDS, MatchResult, play_matches
from rlbot.play.replay import HEAD, Recording, is_page, page
from rlbot.sim.state import TICKS_PER_SECOND
from rlbot.threads import one_thread

DESCRIPTION = """Let A play a whole match against B and watch it in a browser.

A and B are each random, idle, chaser, goalie, a checkpoint file, an exported bot's folder, or a .pt file with Nexto's
network. A is blue; in 1v2 it is the lone car. The page holds everything: it opens from the disk, without internet, and
can be given to others."""


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="A", help="plays blue")
    parser.add_argument("b", metavar="B", nargs="?", help="plays orange (default: A against itself)")
    parser.add_argument("--mode", default="1v1", help="1v1, 1v2, 2v2 or 3v3 (default: 1v1)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same match (default: 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("match.html"), metavar="FILE", help="write the page here (default: match.html)"
    )
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    parser.add_argument(
        "--deterministic", action="store_true", help="policies take their most likely action instead of drawing one"
    )
    return parser.parse_args(arguments)


def _check_out(file: Path) -> None:
    """A file is written beside and renamed: the folder has to allow it, and nothing else is replaced."""
    check_writable("out", file)
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise InputError(f"--out {file}: the folder {file.parent} cannot be written")
    if not os.path.exists(file):
        return
    if not os.path.isfile(file):
        raise InputError(f"--out {file}: is a pipe or a device and no file")
    with file.open("rb") as content:
        head = content.read(HEAD)
    if head and not is_page(head):
        raise InputError(f"--out {file}: holds something else than a page of this command, name another file")


def _open(file: Path) -> bool:
    """Whether a browser could be started; over SSH there is none but in the terminal, which cannot draw."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys():
        return False
    try:
        return webbrowser.open(file.resolve().as_uri())
    except (webbrowser.Error, OSError, ValueError):  # as of a $BROWSER that cannot be started
        return False


def _play(pairing: Pairing) -> tuple[MatchResult, Recording]:
    a, b, tick_skip = players(pairing)
    print(f"[START] {pairing.a} (blue) against {pairing.b} (orange), {pairing.mode}, five minutes", flush=True)
    recording = Recording(tick_skip / TICKS_PER_SECOND)
    with one_thread():
        (result,) = play_matches(a, b, pairing.mode, pairing.seed, [0], tick_skip=tick_skip, show=recording)
    return result, recording


def main(arguments: Sequence[str]) -> int:
    """Parse, play one match, write the page and open it; the exit code.

    Raises:
        InputError: what was given cannot be used; nothing was played.
        TryAgainError: the page could not be written.
    """
    given = _parse(arguments)
    _check_out(given.out)
    b = given.a if given.b is None else given.b
    pairing = Pairing(given.a, b, given.mode, given.seed, given.deterministic)
    result, recording = _play(pairing)
    match = {"names": [pairing.a, pairing.b], "mode": pairing.mode, "regular_seconds": REGULAR_SECONDS}
    content = page(match | recording.packed()).encode()
    try:
        write_whole(given.out, content)
    except OSError as error:
        raise TryAgainError(f"--out {given.out} not written ({error.strerror})") from error
    minutes, seconds = divmod(round(result.seconds), 60)
    print(f"[OK] {result.goals_for} : {result.goals_against} after {minutes}:{seconds:02}")
    print(f"[OK] {given.out} ({len(content) / 1e6:.1f} MB): open it in any browser")
    if not given.no_open and not _open(given.out):
        print(f"[WARN] No browser could be started: open {given.out.resolve()} yourself")
    return 0
