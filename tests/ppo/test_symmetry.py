"""A symmetric policy does in the mirrored world the mirrored thing, wherever it acts."""

import numpy as np
import pytest
import torch

from rlbot.game.actions import TABLE
from rlbot.game.mirror import CONTROL_SIGNS, OWN_SIDE, ROW_ORDER, mirrored
from rlbot.game.observations import DefaultObservation
from rlbot.league.frozen import FrozenPolicy
from rlbot.ppo.acting import Acting
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import CategoricalHead, GaussianHead, TableHead
from rlbot.ppo.symmetry import Mirror

HEADS = [TableHead, GaussianHead]


@torch.no_grad()
def decided(head=TableHead, symmetry="canonical", close_up=False):
    torch.manual_seed(1)
    module = PPO(head=head(), hidden_sizes=(32, 32), symmetry=symmetry, close_up=close_up)
    module.policy.actor[-1].weight *= 100
    return module


def worlds(count=64):
    """Observations and what their mirror images are, by the NumPy form; the car is on either side."""
    here = np.random.default_rng(1).normal(size=(count, 180)).astype(np.float32)
    assert 20 < (here[:, OWN_SIDE] < 0).sum() < count - 20
    return here, mirrored(here)


def other_side(actions):
    return ROW_ORDER[actions] if actions.ndim == 1 else actions * CONTROL_SIGNS


def evaluated(policy, world, actions):
    """What a rollout's samples are learned from: looked at once, with the actions mirrored as the world is."""
    dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
    seen, sides = policy.view(torch.from_numpy(world).to(dtype))
    return policy.evaluate(seen, policy.head.mirrored(actions, sides))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_mirror_exchanges_only_the_chosen_samples_and_rounds_nothing(dtype):
    here, there = (torch.from_numpy(world).to(dtype) for world in worlds())
    sides = torch.arange(64) % 2
    assert torch.equal(Mirror()(here, sides), torch.where(sides[:, None] == 1, there, here))


@torch.no_grad()
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("close_up", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_mirrored_world_has_the_same_value_and_log_probabilities(head, close_up, bfloat16):
    policy, (here, there) = decided(head, close_up=close_up).policy, worlds()
    actions, log_probs = Acting(policy, bfloat16)(here, torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        first = evaluated(policy, here, actions)
        second = evaluated(policy, there, torch.as_tensor(other_side(actions.numpy())))
    torch.testing.assert_close(log_probs, first.log_probs)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("head", HEADS)
def test_opponent_from_a_file_steers_the_other_way_in_the_mirrored_world(tmp_path, head):
    module, (here, there) = decided(head), worlds()
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, tmp_path / "symmetric.ckpt")
    opponent = FrozenPolicy.load(tmp_path / "symmetric.ckpt", deterministic=True)
    noise = np.zeros((64, 1), np.float32)
    controls = opponent(here[:, None], noise)
    np.testing.assert_allclose(opponent(there[:, None], noise), controls * CONTROL_SIGNS, atol=1e-6)
    assert np.abs(controls[..., 1]).max() > 0.5


def test_middle_of_the_field_is_seen_as_it_is():
    policy, (here, _) = decided().policy, worlds(64)
    here[:, OWN_SIDE] = 0
    numbers, sides = policy.outputs(torch.from_numpy(here))
    assert sides.sum() == 0
    assert torch.equal(numbers, policy.actor(torch.from_numpy(here)))


def test_file_without_the_word_holds_a_policy_that_is_not_symmetric(tmp_path):
    module, (here, _) = decided(symmetry=None), worlds()
    del module.architecture["symmetry"]
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, tmp_path / "old.ckpt")
    controls = FrozenPolicy.load(tmp_path / "old.ckpt", deterministic=True)(here[:, None], np.zeros((64, 1)))
    assert np.array_equal(controls[:, 0], TABLE[module.policy.actor(torch.from_numpy(here)).argmax(-1)])


def test_symmetry_is_refused_where_nothing_is_known_of_left_and_right():
    for settings in ({"head": CategoricalHead(4)}, {"head": GaussianHead(1)}, {"observation_size": 90}):
        with pytest.raises(ValueError, match="symmetry=canonical"):
            PPO(**settings, symmetry="canonical")

    class Own(DefaultObservation):
        """Whatever it does, it is not what the mirror knows."""

    with pytest.raises(ValueError, match=r"model\.symmetry=canonical"):
        RolloutDataModule(num_envs=1, batch_size=4, minibatch_size=4, observation=Own()).check(decided())
