"""Opening positions that practise one thing: the wall, the air, the goal line."""

import numpy as np

from rlbot.game.starts import NEAREST, OPEN_FIELD, Start, apart, driving, gathered, heading
from rlbot.sim.state import BACK_WALL_Y, BALL_RADIUS, SIDE_WALL_X, ArenaStart, IntArray

GRAVITY = 650.0  # uu/s^2


class WallStart(Start):
    """The ball rolls up or along a side wall, one car drives at it on the ground, the others drive anywhere."""

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``."""
        num_cars = len(team)
        side, y = rng.choice([-1, 1]), rng.uniform(-2800, 2800)
        ball = np.array([side * (SIDE_WALL_X - BALL_RADIUS - 2), y, rng.uniform(350, 1200)])
        velocity = np.array([0, rng.uniform(-1000, 1000), rng.uniform(-200, 1200)])
        near = np.array([side * (SIDE_WALL_X - rng.uniform(900, 2000)), y + rng.uniform(-400, 400)])
        place, one = _with(rng, num_cars, ball, {int(rng.integers(num_cars)): near})
        yaw = heading(ball[:2] - place) + np.where(one, 0, rng.uniform(-1, 1, num_cars))
        speed = rng.uniform(np.where(one, 800, 0), np.where(one, 1800, 1150))
        return driving(ball, velocity, place, yaw, speed, rng.uniform(0, 100, num_cars))


class AerialStart(Start):
    """The ball is high in the air; all cars are below it, more or less facing it, with boost.

    Args:
        weight: how often it is drawn, relative to the other starts.
        in_air: share of the cars that are in the air already, noses at the ball and flying where they point.
        farthest: longest distance of a car to the place below the ball, uu; the shortest is 400.
    """

    def __init__(self, weight: float = 1.0, in_air: float = 0.5, farthest: float = 2000.0) -> None:
        super().__init__(weight)
        self.in_air = self._within("in_air", in_air, 0, 1)
        self.farthest = self._within("farthest", farthest, NEAREST)

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``."""
        num_cars = len(team)
        below, place = gathered(rng, num_cars, self.farthest)
        ball = np.array([*below, rng.uniform(800, 1700)])
        velocity = np.array([*rng.uniform(-600, 600, 2), rng.uniform(-300, 600)])
        yaw = heading(below - place) + rng.uniform(-0.5, 0.5, num_cars)
        speed, boost = rng.uniform(0, 1150, num_cars), rng.uniform(40, 100, num_cars)
        start = driving(ball, velocity, place, yaw, speed, boost)
        flying = rng.random(num_cars) < self.in_air
        height = rng.uniform(150, ball[2] - 350, num_cars)
        pitch = np.arctan2(ball[2] - height, np.linalg.norm(below - place, axis=1))
        nose = np.stack([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], axis=-1)
        start.car_position[flying, 2] = height[flying]
        start.car_yaw_pitch_roll[flying, 1] = pitch[flying]
        start.car_velocity[flying] = (nose * rng.uniform(300, 1150, (num_cars, 1)))[flying]
        return start


class GoalieStart(Start):
    """One team, drawn by chance, has shot at the other's goal: by half of the draws along the ground, else high.

    One defender stands or rolls before its goal, the shooter follows the ball, the others drive anywhere.
    """

    def __call__(self, rng: np.random.Generator, team: IntArray) -> ArenaStart:
        """See ``Start``."""
        num_cars = len(team)
        attackers = int(rng.integers(2))
        shooter, defender = (int(rng.choice(np.flatnonzero(team == side))) for side in (attackers, 1 - attackers))
        turn = 1 - 2 * attackers  # everything below as blue's attack: toward +y
        ball = np.array([rng.uniform(-1800, 1800), BACK_WALL_Y - rng.uniform(2500, 4500), BALL_RADIUS + 2])
        target = np.array([rng.uniform(-650, 650), BACK_WALL_Y, rng.uniform(120, 500)])
        way = target[:2] - ball[:2]
        distance, speed = np.linalg.norm(way), rng.uniform(1500, 3000)
        velocity = np.array([*way / distance * speed, 0])
        if rng.random() < 0.5:
            seconds = distance / speed
            velocity[2] = (target[2] - ball[2]) / seconds + GRAVITY * seconds / 2
        line = np.array([rng.uniform(-600, 600), BACK_WALL_Y - rng.uniform(300, 1000)])
        behind = ball[:2] - way / distance * rng.uniform(400, 1000)
        ball[:2], velocity[:2] = turn * ball[:2], turn * velocity[:2]
        place, chosen = _with(rng, num_cars, ball, {defender: turn * line, shooter: turn * behind})
        yaw = heading(ball[:2] - place) + np.where(
            chosen, rng.uniform(-0.3, 0.3, num_cars), rng.uniform(-1, 1, num_cars)
        )
        speeds = rng.uniform(0, 1150, num_cars)
        speeds[defender] = rng.uniform(0, 500)
        return driving(ball, velocity, place, yaw, speeds, rng.uniform(0, 100, num_cars))


def _with(
    rng: np.random.Generator, num_cars: int, ball: np.ndarray, given: dict[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Places (C, 2) with those that are given by car and the others anywhere apart; which are given (C,)."""
    place, chosen = np.zeros((num_cars, 2)), np.isin(np.arange(num_cars), list(given))
    for car, where in given.items():
        place[car] = where
    place[~chosen] = apart(rng, num_cars - len(given), [ball[:2], *given.values()], OPEN_FIELD)
    return place, chosen
