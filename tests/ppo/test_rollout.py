"""What the collector writes down, step by step, of an environment that says where each observation is from."""

import gymnasium
import numpy as np
import pytest
import torch
from counting_env import CountingEnv
from gymnasium.vector import AutoresetMode
from small_fit import trainer

from rlbot.ppo.acting import Acting
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import ActorCritic, CategoricalHead
from rlbot.ppo.rollout import Collector, allocate

SAME_STEP, NEXT_STEP = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
ENDINGS = {(0, 0): (2, "truncated"), (1, 0): (3, "terminated")}


def collect(collector, *sizes, policy=None):
    """One rollout of each size."""
    torch.manual_seed(1)
    policy = policy or ActorCritic(3, CategoricalHead(4), (8,))
    generator = torch.Generator().manual_seed(1)
    rollouts = [allocate(size, collector.num_agents, collector.observation_size, policy.head) for size in sizes]
    for rollout in rollouts:
        rollout.report = collector.collect(Acting(policy), rollout, generator)
    return rollouts


def opened(env):
    collector = Collector(env)
    collector.reset(seed=1)
    return collector


def test_same_step_rollout_holds_every_step_where_it_belongs():
    (rollout,) = collect(opened(CountingEnv(2, ENDINGS, SAME_STEP)), 4)
    assert rollout.observations[:, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert rollout.observations[:, 1].tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 2], [1, 1, 0]]
    assert rollout.last_observations.tolist() == [[0, 1, 2], [1, 1, 1]]
    assert rollout.rewards.T.tolist() == [[1, 2, 11, 12], [101, 102, 103, 111]]
    assert rollout.truncated.nonzero().tolist() == [[1, 0]]
    assert rollout.terminated.nonzero().tolist() == [[2, 1]]
    assert rollout.valid.all()
    assert (rollout.report.episode_returns, rollout.report.episode_steps) == ([3, 306], [2, 3])


def test_same_step_rollout_keeps_the_last_observation_of_truncated_episodes_only():
    (rollout,) = collect(opened(CountingEnv(2, ENDINGS | {(1, 1): (1, "truncated")}, SAME_STEP)), 4)
    assert rollout.report.final_index.tolist() == [[1, 0], [3, 1]]
    assert rollout.report.final_observations.tolist() == [[0, 0, 2], [1, 1, 1]]


@pytest.mark.parametrize(("mode", "sizes"), [(SAME_STEP, (3, 3)), (NEXT_STEP, (3, 5))])
def test_every_episode_is_counted_from_zero_also_across_rollouts(mode, sizes):
    first, second = collect(opened(CountingEnv(1, {0: (2, "terminated")}, mode)), *sizes)
    assert first.report.episode_returns + second.report.episode_returns == [3, 23, 43]  # 1 + 2, 11 + 12, 21 + 22
    assert first.report.episode_steps + second.report.episode_steps == [2, 2, 2]


def test_next_step_rollout_marks_and_cuts_the_steps_that_only_reset():
    (rollout,) = collect(opened(CountingEnv(2, ENDINGS, NEXT_STEP)), 5)
    assert rollout.observations[:, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1]]
    assert rollout.observations[:, 1].tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 2], [1, 0, 3], [1, 1, 0]]
    assert rollout.last_observations.tolist() == [[0, 1, 2], [1, 1, 1]]
    assert rollout.rewards.T.tolist() == [[1, 2, 0, 11, 12], [101, 102, 103, 0, 111]]
    assert (~rollout.valid).nonzero().tolist() == [[2, 0], [3, 1]]
    assert rollout.truncated.nonzero().tolist() == [[1, 0], [2, 0], [3, 1]]
    assert rollout.terminated.nonzero().tolist() == [[2, 1]]
    assert rollout.report.final_index.shape == (0, 2)
    assert rollout.report.final_observations.shape == (0, 3)
    assert (rollout.report.episode_returns, rollout.report.episode_steps) == ([3, 306], [2, 3])


@pytest.mark.parametrize("mode", [SAME_STEP, NEXT_STEP])
def test_two_short_rollouts_hold_what_one_long_one_does(mode):
    (long,) = collect(opened(CountingEnv(2, ENDINGS, mode)), 6)
    for cut in range(1, 6):
        first, second = collect(opened(CountingEnv(2, ENDINGS, mode)), cut, 6 - cut)
        for name in ("observations", "actions", "rewards", "terminated", "truncated", "valid"):
            assert torch.equal(torch.cat((getattr(first, name), getattr(second, name))), getattr(long, name)), name
        assert torch.equal(first.last_observations, second.observations[0])
        assert torch.equal(second.last_observations, long.last_observations)
        assert first.report.episode_returns + second.report.episode_returns == long.report.episode_returns
        assert first.report.episode_steps + second.report.episode_steps == long.report.episode_steps


@pytest.mark.parametrize("mode", [SAME_STEP, NEXT_STEP])
def test_faulty_step_is_invalid_and_counts_for_nothing(mode):
    (rollout,) = collect(opened(CountingEnv(2, {(1, 0): (2, "faulty")}, mode)), 4)
    assert (~rollout.valid).nonzero().tolist() == [[1, 1]] + [[2, 1]] * (mode == NEXT_STEP)
    assert rollout.truncated[1].tolist() == [False, True]
    assert (rollout.report.episode_returns, rollout.report.episode_steps) == ([101], [1])


def test_actions_and_log_probabilities_are_those_that_drove_the_environment():
    env, policy = CountingEnv(2, ENDINGS, SAME_STEP), ActorCritic(3, CategoricalHead(4), (8,))
    with torch.no_grad():
        policy.actor[-1].weight *= 100
    (rollout,) = collect(opened(env), 20, policy=policy)
    assert np.array_equal(env.seen, rollout.actions)
    assert len(rollout.actions.unique()) > 1
    expected = policy.evaluate(rollout.observations.flatten(0, 1), rollout.actions.flatten())
    torch.testing.assert_close(rollout.log_probs.flatten(), expected.log_probs)


def test_environment_that_does_not_reset_by_itself_is_refused():
    with pytest.raises(ValueError, match="DISABLED"):
        Collector(CountingEnv(1, {}, AutoresetMode.DISABLED))
    with pytest.raises(ValueError, match="autoreset_mode=None"):
        Collector(CountingEnv(1, {}, None))


def test_collecting_before_the_first_reset_is_an_error():
    with pytest.raises(RuntimeError, match="reset"):
        collect(Collector(CountingEnv(1, {}, SAME_STEP)), 1)


def test_acting_takes_one_thread_and_gives_the_others_back():
    torch.set_num_threads(2)
    collector, seen = opened(CountingEnv(1, {}, SAME_STEP)), []
    policy = ActorCritic(3, CategoricalHead(4), (8,))
    policy.actor.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    collect(collector, 2, policy=policy)
    assert (seen, torch.get_num_threads()) == ([1, 1], 2)


def test_torch_threads_come_back_when_the_environment_raises():
    torch.set_num_threads(2)
    collector = opened(CountingEnv(1, {}, SAME_STEP))
    collector.env.endings = None
    with pytest.raises(AttributeError):
        collect(collector, 1)
    assert torch.get_num_threads() == 2


def cartpole_batch(mode, limit, push, num_steps, normalise):
    """What PPO makes of a rollout of one CartPole that is always pushed one way, so that no noise matters."""
    torch.manual_seed(1)
    module = PPO(4, CategoricalHead(2), (8,), normalise_returns=normalise)
    module.trainer = trainer()
    with torch.no_grad():
        module.policy.actor[-1].bias[push] = 1e4
    settings = {"max_episode_steps": limit, "vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": mode}}
    collector = opened(gymnasium.make_vec("CartPole-v1", 1, **settings))
    (rollout,) = collect(collector, num_steps, policy=module.policy)
    return module.prepare(rollout, num_steps), int(rollout.valid.sum()), rollout.report.episode_returns


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("limit", [6, 500])  # all episodes truncated, or all terminated
@pytest.mark.parametrize("num_steps", [40, 41, 42])  # within an episode of 6, at its end, at the reset
def test_next_step_and_same_step_teach_the_same(normalise, limit, num_steps):
    found, valid, returns = cartpole_batch(NEXT_STEP, limit, 1, num_steps, normalise)
    expected, count, same_returns = cartpole_batch(SAME_STEP, limit, 1, valid, normalise)
    assert (valid, returns) == (count, same_returns)
    assert len(returns) >= 3
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=lambda text, name=name: f"{name}: {text}")
