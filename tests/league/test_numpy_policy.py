"""The policy in NumPy decides as the checkpoint does, whatever the network, and refuses what it cannot play."""

import numpy as np
import pytest
import torch

from rlbot.errors import InputError
from rlbot.league.frozen import FrozenPolicy
from rlbot.league.numpy_policy import FILE, NumpyPolicy
from rlbot.league.opponents import find
from rlbot.play.export import numpy_policy
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import GaussianHead, TableHead

NETWORKS = {
    "default": {},
    "one side": {"symmetry": None},
    "not close up": {"close_up": False},
    "no LayerNorm": {"layer_norm": False, "hidden_sizes": (16, 16, 16)},
    "masked": {"head": TableHead(mask=True, mask_on_ground=True)},
    "continuous": {"head": GaussianHead(scale=0.7)},
    "as it comes": {"symmetry": None, "close_up": False},
}


@pytest.fixture
def save(tmp_path):
    """A checkpoint of an untrained policy with clear preferences."""

    def save_as_checkpoint(**settings):
        torch.manual_seed(1)
        module = PPO(**{"hidden_sizes": (16, 16), "symmetry": "canonical", "close_up": True} | settings)
        with torch.no_grad():
            module.policy.actor[-1].weight *= 100
            for name, parameter in module.policy.actor.named_parameters():
                if "bias" in name or parameter.ndim == 1:
                    parameter += 0.1 * torch.randn_like(parameter)  # nothing is 0 or 1 by chance
        torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, tmp_path / "policy.ckpt")
        return tmp_path / "policy.ckpt"

    return save_as_checkpoint


def seen_and_noise():
    rng = np.random.default_rng(1)
    observations = rng.normal(size=(400, 2, 180)).astype(np.float32)
    observations[..., 72:75] = rng.integers(0, 2, (400, 2, 3))  # boost, on ground, has flip
    return observations, rng.random((400, 2), np.float32)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS)
def test_it_decides_as_the_checkpoint_does(save, settings, deterministic):
    file, (observations, noise) = save(**settings), seen_and_noise()
    wanted = FrozenPolicy.load(file, deterministic=deterministic)(observations, noise)
    found = numpy_policy(file, deterministic)(observations, noise)
    assert (found.shape, found.dtype) == ((400, 2, 8), np.float32)
    assert np.isclose(found, wanted, atol=1e-4).all(-1).mean() > 0.998  # noise may lie where one row ends
    assert len(np.unique(found.round(3).reshape(-1, 8), axis=0)) > 10


def packed(policy, folder):
    np.savez(folder / FILE, **policy.packed())
    return folder


def test_file_is_read_as_it_was_written_and_is_an_opponent_by_its_folder(save, tmp_path):
    policy, (observations, noise) = numpy_policy(save(), False), seen_and_noise()
    packed(policy, tmp_path)
    assert np.array_equal(NumpyPolicy.load(tmp_path)(observations, noise), policy(observations, noise))
    best = find(str(tmp_path), deterministic=True)
    assert best.tick_skip == 8
    assert np.array_equal(best(observations, noise), numpy_policy(save(), True)(observations, noise))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation": 181}, "observation is 181, and here 180: export the bot again"),
        ({"format": 2}, "format is 2, and here 1: export the bot again"),
        ({"tick_skip": 0}, "tick_skip is 0, and must be 1 to 120"),
        ({"tick_skip": 121}, "tick_skip is 121"),
        ({"tick_skip": 7.5}, "tick_skip is 7.5"),
    ],
)
def test_policy_made_for_something_else_is_refused(save, tmp_path, change, message):
    policy = numpy_policy(save(), False)
    policy.facts = {**policy.facts, **change}
    with pytest.raises(InputError, match=message):
        NumpyPolicy.load(packed(policy, tmp_path))


def test_policy_of_another_table_is_refused(save, tmp_path):
    policy = numpy_policy(save(), False)
    policy.arrays = {**policy.arrays, "table": policy.arrays["table"][::-1]}
    with pytest.raises(InputError, match="the table of controls is another than here"):
        find(str(packed(policy, tmp_path)))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_damaged_file_is_refused_by_name(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"policy.npz: cannot be read as an exported policy"):
        NumpyPolicy.load(tmp_path)


def test_code_in_the_file_is_not_run(save, tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "sung"), "w")

    policy = numpy_policy(save(), False)
    policy.arrays = {**policy.arrays, "bias_0": np.array([Bomb()], dtype=object)}
    packed(policy, tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        NumpyPolicy.load(tmp_path)
    assert not (tmp_path / "sung").exists()
