"""A saved policy drives cars as the live one would; files that are not one are refused and run nothing."""

import os
import pickle

import numpy as np
import pytest
import torch
from lightning import Trainer

from rlbot.errors import InputError
from rlbot.game.actions import TABLE
from rlbot.league.frozen import FrozenPolicy
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import CategoricalHead, GaussianHead, choose


def decided(head=None):
    """A PPO module whose untrained policy has clear preferences."""
    torch.manual_seed(1)
    module = PPO(hidden_sizes=(16, 16), head=head)
    with torch.no_grad():
        module.policy.actor[-1].weight *= 100
    return module


@pytest.fixture
def save(tmp_path):
    def save_as_checkpoint(module, **changes):
        content = {"architecture": module.architecture, "state_dict": module.state_dict()}
        torch.save(content | changes, tmp_path / "policy.ckpt")
        return tmp_path / "policy.ckpt"

    return save_as_checkpoint


def seen_and_noise(arenas=50, cars=2):
    rng = np.random.default_rng(1)
    return rng.normal(size=(arenas, cars, 180)).astype(np.float32), rng.random((arenas, cars), np.float32)


@torch.no_grad()
def live_rows(module, observations, noise):
    outputs = module.policy.actor(torch.from_numpy(observations).flatten(0, 1))
    probabilities = torch.distributions.Categorical(logits=outputs).probs
    return TABLE[choose(probabilities, torch.from_numpy(noise).flatten())].reshape(*noise.shape, 8)


def test_saved_policy_picks_the_rows_that_the_live_one_picks(save):
    module, (observations, noise) = decided(), seen_and_noise()
    controls = FrozenPolicy.load(save(module))(observations, noise)
    assert controls.shape == (50, 2, 8)
    assert controls.dtype == np.float32
    assert np.array_equal(controls, live_rows(module, observations, noise))
    assert len(np.unique(controls.reshape(-1, 8), axis=0)) > 20


def test_policy_of_a_run_knows_how_often_it_decides(fit, tmp_path):
    run = fit(tmp_path, "--data.tick_skip=4", "--timesteps=64")
    assert FrozenPolicy.load(run.logdir / "checkpoints" / "last.ckpt").tick_skip == 4


def test_saved_policy_knows_how_often_it_decides(save):
    module = PPO(hidden_sizes=(16, 16), step_seconds=4 / 120)
    assert FrozenPolicy.load(save(module)).tick_skip == 4
    del module.architecture["step_seconds"]  # as older files are
    assert FrozenPolicy.load(save(module)).tick_skip == 8


@pytest.mark.parametrize("seconds", ["often", -1.0, float("nan"), float("inf")])
def test_file_that_decides_never_is_refused(save, seconds):
    module = decided()
    with pytest.raises(InputError, match=r"policy\.ckpt holds no policy that can play"):
        FrozenPolicy.load(save(module, architecture=module.architecture | {"step_seconds": seconds}))


def test_rows_are_as_frequent_as_they_are_probable(save):
    module, (observations, _) = decided(), seen_and_noise(1, 1)
    noise = np.random.default_rng(2).random((20_000, 1), np.float32)
    controls = FrozenPolicy.load(save(module))(np.repeat(observations, 20_000, axis=0), noise)
    share = (controls[:, 0, None] == TABLE).all(-1).mean(axis=0)
    with torch.no_grad():
        expected = module.policy.actor(torch.from_numpy(observations[0])).softmax(-1)[0]
    assert share.tolist() == pytest.approx(expected.tolist(), abs=0.015)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_saved_continuous_policy_drives_by_its_mean_as_the_live_one(save, scale):
    module, (observations, noise) = decided(GaussianHead(8, scale=scale)), seen_and_noise()
    controls = FrozenPolicy.load(save(module))(observations, noise)
    with torch.no_grad():
        expected = module.policy.head.to_env(module.policy.actor(torch.from_numpy(observations)))
    np.testing.assert_allclose(controls, expected, rtol=1e-5, atol=1e-6)


def test_checkpoint_of_a_fit_can_be_played_against(tmp_path):
    module = PPO(hidden_sizes=(8,))
    data = RolloutDataModule(num_envs=1, batch_size=4, minibatch_size=4, epochs=1, total_timesteps=4)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", devices=1, max_epochs=1, enable_model_summary=False, **quiet)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    observations, noise = seen_and_noise()
    frozen = FrozenPolicy.load(tmp_path / "last.ckpt")
    assert np.array_equal(frozen(observations, noise), live_rows(module, observations, noise))


def test_frozen_policy_is_named_after_its_file_and_goes_its_own_way(save):
    path, module = save(decided()), decided()
    assert FrozenPolicy.load(path).name == str(path)
    frozen, noise = FrozenPolicy(module.policy, "me"), np.full((1, 8), 0.5, np.float32)
    observations = np.random.default_rng(1).normal(size=(1, 8, 180)).astype(np.float32)
    before = frozen(observations, noise)
    with torch.no_grad():
        module.policy.actor[-1].weight.neg_()
    assert np.array_equal(frozen(observations, noise), before)


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickle_bomb_is_refused_and_runs_nothing(save, tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "bomb.ckpt"
    for content in (pickle.dumps(Canary(canary)), pickle.dumps({"state_dict": Canary(canary)})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bomb\.ckpt"):
            FrozenPolicy.load(path)
    for changes in ({"architecture": Canary(canary)}, {"hyper_parameters": Canary(canary)}):
        with pytest.raises(ValueError, match=r"policy\.ckpt"):
            FrozenPolicy.load(save(decided(), **changes))
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))  # the trap does work
    assert canary.is_dir()


@pytest.mark.parametrize("kept", [0, 1, 10, 1000, 5000, -1000, -100, -1])
def test_truncated_or_empty_file_is_refused(save, kept):
    path = save(decided())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"policy\.ckpt"):
        FrozenPolicy.load(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_file_with_a_flipped_byte_is_refused(save, share):
    path = save(decided())
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0xFF  # in the middle of the weights
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"policy\.ckpt"):
        FrozenPolicy.load(path)


@pytest.mark.parametrize("content", [b"hello\n" * 100, b"\x89PNG\r\n\x1a\n" + bytes(500), b"\x80\x02", bytes(4096)])
def test_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign\.ckpt"):
        FrozenPolicy.load(path)


@pytest.mark.parametrize("content", [{}, [1, 2], torch.zeros(3), 7, {"architecture": 1, "state_dict": {}}])
def test_torch_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt"):
        FrozenPolicy.load(tmp_path / "other.ckpt")


def test_missing_file_and_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.ckpt", tmp_path):
        with pytest.raises(ValueError, match=path.name):
            FrozenPolicy.load(path)


@pytest.mark.parametrize(
    "changes", [{"hidden_sizes": [16]}, {"hidden_sizes": [16, 8]}, {"layer_norm": False}, {"observation_size": 90}]
)
def test_weights_that_do_not_fit_the_architecture_are_refused(save, changes):
    module = decided()
    with pytest.raises(ValueError, match=r"policy\.ckpt"):
        FrozenPolicy.load(save(module, architecture=module.architecture | changes))


def test_missing_or_superfluous_weights_are_refused(save):
    module = decided()
    state = module.state_dict()
    for changed in (
        {key: value for key, value in state.items() if key != "policy.actor.0.bias"},
        state | {"policy.actor.9.bias": torch.zeros(3)},
        {},
    ):
        with pytest.raises(ValueError, match=r"policy\.ckpt"):
            FrozenPolicy.load(save(module, state_dict=changed))


def test_policy_that_does_not_play_rocket_league_is_refused_by_its_heads_name(save):
    with pytest.raises(ValueError, match="CategoricalHead"):
        FrozenPolicy.load(save(decided(CategoricalHead(4))))


def test_deterministic_policy_takes_the_most_likely_row_whatever_the_noise(save):
    module, (observations, noise) = decided(), seen_and_noise()
    controls = FrozenPolicy.load(save(module), deterministic=True)(observations, noise)
    with torch.no_grad():
        best = module.policy.actor(torch.from_numpy(observations)).argmax(-1)
    assert np.array_equal(controls, TABLE[best])
