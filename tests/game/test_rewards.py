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


def test_the_first_touch_is_that_of_a_ball_that_lay_still(make_state):
    term = rewards.FirstTouch()
    away = {"ball_velocity": (0, 1500, 200)}
    assert term(make_state(2, 2, touched=[1, 0, 1, 0], **away)).tolist() == [[1, 0, 1, 0]]
    assert term(make_state(2, 2, **away)).tolist() == [[0, 0, 0, 0]]
    for before in ((3, 0, 0), (0, 0, -3)):
        assert term(make_state(2, 2, touched=[1, 0, 1, 0], ball_velocity_before=before)).tolist() == [[0, 0, 0, 0]]


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


def test_only_the_conceding_team_is_charged_for_a_concession(make_state):
    assert rewards.Concede()(make_state(1, 2, goal=1)).tolist() == [[0, -1, -1]]
    assert rewards.Concede()(make_state(1, 2, goal=-1)).tolist() == [[-1, 0, 0]]


def test_the_speed_of_a_touch_is_the_change_of_the_balls_velocity(make_state):
    before, after = (3000, 0, 0), (0, 4000, 0)  # a change of 5,000 uu/s
    state = make_state(1, 2, touched=[0, 1, 0], ball_velocity_before=before, ball_velocity=after)
    assert_allclose(rewards.TouchSpeed()(state), [[0, 5 / 6, 0]], rtol=1e-6)
    head_on = make_state(touched=[1, 1], ball_velocity_before=(0, -6000, 0), ball_velocity=(0, 6000, 0))
    assert_allclose(rewards.TouchSpeed()(head_on), [[2, 2]], rtol=1e-6)


def test_a_touch_toward_the_goal_is_what_it_adds_on_the_way_there(make_state):
    state = make_state(
        2,
        1,
        touched=[1, 0, 1],
        ball_position=(-2250, 2120, 91.25),  # blue's goal lies at (0.6, 0.8)
        ball_velocity_before=(0, -1500, 0),
        ball_velocity=(3000, 1500, 0),  # a change of (3000, 3000, 0)
    )
    to_own = np.array([2250, -7240]) / np.hypot(2250, 7240)
    assert_allclose(rewards.TouchTowardGoal()(state), [[0.7, 0, to_own.sum() / 2]], rtol=1e-6)


def test_in_the_goal_the_way_is_straight_on(make_state):
    """The ball crosses the line at 5,120 and is a goal at 5,215: a touch that puts it in is no touch away from it."""
    for y, moving in ((5200, [[0.5, -0.5]]), (-5200, [[0.5, -0.5]])):
        state = make_state(touched=[1, 1], ball_position=(300, y, 91.25), ball_velocity=(0, 3000, 0))
        assert_allclose(rewards.BallTowardGoal()(state)[:, int(y < 0)], moving[0][int(y < 0)], rtol=1e-6)
        assert_allclose(rewards.TouchTowardGoal()(state)[:, int(y < 0)], moving[0][int(y < 0)], rtol=1e-6)


@pytest.mark.parametrize(
    "term", [rewards.SpeedTowardBall, rewards.FacingBall, rewards.DistanceToBall, rewards.BoostKept, rewards.InAir]
)
def test_a_wreck_earns_nothing_that_a_car_would(term, make_state):
    car = {"velocity": (500, 0, 0), "boost": 50, "on_ground": False, "ball_position": (1000, 0, 0)}
    lived, wreck = term()(make_state(1, 1, demolished=[0, 1], **car))[0]
    assert (lived > 0, wreck) == (True, 0)


def test_an_aerial_touch_is_worth_the_balls_height(make_state):
    car = {"touched": [1, 1, 0], "on_ground": [0, 1, 0]}
    assert_allclose(rewards.AerialTouch()(make_state(1, 2, ball_position=(0, 0, 1022), **car)), [[0.5, 0, 0]])
    low = make_state(1, 2, ball_position=(0, 0, 250), **car)
    assert rewards.AerialTouch()(low).tolist() == [[0, 0, 0]]
    assert_allclose(rewards.AerialTouch(height=200)(low), [[250 / 2044, 0, 0]], rtol=1e-6)


def test_closeness_to_the_ball_falls_by_e_with_every_falloff(make_state):
    state = make_state(1, 2, ball_position=(300, 400, 0), position=[(300, 400, 0), (0, 0, 0), (300, 400, 1500)])
    assert_allclose(rewards.DistanceToBall()(state), [np.exp([0, -1 / 3, -1])], rtol=1e-6)
    assert_allclose(rewards.DistanceToBall(falloff=500)(state), [np.exp([0, -1, -3])], rtol=1e-6)


def test_closeness_of_the_ball_to_the_goal_each_team_attacks(make_state):
    state = make_state(1, 2, ball_position=(0, 2120, 91.25))  # 3,000 uu from blue's, 7,240 from orange's
    assert_allclose(rewards.BallToGoalDistance()(state), [np.exp([-0.25, -7.24 / 12, -7.24 / 12])], rtol=1e-6)
    assert_allclose(rewards.BallToGoalDistance(falloff=3000)(state)[0, 0], np.exp(-1), rtol=1e-6)


def test_boost_gained_is_the_rise_of_the_square_root(make_state):
    state = make_state(2, 2, boost_before=[0, 36, 64, 100], boost=[1, 100, 49, 100])
    assert_allclose(rewards.BoostGained()(state), [[0.1, 0.4, 0, 0]], atol=1e-6)


def test_a_car_is_in_the_air_unless_it_drives(make_state):
    assert rewards.InAir()(make_state(1, 1, on_ground=[1, 0])).tolist() == [[0, 1]]


MINE = np.array([1, 3, 8, 4], np.float32)  # two blue and two orange cars


@pytest.mark.parametrize(
    ("team_spirit", "zero_sum", "expected"),
    [
        (0, False, [1, 3, 8, 4]),
        (1, False, [2, 2, 6, 6]),
        (0.5, False, [1.5, 2.5, 7, 5]),
        (0, True, [-5, -3, 6, 2]),
        (0.5, True, [-4.5, -3.5, 5, 3]),
    ],
)
def test_a_term_is_shared_in_the_team_and_taken_from_the_opponents(team_spirit, zero_sum, expected):
    shares = rewards.mixing(np.array([0, 0, 1, 1]), team_spirit, zero_sum)
    assert_allclose(shares @ MINE, expected, rtol=1e-6)


def test_mixing_of_uneven_teams_takes_the_opponents_mean():
    lone = np.array([0, 1, 1])
    assert_allclose(rewards.mixing(lone, 0, True) @ MINE[:3], [1 - 5.5, 3 - 1, 8 - 1])
    assert_allclose(rewards.mixing(lone, 1, True) @ MINE[:3], [1 - 5.5, 5.5 - 1, 5.5 - 1])
    assert_allclose(rewards.mixing(np.array([0, 1]), 0.7, False), np.eye(2), atol=1e-7)


def test_a_weight_goes_along_a_line_to_its_end():
    falling = rewards.Touch(4, weight_end=1)
    assert [falling.weight_at(share) for share in (0, 0.5, 1)] == [4, 2.5, 1]
    assert rewards.Touch(4).weight_at(0.5) == 4


@pytest.mark.parametrize(
    ("term", "settings", "message"),
    [
        (rewards.Touch, {"team_spirit": 1.5}, "Touch.team_spirit=1.5 must be 0 to 1"),
        (rewards.AerialTouch, {"team_spirit": -1}, "AerialTouch.team_spirit=-1 must be 0 to 1"),
        (rewards.DistanceToBall, {"falloff": 0}, "DistanceToBall.falloff=0 must be above 0"),
    ],
)
def test_a_wrong_setting_of_a_term_is_named(term, settings, message):
    with pytest.raises(ValueError, match=message):
        term(**settings)


TERMS = [term for term in vars(rewards).values() if isinstance(term, type) and rewards.Reward in term.__bases__]


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_fair_to_both_teams(term, any_state, turned):
    for seed in range(5):
        state = any_state(2, 2, seed)
        other, order = turned(state)
        assert_allclose(term()(other), term()(state)[:, order], rtol=1e-5)


def test_a_terms_name_is_its_class_in_snake_case():
    names = [term.name for term in rewards.default_rewards()]
    assert names == ["goal", "touch", "touch_toward_goal", "speed_toward_ball"]
