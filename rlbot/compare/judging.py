"""What a training came to: how it learned, and what its bot does in whole matches."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlbot.compare import calls
from rlbot.compare.training import Training, digest, write
from rlbot.play.report import is_summary
from rlbot.scalars import scalars

TOUCHES, GOALS = "game/touches_per_minute", "game/goals_per_minute"
CURVES = {TOUCHES: "touches a minute a car", GOALS: "goals a minute a car"}  # that are kept, and what they mean
ENOUGH_TOUCHES = 10.0  # a minute a car: "it goes for the ball"
MARKS = (1_000_000, 2_000_000, 3_500_000)  # timesteps at which touches are read
WINDOW = 5  # iterations a curve is averaged over before it is judged

Curve = Sequence[tuple[int, float]]  # (timesteps, value) of each iteration


def curves(*runs: Path) -> dict[str, Curve]:
    """Of the folders of runs that go on from one another, by tag."""
    logged = [scalars(run) for run in runs]
    return {tag: [(event.step, event.value) for part in logged for event in part[tag]] for tag in CURVES}


def first_reached(curve: Curve, mark: float) -> int | None:
    """Timesteps at which the mean over the last few iterations first is at least the mark."""
    for end in range(WINDOW, len(curve) + 1):
        if statistics.fmean(value for _, value in curve[end - WINDOW : end]) >= mark:
            return curve[end - 1][0]
    return None


def at(curve: Curve, timesteps: int) -> float | None:
    """Mean over the last few iterations up to so many timesteps; None where the curve is too short."""
    values = [value for step, value in curve if step <= timesteps][-WINDOW:]
    return statistics.fmean(values) if values and curve[-1][0] >= timesteps else None


def play(training: Training, name: str, opponent: str, games: int, workers: int) -> dict[str, Any]:
    """The JSON of the evaluate command against one opponent, which is called ``name`` in the file that keeps it.

    Raises:
        CallError: the evaluate command failed.
        TryAgainError: the file cannot be written.
    """
    file = training.folder / f"against_{name}.json"
    content = file.read_bytes() if file.is_file() else b""
    found: dict[str, Any] = json.loads(content) if is_summary(content) else {}  # a full disk can leave half a file
    played = {"b": opponent, "games": games}
    played |= {"checkpoint": digest(training.checkpoint), "opponent": digest(Path(opponent))}
    if found | played != found:  # not played yet, or something else
        words = [str(training.checkpoint), opponent, "--games", str(games), "--workers", str(workers)]
        scratch = file.with_name("playing.json")
        scratch.unlink(missing_ok=True)  # evaluate does not write over half a file
        calls.call("evaluate", *words, "--json", str(scratch))
        found = json.loads(scratch.read_bytes()) | played
        write(file, json.dumps(found, indent=2) + "\n")
        scratch.unlink()
    return found


def judge(
    training: Training, opponents: Mapping[str, str], ends: Sequence[int], games: int, workers: int
) -> dict[str, Any]:
    """The figures by which recipes are compared, and the curves.

    Args:
        training: that is done.
        opponents: of whole matches, by the names they have in the figures.
        ends: timesteps of its runs' ends, at which touches are read besides ``MARKS``.
        games: against each opponent.
        workers: processes that play.
    """
    its_curves = curves(*training.runs)
    touches = its_curves[TOUCHES]
    found: dict[str, Any] = {"timesteps_to_10_touches": first_reached(touches, ENOUGH_TOUCHES)}
    found |= {f"touches_at_{mark}": at(touches, mark) for mark in (*MARKS, *ends)}
    for name, opponent in opponents.items():
        played = play(training, name, opponent, games, workers)
        goals = played["goals_for"] + played["goals_against"]
        found[f"win_rate_{name}"] = played["win_rate"]
        found[f"goal_share_{name}"] = played["goals_for"] / goals if goals else None
    return found | {"curves": its_curves}
