"""GameState: one moment of many arenas as arrays, in the world's frame and the game's units.

Shapes: A arenas, C cars of an arena (blue first). Lengths are unreal units (uu), times seconds, angles radians.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

TICKS_PER_SECOND = 120
SIDE_WALL_X = 4096.0  # field: |x| up to here
BACK_WALL_Y = 5120.0  # the goal line
CEILING_Z = 2044.0
GOAL_HEIGHT = 642.775
GOAL_DEPTH = 880.0
BALL_RADIUS = 91.25
BALL_MAX_SPEED = 6000.0  # uu/s
BALL_MAX_SPIN = 6.0  # rad/s
CAR_MAX_SPEED = 2300.0
CAR_MAX_SPIN = 5.5
BIG_PAD_SECONDS = 10.0
SMALL_PAD_SECONDS = 4.0
NUM_PADS = 34

# (34, 2) where the boost pads are, in RocketSim's order: row by row from the blue goal to the orange one.
PAD_POSITIONS = np.array(
    [
        (0, -4240), (-1792, -4184), (1792, -4184), (-3072, -4096), (3072, -4096), (-940, -3308), (940, -3308),
        (0, -2816), (-3584, -2484), (3584, -2484), (-1788, -2300), (1788, -2300), (-2048, -1036), (0, -1024),
        (2048, -1036), (-3584, 0), (-1024, 0), (1024, 0), (3584, 0), (-2048, 1036), (0, 1024), (2048, 1036),
        (-1788, 2300), (1788, 2300), (-3584, 2484), (3584, 2484), (0, 2816), (-940, 3308), (940, 3308),
        (-3072, 4096), (3072, 4096), (-1792, 4184), (1792, 4184), (0, 4240),
    ],
    dtype=np.float32,
)  # fmt: skip
PAD_IS_BIG = np.isin(np.arange(NUM_PADS), [3, 4, 15, 18, 29, 30])

MIN_LENGTH = np.float32(1e-6)
HALF_TURN = np.array([-1.0, -1.0, 1.0], dtype=np.float32)  # turns any vector 180 degrees about z


def unit(vectors: FloatArray) -> FloatArray:
    """The vectors (..., 3) at length 1; a zero vector stays zero."""
    result: FloatArray = vectors / np.maximum(np.sqrt(np.vecdot(vectors, vectors)), MIN_LENGTH)[..., None]
    return result


Part = TypeVar("Part", "Ball", "Cars", "GameState")


def _rows(part: Part, rows: Sequence[int], apart_from: tuple[str, ...] = ()) -> Part:
    """Copies of some rows of every array of a part, but for the fields ``apart_from``."""
    names = [f.name for f in fields(part) if f.name not in apart_from]
    return replace(part, **{name: getattr(part, name)[rows] for name in names})


@dataclass(frozen=True, slots=True)
class Ball:
    """The ball of every arena; each array is (A, 3). ``velocity_before`` is the one before the step."""

    position: FloatArray
    velocity: FloatArray
    angular_velocity: FloatArray
    velocity_before: FloatArray


@dataclass(frozen=True, slots=True)
class Cars:
    """Every car of every arena.

    Attributes:
        team: (C,) 0 blue, 1 orange; the same in all arenas.
        position: (A, C, 3), as velocity, angular_velocity and the unit vectors forward, right and up.
        boost: (A, C) 0 to 100.
        boost_before: (A, C) before the step; of a car that was demolished then, the present boost.
        on_ground: (A, C), as has_flip (a jump or flip is left), demolished, and touched (hit the ball in this step).
        shots: (A, C) counted in this step, as saves and demos.
        controls: (A, C, 8) what was last applied: throttle, steer, pitch, yaw, roll, jump, boost, handbrake.
    """

    team: IntArray
    position: FloatArray
    velocity: FloatArray
    angular_velocity: FloatArray
    forward: FloatArray
    right: FloatArray
    up: FloatArray
    boost: FloatArray
    boost_before: FloatArray
    on_ground: BoolArray
    has_flip: BoolArray
    demolished: BoolArray
    touched: BoolArray
    shots: FloatArray
    saves: FloatArray
    demos: FloatArray
    controls: FloatArray

    @property
    def turn(self) -> FloatArray:
        """(C, 3) factors that turn a vector into each car's team view, where everyone attacks +y."""
        return np.where(self.team[:, None] == 0, np.float32(1), HALF_TURN)


@dataclass(frozen=True)
class GameState:
    """One moment of A arenas with C cars each, and what happened in the step to it: after a reset, nothing.

    Attributes:
        ball: arrays (A, 3).
        cars: arrays (A, C, ...).
        pads: (A, 34) boost pads in RocketSim's order: 0 ready to 1 just taken.
        goal: (A,) +1 blue scored in this step, -1 orange scored, 0 nobody.
        seconds: (A,) since the episode began.
        seconds_since_touch: (A,) since any car touched the ball, or since the episode began.
        faulty: (A,) the physics broke down in this step; the other arrays repeat the moment before.
    """

    ball: Ball
    cars: Cars
    pads: FloatArray
    goal: FloatArray
    seconds: FloatArray
    seconds_since_touch: FloatArray
    faulty: BoolArray

    def of(self, arenas: Sequence[int]) -> "GameState":
        """The moment in some of the arenas, in the order they are named in."""
        ball, cars = _rows(self.ball, arenas), _rows(self.cars, arenas, apart_from=("team",))
        return replace(_rows(self, arenas, apart_from=("ball", "cars")), ball=ball, cars=cars)

    @cached_property
    def to_ball(self) -> FloatArray:
        """(A, C, 3) from each car to the ball, uu."""
        return self.ball.position[:, None] - self.cars.position

    @cached_property
    def ball_direction(self) -> FloatArray:
        """(A, C, 3) ``to_ball`` at length 1."""
        return unit(self.to_ball)


@dataclass(slots=True)
class ArenaStart:
    """How an episode of one arena begins. Cars are in order, blue first; vectors in the world's frame.

    Attributes:
        ball_position: (3,) uu, as ball_velocity (uu/s) and ball_angular_velocity (rad/s).
        car_position: (C, 3), as car_velocity and car_angular_velocity.
        car_yaw_pitch_roll: (C, 3) radians.
        car_boost: (C,) 0 to 100.
    """

    ball_position: NDArray[Any]
    ball_velocity: NDArray[Any]
    ball_angular_velocity: NDArray[Any]
    car_position: NDArray[Any]
    car_yaw_pitch_roll: NDArray[Any]
    car_velocity: NDArray[Any]
    car_angular_velocity: NDArray[Any]
    car_boost: NDArray[Any]
