"""Losses and diagnostics against numbers worked out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor

from rlbot.ppo.losses import (
    approximate_kl,
    clip_fraction,
    clipped_policy_loss,
    clipped_value_loss,
    explained_variance,
    staleness_weights,
)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.1, 2.0, -2.2),  # inside the clip
        (1.5, 2.0, -2.4),  # -min(3, 1.2 * 2)
        (0.5, 2.0, -1.0),  # -min(1, 0.8 * 2)
        (1.5, -2.0, 3.0),  # -min(-3, -2.4)
        (0.5, -2.0, 1.6),  # -min(-1, -1.6)
    ],
)
def test_policy_loss_takes_the_worse_of_the_two_ratios(ratio, advantage, loss):
    assert clipped_policy_loss(tensor([ratio]).log(), tensor([advantage]), 0.2).item() == pytest.approx(loss)


def test_policy_loss_is_the_mean_over_the_samples():
    log_ratio = tensor([1.1, 1.5, 0.5, 1.5, 0.5]).log()
    advantages = tensor([2.0, 2.0, 2.0, -2.0, -2.0])
    assert clipped_policy_loss(log_ratio, advantages, 0.2).item() == pytest.approx((-2.2 - 2.4 - 1.0 + 3.0 + 1.6) / 5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "gradient"),
    [
        (1.5, 2.0, 0.0),  # better by enough
        (0.5, -2.0, 0.0),
        (1.1, 2.0, -2.2),  # inside: -ratio * A
        (0.5, 2.0, -1.0),  # the wrong way: pulled back however far it is
        (1.5, -2.0, 3.0),
    ],
)
def test_policy_gradient_is_zero_only_where_the_clip_binds(ratio, advantage, gradient):
    log_ratio = tensor([ratio]).log().requires_grad_()
    clipped_policy_loss(log_ratio, tensor([advantage]), 0.2).backward()
    assert log_ratio.grad.item() == pytest.approx(gradient)


def test_value_loss_without_a_clip_is_half_the_mean_squared_error():
    assert clipped_value_loss(tensor([1.0, 4.0]), tensor([0.0, 0.0]), tensor([3.0, 1.0]), None).item() == 3.25


def test_value_loss_takes_the_error_of_the_clipped_value_where_it_is_worse():
    # 3 is kept at 1.5, whose error 2.5^2 is worse than 1^2; 0 is kept at 0.5, whose error 3.5^2 is not worse than 4^2
    values, old, returns = tensor([3.0, 0.0]), tensor([1.0, 1.0]), tensor([4.0, 4.0])
    assert clipped_value_loss(values, old, returns, 0.5).item() == pytest.approx((6.25 + 16.0) / 4)


def test_value_gradient_is_zero_where_the_clip_binds():
    values = tensor([2.0, -1.0, 0.3], requires_grad=True)
    clipped_value_loss(values, torch.zeros(3), tensor([3.0, 3.0, 3.0]), 0.5).backward()
    assert values.grad.tolist() == pytest.approx([0.0, -4 / 3, -0.9])


def test_kl_of_hand_worked_ratios():
    # 2 - 1 - log 2 = 0.306853; 1 / 2 - 1 + log 2 = 0.193147; 0
    assert approximate_kl(tensor([2.0, 0.5, 1.0]).log()).item() == pytest.approx(0.5 / 3, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1))
def test_kl_is_never_negative(log_ratios):
    assert approximate_kl(tensor(log_ratios, dtype=torch.float64)).item() >= -1e-12


def test_clip_fraction_counts_both_sides():
    assert clip_fraction(tensor([1.0, 1.1, 1.3, 0.7, 0.9]).log(), 0.2).item() == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([1.0, 2.0, 3.0], 1.0),
        ([2.0, 3.0, 4.0], 1.0),  # a constant offset is forgiven
        ([5.0, 5.0, 5.0], 0.0),
        ([3.0, 2.0, 1.0], -3.0),  # errors -2, 0, 2: variance 4 times the returns'
    ],
)
def test_explained_variance_of_returns_1_2_3(values, share):
    assert explained_variance(tensor(values), tensor([1.0, 2.0, 3.0])).item() == pytest.approx(share)


def test_one_sample_or_equal_returns_explain_nothing():
    assert explained_variance(tensor([4.0]), tensor([5.0])).item() == 0.0
    assert explained_variance(tensor([4.0, 1.0]), tensor([5.0, 5.0])).item() == 0.0


def test_sample_of_an_older_policy_weighs_as_much_as_it_has_become_likelier_up_to_a_limit():
    log_ratio = tensor([1.0, 0.5, 1.5, 7.0]).log()
    assert staleness_weights(log_ratio).tolist() == pytest.approx([1.0, 0.5, 1.5, 2.0])
