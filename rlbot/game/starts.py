"""How an episode begins: each start draws one arena's opening position from that arena's random stream."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from rlbot.sim.state import (
    BACK_WALL_Y,
    BALL_MAX_SPEED,
    BALL_RADIUS,
    CAR_MAX_SPEED,
    CAR_MAX_SPIN,
    CEILING_Z,
    HALF_TURN,
    SIDE_WALL_X,
    ArenaStart,
    IntArray,
)

CAR_REST_Z = 17.0
OPEN_FIELD = np.array([SIDE_WALL_X - 600, BACK_WALL_Y - 700])  # clear of the walls and their curves
CORNER_SUM = 7500.0  # |x| + |y| below this is clear of the corner walls (8064) and their curves
KICKOFF_BOOST = 100 / 3
NEAREST = 400.0  # uu of a car to the ball and to others: bodies in one break physics
# x, y and yaw of the five blue kickoff places; orange's are the same turned 180 degrees.
KICKOFFS = np.array(
    [
        (-2048, -2560, 0.25 * np.pi),
        (2048, -2560, 0.75 * np.pi),
        (-256, -3840, 0.5 * np.pi),
        (256, -3840, 0.5 * np.pi),
        (0, -4608, 0.5 * np.pi),
    ]
)


class Start(ABC):
    """One kind of opening position.

    Args:
        weight: how often it is drawn, relative to the other starts.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = self._within("weight", weight, 0)

    def _within(self, setting: str, value: float, low: float, high: float = math.inf) -> float:
        if not low <= value <= high or math.isinf(value):
            bounds = f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
            raise ValueError(f"{type(self).__name__}.{setting}={value} must be {bounds}")
        return value

    @abstractmethod
    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """Draw an opening position for the cars of ``team`` (C,): 0 blue, 1 orange."""


class Kickoff(Start):
    """The game's kickoff: ball at rest in the middle, both teams on mirrored places, a third of the boost."""

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``."""
        places = rng.permutation(len(KICKOFFS))
        position, angles = np.zeros((len(team), 3)), np.zeros((len(team), 3))
        for side in (0, 1):
            for c, place in zip(np.flatnonzero(team == side), places, strict=False):
                x, y, yaw = KICKOFFS[place]
                position[c] = np.array([x, y, CAR_REST_Z]) * (HALF_TURN if side else 1)
                angles[c, 0] = yaw - np.pi * side
        return ArenaStart(
            ball_position=np.array([0, 0, BALL_RADIUS + 1.9]),  # where it rests before RocketSim wakes it
            ball_velocity=np.zeros(3),
            ball_angular_velocity=np.zeros(3),
            car_position=position,
            car_yaw_pitch_roll=angles,
            car_velocity=np.zeros((len(team), 3)),
            car_angular_velocity=np.zeros((len(team), 3)),
            car_boost=np.full(len(team), KICKOFF_BOOST),
        )


class RandomStart(Start):
    """Ball and cars anywhere, in any motion; a share of the cars is put on the ground.

    Args:
        weight: how often it is drawn, relative to the other starts.
        ball_speed: the ball's top speed, uu/s.
        on_ground: share of the cars that stand or drive on the ground.
    """

    def __init__(self, weight: float = 1.0, ball_speed: float = 2000.0, on_ground: float = 0.75) -> None:
        super().__init__(weight)
        self.ball_speed = self._within("ball_speed", ball_speed, 0, BALL_MAX_SPEED)
        self.on_ground = self._within("on_ground", on_ground, 0, 1)

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``."""
        num_cars = len(team)
        wide, deep = OPEN_FIELD
        ball = rng.uniform([-wide, -deep, BALL_RADIUS + 2], [wide, deep, CEILING_Z - 500])
        while np.abs(ball[:2]).sum() >= CORNER_SUM:
            ball[:2] = rng.uniform([-wide, -deep], [wide, deep])
        ball[2] = ball[2] if rng.random() < 0.5 else BALL_RADIUS + 2
        position = np.zeros((num_cars, 3))
        position[:, :2] = apart(rng, num_cars, [ball[:2]], OPEN_FIELD)
        grounded = rng.random(num_cars) < self.on_ground
        position[:, 2] = np.where(grounded, CAR_REST_Z, rng.uniform(150, CEILING_Z - 300, num_cars))
        angles = rng.uniform([-np.pi, -np.pi / 2, -np.pi], [np.pi, np.pi / 2, np.pi], (num_cars, 3))
        angles[grounded, 1:] = 0
        velocity = _directions(rng, num_cars) * rng.uniform(0, CAR_MAX_SPEED / 2, (num_cars, 1))
        ahead = np.stack([np.cos(angles[:, 0]), np.sin(angles[:, 0]), np.zeros(num_cars)], axis=-1)
        along = ahead * rng.uniform(0, CAR_MAX_SPEED / 2, (num_cars, 1))
        spin = _directions(rng, num_cars) * rng.uniform(0, CAR_MAX_SPIN / 2, (num_cars, 1))
        return ArenaStart(
            ball_position=ball,
            ball_velocity=_directions(rng, 1)[0] * rng.uniform(0, self.ball_speed),
            ball_angular_velocity=np.zeros(3),
            car_position=position,
            car_yaw_pitch_roll=angles,
            car_velocity=np.where(grounded[:, None], along, velocity),
            car_angular_velocity=np.where(grounded[:, None], 0, spin),
            car_boost=rng.uniform(0, 100, num_cars),
        )


class NearBall(Start):
    """The ball rolls on the ground and every car stands near it, more or less facing it: many touches early on.

    Args:
        weight: how often it is drawn, relative to the other starts.
        farthest: longest distance of a car to the ball, uu; the shortest is 400.
        aside: largest angle between a car's nose and the ball, radians.
    """

    def __init__(self, weight: float = 1.0, farthest: float = 2500.0, aside: float = 1.0) -> None:
        super().__init__(weight)
        self.farthest = self._within("farthest", farthest, NEAREST)
        self.aside = self._within("aside", aside, 0, np.pi)

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``."""
        num_cars = len(team)
        ball, place = gathered(rng, num_cars, self.farthest)
        yaw = heading(ball - place) + rng.uniform(-self.aside, self.aside, num_cars)
        return driving(
            ball=np.array([*ball, BALL_RADIUS + 2]),
            ball_velocity=np.array([*rng.uniform(-500, 500, 2), 0]),
            place=place,
            yaw=yaw,
            speed=rng.uniform(0, CAR_MAX_SPEED / 2, num_cars),
            boost=rng.uniform(0, 100, num_cars),
        )


def driving(
    ball: np.ndarray,
    ball_velocity: np.ndarray,
    place: np.ndarray,
    yaw: np.ndarray,
    speed: np.ndarray,
    boost: np.ndarray,
) -> ArenaStart:
    """Cars on the ground at place (C, 2) that drive where their noses point: yaw, speed and boost are (C,)."""
    flat = np.zeros(len(yaw))
    ahead = np.stack([np.cos(yaw), np.sin(yaw), flat], axis=-1)
    return ArenaStart(
        ball_position=ball,
        ball_velocity=ball_velocity,
        ball_angular_velocity=np.zeros(3),
        car_position=np.concatenate([place, np.full((len(yaw), 1), CAR_REST_Z)], axis=1),
        car_yaw_pitch_roll=np.stack([yaw, flat, flat], axis=-1),
        car_velocity=ahead * speed[:, None],
        car_angular_velocity=np.zeros((len(yaw), 3)),
        car_boost=boost,
    )


def heading(way: np.ndarray) -> np.ndarray:
    """(C,) yaw of a nose that points along (C, 2)."""
    return np.asarray(np.arctan2(way[:, 1], way[:, 0]))


def apart(rng: np.random.Generator, num_cars: int, taken: Sequence[np.ndarray], half: np.ndarray) -> np.ndarray:
    """(num_cars, 2) places within ``half``, ``NEAREST`` from those taken and each other."""
    places = list(taken)
    for _ in range(num_cars):
        while True:
            place = rng.uniform(-half, half)
            if (
                np.abs(place).sum() < CORNER_SUM
                and min(float(np.linalg.norm(place - other)) for other in places) > NEAREST
            ):
                break
        places.append(place)
    return np.array(places[len(taken) :]).reshape(num_cars, 2)


def gathered(rng: np.random.Generator, num_cars: int, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """A middle (2,), places (C, 2) around it, ``NEAREST`` to ``farthest`` uu away: each car in a sector of its own."""
    clear = np.array([SIDE_WALL_X - 500, BACK_WALL_Y - 600])
    while True:
        middle = rng.uniform(NEAREST - clear, clear - NEAREST)
        if np.abs(middle).sum() < CORNER_SUM - 600:
            break
    sector = 2 * np.pi / num_cars
    bearing = rng.uniform(-np.pi, np.pi) + sector * (rng.permutation(num_cars) + rng.uniform(0.3, 0.7, num_cars))
    outward = np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)
    to_edge = ((clear - middle * np.sign(outward)) / np.maximum(np.abs(outward), 1e-9)).min(axis=-1)
    corners = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])
    toward = np.maximum(outward @ corners.T, 1e-9)  # (C, 4)
    to_corner = ((CORNER_SUM - corners @ middle) / toward).min(axis=-1)
    distance = np.minimum(rng.uniform(NEAREST, farthest, num_cars), np.minimum(to_edge, to_corner))
    return middle, middle + distance[:, None] * outward


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) unit vectors, evenly over the sphere."""
    vectors = rng.normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def draw(starts: Sequence[Start], rng: np.random.Generator, team: IntArray) -> ArenaStart:
    """One opening position from the mix, each start drawn by its weight."""
    if len(starts) == 1:
        return starts[0](rng, team)
    weights = np.array([start.weight for start in starts])
    return starts[rng.choice(len(starts), p=weights / weights.sum())](rng, team)


def check_starts(starts: Iterable[Start], team: IntArray) -> None:
    """See that each start that may be drawn can place the cars of ``team`` (C,), or let it say why not."""
    for start in starts:
        if start.weight > 0:
            start(np.random.default_rng(0), team)


def default_starts() -> list[Start]:
    """What ``configs/base.yaml`` starts from."""
    return [Kickoff()]
