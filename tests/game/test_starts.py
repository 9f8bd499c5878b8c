"""Opening positions: the game's kickoffs, random ones that physics can bear, and the mix of both."""

import numpy as np
import pytest
import RocketSim
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.game.starts import KICKOFFS, Kickoff, NearBall, RandomStart, Start, apart, draw, gathered

THREE = np.array([0, 0, 0, 1, 1, 1])
TEAMS = st.sampled_from([[0, 1], [0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]).map(np.array)


def test_the_kickoff_places_are_rocketsims_five():
    assert_allclose(KICKOFFS, RocketSim.RLConst.CAR_SPAWN_LOCATIONS_SOCCAR, rtol=1e-6)


def test_a_kickoff_puts_orange_where_blue_is_turned():
    for seed in range(20):
        start = Kickoff()(np.random.default_rng(seed), THREE)
        blue, orange = start.car_position[:3], start.car_position[3:]
        assert_array_equal(orange, blue * [-1, -1, 1])
        assert {tuple(place[:2]) for place in blue.tolist()} <= {tuple(place[:2]) for place in KICKOFFS.tolist()}
        assert len({tuple(place) for place in blue.tolist()}) == 3
        turn = start.car_yaw_pitch_roll[3:, 0] - start.car_yaw_pitch_roll[:3, 0]
        assert_allclose([np.cos(turn), np.sin(turn)], [[-1] * 3, [0] * 3], atol=1e-12)


def test_a_kickoff_is_at_rest_with_a_third_of_the_boost():
    start = Kickoff()(np.random.default_rng(0), THREE)
    assert_array_equal(start.ball_position[:2], 0)
    assert_allclose(start.car_boost, 100 / 3)
    assert_array_equal(start.car_position[:, 2], 17)
    for still in (start.ball_velocity, start.ball_angular_velocity, start.car_velocity, start.car_angular_velocity):
        assert not still.any()


def test_every_kickoff_place_is_drawn():
    rng = np.random.default_rng(0)
    drawn = [tuple(Kickoff()(rng, np.array([0, 1])).car_position[0, :2]) for _ in range(200)]
    assert all(25 < drawn.count(tuple(place)) < 55 for place in KICKOFFS[:, :2].tolist())


@settings(deadline=None)
@given(st.sampled_from([RandomStart(), NearBall()]), st.integers(0, 2**32), TEAMS)
def test_a_random_start_is_inside_the_field_with_bodies_apart(kind, seed, team):
    start = kind(np.random.default_rng(seed), team)
    bodies = np.vstack([start.ball_position, start.car_position])
    assert (np.abs(bodies[:, 0]) <= 4096 - 500).all()
    assert (np.abs(bodies[:, 1]) <= 5120 - 500).all()
    assert (bodies[:, 2] >= 17).all()
    assert (bodies[:, 2] < 2044 - 200).all()
    gaps = np.linalg.norm(bodies[:, None] - bodies, axis=-1)
    assert gaps[~np.eye(len(bodies), dtype=bool)].min() > 200
    assert (start.car_boost >= 0).all()
    assert (start.car_boost <= 100).all()
    assert np.linalg.norm(start.car_velocity, axis=1).max() <= 2300
    assert np.linalg.norm(start.car_angular_velocity, axis=1).max() <= 5.5


@pytest.mark.parametrize("kind", [RandomStart(), NearBall()])
def test_a_random_start_is_clear_of_the_corners_too(kind):
    rng = np.random.default_rng(0)  # walls cut the corners at |x| + |y| = 8064; their curve begins some 330 uu before
    starts = [kind(rng, THREE) for _ in range(1000)]
    bodies = np.vstack([body for start in starts for body in (start.ball_position, start.car_position)])
    assert np.abs(bodies[:, :2]).sum(axis=1).max() < 7600


@pytest.mark.parametrize("share", [0, 1])
def test_a_share_of_the_cars_stands_on_the_ground(share):
    start = RandomStart(on_ground=share, ball_speed=0)(np.random.default_rng(0), THREE)
    assert (start.car_position[:, 2] == 17).tolist() == [share == 1] * 6
    assert (start.car_yaw_pitch_roll[:, 1:] == 0).all() == (share == 1)
    ahead = np.stack([np.cos(start.car_yaw_pitch_roll[:, 0]), np.sin(start.car_yaw_pitch_roll[:, 0])], axis=-1)
    sideways = np.abs(start.car_velocity[:, 0] * ahead[:, 1] - start.car_velocity[:, 1] * ahead[:, 0])
    assert (sideways.max() < 1e-9) == (share == 1)
    assert not start.ball_velocity.any()


def test_near_the_ball_every_car_stands_within_reach_and_about_faces_it():
    for seed in range(50):
        start = NearBall(farthest=1500, aside=0.5)(np.random.default_rng(seed), THREE)
        to_ball = (start.ball_position - start.car_position)[:, :2]
        yaw = start.car_yaw_pitch_roll[:, 0]
        distance = np.linalg.norm(to_ball, axis=1)
        nose = (to_ball * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)).sum(1) / distance
        assert (distance >= 400 - 1e-6).all()
        assert (distance <= 1500).all()
        assert nose.min() >= np.cos(0.5) - 1e-6
        assert_array_equal(start.car_position[:, 2], 17)


class Named(Start):
    def __init__(self, name, weight):
        super().__init__(weight)
        self.name = name

    def __call__(self, rng, team):
        return self.name


def test_the_mix_draws_each_start_by_its_weight():
    starts, rng = [Named("a", 1), Named("b", 0), Named("c", 3)], np.random.default_rng(0)
    drawn = [draw(starts, rng, THREE) for _ in range(1000)]
    assert drawn.count("b") == 0
    assert 200 < drawn.count("a") < 300


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"Kickoff.weight=-0.5 must be at least 0"):
        Kickoff(weight=-0.5)


def test_random_starts_are_anywhere_in_any_motion():
    rng = np.random.default_rng(0)
    starts = [RandomStart()(rng, THREE) for _ in range(200)]
    assert 70 < sum(start.ball_position[2] > 94 for start in starts) < 130
    assert 1500 < max(np.linalg.norm(start.ball_velocity) for start in starts) <= 2000
    boost, places, spin = (
        np.array([getattr(s, f"car_{n}") for s in starts]) for n in ("boost", "position", "angular_velocity")
    )
    assert 40 < boost.mean() < 60
    assert_array_equal(spin.any(axis=-1), places[..., 2] > 17)
    assert (places[..., 2] == 17).mean() == pytest.approx(0.75, abs=0.05)


def test_near_the_ball_it_rolls():
    rng = np.random.default_rng(0)
    assert max(np.linalg.norm(NearBall()(rng, THREE).ball_velocity) for _ in range(50)) > 300


def test_bodies_are_as_far_apart_as_said_even_where_it_is_crowded():
    places = apart(np.random.default_rng(0), 8, [np.zeros(2)], np.array([1500, 1500]))
    bodies = np.vstack([[0, 0], places])
    gaps = np.linalg.norm(bodies[:, None] - bodies, axis=-1)
    assert gaps[~np.eye(9, dtype=bool)].min() > 400


def test_cars_around_a_middle_are_in_any_order():
    rng, turns = np.random.default_rng(0), set()
    for _ in range(50):
        middle, places = gathered(rng, 3, 1000)
        bearing = np.arctan2(*(places - middle).T[::-1])
        turns.add(bool((bearing[1] - bearing[0]) % (2 * np.pi) < np.pi))
    assert turns == {True, False}
