"""Rounds against several opponents, and how many matches the time pays for."""

import pytest

from rlbot.league.opponents import Chaser, Idle, Random
from rlbot.play.matches import play_matches
from rlbot.play.rounds import affordable_games, play_round


def test_round_is_the_matches_with_each_opponent_in_one_batch():
    steps = []
    opponents = {"idle": Idle(), "chaser": Chaser()}
    found = play_round(Random(), opponents, 2, "1v1", 1, seconds=3, each_step=lambda: steps.append(1))
    assert {name: [one.a_is_blue for one in results] for name, results in found.items()} == {
        "idle": [True, False],
        "chaser": [True, False],
    }
    alone = play_matches(Random(), Chaser(), "1v1", 1, [2, 3], regular_seconds=3, overtime_seconds=3)
    assert found["chaser"] == alone
    assert len(steps) == round(max(one.seconds for results in found.values() for one in results) * 15)


def test_seconds_are_game_time_at_any_tick_skip():
    steps, opponents = [], {"idle": Idle()}
    found = play_round(Idle(), opponents, 2, "1v1", 1, seconds=2, tick_skip=4, each_step=lambda: steps.append(1))
    assert ([one.seconds for one in found["idle"]], len(steps)) == ([4.0, 4.0], 4 * 30)


def test_what_is_raised_between_steps_ends_the_round():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play_round(Random(), {"idle": Idle()}, 2, "1v1", 1, seconds=300, each_step=stop)


@pytest.mark.parametrize(
    ("seconds", "games"),
    [
        (None, 20),
        (1000.0, 20),
        (40.0, 20),  # 20 matches against each of 4 opponents, half a second each
        (39.9, 18),
        (8.0, 4),
        (7.9, 0),  # less than a fifth of what is wanted: wait for more
        (-5.0, 0),
    ],
)
def test_matches_are_played_in_pairs_as_far_as_the_time_goes(seconds, games):
    assert affordable_games(20, 4, 0.5, seconds) == games


@pytest.mark.parametrize(("wanted", "seconds", "games"), [(40, 47.9, 0), (40, 48.0, 12), (8, 32.0, 8), (8, 31.9, 0)])
def test_fewer_than_the_least_are_not_played_unless_fewer_are_wanted(wanted, seconds, games):
    assert affordable_games(wanted, 4, 1.0, seconds, 12) == games


def test_the_least_that_is_worth_it_is_one_match_in_each_colour():
    assert [affordable_games(2, 3, 1.0, seconds) for seconds in (5.9, 6.0)] == [0, 2]
