"""Timesteps, minibatches, the order of collecting and learning, seeds, and what is refused."""

import re
from itertools import chain

import gymnasium
import lightning as L  # noqa: N812
import numpy as np
import pytest
import torch
from counting_env import CountingEnv
from gymnasium.vector import AutoresetMode
from small_fit import fit, weights

from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO
from rlbot.ppo.policy import CategoricalHead, GaussianHead

SAME_STEP, NEXT_STEP = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
SEVEN = {0: (5, "truncated"), 1: (9, "terminated"), 2: (4, "faulty")}


def counting_ppo(**settings):
    torch.manual_seed(1)
    return PPO(3, CategoricalHead(4), (8,), **settings)


def seven_agents(mode=SAME_STEP, endings=None, **settings):
    env = CountingEnv(7, endings or {}, mode)
    sizes = {"total_timesteps": 1000, "batch_size": 300, "minibatch_size": 64, "epochs": 2}
    return RolloutDataModule(env=env, **sizes | settings)


# Timesteps and minibatches.


def test_run_ends_at_exactly_the_total_when_nothing_divides():
    data = seven_agents()
    notes = fit(counting_ppo(), data)
    assert (data.timesteps, data.progress) == (1000, 1.0)
    assert notes.timesteps == [300, 300, 300, 100]


@pytest.mark.parametrize(("anneal", "expected"), [(None, [0, 0.3, 0.6, 0.9]), (400, [0, 0.75, 1, 1])])
def test_lines_end_after_their_own_timesteps_or_with_the_run(anneal, expected):
    notes = fit(counting_ppo(learning_rate=0.1, learning_rate_end=0.2), seven_agents(anneal_timesteps=anneal))
    rates = [scalars["ppo/learning_rate"] for scalars in notes.scalars]
    assert rates == pytest.approx([0.1 + 0.1 * share for share in expected])


@pytest.mark.parametrize("mode", [SAME_STEP, NEXT_STEP])
def test_run_ends_at_exactly_the_total_when_steps_are_left_out(mode):
    data = seven_agents(mode, SEVEN)
    notes = fit(counting_ppo(), data)
    assert (data.timesteps, sum(notes.timesteps)) == (1000, 1000)
    assert [sum(len(batch["returns"]) for batch in batches) for batches in notes.batches] == [
        2 * timesteps for timesteps in notes.timesteps
    ]


def test_run_goes_on_after_an_iteration_without_any_valid_step():
    env = CountingEnv(1, {0: (2, "terminated")}, NEXT_STEP)
    data = RolloutDataModule(env=env, total_timesteps=5, batch_size=1, minibatch_size=1, epochs=1)
    module = counting_ppo()
    notes = fit(module, data)
    assert notes.timesteps == [1, 1, 0, 1, 1, 0, 1]  # every third step only resets
    assert [len(batches) for batches in notes.batches] == notes.timesteps  # an empty minibatch would still move Adam
    assert weights(module).isfinite().all()


@pytest.mark.parametrize("minibatch_size", [64, 100, 300])
def test_announced_length_is_the_number_of_minibatches_also_in_the_short_last_iteration(minibatch_size):
    notes = fit(counting_ppo(), seven_agents(minibatch_size=minibatch_size))
    assert notes.lengths == {64: [10, 10, 10, 4], 100: [6, 6, 6, 2], 300: [2, 2, 2, 2]}[minibatch_size]
    assert [len(batches) for batches in notes.batches] == notes.lengths


@pytest.mark.parametrize("mode", [SAME_STEP, NEXT_STEP])
def test_announced_length_is_the_number_of_minibatches_when_steps_are_left_out(mode):
    notes = fit(counting_ppo(), seven_agents(mode, SEVEN, minibatch_size=148))
    assert [len(batches) for batches in notes.batches] == notes.lengths


def epochs_of(batches):
    """Observations (300, 3) of each of the two epochs of an iteration."""
    return torch.cat([batch["observations"] for batch in batches]).split(300)


def test_every_sample_appears_once_an_epoch():
    for k, batches in enumerate(fit(counting_ppo(), seven_agents(total_timesteps=600)).batches):
        expected = [(agent, 0, step) for step in range(43 * k, 43 * k + 43) for agent in range(7)][:300]
        for epoch in epochs_of(batches):
            assert sorted(map(tuple, epoch.tolist())) == sorted(expected)


def test_every_epoch_of_every_iteration_has_its_own_order():
    first, second = fit(counting_ppo(), seven_agents(total_timesteps=600)).batches
    first_rows = [epoch[:, 0] + 7 * epoch[:, 2] for epoch in epochs_of(first)]
    second_rows = [epoch[:, 0] + 7 * (epoch[:, 2] - 43) for epoch in epochs_of(second)]
    orders = {tuple(row.tolist()) for row in (*first_rows, *second_rows, first_rows[0].sort().values)}
    assert len(orders) == 5  # four, and the one in time order


def test_shuffling_keeps_the_parts_of_a_sample_together():
    module = counting_ppo(half_life=None, gamma=0.0, normalise_returns=False, learning_rate=1e-12)
    for batch in chain.from_iterable(fit(module, seven_agents(endings=SEVEN)).batches):
        reward = batch["observations"] @ torch.tensor([100.0, 10.0, 1.0]) + 1
        torch.testing.assert_close(batch["returns"], reward)
        now = module.policy.evaluate(batch["observations"], batch["actions"])
        torch.testing.assert_close(batch["log_probs"], now.log_probs)
        torch.testing.assert_close(batch["values"], now.values)


def test_faulty_steps_reach_no_minibatch():
    data = seven_agents(endings=SEVEN)
    notes = fit(counting_ppo(), data)
    rows = torch.cat([batch["observations"] for batches in notes.batches for batch in batches])
    steps_of_two = rows[rows[:, 0] == 2, 2]
    assert steps_of_two.unique().tolist() == [0, 1, 2]  # the step from 3 to 4 is the faulty one
    assert data.num_faults == (3 * 43 + 19 + 1) // 4  # steps of its five iterations, every fourth


def test_step_that_only_resets_is_no_fault():
    data = seven_agents(endings={0: (5, "truncated")}, mode=AutoresetMode.NEXT_STEP)
    fit(counting_ppo(), data)
    assert data.num_faults == 0


# The order of collecting and learning.


class Diary(L.Callback):
    """What happened, with the weights at that moment."""

    def __init__(self):
        self.entries = []

    def on_train_batch_end(self, trainer, module, *args):
        self.entries.append(("update", weights(module)))


class KeepsDiary(RolloutDataModule):
    """Notes each collecting in ``diary``."""

    def collect(self, module):
        self.diary.entries.append(("collect", weights(module)))
        return super().collect(module)


def test_rollout_is_collected_once_an_iteration_with_the_weights_after_the_last_update():
    env = CountingEnv(2, {}, SAME_STEP)
    data = KeepsDiary(env=env, total_timesteps=96, batch_size=32, minibatch_size=16, epochs=1)
    data.diary = Diary()
    fit(counting_ppo(), data, data.diary)
    assert [event for event, _ in data.diary.entries] == ["collect", "update", "update"] * 3
    found = [weight for _, weight in data.diary.entries]
    for k in (3, 6):
        assert torch.equal(found[k], found[k - 1])
        assert not torch.equal(found[k], found[k - 2])


# Seeds and resuming.


def rocket_league(seed):
    """Weights and logged scalars of a short fit."""
    L.seed_everything(seed, verbose=False)
    module = PPO(hidden_sizes=(16,))
    data = RolloutDataModule(num_envs=2, batch_size=64, minibatch_size=24, epochs=2, total_timesteps=180)
    notes = fit(module, data)
    assert data.timesteps == 180
    return weights(module), notes.scalars


def test_same_seed_gives_the_same_weights_and_scalars_and_another_seed_others():
    (first, scalars), (again, same), (other, others) = (rocket_league(seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert scalars == same
    assert not torch.equal(first, other)
    assert scalars != others


def test_noise_of_an_iteration_follows_from_the_seed_and_the_timesteps_before_it():
    whole = fit(counting_ppo(learning_rate=1e-12), seven_agents(total_timesteps=600))
    data = seven_agents(total_timesteps=600)
    data.load_state_dict(data.state_dict() | {"timesteps": 300})
    rest = fit(counting_ppo(learning_rate=1e-12), data)
    orders = [batches[0]["observations"][:, 0].tolist() for batches in (*whole.batches, *rest.batches)]
    assert orders[2] == orders[1] != orders[0]


def test_noise_follows_the_seed_even_where_the_weights_are_the_same():
    orders = []
    for seed in (1, 1, 2):
        module = counting_ppo()
        torch.manual_seed(seed)
        (batches,) = fit(module, seven_agents(total_timesteps=300)).batches
        orders.append([batches[0][name].tolist() for name in ("observations", "actions")])
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[2][0]
    assert orders[0][1] != orders[2][1]


def test_timesteps_are_restored_and_only_the_rest_is_collected():
    data, resumed = seven_agents(total_timesteps=400), seven_agents()
    fit(counting_ppo(), data)
    resumed.load_state_dict(data.state_dict())
    assert (resumed.timesteps, resumed.next_size) == (400, 300)
    assert fit(counting_ppo(), resumed).timesteps == [300, 300]
    assert resumed.timesteps == 1000


def test_run_that_is_already_complete_collects_nothing():
    data = seven_agents()
    data.load_state_dict(data.state_dict() | {"timesteps": 1000})
    assert fit(counting_ppo(), data).timesteps == []


# What is refused.


def test_settings_out_of_range_are_all_named():
    names = ["num_envs", "batch_size", "minibatch_size", "epochs", "total_timesteps", "tick_skip"]
    with pytest.raises(ValueError, match=r"^data: ") as error:
        RolloutDataModule(**dict.fromkeys(names, 0))
    assert [part.split("=")[0] for part in str(error.value).removeprefix("data: ").split("; ")] == names


def test_minibatch_larger_than_the_batch_is_refused():
    with pytest.raises(ValueError, match=r"minibatch_size=64 \(not above batch_size=32\)"):
        RolloutDataModule(batch_size=32, minibatch_size=64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_workers": 5, "num_envs": 4}, "num_workers=5 (0 to num_envs=4)"),
        ({"num_workers": 2000, "num_envs": 2000}, "num_workers=2000 (at most 1024 on this system)"),
        ({"num_workers": -1}, "num_workers=-1 (0 to num_envs=256)"),
        ({"num_workers": 1, "env": CountingEnv(1, {}, SAME_STEP)}, "num_workers=1 (0: data.env runs in this process)"),
        ({"num_workers": 0, "overlap": True}, "overlap=true (needs num_workers of at least 1)"),
        (
            {"num_workers": 1, "overlap": True, "exact_resume": True},
            "overlap=true (a run with exact_resume=true cannot save a rollout under way)",
        ),
    ],
)
def test_workers_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^data: {re.escape(message)}$"):
        RolloutDataModule(**settings)


@pytest.mark.parametrize("head", [CategoricalHead(3), GaussianHead(4)])
def test_head_that_does_not_fit_the_actions_is_refused_before_anything_runs(head):
    data, module = seven_agents(), PPO(3, head, (8,))
    with pytest.raises(ValueError, match=f"model.head {type(head).__name__}.*Discrete"):
        data.check(module)
    with pytest.raises(ValueError, match=r"model\.head"):
        fit(module, data)
    assert data.timesteps == 0


def test_rocket_league_takes_the_table_and_eight_continuous_controls_only():
    data = RolloutDataModule()
    data.check(PPO(180))
    data.check(PPO(180, GaussianHead(8)))
    for head in (CategoricalHead(90), GaussianHead(7)):
        with pytest.raises(ValueError, match="does not fit the actions"):
            data.check(PPO(180, head))


def test_observation_with_two_axes_is_refused():
    env = CountingEnv(1, {}, SAME_STEP)
    env.single_observation_space = gymnasium.spaces.Box(-1, 1, (3, 2), np.float32)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected one axis"):
        _ = RolloutDataModule(env=env).observation_size


def test_another_environment_has_no_modes_to_play():
    with pytest.raises(ValueError, match="curriculum needs Rocket League"):
        seven_agents().play("1v1", None)


def test_sizes_come_from_the_environment_that_is_given():
    data = seven_agents()
    assert (data.num_arenas, data.observation_size, data.plays_rocket_league) == (7, 3, False)
    assert RolloutDataModule(num_envs=5).num_arenas == 5
    assert RolloutDataModule().observation_size == 180
