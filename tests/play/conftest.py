"""A checkpoint for the tests of what follows training."""

import pytest
import torch

from rlbot.ppo.module import PPO


@pytest.fixture(scope="session")
def some_checkpoint(tmp_path_factory):
    """Of an untrained policy that has clear preferences."""
    torch.manual_seed(1)
    module = PPO(hidden_sizes=(32, 32), symmetry="canonical", close_up=True)
    with torch.no_grad():
        module.policy.actor[-1].weight *= 300
    file = tmp_path_factory.mktemp("policies") / "policy.ckpt"
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, file)
    return file
