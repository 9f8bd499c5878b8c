"""A pool deals the arenas to its members, and each sees its own rows only."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from rlbot.league.opponents import Idle, Random
from rlbot.league.pool import Pool


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
    ("members", "dealt"), [(1, [[0, 1, 2, 3, 4]]), (2, [[0, 2, 4], [1, 3]]), (3, [[0, 3], [1, 4], [2]])]
)
def test_arenas_are_dealt_in_turn_and_members_see_only_their_own(members, dealt):
    pool = Pool([Marks(k) for k in range(members)])
    observations, noise = worlds(5)
    controls = pool(observations, noise)
    assert controls.shape == (5, 2, 8)
    for k, arenas in enumerate(dealt):
        assert pool.members[k].seen == [(arenas, noise[arenas, 0].tolist())]
        assert_array_equal(controls[arenas], k)


def test_members_without_an_arena_are_not_asked():
    pool = Pool([Marks(k) for k in range(4)])
    assert pool(*worlds(2))[:, 0, 0].tolist() == [0, 1]
    assert [len(member.seen) for member in pool.members] == [1, 1, 0, 0]


def test_real_opponents_share_a_pool():
    observations, noise = worlds(4)
    controls = Pool([Idle(), Random()])(observations, noise)
    assert not controls[::2].any()
    assert_array_equal(controls[1::2], Random()(observations[1::2], noise[1::2]))


def test_a_pool_of_nobody_is_refused():
    with pytest.raises(ValueError, match="at least one member"):
        Pool([])
