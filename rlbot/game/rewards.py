"""What is good for a car, one small class a term; the reward is their weighted sum.

A term sees every car of every arena at once and returns (A, C). Write your own in any file and name it in YAML by
``class_path``; its class name in snake_case becomes the TensorBoard tag ``reward/<term>``.
"""

import math
import re
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rlbot.sim.state import (
    BACK_WALL_Y,
    BALL_MAX_SPEED,
    BALL_RADIUS,
    CAR_MAX_SPEED,
    CEILING_Z,
    BoolArray,
    FloatArray,
    GameState,
    IntArray,
    unit,
)

Floats: TypeAlias = "NDArray[np.floating[Any]]"

GOALS = np.array(
    [[0, BACK_WALL_Y, BALL_RADIUS], [0, -BACK_WALL_Y, BALL_RADIUS]], np.float32
)  # blue's to score in, orange's
FORWARD = np.array([[0, 1, 0], [0, -1, 0]], np.float32)  # the way each attacks


class Reward(ABC):
    """One term of the reward.

    Args:
        weight: factor of this term in the sum, at the start.
        weight_end: weight after data.anneal_timesteps, reached along a line; null keeps it constant.
        team_spirit: share of a car's term that is its team's mean instead of its own: 0 to 1.
        zero_sum: subtract the mean of the opponents' cars, for what they should prevent.
    """

    def __init__(
        self,
        weight: float = 1.0,
        weight_end: float | None = None,
        team_spirit: float = 0.0,
        zero_sum: bool = False,
    ) -> None:
        for name, value in (("weight", weight), ("weight_end", weight_end)):
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{type(self).__name__}.{name}={value} must be finite")
        if not 0 <= team_spirit <= 1:
            raise ValueError(f"{type(self).__name__}.team_spirit={team_spirit} must be 0 to 1")
        self.weight, self.weight_end = weight, weight_end
        self.team_spirit, self.zero_sum = team_spirit, zero_sum

    def weight_at(self, progress: float) -> float:
        """The weight when this share of the line is done."""
        if self.weight_end is None:
            return self.weight
        return self.weight + (self.weight_end - self.weight) * progress

    @property
    def name(self) -> str:
        """The class name in snake_case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @abstractmethod
    def __call__(self, state: GameState) -> Floats:
        """(A, C) the unweighted term of this step."""


def mixing(team: IntArray, team_spirit: float, zero_sum: bool) -> FloatArray:
    """(C, C) how much of every car's own term (columns) each car of ``team`` (C,) is given (rows).

    First team spirit s: (1 - s) x own + s x mean of the team. Then, if ``zero_sum``, minus the opponents' mean.
    """
    mates = (team[:, None] == team).astype(np.float32)
    shared = (1 - team_spirit) * np.eye(len(team)) + team_spirit * mates / mates.sum(axis=1, keepdims=True)
    if zero_sum:
        others = 1 - mates
        shared = shared - others / others.sum(axis=1, keepdims=True)
    return np.asarray(shared, np.float32)


class Goal(Reward):
    """+1 for every car of the team that scores, -1 for every car of the team that concedes."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _goal(state)


class Concede(Reward):
    """-1 for every car of the team that concedes, on top of what ``Goal`` takes from it."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return np.minimum(_goal(state), 0)


class Touch(Reward):
    """1 in a step in which the car hits the ball."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.cars.touched.astype(np.float32)


class FirstTouch(Reward):
    """1 in a step in which the car hits a ball that lay still, as only one does that a kickoff puts in the middle.

    Who waits there for what comes out of it loses nothing against its equal, so that self-play unlearns kickoffs, and
    is scored against by all others; with ``zero_sum`` it loses what the other gains.
    """

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        lay_still: BoolArray = (state.ball.velocity_before == 0).all(axis=-1, keepdims=True)
        return (state.cars.touched & lay_still).astype(np.float32)


class TouchSpeed(Reward):
    """At a touch, how much the ball's velocity changed in the step, as a share of its top speed: 0 to 2.

    Gravity and bounces in the same step count too: without a hit of the car, a step of gravity makes 0.007.
    """

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        change = state.ball.velocity - state.ball.velocity_before
        share: Floats = np.sqrt(np.vecdot(change, change)) / np.float32(BALL_MAX_SPEED)
        return state.cars.touched * share[:, None]


class TouchTowardGoal(Reward):
    """At a touch, how much faster the ball moves toward the opponents' goal than before, as a share of its top speed.

    Along the line from the ball to the goal's centre, in the goal straight on: 2 to -2, below 0 for a touch that takes
    it off that way.
    """

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return state.cars.touched * _toward_goal(state, state.ball.velocity - state.ball.velocity_before)


class AerialTouch(Reward):
    """At a touch of a high ball with fewer than three wheels on ground or wall, its height as a share of the ceiling's.

    Args:
        weight: see ``Reward``, as the rest.
        height: of the ball's centre, uu; on the ground it is 93, a jump reaches some 250.
    """

    def __init__(self, weight: float = 1.0, height: float = 250.0, **mixing: Any) -> None:
        super().__init__(weight, **mixing)
        self.height = height

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        z = state.ball.position[:, None, 2]
        counts = state.cars.touched & ~state.cars.on_ground & (z > self.height)
        share: Floats = counts * z / np.float32(CEILING_Z)
        return share


class DistanceToBall(Reward):
    """Closeness of the car to the ball: 1 in its centre, less by a factor of e with every ``falloff``.

    Args:
        weight: see ``Reward``, as the rest.
        falloff: uu.
    """

    def __init__(self, weight: float = 1.0, falloff: float = 1500.0, **mixing: Any) -> None:
        super().__init__(weight, **mixing)
        self.falloff = _positive(self, falloff)

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _if_there(state, _closeness(state.to_ball, self.falloff))


class SpeedTowardBall(Reward):
    """Speed along the line to the ball, as a share of the top car speed: -1 to 1."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        speed: Floats = np.vecdot(state.cars.velocity, state.ball_direction)
        return _if_there(state, speed / np.float32(CAR_MAX_SPEED))


class BallTowardGoal(Reward):
    """Speed of the ball along the line to the centre of the opponents' goal, as a share of its top speed: -1 to 1."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _toward_goal(state, state.ball.velocity)


class BallToGoalDistance(Reward):
    """Closeness of the ball to the opponents' goal: 1 in its centre, less by a factor of e with every ``falloff``.

    Args:
        weight: see ``Reward``, as the rest.
        falloff: uu; RLGym's LiuDistanceBallToGoalReward has 12,000.
    """

    def __init__(self, weight: float = 1.0, falloff: float = 12_000.0, **mixing: Any) -> None:
        super().__init__(weight, **mixing)
        self.falloff = _positive(self, falloff)

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _closeness(GOALS - state.ball.position[:, None], self.falloff)[:, state.cars.team]


class FacingBall(Reward):
    """Cosine of the angle between the car's nose and the line to the ball: -1 to 1."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _if_there(state, np.vecdot(state.cars.forward, state.ball_direction))


class BoostKept(Reward):
    """Square root of the boost share: 0 empty to 1 full, so that the first tenths count most."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _if_there(state, np.sqrt(state.cars.boost * np.float32(0.01)))


class BoostGained(Reward):
    """How much the square root of the boost share rose in the step; 0 when it fell. A respawn gains nothing."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        before, now = (np.sqrt(boost * np.float32(0.01)) for boost in (state.cars.boost_before, state.cars.boost))
        gained: Floats = np.maximum(now - before, 0)
        return gained


class InAir(Reward):
    """1 while fewer than three wheels are on the ground or a wall, and the car is not demolished."""

    def __call__(self, state: GameState) -> Floats:
        """See ``Reward``."""
        return _if_there(state, (~state.cars.on_ground).astype(np.float32))


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


def _if_there(state: GameState, term: Floats) -> Floats:
    """(A, C) the term, 0 for demolished cars: their wrecks keep place, velocity and boost."""
    there: Floats = term * ~state.cars.demolished
    return there


def _goal(state: GameState) -> Floats:
    """(A, C) +1 in the step in which the car's team scores, -1 in that in which it concedes."""
    return state.goal[:, None] * np.where(state.cars.team == 0, np.float32(1), np.float32(-1))


def _toward_goal(state: GameState, velocity: FloatArray) -> Floats:
    """(A, C) part of (A, 3) along the line from the ball to the opponents' goal, as a share of the ball's top speed."""
    way = GOALS - state.ball.position[:, None]  # (A, 2, 3)
    inside = way[..., 1:2] * FORWARD[:, 1:2] <= 0  # past the goal line, where the goal's centre lies behind the ball
    speed: Floats = np.vecdot(velocity[:, None], np.where(inside, FORWARD, unit(way))) / np.float32(BALL_MAX_SPEED)
    return speed[:, state.cars.team]


def _closeness(way: FloatArray, falloff: float) -> Floats:
    """(A, N) how near the ends of (A, N, 3) are: 1 to 0."""
    near: Floats = np.exp(np.sqrt(np.vecdot(way, way)) * np.float32(-1 / falloff))
    return near


def _positive(term: Reward, falloff: float) -> float:
    if not falloff > 0:
        raise ValueError(f"{type(term).__name__}.falloff={falloff} must be above 0")
    return falloff


def default_rewards() -> list[Reward]:
    """The terms and weights that ``configs/base.yaml`` starts from."""
    touch = [Touch(1.0, 0.2), TouchTowardGoal(5.0, 20.0)]  # first to hit the ball at all, then where it goes
    return [Goal(4.0, 10.0), *touch, SpeedTowardBall(0.1, 0.05)]
