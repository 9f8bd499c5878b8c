"""A pool deals the arenas to its members, counts results, and its draws follow numbers worked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlbot.league.opponents import Idle, Random
from rlbot.league.pool import Pool, chances, thinned


class Marks:
    """Answers with its own number and keeps the first number of every row it saw."""

    def __init__(self, number):
        self.number, self.seen = number, []

    def __call__(self, observations, noise):
        assert observations.shape[:2] == noise.shape
        self.seen.append((observations[:, 0, 0].tolist(), noise[:, 0].tolist()))
        return np.full((*noise.shape, 8), self.number, np.float32)


def worlds(num_arenas, cars=2):
    observations = np.zeros((num_arenas, cars, 180), np.float32)
    observations[:, :, 0] = np.arange(num_arenas)[:, None]
    return observations, np.repeat(np.arange(num_arenas, dtype=np.float32)[:, None] / 10, cars, axis=1)


@pytest.mark.parametrize(
    ("deal", "dealt"),
    [
        ("a", {"a": [0, 1, 2, 3, 4]}),
        ("ab", {"a": [0, 2, 4], "b": [1, 3]}),
        ("abb", {"a": [0, 3], "b": [1, 2, 4]}),  # drawn twice: one batch all the same
    ],
)
def test_arenas_are_dealt_in_turn_and_members_see_only_their_own(deal, dealt):
    pool = Pool({name: Marks(k) for k, name in enumerate("abc")}, list(deal))
    observations, noise = worlds(5)
    controls = pool(observations, noise)
    assert (controls.shape, pool.members.keys()) == ((5, 2, 8), dealt.keys())
    for name, arenas in dealt.items():
        assert pool.members[name].seen == [(arenas, noise[arenas, 0].tolist())]
        assert_array_equal(controls[arenas], pool.members[name].number)


@pytest.mark.parametrize("num_arenas", [1, 2, 3, 4, 5])
def test_workers_deal_on_where_the_one_before_left_off(num_arenas):
    dealt = []
    for worker in range(4):
        pool = Pool({name: Marks(k) for k, name in enumerate("abcd")})
        pool.worker = worker
        dealt += pool(*worlds(num_arenas))[:, 0, 0].tolist()
    assert dealt == [0, 1, 2, 3] * num_arenas


def test_members_without_an_arena_are_not_asked():
    pool = Pool({str(k): Marks(k) for k in range(4)})
    assert pool(*worlds(2))[:, 0, 0].tolist() == [0, 1]
    assert [len(member.seen) for member in pool.members.values()] == [1, 1, 0, 0]


def test_real_opponents_share_a_pool():
    observations, noise = worlds(4)
    controls = Pool({"idle": Idle(), "random": Random()})(observations, noise)
    assert not controls[::2].any()
    assert_array_equal(controls[1::2], Random()(observations[1::2], noise[1::2]))


def test_a_pool_of_nobody_is_refused():
    with pytest.raises(ValueError, match="at least one member"):
        Pool({})


def test_goals_and_goalless_episodes_are_points_of_the_learner():
    pool = Pool({"a": Idle(), "b": Idle()})
    ended = np.array([True, True, True, False, False])  # arenas 0, 2, 4 are a's
    pool.add_episodes(ended, np.array([1, -1, 0, 1, 1], np.float32))
    assert pool.take_statistics() == {"pool/a": (1.5, 2), "pool/b": (0, 1)}
    assert pool.take_statistics() == {"pool/a": (0, 0), "pool/b": (0, 0)}


def test_chances_are_the_weights_of_the_win_rates():
    # (1 - 0.5)^2 = 0.25, (1 - 0.8)^2 = 0.04, (1 - 0.9)^2 = 0.01: sum 0.30
    assert_allclose(chances([0.5, 0.8, 0.9], 2, 0, 0), [25 / 30, 4 / 30, 1 / 30])
    # 0.7 of it by weight, 0.1 evenly, 0.2 for the newest, which is the last
    expected = [0.7 * 25 / 30 + 0.1 / 3, 0.7 * 4 / 30 + 0.1 / 3, 0.7 / 30 + 0.1 / 3 + 0.2]
    assert_allclose(chances([0.5, 0.8, 0.9], 2, 0.2, 0.1), expected)
    assert_allclose(chances([0.1, 0.9], 0, 0, 0), [0.5, 0.5])
    assert_allclose(chances([1, 1], 2, 0.2, 0), [0.4, 0.6])  # nobody is hard: all alike


def test_thinning_drops_where_two_neighbours_are_nearest():
    assert thinned([0, 10, 20, 25, 60], 4) == [20]  # 10 to 25 is the smallest gap that is left
    assert thinned([0, 10, 20, 30], 4) == []
    assert thinned([0, 10, 20, 30, 40], 2) == [10, 30, 20]


def test_thinning_as_a_run_goes_on_keeps_members_spread_over_it():
    kept = []
    for now in range(200):
        kept = [one for one in [*kept, now] if one not in thinned([*kept, now], 8)]
    assert (kept[0], kept[-1], len(kept)) == (0, 199, 8)
    assert max(np.diff(kept)) <= 4 * min(np.diff(kept)[:-1])


def test_a_pool_may_be_asked_about_another_number_of_arenas():
    pool = Pool({"a": Idle(), "b": Idle()})
    for number in (5, 2):
        assert pool(*worlds(number)).shape == (number, 2, 8)
