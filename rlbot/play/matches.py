"""Whole matches of two opponents, many side by side: kickoff, five minutes, a kickoff after each goal, overtime.

The clock runs from the kickoff and the match ends at 0:00, wherever the ball is (the game waits for it to touch the
ground). A tie goes into overtime, which begins with a kickoff and ends with the first goal; after ``OVERTIME_SECONDS``
without one the match is a draw.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rlbot.game.actions import NUM_CONTROLS
from rlbot.game.match import MODES, Opponent
from rlbot.game.observations import DefaultObservation, shuffled_others
from rlbot.game.starts import Kickoff
from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import BoolArray, FloatArray, GameState

REGULAR_SECONDS = 300.0
OVERTIME_SECONDS = 300.0


class MatchResult(NamedTuple):
    """One match as A sees it."""

    goals_for: int
    goals_against: int
    touches: int  # steps in which a car of A hit the ball, summed over A's cars
    seconds: float  # game time, overtime included
    overtime: bool
    a_is_blue: bool


class _Side:
    """The G matches in which A has one and the same colour.

    Attributes:
        a: which of the C cars of an arena are A's; ``b`` the others.
        live: (G,) the match is still being played.
        observations: (G, C, 180) what the cars see now.
    """

    def __init__(self, cars: tuple[int, int], a_is_blue: bool, rngs: Sequence[np.random.Generator], clock: "_Clock"):
        blue, orange = cars if a_is_blue else cars[::-1]
        first, second = slice(0, blue), slice(blue, blue + orange)
        self.a, self.b = (first, second) if a_is_blue else (second, first)
        self.a_is_blue = a_is_blue
        self._clock = clock
        self._arenas = ArenaBatch(rngs, blue, orange, clock.tick_skip)
        self._observe, self._kickoff = DefaultObservation(), Kickoff()
        self._order = np.zeros((len(rngs), blue + orange, blue + orange - 1), np.int64)
        self.controls = np.zeros((len(rngs), blue + orange, NUM_CONTROLS), np.float32)
        self.live = np.ones(len(rngs), bool)
        self._goals = np.zeros((2, len(rngs)), np.int64)  # for, against
        self._touches = np.zeros(len(rngs), np.int64)
        self._steps = np.zeros(len(rngs), np.int64)
        self.observations = self._observe(self._kick_off(self.live), self._order)

    def _kick_off(self, which: BoolArray) -> GameState:
        rngs, team = self._arenas.rngs, self._arenas.team
        indices = np.flatnonzero(which).tolist()
        for i in indices:
            self._order[i] = shuffled_others(team, rngs[i])
        return self._arenas.reset([(i, self._kickoff(rngs[i], team)) for i in indices])

    def noise(self) -> FloatArray:
        """(G, C) in [0, 1), each live match's from its own stream."""
        rngs, num_cars = self._arenas.rngs, self._arenas.num_cars
        rows = np.zeros((len(rngs), num_cars), np.float32)
        for i in np.flatnonzero(self.live):
            rows[i] = rngs[i].random(num_cars, np.float32)
        return rows

    def step(self) -> None:
        """Apply ``controls`` in the live matches, keep the score and begin anew after goals."""
        state = self._arenas.step(self.controls, None if self.live.all() else self.live)
        for_a = state.goal if self.a_is_blue else -state.goal
        self._goals += (for_a > 0, for_a < 0)
        self._touches += state.cars.touched[:, self.a].sum(axis=1)
        self._steps += self.live
        tied = self._goals[0] == self._goals[1]
        over = self._steps >= np.where(tied, self._clock.last_step, self._clock.regular_steps)
        self.live = self.live & ~over
        again = (state.goal != 0) | state.faulty | (self._steps == self._clock.regular_steps)
        if (again & self.live).any():
            state = self._kick_off(again & self.live)
        self.observations = self._observe(state, self._order)

    def results(self) -> list[MatchResult]:
        """How the matches stand."""
        seconds, overtime = self._steps * self._arenas.step_seconds, self._steps > self._clock.regular_steps
        scored, conceded = self._goals.tolist()
        rows = zip(scored, conceded, self._touches.tolist(), seconds.tolist(), overtime.tolist(), strict=True)
        return [MatchResult(*row, a_is_blue=self.a_is_blue) for row in rows]


class _Clock(NamedTuple):
    """Lengths in steps."""

    tick_skip: int
    regular_steps: int
    last_step: int  # of overtime


def _act(
    opponent: Opponent, sides: Sequence[_Side], noise: Sequence[FloatArray], where: Sequence[BoolArray], *, is_a: bool
) -> None:
    """Let one opponent fill in the controls of its cars in the matches ``where`` (G,) of each side, in one batch."""
    cars = [side.a if is_a else side.b for side in sides]
    parts = list(zip(sides, cars, noise, where, strict=True))
    drawn = np.concatenate([rows[which][:, own] for _, own, rows, which in parts])
    if not len(drawn):
        return
    answer = opponent(np.concatenate([side.observations[which][:, own] for side, own, _, which in parts]), drawn)
    if answer.shape != (*drawn.shape, NUM_CONTROLS):
        raise ValueError(f"an opponent returned controls of shape {answer.shape}, not {(*drawn.shape, NUM_CONTROLS)}")
    begin = 0
    for side, own, _, which in parts:
        chosen = np.flatnonzero(which)
        side.controls[chosen, own] = answer[begin : begin + len(chosen)]
        begin += len(chosen)


def play_matches(
    a: Opponent,
    b: Opponent | Sequence[Opponent],
    mode: str,
    seed: int,
    indices: Sequence[int],
    *,
    regular_seconds: float = REGULAR_SECONDS,
    overtime_seconds: float = OVERTIME_SECONDS,
    tick_skip: int = 8,
    each_step: Callable[[], object] = bool,
) -> list[MatchResult]:
    """Play the matches of these indices side by side; each opponent acts once a step for all its cars.

    A match's colours and randomness follow from its index: A is blue where it is even, and all noise comes from a
    stream of (seed, index).

    Args:
        a: has the first number of cars in the mode's name, whichever colour it has: in 1v2 A is the lone car.
        b: has the second; or one for each of the matches.
        mode: 1v1, 1v2, 2v2 or 3v3.
        seed: not negative.
        indices: of the matches, in the order of the results.
        regular_seconds: game time before overtime.
        overtime_seconds: most game time of an overtime; a draw after that.
        tick_skip: physics ticks (1/120 s) a step.
        each_step: called before every step; what it raises ends the matches.

    Raises:
        ValueError: an unknown mode, or an opponent that returns controls of another shape.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r} is none of {', '.join(MODES)}")
    steps_a_second = 120 / tick_skip
    regular = round(regular_seconds * steps_a_second)
    clock = _Clock(tick_skip, regular, regular + round(overtime_seconds * steps_a_second))
    by_colour = [[i for i in indices if i % 2 == odd] for odd in (0, 1)]
    sides = [
        _Side(MODES[mode], odd == 0, [np.random.default_rng([seed, i]) for i in chosen], clock)
        for odd, chosen in enumerate(by_colour)
        if chosen
    ]
    opponents = [b] * len(indices) if callable(b) else b
    of_index = {i: id(one) for i, one in zip(indices, opponents, strict=True)}
    distinct = {id(one): one for one in opponents}.values()
    whose = [np.array([of_index[i] for i in chosen]) for chosen in by_colour if chosen]
    while sides and any(side.live.any() for side in sides):
        each_step()
        noise = [side.noise() for side in sides]
        _act(a, sides, noise, [side.live for side in sides], is_a=True)
        for one in distinct:
            where = [side.live & (own == id(one)) for side, own in zip(sides, whose, strict=True)]
            _act(one, sides, noise, where, is_a=False)
        for side in sides:
            side.step()
    played = [result for side in sides for result in side.results()]
    found = dict(zip(by_colour[0] + by_colour[1], played, strict=True))
    return [found[i] for i in indices]
