"""What the learner's cars do in the game, summed over steps until somebody takes the sums."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.game.endings import Ending
from rlbot.game.rewards import Reward
from rlbot.sim.state import BoolArray, FloatArray, GameState

SECONDS_PER_MINUTE = 60.0
GAIN = "gain/"  # prefix of the tags that are not logged as they are, but as returns
STEPS_AT_ONCE = 32  # counted together: a few calls over many steps cost less than many calls a step


class Ratio(NamedTuple):
    """A statistic as total over amount, so that several can be put together exactly."""

    total: float
    amount: float


class GameStatistics:
    """Sums over the learner's cars; ``take`` hands them out and starts anew.

    Per minute of a car's game: touches, goals, shots, saves, demos and each reward term. Means over car steps: speed
    (uu/s), boost (0-100), air time (share), distance to the ball (uu), and each reward term where it is above 0
    (``gain/``). Means over episodes: length (s), and the share of each ending.
    """

    def __init__(self, step_seconds: float, rewards: Sequence[Reward], endings: Sequence[Ending]) -> None:
        self._step_seconds = step_seconds
        self._endings = [f"game/ended_by_{ending.name}" for ending in endings]
        counts = ["touches", "goals", "shots", "saves", "demos"]
        self._per_minute = [f"game/{name}_per_minute" for name in counts] + [f"reward/{r.name}" for r in rewards]
        self._means = ["game/speed", "game/boost", "game/air_time", "game/distance_to_ball"]
        self._gains = [f"{GAIN}{r.name}" for r in rewards]
        self._start()

    def _start(self) -> None:
        self._waiting: list[tuple[GameState, FloatArray, BoolArray]] = []
        self._learner = slice(None)
        self._counted = np.zeros(len(self._per_minute))
        self._summed = np.zeros(len(self._means))
        self._gained = np.zeros(len(self._gains))
        self._car_steps = 0
        self._ended_by = np.zeros(len(self._endings))
        self._episodes = 0
        self._episode_seconds = 0.0

    def add(self, state: GameState, learner: slice, terms: FloatArray, live: BoolArray) -> None:
        """Count one step.

        Args:
            state: the moment after the step.
            learner: which cars of an arena are the learner's.
            terms: (K, A, C) weighted reward terms.
            live: (A,) arenas that were really stepped.
        """
        self._learner = learner
        self._waiting.append((state, terms, live))
        if len(self._waiting) == STEPS_AT_ONCE:
            self._count_waiting()

    def _count_waiting(self) -> None:
        if not self._waiting:
            return
        states, terms, lives = zip(*self._waiting, strict=True)
        self._waiting.clear()
        live = np.stack(lives)

        def of_learners(values: Iterable[NDArray[Any]]) -> NDArray[Any]:
            """(cars, ...) of the learner's cars in live arenas, from one (A, C, ...) a step."""
            chosen: NDArray[Any] = np.stack(list(values))[:, :, self._learner][live]
            return chosen.reshape(-1, *chosen.shape[2:])

        cars = [state.cars for state in states]
        scored = [state.goal[:, None] * np.where(state.cars.team == 0, 1, -1) > 0 for state in states]
        kinds = (
            [c.touched for c in cars],
            scored,
            [c.shots for c in cars],
            [c.saves for c in cars],
            [c.demos for c in cars],
        )
        self._counted[:5] += [of_learners(kind).sum(dtype=np.float64) for kind in kinds]
        rewarded = of_learners(np.moveaxis(term, 0, -1) for term in terms)
        self._counted[5:] += rewarded.sum(axis=0, dtype=np.float64)
        self._gained += np.maximum(rewarded, 0).sum(axis=0, dtype=np.float64)
        velocity, gap = of_learners(c.velocity for c in cars), of_learners(state.to_ball for state in states)
        means = (
            np.sqrt(np.vecdot(velocity, velocity)),
            of_learners(c.boost for c in cars),
            ~of_learners(c.on_ground for c in cars),
            np.sqrt(np.vecdot(gap, gap)),
        )
        self._summed += [mean.sum(dtype=np.float64) for mean in means]
        self._car_steps += len(velocity)

    def add_episodes(self, seconds: FloatArray, ended_by: BoolArray) -> None:
        """Count episodes that ended: their length (E,) and which endings (endings, E) held."""
        self._episodes += len(seconds)
        self._episode_seconds += float(seconds.sum())
        self._ended_by += ended_by.sum(axis=1)

    def take(self) -> dict[str, Ratio]:
        """Every statistic since the last call by its TensorBoard tag, also those of amount 0."""
        self._count_waiting()
        minutes = self._car_steps * self._step_seconds / SECONDS_PER_MINUTE
        taken: dict[str, Ratio] = {"game/episode_seconds": Ratio(self._episode_seconds, self._episodes)}
        for names, totals, amount in (
            (self._per_minute, self._counted, minutes),
            (self._means, self._summed, self._car_steps),
            (self._gains, self._gained, self._car_steps),
            (self._endings, self._ended_by, self._episodes),
        ):
            taken |= {name: Ratio(float(total), amount) for name, total in zip(names, totals, strict=True)}
        self._start()
        return taken
