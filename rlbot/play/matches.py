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


class _Group:
    """The G matches with as many blue and orange cars: all of a mode, but in 1v2 those with A in one colour.

    Attributes:
        indices: of the matches.
        a: (G, cars of A) which of the C cars of an arena are A's; ``b`` those of B.
        live: (G,) the match is still being played.
        observations: (G, C, 180) what the cars see now.
        controls: (G, C, 8) of the coming step.
    """

    def __init__(
        self,
        blue: int,
        orange: int,
        indices: Sequence[int],
        seed: int,
        clock: "_Clock",
        show: Callable[[GameState], object],
    ) -> None:
        self.indices = list(indices)
        self._show = show
        self._a_is_blue = np.array([_is_blue(i) for i in indices])
        first, second = np.arange(blue), np.arange(blue, blue + orange)
        self.a = np.array([first if is_blue else second for is_blue in self._a_is_blue])
        self.b = np.array([second if is_blue else first for is_blue in self._a_is_blue])
        self._clock, num_matches = clock, len(indices)
        self._arenas = ArenaBatch([np.random.default_rng([seed, i]) for i in indices], blue, orange, clock.tick_skip)
        self._observe, self._kickoff = DefaultObservation(), Kickoff()
        self._order = np.zeros((num_matches, blue + orange, blue + orange - 1), np.int64)
        self.controls = np.zeros((num_matches, blue + orange, NUM_CONTROLS), np.float32)
        self.live = np.ones(num_matches, bool)
        self._goals = np.zeros((2, num_matches), np.int64)  # for, against
        self._touches = np.zeros(num_matches, np.int64)
        self._steps = np.zeros(num_matches, np.int64)
        self.observations = self._observe(self._kick_off(self.live), self._order)

    def _kick_off(self, which: BoolArray) -> GameState:
        rngs, team = self._arenas.rngs, self._arenas.team
        indices = np.flatnonzero(which).tolist()
        for i in indices:
            self._order[i] = shuffled_others(team, rngs[i])
        state = self._arenas.reset([(i, self._kickoff(rngs[i], team)) for i in indices])
        self._show(state)
        return state

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
        self._show(state)
        for_a = np.where(self._a_is_blue, state.goal, -state.goal)
        self._goals += (for_a > 0, for_a < 0)
        self._touches += np.take_along_axis(state.cars.touched, self.a, axis=1).sum(axis=1)
        self._steps += self.live
        tied = self._goals[0] == self._goals[1]
        over = self._steps >= np.where(tied, self._clock.last_step, self._clock.regular_steps)
        self.live = self.live & ~over
        again = (state.goal != 0) | state.faulty | (self._steps == self._clock.regular_steps)
        if (again & self.live).any():
            state = self._kick_off(again & self.live)
        self.observations = self._observe(state, self._order)

    def results(self) -> dict[int, MatchResult]:
        """How the matches stand, by index."""
        seconds, overtime = self._steps * self._arenas.step_seconds, self._steps > self._clock.regular_steps
        columns = (*self._goals, self._touches, seconds, overtime, self._a_is_blue)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return {i: MatchResult(*row) for i, row in zip(self.indices, rows, strict=True)}


def _is_blue(index: int) -> bool:
    """Whether A is blue in this match."""
    return index % 2 == 0


class _Clock(NamedTuple):
    """Lengths in steps."""

    tick_skip: int
    regular_steps: int
    last_step: int  # of overtime


def _act(
    opponent: Opponent, groups: Sequence[_Group], noise: Sequence[FloatArray], where: Sequence[BoolArray], *, is_a: bool
) -> None:
    """Let one opponent fill in the controls of its cars in the matches ``where`` (G,) of each group, in one batch."""
    chosen = [np.flatnonzero(which) for which in where]
    places = [(rows[:, None], (group.a if is_a else group.b)[rows]) for group, rows in zip(groups, chosen, strict=True)]
    drawn = np.concatenate([rows[place] for rows, place in zip(noise, places, strict=True)])
    if not len(drawn):
        return
    answer = opponent(np.concatenate([g.observations[place] for g, place in zip(groups, places, strict=True)]), drawn)
    if answer.shape != (*drawn.shape, NUM_CONTROLS):
        raise ValueError(f"an opponent returned controls of shape {answer.shape}, not {(*drawn.shape, NUM_CONTROLS)}")
    parts = np.split(answer, np.cumsum([len(rows) for rows in chosen])[:-1])
    for group, place, part in zip(groups, places, parts, strict=True):
        group.controls[place] = part


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
    show: Callable[[GameState], object] = bool,
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
        show: called with every kickoff and with the state after every step, of all matches with as many blue cars.

    Raises:
        ValueError: an unknown mode, or an opponent that returns controls of another shape.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r} is none of {', '.join(MODES)}")
    steps_a_second = 120 / tick_skip
    regular = round(regular_seconds * steps_a_second)
    clock = _Clock(tick_skip, regular, regular + round(overtime_seconds * steps_a_second))
    sizes = [MODES[mode] if _is_blue(i) else MODES[mode][::-1] for i in indices]  # blue and orange cars
    groups = [
        _Group(*size, [i for i, its in zip(indices, sizes, strict=True) if its == size], seed, clock, show)
        for size in dict.fromkeys(sizes)
    ]
    opponents = [b] * len(indices) if callable(b) else b
    of_index = {i: id(one) for i, one in zip(indices, opponents, strict=True)}
    distinct = {id(one): one for one in opponents}.values()
    whose = [np.array([of_index[i] for i in group.indices]) for group in groups]
    while any(group.live.any() for group in groups):
        each_step()
        noise = [group.noise() for group in groups]
        _act(a, groups, noise, [group.live for group in groups], is_a=True)
        for one in distinct:
            where = [group.live & (own == id(one)) for group, own in zip(groups, whose, strict=True)]
            _act(one, groups, noise, where, is_a=False)
        for group in groups:
            group.step()
    found = {i: result for group in groups for i, result in group.results().items()}
    return [found[i] for i in indices]
