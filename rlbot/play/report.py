"""What an evaluation found: the JSON for programs and the table for people."""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from rlbot.game.match import MODES
from rlbot.league.ratings import Rating
from rlbot.play.evaluation import Interval, Pairing, ratio, wilson
from rlbot.play.matches import MatchResult

SECONDS_PER_MINUTE = 60.0


class Summary(TypedDict):
    """The JSON of ``evaluate``: what A did against B."""

    mode: str
    games: int
    wins: int
    losses: int
    draws: int
    goals_for: int
    goals_against: int
    win_rate: float  # a draw is half a win
    win_rate_low: float  # ends of the 95 % interval
    win_rate_high: float
    touches_per_minute: float  # of a car of A
    a: str
    b: str
    seed: int


def summary(pairing: Pairing, results: Sequence[MatchResult]) -> Summary:
    """What came out of these matches."""
    wins = sum(result.goals_for > result.goals_against for result in results)
    losses = sum(result.goals_for < result.goals_against for result in results)
    draws = len(results) - wins - losses
    win_rate = wilson(wins + draws / 2, len(results))
    touches, minutes = (float(column.sum()) for column in _touches(pairing, results))
    return {
        "mode": pairing.mode,
        "games": len(results),
        "wins": wins,
        "losses": losses,
        "draws": draws,
        "goals_for": sum(result.goals_for for result in results),
        "goals_against": sum(result.goals_against for result in results),
        "win_rate": win_rate.value,
        "win_rate_low": win_rate.low,
        "win_rate_high": win_rate.high,
        "touches_per_minute": touches / minutes,
        "a": pairing.a,
        "b": pairing.b,
        "seed": pairing.seed,
    }


def is_summary(content: bytes) -> bool:
    """Whether a file's content is the JSON of an ``evaluate``."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= Summary.__annotations__.keys()


def _touches(pairing: Pairing, results: Sequence[MatchResult]) -> tuple[np.ndarray, np.ndarray]:
    """(games,) touches of A's cars and the minutes these cars played."""
    minutes = np.array([result.seconds for result in results]) * (MODES[pairing.mode][0] / SECONDS_PER_MINUTE)
    return np.array([result.touches for result in results], float), minutes


def table(pairing: Pairing, results: Sequence[MatchResult]) -> str:
    """The findings in lines: 95 % intervals by Wilson for the win rate, by bootstrap over matches for the others."""
    found = summary(pairing, results)
    scored, conceded = (np.array([result[k] for result in results], float) for k in (0, 1))
    played = np.ones(len(results))
    win_rate = Interval(found["win_rate"], found["win_rate_low"], found["win_rate_high"])
    seed = pairing.seed
    rows = [
        ("win rate, draws as half, %", win_rate, 100),
        ("goals a match", ratio(scored, played, seed), 1),
        ("goals conceded a match", ratio(conceded, played, seed), 1),
        ("share of the goals, %", ratio(scored, scored + conceded, seed), 100),
        ("touches a minute a car", ratio(*_touches(pairing, results), seed), 1),
    ]
    blue = sum(result.a_is_blue for result in results)
    overtimes = sum(result.overtime for result in results)
    head = [
        f"A: {pairing.a}",
        f"B: {pairing.b}",
        f"{pairing.mode}, {len(results)} matches ({blue} with A blue), {found['wins']} won, {found['losses']} lost, "
        f"{found['draws']} drawn, {overtimes} with overtime",
        f"{'':28}{'A':>8}   95 % interval",
    ]
    return "\n".join(head + [_row(*row) for row in rows])


def ratings_table(rated: Mapping[str, Rating], mode: str) -> str:
    """Ratings (at least one) in lines, the best first, below what they are relative to."""
    zero = "random = 0" if "random" in rated else "mean of all = 0"
    rows = sorted(rated.items(), key=lambda item: -item[1].mean)
    lines = [f"{rating.mean:36.1f}   {rating.low:.1f} to {rating.high:.1f}   {name}" for name, rating in rows]
    return "\n".join([f"{f'rating in {mode}, {zero}':36}   95 % interval", *lines])


def _row(name: str, interval: Interval | None, factor: float) -> str:
    if interval is None:
        return f"{name:28}{'-':>8}"
    value, low, high = (factor * part for part in interval)
    return f"{name:28}{value:8.2f}   {low:.2f} to {high:.2f}"
