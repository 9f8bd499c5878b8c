"""What the learner's cars do in the game, summed over steps until somebody takes the sums."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rlbot.game.endings import Ending
from rlbot.game.rewards import Reward
from rlbot.sim.state import BoolArray, FloatArray, GameState

SECONDS_PER_MINUTE = 60.0


class Ratio(NamedTuple):
    """A statistic as total over amount, so that several can be put together exactly."""

    total: float
    amount: float


class GameStatistics:
    """Sums over the learner's cars; ``take`` hands them out and starts anew.

    Per minute of a car's game: touches, goals, shots, saves, demos and each reward term. Means over car steps: speed
    (uu/s), boost (0-100), air time (share), distance to the ball (uu). Means over episodes: length (s), and the share
    of each ending.
    """

    def __init__(self, step_seconds: float, rewards: Sequence[Reward], endings: Sequence[Ending]) -> None:
        self._step_seconds = step_seconds
        self._endings = [f"game/ended_by_{ending.name}" for ending in endings]
        counts = ["touches", "goals", "shots", "saves", "demos"]
        self._per_minute = [f"game/{name}_per_minute" for name in counts] + [f"reward/{r.name}" for r in rewards]
        self._means = ["game/speed", "game/boost", "game/air_time", "game/distance_to_ball"]
        self._start()

    def _start(self) -> None:
        self._counted = np.zeros(len(self._per_minute))
        self._summed = np.zeros(len(self._means))
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
        cars = state.cars
        scored = state.goal[:, None] * np.where(cars.team == 0, 1, -1) > 0
        rows = np.stack((cars.touched, scored, cars.shots, cars.saves, cars.demos))[:, live, learner]
        self._counted[:5] += rows.sum(axis=(1, 2))
        self._counted[5:] += terms[:, live, learner].sum(axis=(1, 2), dtype=np.float64)
        velocity = cars.velocity[live, learner]
        gap = state.ball.position[live, None] - cars.position[live, learner]
        self._summed += (
            np.sqrt((velocity * velocity).sum(-1)).sum(),
            cars.boost[live, learner].sum(),
            (~cars.on_ground[live, learner]).sum(),
            np.sqrt((gap * gap).sum(-1)).sum(),
        )
        self._car_steps += velocity.shape[0] * velocity.shape[1]

    def add_episodes(self, seconds: FloatArray, ended_by: BoolArray) -> None:
        """Count episodes that ended: their length (E,) and which endings (endings, E) held."""
        self._episodes += len(seconds)
        self._episode_seconds += float(seconds.sum())
        self._ended_by += ended_by.sum(axis=1)

    def take(self) -> dict[str, Ratio]:
        """Every statistic since the last call by its TensorBoard tag, also those of amount 0."""
        minutes = self._car_steps * self._step_seconds / SECONDS_PER_MINUTE
        taken: dict[str, Ratio] = {"game/episode_seconds": Ratio(self._episode_seconds, self._episodes)}
        for names, totals, amount in (
            (self._per_minute, self._counted, minutes),
            (self._means, self._summed, self._car_steps),
            (self._endings, self._ended_by, self._episodes),
        ):
            taken |= {name: Ratio(float(total), amount) for name, total in zip(names, totals, strict=True)}
        self._start()
        return taken
