"""Sampling, heads and networks of the policy."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import nn, tensor
from torch.distributions import Categorical, Normal

from rlbot.game.actions import TABLE
from rlbot.ppo.policy import ActorCritic, CategoricalHead, GaussianHead, TableHead, choose, network


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def test_choice_is_where_the_cumulated_probability_passes_the_number():
    probabilities = tensor([0.25, 0.5, 0.0, 0.25]).expand(6, 4)
    uniform = tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999])
    assert choose(probabilities, uniform).tolist() == [0, 0, 1, 1, 3, 3]


def test_choice_never_takes_what_has_no_probability():
    probabilities = tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    for number in (0.0, 0.5, 1 - 2**-24):
        assert choose(probabilities, torch.full((3,), number)).tolist() == [1, 2, 0]


def test_choice_needs_weights_in_proportion_only():
    weights = tensor([1.0, 1.0, 2.0]).expand(4, 3)
    assert choose(weights, tensor([0.2, 0.3, 0.6, 1 - 2**-24])).tolist() == [0, 1, 2, 2]


def test_drawn_actions_are_as_frequent_as_they_are_probable():
    outputs = tensor([0.1, 0.2, 0.3, 0.4]).log().expand(40_000, 4)
    actions, _ = CategoricalHead(4).sample(outputs, seeded())
    share = torch.bincount(actions, minlength=4) / 40_000
    assert share.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)  # four standard errors


def test_categorical_head_agrees_with_torch_distributions():
    outputs = 3 * torch.randn(50, 90, generator=seeded())
    actions, log_probs = CategoricalHead(90).sample(outputs, seeded())
    again, entropy = CategoricalHead(90).log_prob_and_entropy(outputs, actions)
    expected = Categorical(logits=outputs)
    torch.testing.assert_close(log_probs, expected.log_prob(actions))
    torch.testing.assert_close(again, expected.log_prob(actions))
    torch.testing.assert_close(entropy, expected.entropy())


def test_gaussian_head_agrees_with_torch_distributions():
    head, outputs = GaussianHead(3), torch.randn(50, 3, generator=seeded())
    with torch.no_grad():
        head.log_std.copy_(tensor([-1.0, 0.0, 0.5]))
    actions, log_probs = head.sample(outputs, seeded())
    again, entropy = head.log_prob_and_entropy(outputs, actions)
    expected = Normal(outputs, tensor([-1.0, 0.0, 0.5]).exp())
    torch.testing.assert_close(log_probs, expected.log_prob(actions).sum(-1))
    torch.testing.assert_close(again, log_probs)
    torch.testing.assert_close(entropy, expected.entropy().sum(-1))


def test_gaussian_actions_have_the_mean_and_spread_of_the_head():
    outputs = tensor([1.0, -2.0]).expand(20_000, 2)
    actions, _ = GaussianHead(2, initial_std=0.6).sample(outputs, seeded())
    assert actions.mean(0).tolist() == pytest.approx([1.0, -2.0], abs=0.02)
    assert actions.std(0).tolist() == pytest.approx([0.6, 0.6], abs=0.02)


def test_gaussian_head_scales_what_the_environment_gets():
    assert GaussianHead(2, scale=2.0).to_env(tensor([[0.5, -0.25]])).tolist() == [[1.0, -0.5]]


def test_best_actions_are_the_most_likely_ones():
    outputs = tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    assert CategoricalHead(3).best(outputs).tolist() == [1, 0]
    assert GaussianHead(3).best(outputs).tolist() == outputs.tolist()


def test_table_head_gives_the_rows_of_the_table():
    controls = TableHead().to_env(tensor([0, 89, 23]))
    assert np.array_equal(controls, TABLE[[0, 89, 23]])
    assert controls.shape == (3, 8)
    assert TableHead().num_outputs == 90


@pytest.mark.parametrize(
    ("head", "space", "fits"),
    [
        (TableHead(), Box(-1, 1, (8,)), True),
        (TableHead(), Box(-1, 1, (7,)), False),
        (TableHead(), Discrete(90), False),
        (GaussianHead(2), Box(-2, 2, (2,)), True),
        (GaussianHead(2), Box(-2, 2, (2, 1)), False),
        (GaussianHead(2), Discrete(2), False),
        (CategoricalHead(3), Discrete(3), True),
        (CategoricalHead(3), Discrete(4), False),
        (CategoricalHead(3), Discrete(3, start=1), False),  # it would be sent 0, 1, 2 where 1, 2, 3 are meant
        (CategoricalHead(3), Box(-1, 1, (3,)), False),
    ],
)
def test_head_fits_only_the_space_it_can_serve(head, space, fits):
    assert head.fits(space) is fits


@pytest.mark.parametrize("head", [TableHead(), GaussianHead(8)])
def test_everything_but_the_network_is_float32_under_autocast(head):
    policy, observations = ActorCritic(5, head, (8,)), torch.randn(4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert policy.actor(observations).dtype == torch.bfloat16
        actions, log_probs = head.sample(policy.actor(observations), seeded())
        found = (log_probs, *policy.evaluate(observations, actions))
    assert [tensor.dtype for tensor in found] == [torch.float32] * 4
    assert [tensor.shape for tensor in found] == [(4,)] * 4


@pytest.mark.parametrize(("layer_norm", "count"), [(True, 2), (False, 0)])
def test_layer_norm_follows_each_hidden_layer_or_none(layer_norm, count):
    layers = list(network(5, (8, 6), 3, layer_norm, gain=1.0))
    assert sum(isinstance(layer, nn.LayerNorm) for layer in layers) == count
    assert [tuple(layer.weight.shape) for layer in layers if isinstance(layer, nn.Linear)] == [(8, 5), (6, 8), (3, 6)]
    assert isinstance(layers[-1], nn.Linear)


def test_entropy_counts_as_a_share_of_the_largest_one_where_there_is_one():
    assert [CategoricalHead(2).entropy_unit, TableHead().entropy_unit] == pytest.approx([0.6931, 4.4998], abs=1e-4)
    assert CategoricalHead(1).entropy_unit == GaussianHead(8).entropy_unit == 1


def test_new_policy_is_almost_indifferent_between_actions():
    policy = ActorCritic(180, TableHead())
    entropy = policy.evaluate(torch.randn(20, 180), torch.zeros(20, dtype=torch.int64)).entropy
    assert entropy.min().item() > 0.99 * np.log(90)
