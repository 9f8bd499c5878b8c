"""Opening positions on the wall, in the air and before the goal: what they hold, and that physics can bear them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.game.actions import TABLE
from rlbot.game.situations import AerialStart, GoalieStart, WallStart
from rlbot.sim.arenas import ArenaBatch

ONE, THREE = np.array([0, 1]), np.array([0, 0, 0, 1, 1, 1])
KINDS = [WallStart(), AerialStart(), GoalieStart()]


def draws(kind, count, team=THREE):
    rng = np.random.default_rng(0)
    return [kind(rng, team) for _ in range(count)]


@pytest.mark.parametrize("team", [ONE, np.array([0, 1, 1]), THREE], ids=["1v1", "1v2", "3v3"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_thousands_of_draws_are_inside_the_field_apart_and_not_too_fast(kind, team):
    starts = draws(kind, 2000, team)
    ball, cars = (np.array([getattr(s, f"{name}_position") for s in starts]) for name in ("ball", "car"))
    bodies = np.concatenate([ball[:, None], cars], axis=1)
    gaps = np.linalg.norm(bodies[:, :, None] - bodies[:, None], axis=-1) + 1e4 * np.eye(bodies.shape[1])
    assert gaps.min() > 240
    assert (np.abs(ball) <= [4096 - 91.25, 5120 - 600, 2044 - 91.25]).all()
    assert (np.abs(cars) <= [4096 - 500, 5120 - 300, 2044 - 200]).all()
    assert np.abs(bodies[..., :2]).sum(axis=-1).max() < 7501
    assert (ball[:, 2].min() > 91.25, cars[..., 2].min()) == (True, 17)
    assert np.linalg.norm([s.ball_velocity for s in starts], axis=-1).max() < 3500
    assert np.linalg.norm([s.car_velocity for s in starts], axis=-1).max() < 2300
    boost = np.array([s.car_boost for s in starts])
    assert (boost.min() >= 0, boost.max() <= 100) == (True, True)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_physics_takes_what_is_drawn_without_a_jump_or_a_fault(kind):
    rngs = [np.random.default_rng(i) for i in range(12)]
    arenas, rng = ArenaBatch(rngs, 2, 2), np.random.default_rng(0)
    for _ in range(8):
        state = arenas.reset([(i, kind(rngs[i], arenas.team)) for i in range(12)])
        for t in range(15):
            before, state = state, arenas.step(TABLE[rng.integers(90, size=(12, 4))])
            assert not state.faulty.any()
            if t == 0:  # a body inside a wall or another one would be thrown out
                for name, slack in (("ball", 40), ("cars", 60)):
                    old, new = getattr(before, name), getattr(state, name)
                    assert_allclose(new.position, old.position + old.velocity * (8 / 120), atol=slack)


def test_on_the_wall_one_car_drives_at_it_below_the_ball():
    for start in draws(WallStart(), 200):
        x, y, z = start.ball_position
        assert (4096 - abs(x) < 94, 350 <= z <= 1200) == (True, True)
        distance = 4096 - np.sign(x) * start.car_position[:, 0]
        near = (distance <= 2000) & (np.abs(start.car_position[:, 1] - y) <= 400)
        to_ball = (start.ball_position - start.car_position)[:, :2]
        speed_there = (start.car_velocity[:, :2] * to_ball).sum(-1) / np.linalg.norm(to_ball, axis=1)
        assert (near & (speed_there >= 800 - 1e-6)).any()


def test_every_car_and_both_walls_have_their_turn():
    starts = draws(WallStart(), 200, ONE)
    assert 70 < sum(s.ball_position[0] > 0 for s in starts) < 130
    fast = [np.linalg.norm(s.car_velocity, axis=1).argmax() for s in starts]
    assert 50 < sum(fast) < 150


@pytest.mark.parametrize("share", [0, 1])
def test_in_an_aerial_cars_are_below_the_ball_and_fly_at_it(share):
    for start in draws(AerialStart(in_air=share, farthest=1000), 100):
        to_ball = start.ball_position - start.car_position
        assert (to_ball[:, 2] >= 350).all()
        assert np.linalg.norm(to_ball[:, :2], axis=1).max() <= 1000
        assert start.car_boost.min() >= 40
        assert_array_equal(start.car_position[:, 2] > 17, share == 1)
        if share:
            unit = to_ball / np.linalg.norm(to_ball, axis=1, keepdims=True)
            along = (start.car_velocity * unit).sum(-1) / np.linalg.norm(start.car_velocity, axis=1)
            assert along.min() > np.cos(0.5)


def test_a_shot_that_nobody_stops_goes_in_for_the_team_that_is_drawn():
    arenas = ArenaBatch([np.random.default_rng(i) for i in range(40)], 1, 1)
    starts = draws(GoalieStart(), 40, ONE)
    attackers = np.array([0 if start.ball_velocity[1] > 0 else 1 for start in starts])
    for start, attacker in zip(starts, attackers, strict=True):
        assert np.sign(start.ball_velocity[1]) * start.car_position[1 - attacker, 1] > 4000  # the defender is there
        start.car_position[:] = (3000, -3000, 17), (3000, 3000, 17)  # both out of the way
        start.car_velocity[:] = 0
    arenas.reset(list(enumerate(starts)))
    goals = sum(arenas.step(np.zeros((40, 2, 8), np.float32)).goal for _ in range(70))
    assert 10 < attackers.sum() < 30
    assert ((goals > 0) == (attackers == 0))[goals != 0].all()
    assert (goals != 0).sum() >= 34


def test_a_ball_on_the_wall_rolls_along_it_and_up_and_one_in_the_air_moves():
    wall, air = (np.array([start.ball_velocity for start in draws(kind, 100)]) for kind in (WallStart(), AerialStart()))
    assert (wall.max(axis=0)[1:] > [800, 1000]).all()
    assert wall.min(axis=0)[1] < -800
    assert (np.abs(air).max(axis=0) > 400).all()


def test_the_shooter_follows_its_shot_half_of_which_are_high_and_the_defender_stands_or_rolls():
    starts = draws(GoalieStart(), 200, ONE)
    assert 70 < sum(start.ball_velocity[2] > 0 for start in starts) < 130
    for start in starts:
        shooter = 0 if start.ball_velocity[1] > 0 else 1
        to_ball = (start.ball_position - start.car_position)[:, :2]
        assert to_ball[shooter] @ start.ball_velocity[:2] > 0
        yaw = start.car_yaw_pitch_roll[:, 0]
        nose = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        assert ((nose * to_ball).sum(-1) > np.cos(0.31) * np.linalg.norm(to_ball, axis=1)).all()
        assert np.linalg.norm(start.car_velocity[1 - shooter]) <= 500
