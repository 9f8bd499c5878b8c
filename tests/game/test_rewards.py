"""Each reward term in numbers worked by hand, for both teams."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rlbot.game import rewards
from rlbot.game.rewards import unit


def test_a_zero_vector_has_no_direction():
    assert_allclose(unit(np.array([[0, 0, 0], [3, 0, -4]], np.float32)), [[0, 0, 0], [0.6, 0, -0.8]])


def test_a_goal_is_good_for_one_team_and_bad_for_the_other(make_state):
    term = rewards.Goal()
    assert term(make_state(1, 2, goal=1)).tolist() == [[1, -1, -1]]
    assert term(make_state(1, 2, goal=-1)).tolist() == [[-1, 1, 1]]
    assert term(make_state(1, 2)).tolist() == [[0, 0, 0]]


def test_speed_toward_the_ball(make_state):
    state = make_state(
        2,
        2,
        ball_position=(300, 400, 0),
        position=[(0, 0, 0), (300, 400, 0), (300, 1400, 0), (300, 1400, 0)],
        velocity=[(1380, 0, 0), (500, 0, 0), (0, -2300, 0), (0, 1150, 0)],
    )
    assert_allclose(rewards.SpeedTowardBall()(state), [[0.36, 0, 1, -0.5]], rtol=1e-6)


def test_the_ball_toward_the_goal_each_team_attacks(make_state):
    term = rewards.BallTowardGoal()
    straight = make_state(ball_position=(0, 1000, 91.25), ball_velocity=(0, 3000, 0))
    assert_allclose(term(straight), [[0.5, -0.5]], rtol=1e-6)
    aside = make_state(1, 2, ball_position=(-2250, 2120, 91.25), ball_velocity=(6000, 0, 0))  # blue's goal: (0.6, 0.8)
    assert_allclose(term(aside), [[0.6, *[2250 / np.hypot(2250, 7240)] * 2]], rtol=1e-6)


def test_facing_the_ball(make_state):
    noses = [(1, 0, 0), (0, 1, 0), (-0.6, -0.8, 0), (0, 0, 1)]
    state = make_state(2, 2, ball_position=(300, 400, 0), forward=noses)
    assert_allclose(rewards.FacingBall()(state), [[0.6, 0.8, -1, 0]], atol=1e-6)


def test_boost_kept_counts_the_first_tenths_most(make_state):
    assert_allclose(rewards.BoostKept()(make_state(2, 2, boost=[0, 1, 25, 100])), [[0, 0.1, 0.5, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("term", "field"),
    [(rewards.Touch, "touched"), (rewards.Demolition, "demos"), (rewards.Save, "saves"), (rewards.Shot, "shots")],
)
def test_events_count_for_the_car_that_made_them(term, field, make_state):
    assert term()(make_state(1, 2, **{field: [0, 1, 0]})).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("term", [type(term) for term in rewards.default_rewards()])
def test_a_term_is_fair_to_both_teams(term, any_state, turned):
    for seed in range(5):
        state = any_state(2, 2, seed)
        other, order = turned(state)
        assert_allclose(term()(other), term()(state)[:, order], rtol=1e-5)


def test_a_terms_name_is_its_class_in_snake_case():
    names = [term.name for term in rewards.default_rewards()]
    assert names == ["goal", "touch", "speed_toward_ball", "ball_toward_goal", "facing_ball"]
