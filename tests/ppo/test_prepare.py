"""What PPO turns a rollout into, worked out by hand."""

import pytest
import torch
from counting_env import CountingEnv
from gymnasium.vector import AutoresetMode
from small_fit import counting_ppo, trainer
from torch import nn

from rlbot.ppo.acting import Acting
from rlbot.ppo.rollout import Collector, allocate

SAME_STEP, NEXT_STEP = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP


class PlaceValue(nn.Module):
    """A critic whose value is 100, 10 and 1 of agent, episode and step."""

    def forward(self, observations):
        return observations @ torch.tensor([[100.0], [10.0], [1.0]])


def prepared(env, num_steps, size=1000, **settings):
    """The samples of one rollout of a counting environment, and the module that made them."""
    module = counting_ppo(**{"gamma": 0.5, "gae_lambda": 0.0, "normalise_returns": False} | settings)
    module.trainer, module.policy.critic = trainer(), PlaceValue()
    return module.prepare(counted(env, num_steps, module), size), module


def counted(env, num_steps, module):
    """A rollout by the module's policy."""
    collector = Collector(env)
    collector.reset(seed=1)
    rollout = allocate(num_steps, env.num_envs, 3, module.policy.head)
    rollout.report = collector.collect(Acting(module.policy), rollout, torch.Generator())
    return rollout


def test_rollout_of_an_older_policy_is_clipped_around_the_present_one_and_weighed():
    module = counting_ppo()
    module.trainer = trainer()
    rollout = counted(CountingEnv(2, {}, SAME_STEP), 8, module)
    with torch.no_grad():
        module.policy.actor[-1].bias[0] += 1.0
    fresh, stale = (module.prepare(rollout, 16, stale=stale) for stale in (False, True))
    present = module.policy.evaluate(fresh["observations"], fresh["actions"]).log_probs.detach()
    torch.testing.assert_close(stale["log_probs"], present)
    weights = (present - fresh["log_probs"]).exp()
    assert weights.min() < 0.9 < 1.1 < weights.max() < 2
    assert (stale["advantages"] / fresh["advantages"]).tolist() == pytest.approx(weights.tolist(), rel=1e-2)


@pytest.mark.parametrize(("mode", "num_steps"), [(SAME_STEP, 4), (NEXT_STEP, 5)])
def test_returns_bootstrap_from_the_value_of_what_really_followed(mode, num_steps):
    endings = {(0, 0): (2, "truncated"), (1, 0): (3, "terminated")}
    batch, _ = prepared(CountingEnv(2, endings, mode), num_steps)
    found = dict(zip(map(tuple, batch["observations"].tolist()), batch["returns"].tolist(), strict=True))
    assert found == {
        (0, 0, 0): 1 + 0.5 * 1,
        (0, 0, 1): 2 + 0.5 * 2,  # truncated: the value of (0, 0, 2), not of (0, 1, 0)
        (0, 1, 0): 11 + 0.5 * 11,
        (0, 1, 1): 12 + 0.5 * 12,  # where the rollout stopped
        (1, 0, 0): 101 + 0.5 * 101,
        (1, 0, 1): 102 + 0.5 * 102,
        (1, 0, 2): 103,  # terminated
        (1, 1, 0): 111 + 0.5 * 111,
    }
    assert batch["values"].tolist() == (batch["observations"] @ torch.tensor([100.0, 10.0, 1.0])).tolist()


def test_faulty_steps_are_left_out_and_later_ones_kept():
    batch, _ = prepared(CountingEnv(2, {(1, 0): (2, "faulty")}, SAME_STEP), 3)
    rows = [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 2], [1, 1, 0]]  # in time order, without (1, 0, 1)
    assert batch["observations"].tolist() == rows
    assert {len(tensor) for tensor in batch.values()} == {5}


def test_trace_stops_before_a_faulty_step():
    batch, _ = prepared(CountingEnv(1, {(0, 0): (2, "faulty")}, SAME_STEP), 3, gae_lambda=1.0)
    # (0, 0, 0) is followed by (0, 0, 1), whose value is 1; what happened there means nothing
    assert batch["returns"].tolist()[0] == 1 + 0.5 * 1


def test_samples_are_cut_to_size_in_time_order():
    batch, _ = prepared(CountingEnv(2, {}, SAME_STEP), 3, size=5)
    assert batch["observations"].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 2]]


def test_advantages_have_mean_zero_and_spread_one():
    batch, _ = prepared(CountingEnv(2, {0: (3, "terminated")}, SAME_STEP), 8)
    assert batch["advantages"].mean().item() == pytest.approx(0, abs=1e-6)
    assert batch["advantages"].std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_rewards_are_divided_by_the_spread_of_discounted_returns():
    batch, module = prepared(CountingEnv(1, {}, SAME_STEP), 5, gamma=0.0, normalise_returns=True)
    assert module.return_scale.std.item() == pytest.approx(2**0.5)  # of 1, 2, 3, 4, 5
    assert batch["returns"].tolist() == pytest.approx([0.7071, 1.4142, 2.1213, 2.8284, 3.5355], abs=1e-4)


def test_scaled_rewards_stay_within_ten():
    class Jackpot(CountingEnv):
        def step(self, actions):
            following, rewards, *rest = super().step(actions)
            return following, (rewards == 150) * 1000.0, *rest

    batch, _ = prepared(Jackpot(1, {}, SAME_STEP), 200, gamma=0.0, normalise_returns=True)
    assert batch["returns"].max().item() == pytest.approx(10, rel=1e-4)  # 1000 / 70.5 otherwise
