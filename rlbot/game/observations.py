"""GameState to what each car sees: 180 numbers in its team view, one layout from 1v1 to 3v3.

Team view: blue sees the world as it is, orange sees it turned 180 degrees, so everyone attacks +y.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rlbot.sim.state import (
    BACK_WALL_Y,
    BALL_MAX_SPEED,
    BALL_MAX_SPIN,
    CAR_MAX_SPEED,
    CAR_MAX_SPIN,
    CEILING_Z,
    GOAL_DEPTH,
    HALF_TURN,
    NUM_PADS,
    PAD_POSITIONS,
    SIDE_WALL_X,
    FloatArray,
    GameState,
    IntArray,
)

POSITION = np.array([1 / SIDE_WALL_X, 1 / (BACK_WALL_Y + GOAL_DEPTH), 1 / CEILING_Z], np.float32)
DISTANCE = np.float32(1 / BACK_WALL_Y)  # for positions relative to a car: the same in every direction

OTHER_SCALE = np.repeat([DISTANCE, 1 / CAR_MAX_SPEED, 1 / CAR_MAX_SPIN, 1, 1], 3).astype(np.float32)

NUM_TEAMMATES, NUM_OPPONENTS = 2, 3  # slots for other cars: roles keep their slots from 1v1 to 3v3
CAR_SIZE = 21
TURNED_PADS = (PAD_POSITIONS[:, None] == -PAD_POSITIONS).all(-1).argmax(axis=1)  # the pad orange sees in each place

BALL = slice(0, 9)
PADS = slice(9, 43)
CONTROLS = slice(43, 51)
OWN = slice(51, 75)
OTHERS = slice(75, 180)
SIZE = 180

# Parts of BALL and of OWN, counted from 0 of the whole observation.
BALL_POSITION, BALL_VELOCITY = slice(0, 3), slice(3, 6)
OWN_POSITION, OWN_VELOCITY = slice(51, 54), slice(54, 57)
OWN_FORWARD, OWN_UP, OWN_BALL, OWN_BALL_VELOCITY = slice(60, 63), slice(63, 66), slice(66, 69), slice(69, 72)
OWN_BOOST, OWN_ON_GROUND, OWN_HAS_FLIP = 72, 73, 74


class Observation(ABC):
    """What the cars see. ``size`` numbers a car; see ``DefaultObservation`` for an example."""

    size: int

    @abstractmethod
    def __call__(self, state: GameState, order: IntArray) -> FloatArray:
        """(A, C, size) float32, a new array.

        Args:
            state: the moment to describe.
            order: (A, C, C-1) for every car the others by index, teammates first, equal roles shuffled.
        """


def others_in_order(team: IntArray) -> IntArray:
    """(C, C-1) for every car the indices of the others, teammates first."""
    cars = np.arange(len(team))
    return np.array([sorted(cars[cars != i], key=lambda j: (team[j] != team[i], j)) for i in cars], dtype=np.int64)


def shuffled_others(team: IntArray, rng: np.random.Generator) -> IntArray:
    """``others_in_order`` with cars of equal role in random order, so that no slot gets a meaning."""
    order = others_in_order(team)
    for i, row in enumerate(order):
        for role in (team[row] == team[i], team[row] != team[i]):
            if role.sum() > 1:
                row[role] = rng.permutation(row[role])
    return order


class _Layout(NamedTuple):
    """What depends on the teams alone, for C cars: computed once."""

    ball_scale: FloatArray  # (C, 9) brings the ball's vectors into the team view
    pads: IntArray  # (C, 34) which pad is seen in each place
    own_scale: FloatArray  # (C, 15)
    turn: FloatArray  # (C, 1, 19) turns what is known of another car into the team view
    slots: IntArray  # (C, C-1) the slot of each entry of ``others_in_order``: teammates 0 and 1, opponents 2 to 4
    others: FloatArray  # (C, 105) empty slots but for "teammate" and "present"


@lru_cache
def _layout(teams: tuple[int, ...]) -> _Layout:
    team, num_cars = np.array(teams), len(teams)
    turn = np.where(team[:, None] == 0, np.float32(1), HALF_TURN)  # (C, 3)
    slots = np.zeros((num_cars, num_cars - 1), np.int64)
    others = np.zeros((num_cars, NUM_TEAMMATES + NUM_OPPONENTS, CAR_SIZE), np.float32)
    for i, them in enumerate(others_in_order(team)):
        mates = int((team[them] == team[i]).sum())
        slots[i] = [*range(mates), *range(NUM_TEAMMATES, NUM_TEAMMATES + num_cars - 1 - mates)]
        others[i, slots[i], -2] = slots[i] < NUM_TEAMMATES
        others[i, slots[i], -1] = 1
    rates = (1 / CAR_MAX_SPEED, 1 / CAR_MAX_SPIN, 1, 1)
    return _Layout(
        ball_scale=np.concatenate((turn * POSITION, turn / BALL_MAX_SPEED, turn / BALL_MAX_SPIN), 1, dtype=np.float32),
        pads=np.where(team[:, None] == 0, np.arange(NUM_PADS), TURNED_PADS),
        own_scale=np.concatenate((turn * POSITION, *(turn * rate for rate in rates)), 1, dtype=np.float32),
        turn=np.concatenate((*[turn] * 5, np.ones((num_cars, 4))), 1, dtype=np.float32)[:, None],
        slots=slots,
        others=others.reshape(num_cars, -1),
    )


def _along(axes: FloatArray, vectors: FloatArray) -> FloatArray:
    """Vectors (..., 3) along the axes (..., 3, 3). The last bit of ``np.vecdot`` depends on where arrays lie."""
    product = axes * vectors[..., None, :]
    result: FloatArray = product[..., 0] + product[..., 1] + product[..., 2]
    return result


class DefaultObservation(Observation):
    """The 180 numbers, each scaled to about [-1, 1].

    9 ball: position, velocity, angular velocity. 34 pads: 0 ready to 1 just taken. 8 last own controls. 24 own car:
    position, velocity, angular velocity, forward, up, then ball position and ball velocity relative to the car and
    along its forward, right and up; boost, on ground, has flip. 5 x 21 other cars (2 teammates, then 3 opponents):
    position and velocity relative to the own car, angular velocity, forward, up, boost, on ground, demolished, has
    flip, teammate, present. An absent car is all zeros.
    """

    size = SIZE

    def __call__(self, state: GameState, order: IntArray) -> FloatArray:
        """See ``Observation``."""
        cars, ball = state.cars, state.ball
        num_arenas, num_cars = cars.boost.shape
        layout = _layout(tuple(cars.team.tolist()))
        vectors = np.concatenate(
            (cars.position, cars.velocity, cars.angular_velocity, cars.forward, cars.up), axis=-1
        )  # (A, C, 15)
        out = np.empty((num_arenas, num_cars, SIZE), np.float32)
        moving = np.concatenate((ball.position, ball.velocity, ball.angular_velocity), axis=-1)
        out[..., BALL] = moving[:, None] * layout.ball_scale
        out[..., PADS] = state.pads[:, layout.pads]
        out[..., CONTROLS] = cars.controls
        out[..., 51:66] = vectors * layout.own_scale
        axes = np.stack((cars.forward, cars.right, cars.up), axis=-2)  # (A, C, 3, 3)
        out[..., OWN_BALL] = _along(axes, state.to_ball) * DISTANCE
        drift = ball.velocity[:, None] - cars.velocity
        out[..., OWN_BALL_VELOCITY] = _along(axes, drift) * np.float32(1 / BALL_MAX_SPEED)
        boost = cars.boost * np.float32(0.01)
        out[..., OWN_BOOST] = boost
        out[..., OWN_ON_GROUND] = cars.on_ground
        out[..., OWN_HAS_FLIP] = cars.has_flip
        out[..., OTHERS] = layout.others
        if num_cars > 1:
            flags = np.stack((boost, cars.on_ground, cars.demolished, cars.has_flip), axis=-1, dtype=np.float32)
            facts = np.concatenate((vectors * OTHER_SCALE, flags), axis=-1)  # (A, C, 19)
            seen = facts[np.arange(num_arenas)[:, None, None], order]  # (A, C, C-1, 19)
            seen[..., :6] -= facts[:, :, None, :6]
            slots = out[..., OTHERS].reshape(num_arenas, num_cars, NUM_TEAMMATES + NUM_OPPONENTS, CAR_SIZE)
            slots[:, np.arange(num_cars)[:, None], layout.slots, :19] = seen * layout.turn  # a view of out
        return out
