"""The actor alone gives the numbers of the policy it is a copy of, in the precision that learning uses."""

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from rlbot.ppo.acting import Acting, weights_of
from rlbot.ppo.policy import ActorCritic, GaussianHead, TableHead

HEADS = [TableHead, GaussianHead]


@torch.no_grad()
def decided(head=TableHead, seed=1, layer_norm=True):
    """A policy with clear preferences, no weight of which is a round number."""
    torch.manual_seed(seed)
    policy = ActorCritic(5, head(), (32, 32), layer_norm)
    policy.actor[-1].weight *= 100
    for parameter in policy.parameters():
        parameter += 0.1 * torch.rand_like(parameter)
    return policy


def rows(count=50):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(3))


def act(acting, seed=1):
    return acting(rows().numpy(), torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_float32_outputs_are_those_of_the_policy():
    policy = decided()
    outputs = Acting(policy).outputs(rows().numpy()).numbers
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, policy.actor(rows()))


@torch.no_grad()
@pytest.mark.parametrize("layer_norm", [True, False])
def test_bfloat16_outputs_are_those_of_autocast_bit_by_bit(layer_norm):
    policy = decided(layer_norm=layer_norm)
    with torch.autocast("cpu", torch.bfloat16):
        expected = policy.actor(rows())
    outputs = Acting(policy, bfloat16=True).outputs(rows().numpy()).numbers
    assert (outputs.dtype, expected.dtype) == (torch.bfloat16, torch.bfloat16)
    assert torch.equal(outputs, expected)
    assert not torch.equal(outputs.float(), policy.actor(rows()))


@torch.no_grad()
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_learning_gives_the_log_probability_of_acting(head, bfloat16):
    policy = decided(head)
    actions, log_probs = act(Acting(policy, bfloat16))
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        expected = policy.evaluate(rows(), actions).log_probs
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs, expected)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_loaded_weights_replace_all_that_acting_has(head, bfloat16):
    old, new = decided(head), decided(head, seed=2)
    if head is GaussianHead:
        torch.nn.init.constant_(new.head.log_std, -2.0)
    acting, expected = Acting(old, bfloat16), Acting(new, bfloat16)
    assert not torch.equal(act(acting)[0], act(expected)[0])
    acting.load(weights_of(new))
    for found, wanted in zip(act(acting), act(expected), strict=True):
        assert torch.equal(found, wanted)


def test_weights_are_one_vector_of_actor_and_head_without_the_critic():
    policy = decided(GaussianHead)
    weights = weights_of(policy)
    assert torch.equal(weights, torch.cat([parameters_to_vector(policy.actor.parameters()), policy.head.log_std]))
    assert len(weights) == Acting(policy).num_weights == (5 + 1 + 2) * 32 + (32 + 1 + 2) * 32 + 33 * 8 + 8


def test_copy_does_not_follow_the_policy_that_goes_on_learning():
    policy = decided()
    acting = Acting(policy)
    before = acting.outputs(rows().numpy()).numbers
    torch.nn.init.zeros_(policy.actor[0].weight)
    assert torch.equal(acting.outputs(rows().numpy()).numbers, before)


def test_same_generator_state_draws_the_same_actions():
    draws = [act(Acting(decided()), seed)[0].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
