"""GameState to what each car sees: 180 numbers in its team view, one layout from 1v1 to 3v3.

Team view: blue sees the world as it is, orange sees it turned 180 degrees, so everyone attacks +y.
"""

from abc import ABC, abstractmethod
from functools import lru_cache

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
    PAD_POSITIONS,
    SIDE_WALL_X,
    FloatArray,
    GameState,
    IntArray,
)

POSITION = np.array([1 / SIDE_WALL_X, 1 / (BACK_WALL_Y + GOAL_DEPTH), 1 / CEILING_Z], np.float32)
DISTANCE = np.float32(1 / BACK_WALL_Y)  # for positions relative to a car: the same in every direction

NUM_TEAMMATES, NUM_OPPONENTS = 2, 3  # slots for other cars: roles keep their slots from 1v1 to 3v3
CAR_SIZE = 21
TURNED_PADS = (PAD_POSITIONS[:, None] == -PAD_POSITIONS).all(-1).argmax(axis=1)  # the pad orange sees in each place

BALL = slice(0, 9)
PADS = slice(9, 43)
CONTROLS = slice(43, 51)
OWN = slice(51, 75)
OTHERS = slice(75, 180)
SIZE = 180

# Inside OWN: where the parts of the own car begin, counted from 0 of the whole observation.
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


@lru_cache
def _slots(teams: tuple[int, ...]) -> IntArray:
    """(C, C-1) the slot of each entry of ``others_in_order``: teammates 0 and 1, opponents 2 to 4."""
    team = np.array(teams)
    rows = []
    for i, others in enumerate(others_in_order(team)):
        mates = int((team[others] == team[i]).sum())
        rows.append([*range(mates), *range(NUM_TEAMMATES, NUM_TEAMMATES + len(others) - mates)])
    return np.array(rows, dtype=np.int64)


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
        turn = cars.turn
        out = np.zeros((num_arenas, num_cars, SIZE), np.float32)
        out[..., 0:3] = ball.position[:, None] * (turn * POSITION)
        out[..., 3:6] = ball.velocity[:, None] * (turn / BALL_MAX_SPEED)
        out[..., 6:9] = ball.angular_velocity[:, None] * (turn / BALL_MAX_SPIN)
        out[:, cars.team == 0, PADS] = state.pads[:, None]
        out[:, cars.team == 1, PADS] = state.pads[:, None, TURNED_PADS]
        out[..., CONTROLS] = cars.controls

        out[..., 51:54] = cars.position * (turn * POSITION)
        out[..., 54:57] = cars.velocity * (turn / CAR_MAX_SPEED)
        out[..., 57:60] = cars.angular_velocity * (turn / CAR_MAX_SPIN)
        out[..., OWN_FORWARD] = cars.forward * turn
        out[..., OWN_UP] = cars.up * turn
        axes = np.stack((cars.forward, cars.right, cars.up), axis=-2)  # (A, C, 3, 3)
        to_ball = ball.position[:, None] - cars.position
        drift = ball.velocity[:, None] - cars.velocity
        out[..., OWN_BALL] = (axes @ to_ball[..., None])[..., 0] * DISTANCE
        out[..., OWN_BALL_VELOCITY] = (axes @ drift[..., None])[..., 0] * np.float32(1 / BALL_MAX_SPEED)
        out[..., OWN_BOOST] = cars.boost * np.float32(0.01)
        out[..., OWN_ON_GROUND] = cars.on_ground
        out[..., OWN_HAS_FLIP] = cars.has_flip
        if num_cars > 1:
            self._fill_others(out, state, order)
        return out

    def _fill_others(self, out: FloatArray, state: GameState, order: IntArray) -> None:
        cars = state.cars
        num_arenas, num_cars = cars.boost.shape
        facts = np.concatenate(
            (
                cars.position * DISTANCE,
                cars.velocity * np.float32(1 / CAR_MAX_SPEED),
                cars.angular_velocity * np.float32(1 / CAR_MAX_SPIN),
                cars.forward,
                cars.up,
                np.stack((cars.boost * np.float32(0.01), cars.on_ground, cars.demolished, cars.has_flip), axis=-1),
            ),
            axis=-1,
            dtype=np.float32,
        )  # (A, C, 19)
        seen = np.empty((num_arenas, num_cars, num_cars - 1, CAR_SIZE), np.float32)
        seen[..., :19] = facts[np.arange(num_arenas)[:, None, None], order]
        seen[..., :6] -= facts[:, :, None, :6]
        orange = cars.team == 1
        vectors = seen[:, orange, :, :15].reshape(num_arenas, -1, num_cars - 1, 5, 3)
        seen[:, orange, :, :15] = (vectors * HALF_TURN).reshape(*vectors.shape[:3], 15)
        seen[..., 19] = cars.team[order] == cars.team[:, None]
        seen[..., 20] = 1
        slots = out[..., OTHERS].reshape(num_arenas, num_cars, NUM_TEAMMATES + NUM_OPPONENTS, CAR_SIZE)
        slots[:, np.arange(num_cars)[:, None], _slots(tuple(cars.team.tolist()))] = seen
        out[..., OTHERS] = slots.reshape(num_arenas, num_cars, -1)
