"""Opponents by name: random, idle, chaser, or a frozen policy from a checkpoint file.

Each is a function of what its cars see and of the noise it is handed: observations (A, K, 180), noise (A, K) in [0, 1),
controls (A, K, 8). The arenas own all randomness, so an arena's history does not depend on the others'.
"""

from pathlib import Path

import numpy as np

from rlbot.game.actions import NUM_ACTIONS, NUM_CONTROLS, TABLE
from rlbot.game.match import Opponent
from rlbot.game.observations import OWN_BALL, OWN_FORWARD, OWN_ON_GROUND, OWN_UP
from rlbot.sim.state import FloatArray


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
        angle = np.arctan2(aside, ahead)
        steer = np.clip(3 * angle, -1, 1)
        on_ground = observations[..., OWN_ON_GROUND] > 0.5
        controls = np.zeros((*noise.shape, NUM_CONTROLS), np.float32)
        controls[..., 0] = 1
        controls[..., 1] = steer
        controls[..., 3] = np.where(on_ground, 0, steer)
        forward, up = observations[..., OWN_FORWARD], observations[..., OWN_UP]
        right_z = up[..., 0] * forward[..., 1] - up[..., 1] * forward[..., 0]  # of up x forward
        controls[..., 4] = np.where(on_ground, 0, np.clip(2 * right_z, -1, 1))
        controls[..., 6] = np.abs(angle) < 0.4
        controls[..., 7] = on_ground & (np.abs(angle) > 1.5)
        return controls


SCRIPTED: dict[str, type[Random] | type[Idle] | type[Chaser]] = {"random": Random, "idle": Idle, "chaser": Chaser}


def find(name: str) -> Opponent:
    """The opponent of this name, or the frozen policy of the checkpoint file at this path.

    Raises:
        ValueError: neither.
    """
    if name in SCRIPTED:
        return SCRIPTED[name]()
    if not Path(name).is_file():
        raise ValueError(f"opponent={name!r} is none of {', '.join(SCRIPTED)} and no checkpoint file")
    from rlbot.league.frozen import FrozenPolicy  # torch is needed only here

    return FrozenPolicy.load(Path(name))
