"""The world with left and right exchanged: what becomes of the 180 numbers, the eight controls and the 90 rows.

Field, pads and physics are the same under x -> -x, seen by either team. A mirrored number is another one of the same
kind (``order``) with its sign kept or changed (``signs``); mirroring twice changes nothing.
"""

import numpy as np

from rlbot.game.actions import TABLE
from rlbot.game.observations import CAR_SIZE, NUM_OPPONENTS, NUM_TEAMMATES, OWN, PADS, SIZE
from rlbot.sim.state import NUM_PADS, PAD_POSITIONS, FloatArray, IntArray

VECTOR = (-1, 1, 1)
SPIN = (1, -1, -1)  # an axis of rotation: the mirror keeps it where it keeps no vector
OWN_FRAME = (1, -1, 1)  # along forward, right and up of the own car: its right becomes its left
BODY = (*VECTOR, *VECTOR, *SPIN, *VECTOR, *VECTOR)  # position, velocity, angular velocity, forward, up of a car
CONTROLS = (1, -1, 1, -1, -1, 1, 1, 1)  # steer, yaw and roll

MIRRORED_PADS = (PAD_POSITIONS[:, None] == PAD_POSITIONS * np.array([-1, 1])).all(-1).argmax(axis=1)

CONTROL_SIGNS: FloatArray = np.array(CONTROLS, np.float32)
ROW_ORDER: IntArray = (TABLE[:, None] == TABLE * CONTROL_SIGNS).all(-1).argmax(axis=1)  # (90,)

OBSERVATION_ORDER: IntArray = np.arange(SIZE)
OBSERVATION_ORDER[PADS] = PADS.start + MIRRORED_PADS
OBSERVATION_SIGNS: FloatArray = np.array(
    (
        *(*VECTOR, *VECTOR, *SPIN),
        *[1] * NUM_PADS,
        *CONTROLS,
        *(*BODY, *OWN_FRAME, *OWN_FRAME, 1, 1, 1),
        *(*BODY, *[1] * (CAR_SIZE - len(BODY))) * (NUM_TEAMMATES + NUM_OPPONENTS),
    ),
    np.float32,
)
OWN_SIDE = OWN.start  # the number below 0 where the own car is on one side of the line between the goals


def mirrored(observations: FloatArray) -> FloatArray:
    """(..., 180) what the cars would see in the mirrored world, as ``DefaultObservation`` says it."""
    result: FloatArray = observations[..., OBSERVATION_ORDER] * OBSERVATION_SIGNS
    return result
