"""Arenas and opening positions written out by hand."""

import numpy as np
import pytest

from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import ArenaStart


@pytest.fixture
def make_arenas():
    """Arenas whose random streams are seeded seed, seed + 1, ..."""

    def make(num_arenas=1, blue=1, orange=1, seed=0, tick_skip=8):
        rngs = [np.random.default_rng(seed + i) for i in range(num_arenas)]
        return ArenaBatch(rngs, blue, orange, tick_skip)

    return make


@pytest.fixture
def opening():
    """Cars at rest on the ground facing +y, clear of every boost pad; everything else by name."""

    def make(
        cars=((-500, -3000, 17), (500, 3000, 17)), ball=(0, 0, 93.15), ball_velocity=(0, 0, 0), speeds=None, boost=50
    ):
        forward = np.zeros((len(cars), 3))
        forward[:, 1] = 0 if speeds is None else speeds
        return ArenaStart(
            ball_position=np.array(ball),
            ball_velocity=np.array(ball_velocity),
            ball_angular_velocity=np.zeros(3),
            car_position=np.array(cars),
            car_yaw_pitch_roll=np.array([[np.pi / 2, 0, 0]] * len(cars)),
            car_velocity=forward,
            car_angular_velocity=np.zeros((len(cars), 3)),
            car_boost=np.full(len(cars), boost),
        )

    return make


@pytest.fixture
def snapshot():
    """Every array of a GameState as a flat list of copies."""

    def take(state):
        parts = [state.ball, state.cars, state]
        names = [(part, name) for part in parts for name in part.__dataclass_fields__ if name not in ("ball", "cars")]
        return [np.array(getattr(part, name)) for part, name in names]

    return take
