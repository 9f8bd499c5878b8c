"""What is good for a car, one small class a term; the reward is their weighted sum.

A term sees every car of every arena at once and returns (A, C). Write your own in any file and name it in YAML by
``class_path``; its class name in snake_case becomes the TensorBoard tag ``reward/<term>``.
"""

import re
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rlbot.sim.state import BACK_WALL_Y, BALL_MAX_SPEED, BALL_RADIUS, CAR_MAX_SPEED, GameState, unit

Floats: TypeAlias = "NDArray[np.floating[Any]]"

GOALS = np.array(
    [[0, BACK_WALL_Y, BALL_RADIUS], [0, -BACK_WALL_Y, BALL_RADIUS]], np.float32
)  # blue's to score in, orange's


class Reward(ABC):
    """One term of the reward.

    Args:
        weight: factor of this term in the sum.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    @property
    def name(self) -> str:
        """The class name in snake_case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @abstractmethod
    def __call__(self, state: GameState) -> Floats:
        """(A, C) the unweighted term of this step."""


class Goal(Reward):
    """+1 for every car of the team that scores, -1 for every car of the team that concedes."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.goal[:, None] * np.where(state.cars.team == 0, np.float32(1), np.float32(-1))


class Touch(Reward):
    """1 in a step in which the car hits the ball."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.cars.touched.astype(np.float32)


class SpeedTowardBall(Reward):
    """Speed along the line to the ball, as a share of the top car speed: -1 to 1."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        speed: Floats = np.vecdot(state.cars.velocity, state.ball_direction)
        return speed / np.float32(CAR_MAX_SPEED)


class BallTowardGoal(Reward):
    """Speed of the ball along the line to the centre of the opponents' goal, as a share of its top speed: -1 to 1."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        to_goal = unit(GOALS - state.ball.position[:, None])  # (A, 2, 3)
        speed: Floats = np.vecdot(state.ball.velocity[:, None], to_goal) / np.float32(BALL_MAX_SPEED)
        return speed[:, state.cars.team]


class FacingBall(Reward):
    """Cosine of the angle between the car's nose and the line to the ball: -1 to 1."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        cosine: Floats = np.vecdot(state.cars.forward, state.ball_direction)
        return cosine


class BoostKept(Reward):
    """Square root of the boost share: 0 empty to 1 full, so that the first tenths count most."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        share: Floats = np.sqrt(state.cars.boost * np.float32(0.01))
        return share


class Demolition(Reward):
    """1 in a step in which the car demolishes another."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.cars.demos


class Save(Reward):
    """1 in a step in which RocketSim counts a save for the car."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.cars.saves


class Shot(Reward):
    """1 in a step in which RocketSim counts a shot for the car."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.cars.shots


def default_rewards() -> list[Reward]:
    """The terms and weights that ``configs/base.yaml`` starts from."""
    return [Goal(4.0), Touch(1.0), SpeedTowardBall(0.1), BallTowardGoal(0.05), FacingBall(0.01)]
