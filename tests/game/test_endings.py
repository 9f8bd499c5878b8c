"""When an episode is over, and whether a future was cut off."""

import numpy as np
import pytest

from rlbot.game.endings import Clock, NoTouch, Scored, default_endings


@pytest.mark.parametrize(("goal", "over"), [(1, True), (-1, True), (0, False)])
def test_a_goal_of_either_team_ends_the_game(goal, over, make_state):
    assert Scored()(make_state(goal=goal)).tolist() == [over]


def test_no_touch_looks_at_the_last_touch_only(make_state):
    ending = NoTouch(seconds=2)
    held = [ending(make_state(seconds=100, seconds_since_touch=seconds))[0] for seconds in (0, 1.93, 2, 2.07)]
    assert held == [False, False, True, True]


def test_the_clock_looks_at_the_episodes_length_only(make_state):
    ending = Clock(seconds=2)
    assert [ending(make_state(seconds=seconds))[0] for seconds in (0, 1.93, 2, 2.07)] == [False, False, True, True]


@pytest.mark.parametrize("kind", [Clock, NoTouch])
@pytest.mark.parametrize(("seconds", "steps"), [(0.2, 3), (15, 225), (300, 4500)])
def test_sums_of_rounded_steps_end_on_the_step_meant(kind, seconds, steps, make_state):
    ending, passed = kind(seconds), np.float32(0)
    for _ in range(steps):
        assert not ending(make_state(seconds=passed, seconds_since_touch=passed))[0]
        passed += np.float32(8 / 120)
    assert ending(make_state(seconds=passed, seconds_since_touch=passed))[0]


def test_only_a_goal_terminates():
    endings = (*default_endings(), NoTouch(), Clock())
    assert {ending.name: ending.truncates for ending in endings} == {"scored": False, "notouch": True, "clock": True}


@pytest.mark.parametrize("ending", [NoTouch, Clock])
@pytest.mark.parametrize("seconds", [0, -1])
def test_a_time_that_is_no_time_is_refused(ending, seconds):
    with pytest.raises(ValueError, match=f"{ending.__name__}.seconds={seconds} must be above 0"):
        ending(seconds)
