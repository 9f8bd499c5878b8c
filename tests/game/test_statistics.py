"""The game's statistics, every ratio worked by hand."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rlbot.game.endings import Clock, Scored
from rlbot.game.rewards import Goal, Touch
from rlbot.game.statistics import GameStatistics

BOTH, FIRST = slice(0, 2), slice(0, 1)


@pytest.fixture
def statistics():
    return GameStatistics(0.5, [Goal(10), Touch(2)], [Scored(), Clock()])


@pytest.fixture
def moment(make_state):
    """Orange scores; the cars drive at 500 and 100 uu/s, 300 and 50 uu from the ball."""
    return make_state(
        goal=-1,
        touched=[True, False],
        shots=[0, 2],
        saves=[1, 0],
        demos=[0, 1],
        position=[(300, 0, 0), (0, 30, 40)],
        velocity=[(300, 400, 0), (0, 0, 100)],
        boost=[20, 70],
        on_ground=[True, False],
    )


TERMS = np.array([[[-10, 10]], [[2, 0]]], np.float32)  # (K, A, C)


def test_counts_are_totals_over_minutes_of_a_cars_game(statistics, moment):
    for _ in range(6):
        statistics.add(moment, BOTH, TERMS, np.array([True]))
    taken = statistics.take()  # 6 steps x 2 cars x 0.5 s = 0.1 minutes
    totals = {"touches": 6, "goals": 6, "shots": 12, "saves": 6, "demos": 6}
    assert {name: taken[f"game/{name}_per_minute"] for name in totals} == {
        name: (total, 0.1) for name, total in totals.items()
    }
    assert taken["reward/goal"] == (0, 0.1)
    assert taken["reward/touch"] == (12, 0.1)


def test_gains_of_a_term_leave_its_losses_out(statistics, moment):
    statistics.add(moment, BOTH, TERMS, np.array([True]))
    taken = statistics.take()
    assert (taken["gain/goal"], taken["gain/touch"]) == ((10, 2), (2, 2))


def test_means_are_totals_over_car_steps(statistics, moment):
    statistics.add(moment, BOTH, TERMS, np.array([True]))
    taken = statistics.take()
    assert_allclose(taken["game/speed"], (600, 2))
    assert_allclose(taken["game/boost"], (90, 2))
    assert_allclose(taken["game/air_time"], (1, 2))
    assert_allclose(taken["game/distance_to_ball"], (350, 2))


def test_only_the_learners_cars_count(statistics, moment):
    statistics.add(moment, FIRST, TERMS, np.array([True]))
    taken = statistics.take()
    assert taken["game/goals_per_minute"] == (0, pytest.approx(0.5 / 60))
    assert taken["game/saves_per_minute"].total == 1
    assert taken["game/shots_per_minute"].total == 0
    assert taken["reward/goal"].total == -10
    assert_allclose(taken["game/speed"], (500, 1))


def test_arenas_that_were_not_stepped_do_not_count(statistics, moment):
    statistics.add(moment, BOTH, TERMS, np.array([False]))
    taken = statistics.take()
    assert all(ratio == (0, 0) for ratio in taken.values())


def test_episodes_give_their_length_and_what_ended_them(statistics):
    held = np.array([[True, False, True], [True, True, False]])  # a goal at the last moment counts for both
    statistics.add_episodes(np.array([2, 3, 4], np.float32), held)
    taken = statistics.take()
    assert taken["game/episode_seconds"] == (9, 3)
    assert taken["game/ended_by_scored"] == (2, 3)
    assert taken["game/ended_by_clock"] == (2, 3)


def test_taking_the_sums_begins_anew(statistics, moment):
    scored = dataclasses.replace(moment, goal=np.ones(1, np.float32))
    statistics.add(scored, FIRST, TERMS, np.array([True]))
    assert statistics.take()["game/goals_per_minute"].total == 1
    assert all(ratio == (0, 0) for ratio in statistics.take().values())


def test_sums_go_on_over_many_steps_each_kind_by_itself(statistics, make_state):
    counts = {"touched": [True, True], "shots": [5, 0], "saves": [3, 0], "demos": [4, 0]}
    state = make_state(goal=1, boost=[20, 70], on_ground=[True, True], **counts)
    terms = np.array([[[-10, 10]], [[2, 0]]], np.float32)
    for _ in range(70):  # more than twice as many as are counted at once
        statistics.add(state, BOTH, terms, np.array([True]))
    taken = statistics.take()
    kinds = ("touches", "goals", "shots", "saves", "demos")
    assert [taken[f"game/{kind}_per_minute"].total / 70 for kind in kinds] == [2, 1, 5, 3, 4]
    assert (taken["game/boost"], taken["game/air_time"]) == ((90 * 70, 140), (0, 140))
    assert (taken["reward/touch"].total, taken["gain/touch"]) == (140, (140, 140))
