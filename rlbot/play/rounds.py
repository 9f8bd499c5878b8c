"""One policy against several opponents side by side, as often as there is time for."""

from collections.abc import Callable, Mapping

from rlbot.game.match import Opponent
from rlbot.play.matches import MatchResult, play_matches


def play_round(
    policy: Opponent,
    opponents: Mapping[str, Opponent],
    games: int,
    mode: str,
    seed: int,
    *,
    seconds: float,
    tick_skip: int = 8,
    each_step: Callable[[], object] = bool,
) -> dict[str, list[MatchResult]]:
    """Matches against each opponent, all in one batch: the policy acts once a step for all of its cars.

    Args:
        policy: whom to judge.
        opponents: by name.
        games: against each, an even number: half of them in each colour.
        mode: 1v1 or 2v2.
        seed: of all matches.
        seconds: game time of a match, and at most of its overtime.
        tick_skip: physics ticks (1/120 s) a step.
        each_step: called before every step; what it raises ends the round.
    """
    met = [name for name in opponents for _ in range(games)]
    results = play_matches(
        policy, [opponents[name] for name in met], mode, seed, range(len(met)),
        regular_seconds=seconds, overtime_seconds=seconds, tick_skip=tick_skip, each_step=each_step,
    )  # fmt: skip
    return {name: results[k * games : (k + 1) * games] for k, name in enumerate(opponents)}


def affordable_games(
    wanted: int, num_opponents: int, seconds_a_match: float, seconds: float | None, least: int = 2
) -> int:
    """How many matches against each opponent ``seconds`` pay for (None: any), in pairs; 0 if too few to be worth it.

    Worth it is a fifth of the ``wanted`` number, and the ``least`` that are, if that many are wanted.
    """
    if seconds is None:
        return wanted
    pairs = int(max(seconds, 0.0) / (seconds_a_match * num_opponents * 2))
    enough = max(wanted // 5 // 2 * 2, min(least, wanted))
    return min(2 * pairs, wanted) if 2 * pairs >= enough else 0
