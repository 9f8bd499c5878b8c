"""Whole matches: who drives which cars, goals and kickoffs, overtime, and the same seed gives the same match."""

import dataclasses

import numpy as np
import pytest

from rlbot.game.match import MODES
from rlbot.game.observations import CONTROLS, OTHERS, OWN
from rlbot.league.opponents import Chaser, Idle
from rlbot.play.matches import play_matches
from rlbot.sim.arenas import ArenaBatch


class Watching:
    """Drives as another opponent does and keeps what its cars saw in each step."""

    def __init__(self, driver):
        self.driver, self.seen = driver, []

    def __call__(self, observations, noise):
        self.seen.append(observations)
        return self.driver(observations, noise)


class Steering:
    """Only steers, always the same way."""

    def __init__(self, steer):
        self.steer = steer

    def __call__(self, observations, noise):
        return np.tile(np.eye(8, dtype=np.float32)[1] * self.steer, (*noise.shape, 1))


@pytest.mark.parametrize("mode", MODES)
def test_each_drives_its_own_cars_in_both_colours(mode):
    a, b = Watching(Steering(1)), Watching(Steering(-0.5))
    results = play_matches(a, b, mode, 1, [0, 1, 2], regular_seconds=1, overtime_seconds=1)
    assert [result.a_is_blue for result in results] == [True, False, True]
    for watching, cars, steer in ((a, MODES[mode][0], 1), (b, MODES[mode][1], -0.5)):
        assert watching.seen[0].shape == (3, cars, 180)
        assert (watching.seen[5][..., CONTROLS][..., 1] == steer).all()
        assert (watching.seen[0][..., OWN][..., 1] < 0).all()  # everyone begins in its own half of its team view


def is_kickoff(seen):
    """Whether the ball and the car of (steps, 180) stand as at a kickoff."""
    at_rest = np.abs(seen[:, [0, 1, 3, 4, 5]]).max(axis=1) < 1e-6
    return at_rest & (np.abs(seen[:, OWN][:, 3:6]).max(axis=1) < 1e-6)


@pytest.mark.parametrize("index", [0, 1])
def test_score_and_kickoffs_are_what_the_players_saw(index):
    a = Watching(Chaser())
    (result,) = play_matches(a, Idle(), "1v1", 5, [index], regular_seconds=90, overtime_seconds=0)
    seen = np.array(a.seen)[:, 0, 0]
    before = seen[np.flatnonzero(is_kickoff(seen))[1:] - 1]
    assert result.goals_for == (before[:, 1] > 0.8).sum() > 0  # A attacks +y in its view, whichever colour it has
    assert result.goals_against == (before[:, 1] < -0.8).sum()
    assert len(seen) == 90 * 15
    assert 0 < result.touches < 200
    assert (result.seconds, result.overtime) == (90, False)


def test_tie_goes_on_from_a_kickoff_until_the_first_goal():
    a = Watching(Chaser())
    results = play_matches(a, Idle(), "1v1", 1, range(4), regular_seconds=1, overtime_seconds=300)
    assert all(result.overtime and abs(result.goals_for - result.goals_against) == 1 for result in results)
    assert len({result.seconds for result in results}) > 1
    assert len(a.seen) == round(max(result.seconds for result in results) * 15)
    assert [len(seen) for seen in a.seen][-1] < 4  # matches that are over are not played on
    assert is_kickoff(a.seen[15][:, 0]).all()


def test_nobody_scores_in_overtime_and_it_is_a_draw():
    (result,) = play_matches(Idle(), Idle(), "1v1", 1, [7], regular_seconds=2, overtime_seconds=3)
    assert result == (0, 0, 0, 5.0, True, False)


def test_same_seed_and_index_give_the_same_match_whatever_is_played_beside_it():
    def play(seed, indices):  # chasers bump into each other, which shows the order of the cars in the physics
        return play_matches(Chaser(), Chaser(), "2v2", seed, indices, regular_seconds=40, overtime_seconds=20)

    first = play(1, [0, 1, 2, 3])
    assert play(1, [3, 1]) == [first[3], first[1]]
    assert play(2, [0, 1, 2, 3]) != first


def test_opponent_with_wrong_controls_and_unknown_mode_are_refused():
    with pytest.raises(ValueError, match=r"controls of shape \(1, 8\), not \(1, 1, 8\)"):
        play_matches(lambda seen, noise: np.zeros((1, 8)), Idle(), "1v1", 1, [0])
    with pytest.raises(ValueError, match="mode='4v4' is none of 1v1, 1v2, 2v2, 3v3"):
        play_matches(Idle(), Idle(), "4v4", 1, [0])


def test_each_car_sees_every_other_once():
    a = Watching(Idle())
    play_matches(a, Idle(), "3v3", 1, [0], regular_seconds=1, overtime_seconds=0)
    assert len(np.unique(a.seen[0][0, 0, OTHERS].reshape(5, -1)[:, :3], axis=0)) == 5


def test_after_a_breakdown_of_the_physics_there_is_a_kickoff(monkeypatch):
    a, step = Watching(Chaser()), ArenaBatch.step

    def breaks_down(self, *arguments):
        state = step(self, *arguments)
        return dataclasses.replace(state, faulty=np.full(1, len(a.seen) == 10))

    monkeypatch.setattr(ArenaBatch, "step", breaks_down)
    play_matches(a, Idle(), "1v1", 1, [0], regular_seconds=1, overtime_seconds=0)
    assert [k for k, seen in enumerate(a.seen) if not seen[0, 0, OWN][3:6].any()] == [0, 10]
