"""One vectorised step: what is summed, what ends, who drives, and what a wrong setting says."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.game.endings import Clock, NoTouch, Scored
from rlbot.game.match import Match
from rlbot.game.observations import Observation
from rlbot.game.rewards import FacingBall, FirstTouch, Goal, Reward, Touch
from rlbot.game.starts import Kickoff, Start
from rlbot.league.opponents import Chaser


class One(Reward):
    def __call__(self, state):
        return np.ones(state.cars.boost.shape, np.float32)


class Place(Reward):
    def __call__(self, state):
        return np.tile(np.arange(len(state.cars.team), dtype=np.float32), (len(state.goal), 1))


class Order(Observation):
    """Sees nothing but the order in which the others come."""

    size = 5

    def __call__(self, state, order):
        return order.astype(np.float32)


class Clocks(Observation):
    """Sees the seconds of the episode, and keeps how many arenas it was asked about."""

    size = 1

    def __init__(self):
        self.asked = []

    def __call__(self, state, order):
        self.asked.append(len(order))
        return np.repeat(state.seconds[:, None, None], len(state.cars.team), axis=1)


class BeforeTheGoal(Start):
    """The ball is on its way into orange's goal and crosses the line in the third step."""

    def __call__(self, rng, team):
        start = Kickoff()(rng, team)
        start.ball_position, start.ball_velocity = np.array([0, 4800, 200]), np.array([0, 3000, 0])
        return start


class Notes:
    """An opponent that stands still and keeps what it was handed."""

    def __init__(self):
        self.seen = []

    def __call__(self, observations, noise):
        self.seen.append((observations.copy(), noise.copy()))
        return np.zeros((*noise.shape, 8), np.float32)


def begin(num_arenas=1, mode="1v1", seed=0, **parts):
    """A match, its first observations, and what one step of doing nothing gives."""
    match = Match(num_arenas, mode, **parts)
    first = match.begin([np.random.default_rng(seed + i) for i in range(num_arenas)])
    return match, first, lambda: match.step(np.zeros((num_arenas, match.num_learners, 8), np.float32))


def test_the_reward_is_the_weighted_sum_of_the_terms():
    _, _, step = begin(2, "2v2", rewards=[One(3), Place(-0.5)])
    assert_allclose(step().rewards, [[3, 2.5, 2, 1.5]] * 2)


def test_each_term_is_mixed_by_its_own_settings_and_the_mix_is_what_is_counted():
    spirited, against = Place(1, team_spirit=0.5), One(2, zero_sum=True)  # 0 1 2 3 is 0.25 0.75 2.25 2.75
    match, _, step = begin(2, "2v2", rewards=[spirited, against])
    assert_allclose(step().rewards, [[0.25, 0.75, 2.25, 2.75]] * 2)
    assert match.take_statistics()["reward/place"] == (12, pytest.approx(8 * 8 / 120 / 60))


def test_a_weight_follows_the_progress_of_the_run():
    match, _, step = begin(1, rewards=[One(4, weight_end=1), Place(1)])
    assert step().rewards.tolist() == [[4, 5]]
    match.anneal(0.5)
    assert step().rewards.tolist() == [[2.5, 3.5]]


def test_who_waits_at_a_kickoff_loses_once_what_the_first_touch_gains():
    waits = begin(8, opponent=Chaser(), rewards=[FirstTouch(5, zero_sum=True)], starts=[Kickoff()], endings=[])[2]
    assert_array_equal(sum(waits().rewards for _ in range(60)), [[-5]] * 8)


def test_a_goal_rewards_both_sides_and_terminates():
    match, _, step = begin(1, "1v2", starts=[BeforeTheGoal()], rewards=[Goal(10), One(1)])
    steps = [step() for _ in range(3)]
    assert [bool(s.terminated[0]) for s in steps] == [False, False, True]
    assert not any(s.truncated[0] for s in steps)
    assert steps[0].rewards.tolist() == [[1, 1, 1]]
    assert steps[2].rewards.tolist() == [[11, -9, -9]]
    taken = match.take_statistics()
    assert taken["game/ended_by_scored"] == (1, 1)
    assert taken["game/episode_seconds"] == (pytest.approx(0.2), 1)


@pytest.mark.parametrize("ending", [Clock, NoTouch])
def test_running_out_of_time_truncates(ending):
    _, _, step = begin(1, starts=[Kickoff()], endings=[Scored(), ending(seconds=0.2)])
    steps = [step() for _ in range(3)]
    assert [bool(s.truncated[0]) for s in steps] == [False, False, True]
    assert not any(s.terminated[0] for s in steps)


def test_a_goal_at_the_last_moment_terminates_only():
    _, _, step = begin(1, starts=[BeforeTheGoal()], endings=[Clock(seconds=0.2), Scored(), NoTouch(seconds=0.2)])
    last = [step() for _ in range(3)][-1]
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([True], [False])


@pytest.mark.parametrize(
    ("mode", "whole_team", "learners", "opponents"),
    [("1v1", False, 1, 1), ("1v2", False, 1, 2), ("2v2", False, 1, 3), ("2v2", True, 2, 2), ("3v3", True, 3, 3)],
)
def test_the_opponent_drives_every_car_that_is_not_yours(mode, whole_team, learners, opponents):
    notes = Notes()
    match, first, step = begin(2, mode, opponent=notes, whole_team=whole_team)
    assert first.shape == (2, learners, 180)
    assert step().rewards.shape == (2, learners)
    (observations, noise), *_ = notes.seen
    assert observations.shape == (2, opponents, 180)
    assert noise.shape == (2, opponents)
    assert ((noise >= 0) & (noise < 1)).all()
    alone = Match(2, mode).begin([np.random.default_rng(i) for i in range(2)])
    assert_array_equal(np.concatenate([first, observations], axis=1), alone)
    assert match.num_learners == learners


def test_without_an_opponent_every_car_is_yours():
    match, first, step = begin(2, "1v2")
    assert match.num_learners == 3
    assert first.shape == step().observations.shape == (2, 3, 180)


def test_every_episode_shuffles_the_cars_of_equal_role():
    match, first, step = begin(4, "3v3", observation=Order())
    assert_array_equal(step().observations, first)
    again = match.reset(np.array([False, True, True, True]))
    assert_array_equal(again[0], first[0])
    drawn = {tuple(order) for observations in (first, again) for order in observations[:, 0].tolist()}
    assert len(drawn) > 3
    assert {frozenset(order[:2]) for order in drawn} == {frozenset((1, 2))}
    assert {frozenset(order[2:]) for order in drawn} == {frozenset((3, 4, 5))}


def test_a_reset_looks_only_at_the_arenas_that_begin_anew():
    match, _, step = begin(3, observation=Clocks(), tick_skip=120)
    before = step().observations
    after = match.reset(np.array([False, True, False]))
    assert match.observation.asked == [3, 3, 1]
    assert (before[..., 0].tolist(), after[..., 0].tolist()) == ([[1, 1]] * 3, [[1, 1], [0, 0], [1, 1]])


def test_arenas_that_stand_still_earn_and_end_nothing():
    match, first, _ = begin(2, rewards=[One(1)], endings=[Clock(seconds=0.06)])
    step = match.step(np.zeros((2, 2, 8), np.float32), np.array([True, False]))
    assert step.rewards.tolist() == [[1, 1], [0, 0]]
    assert (step.terminated | step.truncated).tolist() == [True, False]
    assert_array_equal(step.observations[1], first[1])


def test_an_arena_that_stands_still_draws_nothing_from_its_stream():
    match, _, _ = begin(2, opponent=Notes())
    before = match.arenas.rngs[1].bit_generator.state
    match.step(np.zeros((2, 1, 8), np.float32), np.array([True, False]))
    assert match.arenas.rngs[1].bit_generator.state == before


def test_a_breakdown_is_truncated_and_earns_nothing():
    match, _, step = begin(2, rewards=[One(1)])
    match.arenas.break_down(1)
    broken = step()
    assert broken.faulty.tolist() == broken.truncated.tolist() == [False, True]
    assert broken.rewards.tolist() == [[1, 1], [0, 0]]
    assert np.isfinite(broken.observations).all()
    assert match.take_statistics()["game/episode_seconds"] == (0, 0)
    match.reset(broken.truncated)
    assert step().rewards.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "4v4"}, "mode='4v4' is none of 1v1, 1v2, 2v2, 3v3"),
        ({"num_arenas": 0}, "num_envs=0"),
        ({"tick_skip": 0}, "tick_skip=0"),
        ({"rewards": [Touch(1), FacingBall(), Touch(2)]}, "two terms of one name: touch, facing_ball, touch"),
        ({"starts": []}, "starts"),
        ({"starts": [Kickoff(weight=0)]}, "starts"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Match(**{"num_arenas": 1, **settings})


def test_a_match_may_have_no_reward_and_no_ending():
    _, _, step = begin(1, rewards=[], endings=[])
    last = step()
    assert last.rewards.tolist() == [[0, 0]]
    assert not (last.terminated | last.truncated).any()


def test_an_opponent_with_the_wrong_shape_is_refused():
    _, _, step = begin(1, opponent=lambda observations, noise: np.zeros((1, 8)))
    with pytest.raises(ValueError, match=r"shape \(1, 8\), expected \(1, 1, 8\)"):
        step()


def test_a_step_before_the_first_reset_is_refused():
    with pytest.raises(RuntimeError, match="before reset"):
        Match(1).step(np.zeros((1, 2, 8), np.float32))
