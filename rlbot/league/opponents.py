"""Opponents by name: random, idle, chaser, goalie, a checkpoint's policy, an exported bot, or Nexto's TorchScript file.

Each is a function of what its cars see and of the noise it is handed: observations (A, K, 180), noise (A, K) in [0, 1),
controls (A, K, 8). The arenas own all randomness, so an arena's history does not depend on the others'.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from rlbot.errors import InputError
from rlbot.game.actions import NUM_ACTIONS, NUM_CONTROLS, TABLE
from rlbot.game.match import Opponent
from rlbot.game.observations import (
    BALL_POSITION,
    BALL_VELOCITY,
    OWN_BALL,
    OWN_FORWARD,
    OWN_ON_GROUND,
    OWN_POSITION,
    OWN_UP,
    OWN_VELOCITY,
    POSITION,
    SIZE,
)
from rlbot.league import numpy_policy
from rlbot.league.numpy_policy import NumpyPolicy
from rlbot.sim.state import BACK_WALL_Y, BALL_MAX_SPEED, CAR_MAX_SPEED, SIDE_WALL_X, FloatArray

GOAL_HALF_WIDTH = 892.755
FIELD = np.array([SIDE_WALL_X, BACK_WALL_Y], np.float32)
CHASE_SPEED = 900.0  # uu/s of a car that has just set off, to guess when it meets the ball


class Random:
    """A row of the 90-row table, each with the same chance."""

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        return TABLE[(noise * NUM_ACTIONS).astype(np.int64)]


class Idle:
    """Does nothing."""

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        return np.zeros((*noise.shape, NUM_CONTROLS), np.float32)


class Chaser:
    """Drives at the ball with boost: the first hurdle for a new bot. Turns on the spot when the ball is behind."""

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        ahead, aside, _ = np.moveaxis(observations[..., OWN_BALL], -1, 0)
        return _chase(observations, ahead, aside)


def _chase(observations: FloatArray, ahead: FloatArray, aside: FloatArray) -> FloatArray:
    """Controls (A, K, 8) that drive at a place ``ahead`` and ``aside`` (to the right) of each car, in any unit."""
    angle = np.arctan2(aside, ahead)
    steer = np.clip(3 * angle, -1, 1)
    on_ground = observations[..., OWN_ON_GROUND] > 0.5
    controls = np.zeros((*angle.shape, NUM_CONTROLS), np.float32)
    controls[..., 0] = 1
    controls[..., 1] = steer
    controls[..., 3] = np.where(on_ground, 0, steer)
    right_z = _right(observations)[..., 2]
    controls[..., 4] = np.where(on_ground, 0, np.clip(2 * right_z, -1, 1))
    controls[..., 6] = np.abs(angle) < 0.4
    controls[..., 7] = on_ground & (np.abs(angle) > 1.5)
    return controls


def _right(observations: FloatArray) -> FloatArray:
    """(..., 3) the unit vector to each car's right; RocketSim's frame is left-handed."""
    right: FloatArray = np.cross(observations[..., OWN_UP], observations[..., OWN_FORWARD])
    return right


class Goalie:
    """Waits between the ball and its goal, and drives at a ball that comes near if the goal is behind it.

    Args:
        reach: it attacks a ball that will be nearer to its goal than this, uu.
        distance: how far before its goal line it waits, uu.
    """

    def __init__(self, reach: float = 3500.0, distance: float = 500.0) -> None:
        self.reach = reach
        self.distance = distance

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        ball, car = observations[..., BALL_POSITION] / POSITION, observations[..., OWN_POSITION] / POSITION
        drift = observations[..., BALL_VELOCITY] * BALL_MAX_SPEED
        way = ball - car
        distance = np.linalg.norm(way, axis=-1, keepdims=True)
        closing = -(drift * way).sum(-1, keepdims=True) / np.maximum(distance, 1)
        soon = ball + drift * np.clip(distance / np.maximum(CHASE_SPEED + closing, 500), 0, 1.5)
        soon[..., :2] = np.clip(soon[..., :2], -FIELD, FIELD)
        goal = np.array([0, -BACK_WALL_Y, 0], np.float32)
        near = np.linalg.norm(soon - goal, axis=-1) < self.reach
        attack = near & (car[..., 1] < ball[..., 1])
        controls = self._wait(observations, self._post(ball) - car)
        ahead, aside = _along(observations, soon - car)
        controls[attack] = _chase(observations, ahead, aside)[attack]
        height = ball[..., 2] - car[..., 2]
        flat = np.linalg.norm(ball[..., :2] - car[..., :2], axis=-1)
        on_ground = observations[..., OWN_ON_GROUND] > 0.5
        controls[..., 5] = attack & on_ground & (flat < 500) & (height > 150) & (height < 500)
        return controls

    def _post(self, ball: FloatArray) -> FloatArray:
        """(..., 3) where to wait: before the goal line, on the side the ball is on."""
        post = np.zeros_like(ball)
        post[..., 0] = np.clip(ball[..., 0] * 0.2, -GOAL_HALF_WIDTH / 2, GOAL_HALF_WIDTH / 2)
        post[..., 1] = self.distance - BACK_WALL_Y
        return post

    @staticmethod
    def _wait(observations: FloatArray, way: FloatArray) -> FloatArray:
        """Drive the way (..., 3) to the post and stop there, backwards if the post is not far behind."""
        ahead, aside = _along(observations, way)
        distance = np.hypot(ahead, aside)
        controls = _chase(observations, ahead, aside)
        backwards = (ahead < 0) & (distance < 1500)
        controls[..., 1] = np.where(backwards, -np.clip(3 * np.arctan2(-aside, -ahead), -1, 1), controls[..., 1])
        speed = (observations[..., OWN_VELOCITY] * observations[..., OWN_FORWARD]).sum(-1) * CAR_MAX_SPEED
        wanted = np.where(distance < 150, 0, np.where(backwards, -1, 1) * np.minimum(1.5 * distance, CAR_MAX_SPEED))
        controls[..., 0] = np.clip((wanted - speed) / 300, -1, 1)
        controls[..., 6] *= wanted - speed > 1000
        controls[..., 7] *= ~backwards & (distance > 150)
        return controls


def _along(observations: FloatArray, way: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A way (..., 3) in team view as each car sees it: how far ahead and how far to the right."""
    return (way * observations[..., OWN_FORWARD]).sum(-1), (way * _right(observations)).sum(-1)


SCRIPTED: dict[str, Callable[[], Opponent]] = {"random": Random, "idle": Idle, "chaser": Chaser, "goalie": Goalie}


def find(name: str, *, deterministic: bool = False) -> Opponent:
    """The opponent of this name, or what plays from the file at this path.

    Args:
        name: random, idle, chaser, goalie; a checkpoint; the folder of an exported bot; or a ``.pt`` file, which is
            read as Nexto's TorchScript.
        deterministic: policies take their most likely action instead of drawing one.

    Raises:
        InputError: none of these, or a policy that sees something else than the default observation.
    """
    if name in SCRIPTED:
        return SCRIPTED[name]()
    if os.path.isfile(os.path.join(name, numpy_policy.FILE)):
        bot = NumpyPolicy.load(Path(name))
        bot.deterministic |= deterministic
        return bot
    if not os.path.isfile(name):
        what = "but a folder: give a checkpoint in it" if os.path.isdir(name) else "and no checkpoint, bot or .pt file"
        raise InputError(f"opponent={name!r} is none of {', '.join(SCRIPTED)} {what}")
    # torch is needed only here
    if Path(name).suffix == ".pt":
        from rlbot.league.nexto import Nexto

        return Nexto.load(Path(name), deterministic=deterministic)
    from rlbot.league.frozen import FrozenPolicy

    policy = FrozenPolicy.load(Path(name), deterministic=deterministic)
    if policy.observation_size != SIZE:
        raise InputError(f"{name}: its policy sees {policy.observation_size} numbers, not the {SIZE} of matches")
    return policy


def check_tick_skip(opponents: Mapping[str, Opponent], tick_skip: int, setting: str) -> None:
    """See that policies among the opponents decide as often as they learned to; all others take any.

    Raises:
        InputError: one learned to decide more or less often; ``setting`` tells where it stands.
    """
    for name, opponent in opponents.items():
        if (own := getattr(opponent, "tick_skip", tick_skip)) != tick_skip:
            raise InputError(f"{setting}: {name} decides every {own} ticks, and not every {tick_skip} as here")


def find_all(names: Iterable[str], setting: str) -> dict[str, Opponent]:
    """The opponents of these names, by name.

    Raises:
        InputError: one cannot be found; ``setting`` tells where it stands.
    """
    try:
        return {name: find(name) for name in names}
    except InputError as error:
        raise InputError(f"{setting}: {error}") from error
