"""Ratings from a ledger of results: all results of a mode fitted at once, with 95 % intervals.

The model is openskill's Bradley-Terry: A beats B with probability 1 / (1 + exp((B - A) / SCALE)), so 10 points more win
84 % and 20 points more 96 %; a draw is half a win. openskill's own updates are a filter: their answer depends on the
order of the games. Here every pass asks openskill what each pairing's results say at the present ratings and moves all
players together (Newton's method), until nobody moves: the order of the results cannot matter, every result counts
once, and a player's interval includes what is unsure about those it was measured against.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from openskill.models import BradleyTerryFull
from typing_extensions import Self

from rlbot.errors import InputError
from rlbot.files import write_whole
from rlbot.game.match import MODES

ANCHORS: Mapping[str, float] = {"random": 0.0}
PRIOR_SPREAD = 25.0  # weak: what keeps a player that never lost at a finite rating
Z95 = 1.959964
MOST = 10**9  # matches in a result: the fit stays exact far beyond what anyone plays
PASSES, TOLERANCE, LONGEST_STEP = 200, 1e-6, 10.0
_SIGMA = 1.0  # openskill counts it into the scale: the same for everyone, so that the scale is one
_MODEL = BradleyTerryFull(tau=0.0, gamma=lambda *_: 1.0)
SCALE = math.sqrt(2 * (_MODEL.beta**2 + _SIGMA**2))


@dataclass(frozen=True, slots=True)
class Result:
    """What A did against B in a number of whole matches, half of them on each side.

    With a ``seed``, those of the same players share their matches: more of them hold the fewer.
    """

    mode: str
    a: str
    b: str
    wins: int
    losses: int
    draws: int
    seed: int | None = None

    def __post_init__(self) -> None:
        names, counts = (self.a, self.b), (self.wins, self.losses, self.draws)
        if self.mode not in MODES or not all(isinstance(name, str) for name in names):
            raise ValueError(f"no result: mode={self.mode!r}, a={self.a!r}, b={self.b!r}")
        if not all(type(count) is int and 0 <= count <= MOST for count in counts):  # True is an int too
            raise ValueError("no result: wins, losses and draws must be whole numbers from 0 to 1,000,000,000")
        if self.seed is not None and type(self.seed) is not int:
            raise ValueError(f"no result: seed={self.seed!r}")

    @property
    def games(self) -> int:
        """How many matches."""
        return self.wins + self.losses + self.draws

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """From a mapping that holds more, as the JSON of ``evaluate`` does.

        Raises:
            ValueError: it holds less, or something else.
        """
        try:
            needed = {field.name: found[field.name] for field in fields(cls)[:-1]}
            return cls(**needed, seed=found.get("seed"))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no result: {error!r}") from error


class Ledger:
    """Results in a file, one JSON line each, in the order in which they came.

    Args:
        path: of the file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, result: Result) -> None:
        """Append one line, on the disk when this returns; a torn line before it is ended first."""
        line = json.dumps(asdict(result)) + "\n"
        with self.path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())

    def drop(self, unwanted: Callable[[Result], bool]) -> int:
        """Take results out, at once; how many. All other lines stay as they are.

        Raises:
            InputError: the file is there and cannot be read.
            OSError: it cannot be written; nothing was taken out.
        """
        lines = self._lines()
        kept = [line for line in lines if (result := _result(line)) is None or not unwanted(result)]
        if len(kept) < len(lines):
            write_whole(self.path, b"\n".join(kept))
        return len(lines) - len(kept)

    def read(self) -> list[Result]:
        """All results; lines that are none, as a crash can leave one, are skipped, and one printed line says so.

        Raises:
            InputError: the file is there and cannot be read.
        """
        results, skipped = self._parse()
        if skipped:
            number = len(skipped)
            lines = "1 line that is no result was" if number == 1 else f"{number} lines that are no result were"
            print(f"[WARN] {self.path}: {lines} skipped (first: line {skipped[0]})", flush=True)
        return results

    def check(self) -> None:
        """Refuse a file that is not to be appended to.

        Raises:
            InputError: it cannot be read, or it has contents and none of its lines is a result.
        """
        results, skipped = self._parse()
        if skipped and not results:
            raise InputError(f"ledger={self.path}: is no ledger (none of its lines is a result), name another file")

    def _parse(self) -> tuple[list[Result], list[int]]:
        """All results, and the numbers of the lines that are none."""
        found = [(number, _result(line)) for number, line in enumerate(self._lines(), 1) if line.strip()]
        return [one for _, one in found if one is not None], [number for number, one in found if one is None]

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"ledger={self.path}: cannot be read ({error.strerror})") from error


def _result(line: bytes) -> Result | None:
    try:
        return Result.of(json.loads(line))
    except (ValueError, RecursionError):
        return None


class Rating(NamedTuple):
    """A player's skill with its 95 % interval; an anchor's has no width."""

    mean: float
    low: float
    high: float


def ratings(results: Iterable[Result], mode: str, anchors: Mapping[str, float] = ANCHORS) -> dict[str, Rating]:
    """Fit the players of one mode.

    Intervals are normal ones from the curvature of the fit (all players together) and not from a bootstrap: resampling
    the results of a player that never lost gives no width at all.

    Args:
        results: in any order; those of other modes are left out.
        mode: 1v1, 1v2, 2v2 or 3v3. In 1v2 the pair is another player than the lone car: its name ends in `` x2``.
        anchors: ratings that stay as they are and give the scale its zero. Without one among the players the ratings
            are sure relative to each other only, and the intervals say so.
    """
    scores = _scores(_once(result for result in results if result.mode == mode))
    names = sorted({name for pair in scores for name in pair})
    if not names:
        return {}
    fixed = np.array([name in anchors for name in names])
    middle = float(np.mean([anchors[name] for name in names if name in anchors] or [0.0]))
    means = np.array([anchors.get(name, middle) for name in names])
    places = {name: i for i, name in enumerate(names)}
    pairings = [(places[a], places[b], *points) for (a, b), points in sorted(scores.items())]
    free = ~fixed
    for _ in range(PASSES):
        slope, curvature = _posterior(means, middle, pairings)
        step = np.zeros(len(names))
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        means += step * min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), TOLERANCE))
        if np.abs(step).max() < TOLERANCE:
            break
    widths = np.zeros(len(names))
    widths[free] = Z95 * np.sqrt(np.diag(np.linalg.inv(curvature[np.ix_(free, free)])))
    rows = zip(names, means.tolist(), widths.tolist(), strict=True)
    return {name: Rating(mean, mean - width, mean + width) for name, mean, width in rows}


def _once(results: Iterable[Result]) -> list[Result]:
    """Of results that share their matches the one with most of them, the newest of equals."""
    found: dict[tuple[str, str, str, int | None, int], Result] = {}
    for i, new in enumerate(results):
        key = new.mode, new.a, new.b, new.seed, i if new.seed is None else 0
        if key not in found or new.games >= found[key].games:
            found[key] = new
    return list(found.values())


def _scores(results: Iterable[Result]) -> dict[tuple[str, str], tuple[float, float]]:
    """Points of the first and of the second player by pairing, names in order; a draw is half a point each."""
    scores: dict[tuple[str, str], tuple[float, float]] = {}
    for result in results:
        first, second = MODES[result.mode]
        a, b = result.a, result.b if first == second else f"{result.b} x{second}"
        points = result.wins + result.draws / 2, result.losses + result.draws / 2
        if a == b:  # says nothing about skill
            continue
        pair, points = ((a, b), points) if a < b else ((b, a), points[::-1])
        before = scores.get(pair, (0.0, 0.0))
        scores[pair] = before[0] + points[0], before[1] + points[1]
    return scores


def _posterior(
    means: NDArray[np.float64], middle: float, pairings: Iterable[tuple[int, int, float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope (P,) and negative curvature (P, P) of the log-posterior at the ratings ``means`` (P,)."""
    slope = (middle - means) / PRIOR_SPREAD**2
    curvature = np.eye(len(means)) / PRIOR_SPREAD**2
    for i, j, points_i, points_j in pairings:
        up, down, information = _evidence(float(means[i]), float(means[j]))
        pull = points_i * up + points_j * down
        slope[[i, j]] += pull, -pull
        weight = (points_i + points_j) * information
        curvature[[i, j], [i, j]] += weight
        curvature[[i, j], [j, i]] -= weight
    return slope, curvature


def _evidence(first: float, second: float) -> tuple[float, float, float]:
    """What one game says by openskill's update: the first one's pull by a win and by a loss, and its information."""
    variance, pulls = _SIGMA**2, []
    for ranks in ([0.0, 1.0], [1.0, 0.0]):
        sides = [[_MODEL.rating(mu=first, sigma=_SIGMA)], [_MODEL.rating(mu=second, sigma=_SIGMA)]]
        (after,), _ = _MODEL.rate(sides, ranks=ranks)
        pulls.append((after.mu - first) / variance)
    information = (1 - (after.sigma / _SIGMA) ** 2) / variance
    return pulls[0], pulls[1], information
