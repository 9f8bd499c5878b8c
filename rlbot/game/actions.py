"""What a car can be told to do: eight controls, and the field's standard table of 90 of them.

Columns: throttle, steer, pitch, yaw, roll in [-1, 1]; jump, boost, handbrake 0 or 1.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.sim.state import FloatArray

NUM_CONTROLS = 8


def lookup_table() -> FloatArray:
    """The 90 rows (90, 8) in the order of RLGym v2's ``LookupTableAction``."""
    ground = [
        [throttle or boost, steer, 0, steer, 0, 0, boost, handbrake]
        for throttle, steer, boost, handbrake in product((-1, 0, 1), (-1, 0, 1), (0, 1), (0, 1))
        if not (boost and throttle != 1)
    ]
    air = [
        [boost, yaw, pitch, yaw, roll, jump, boost, jump and bool(pitch or yaw or roll)]
        for pitch, yaw, roll, jump, boost in product((-1, 0, 1), (-1, 0, 1), (-1, 0, 1), (0, 1), (0, 1))
        if not (jump and yaw) and (pitch or roll or jump)
    ]
    return np.array(ground + air, dtype=np.float32)


TABLE = lookup_table()
NUM_ACTIONS = len(TABLE)


def to_controls(actions: NDArray[Any], shape: tuple[int, ...]) -> FloatArray:
    """Clip actions of the env's ``Box(-1, 1, (8,))`` to controls.

    Args:
        actions: anything array-like of shape ``shape``, whose last axis is the eight controls.
        shape: the expected shape.

    Raises:
        ValueError: another shape, or NaN or infinity anywhere.
    """
    array = np.asarray(actions, dtype=np.float32)
    if array.shape != shape:
        raise ValueError(f"action has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise ValueError("action holds NaN or infinity")
    return np.clip(array, -1, 1)
