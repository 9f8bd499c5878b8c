"""One thread for torch and NumPy, and all of them back afterwards."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from rlbot.threads import one_thread, use_one_thread


def threads():
    return torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


def test_threads_come_back_whatever_happens(two):
    assert threads() == (2, {2})
    seen = []

    def breaks():
        with one_thread():
            seen.append(threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks()
    assert (seen, threads()) == ([(1, {1})], (2, {2}))


def test_process_may_keep_to_one(two):
    use_one_thread()
    assert threads() == (1, {1})
