"""The running spread of returns against numpy over everything at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor

from rlbot.ppo.normalise import ReturnScale, discounted_sums, standardised


def test_sums_start_anew_after_an_ending():
    # agent 0 ends at step 1: 1, 2 + 0.5, 4, 8 + 2; agent 1 never: 1, 1.5, 1.75, 1.875
    rewards = tensor([[1.0, 1.0], [2.0, 1.0], [4.0, 1.0], [8.0, 1.0]])
    ended = tensor([[False, False], [True, False], [False, False], [False, False]])
    assert discounted_sums(rewards, ended, 0.5).T.tolist() == [[1.0, 2.5, 4.0, 10.0], [1.0, 1.5, 1.75, 1.875]]


def test_sums_with_gamma_zero_are_the_rewards():
    assert discounted_sums(tensor([[3.0], [5.0]]), tensor([[False], [False]]), 0.0).tolist() == [[3.0], [5.0]]


def test_scale_of_hand_made_sums():
    scale = ReturnScale()
    scale.update(tensor([[1.0], [3.0]]))
    scale.update(tensor([[5.0], [7.0]]))
    assert scale.std.item() == pytest.approx(5**0.5)  # mean 4, deviations -3, -1, 1, 3


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=8), min_size=1, max_size=6))
def test_pieces_give_the_same_spread_as_everything_at_once(pieces):
    scale = ReturnScale()
    for piece in pieces:
        scale.update(tensor(piece))
    everything = np.concatenate(pieces)
    assert scale.count.item() == len(everything)
    assert scale.mean.item() == pytest.approx(everything.mean(), rel=1e-9, abs=1e-9)
    assert scale.squares.item() == pytest.approx(everything.var() * len(everything), rel=1e-9, abs=1e-6)


def test_spread_survives_a_large_mean():
    scale, sums = ReturnScale(), 1e6 + np.random.default_rng(1).normal(size=1000)
    for piece in np.split(sums, 10):
        scale.update(torch.from_numpy(piece))
    assert scale.std.item() == pytest.approx(sums.std(), rel=1e-6)


def test_scale_is_one_until_something_varies():
    scale = ReturnScale()
    assert scale.std.item() == 1.0
    scale.update(torch.full((5,), 7.0))
    assert scale.std.item() == 1.0


def test_scale_travels_in_the_state_dict_in_double_precision():
    scale, other = ReturnScale(), ReturnScale()
    scale.update(tensor([1.0, 2.0, 4.0]))
    other.load_state_dict(scale.state_dict())
    assert other.std.item() == scale.std.item() != 1.0
    assert all(buffer.dtype == torch.float64 for buffer in other.buffers())


def test_values_that_are_all_the_same_are_brought_to_zero():
    assert standardised(torch.full((4,), 2.0)).tolist() == [0.0] * 4
