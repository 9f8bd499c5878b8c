"""Stable-Baselines3 environments give the rollouts that Gymnasium's do."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from rlbot.ppo.acting import Acting
from rlbot.ppo.policy import ActorCritic, CategoricalHead
from rlbot.ppo.rollout import Collector, allocate
from rlbot.ppo.stable_baselines import as_vector_env


def cartpoles(limit):
    return [lambda: gymnasium.make("CartPole-v1", max_episode_steps=limit)] * 3


def rollout(env):
    torch.manual_seed(1)
    collector = Collector(env)
    collector.reset(seed=5)
    policy, generator = ActorCritic(4, CategoricalHead(2), (8,)), torch.Generator().manual_seed(1)
    rollout = allocate(100, 3, 4, policy.head)
    rollout.report = collector.collect(Acting(policy), rollout, generator)
    return rollout


@pytest.mark.parametrize("limit", [12, 500])
def test_vec_env_gives_the_rollout_of_the_same_gymnasium_env(limit):
    found = rollout(as_vector_env(DummyVecEnv(cartpoles(limit))))
    expected = rollout(SyncVectorEnv(cartpoles(limit), autoreset_mode=AutoresetMode.SAME_STEP))
    assert expected.truncated.any() == (limit == 12)
    assert expected.terminated.any()
    for a, b in zip(found.tensors, expected.tensors, strict=True):
        assert torch.equal(a, b)
    for name in ("final_observations", "final_index", "episode_returns", "episode_steps"):
        assert np.array_equal(getattr(found.report, name), getattr(expected.report, name)), name


def test_done_is_split_and_the_terminal_observation_kept():
    env = as_vector_env(DummyVecEnv(cartpoles(2)))
    first, infos = env.reset(seed=5)
    assert (first.shape, infos) == ((3, 4), {})
    _, _, terminated, truncated, infos = env.step(np.zeros(3, np.int64))
    assert not (terminated | truncated).any()
    assert infos == {}
    following, _, terminated, truncated, infos = env.step(np.zeros(3, np.int64))
    assert truncated.all()
    assert not terminated.any()
    assert infos["_final_obs"].all()
    assert (infos["final_obs"][:, 1] < -0.3).all()  # two pushes to the left
    assert (abs(following[:, 1]) < 0.06).all()  # a new start


def test_gymnasium_vector_env_passes_through_and_anything_else_is_refused():
    env = SyncVectorEnv(cartpoles(12))
    assert as_vector_env(env) is env
    for wrong in (gymnasium.make("CartPole-v1"), "CartPole-v1", object()):
        with pytest.raises(ValueError, match="neither a gymnasium VectorEnv nor a VecEnv"):
            as_vector_env(wrong)
