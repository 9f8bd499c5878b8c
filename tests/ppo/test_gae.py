"""Advantages against numbers worked out by hand and against a slow reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from rlbot.ppo.gae import generalised_advantages


def advantages(rewards, values, next_values, terminated=(), truncated=(), gamma=0.5, lam=0.5):
    """Of one agent; ``terminated`` and ``truncated`` name the steps."""
    steps = range(len(rewards))
    flags = [torch.tensor([[t in which] for t in steps]) for which in (terminated, truncated)]
    columns = [torch.tensor(column)[:, None] for column in (rewards, values, next_values)]
    return generalised_advantages(*columns, *flags, gamma, lam)[:, 0].tolist()


def test_unfinished_tail_bootstraps_from_where_the_rollout_stopped():
    # delta_1 = 2 + 0.5 * 8 - 4 = 2; delta_0 = 1 + 0.5 * 4 - 2 = 1; A_0 = 1 + 0.25 * 2
    assert advantages([1.0, 2.0], [2.0, 4.0], [4.0, 8.0]) == [1.5, 2.0]


def test_terminated_step_has_no_future():
    # delta_0 = 1 - 2 = -1, and the next episode's advantage (2 + 0.5 * 8 - 4 = 2) stays out of it
    assert advantages([1.0, 2.0], [2.0, 4.0], [4.0, 8.0], terminated=[0]) == [-1.0, 2.0]


def test_truncated_step_bootstraps_from_the_final_value():
    # delta_0 = 1 + 0.5 * 6 - 2 = 2 with the final observation's value 6, not the next episode's 4
    assert advantages([1.0, 2.0], [2.0, 4.0], [6.0, 8.0], truncated=[0]) == [2.0, 2.0]


def test_step_that_is_both_terminated_and_truncated_counts_as_terminated():
    assert advantages([1.0, 2.0], [2.0, 4.0], [6.0, 8.0], terminated=[0], truncated=[0]) == [-1.0, 2.0]


def test_trace_runs_back_to_the_start_of_the_episode_and_no_further():
    # deltas 1, 1, 1, 1; the episode ends at step 1: 1 + 0.25, 1, then 1 + 0.25, 1
    assert advantages([1.0] * 4, [0.0] * 4, [0.0] * 4, truncated=[1]) == [1.25, 1.0, 1.25, 1.0]


def test_lambda_zero_is_the_one_step_error():
    assert advantages([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [4.0, 6.0, 8.0], lam=0.0) == [1.0, 1.0, 1.0]


def test_lambda_one_is_the_discounted_return_less_the_value():
    # 1 + 2 / 2 + 3 / 4 + 8 / 8 = 3.75; 2 + 3 / 2 + 8 / 4 = 5.5; 3 + 8 / 2 = 7
    assert advantages([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [4.0, 6.0, 8.0], lam=1.0) == [1.75, 1.5, 1.0]


def test_gamma_zero_sees_the_reward_only():
    assert advantages([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [4.0, 6.0, 8.0], gamma=0.0) == [-1.0, -2.0, -3.0]


def test_gamma_and_lambda_one_sum_the_rewards():
    assert advantages([1.0, 2.0, 3.0], [0.0] * 3, [0.0, 0.0, 4.0], gamma=1.0, lam=1.0) == [10.0, 9.0, 7.0]


def reference(rewards, values, next_values, terminated, truncated, gamma, lam):
    """One agent, by the definition: a sum over the steps that are left of the episode."""
    result = []
    for t in range(len(rewards)):
        total, weight = 0.0, 1.0
        for k in range(t, len(rewards)):
            future = 0.0 if terminated[k] else gamma * next_values[k]
            total += weight * (rewards[k] + future - values[k])
            weight *= gamma * lam
            if terminated[k] or truncated[k]:
                break
        result.append(total)
    return result


@settings(deadline=None, max_examples=200)
@given(st.tuples(st.integers(1, 12), st.integers(1, 4)), st.floats(0, 1), st.floats(0, 1), st.data())
def test_equals_the_slow_reference_for_any_endings(shape, gamma, lam, data):
    floats = [data.draw(nps.arrays(np.float64, shape, elements=st.floats(-10, 10))) for _ in range(3)]
    ends = [data.draw(nps.arrays(bool, shape)) for _ in range(2)]
    got = generalised_advantages(*map(torch.from_numpy, (*floats, *ends)), gamma, lam)
    for n in range(shape[1]):
        want = reference(*(column[:, n].tolist() for column in (*floats, *ends)), gamma, lam)
        assert got[:, n].tolist() == pytest.approx(want, rel=1e-9, abs=1e-9)
