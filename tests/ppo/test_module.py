"""PPO in real fits: the same policy acts and learns, schedules, clipping, broken numbers, and what it learns from."""

import copy
import math

import lightning as L  # noqa: N812
import pytest
import torch
from counting_env import CountingEnv
from gymnasium.vector import AutoresetMode
from lightning.pytorch.plugins import MixedPrecision
from small_fit import counting_ppo, fit, trainer, weights
from torch import nn

from rlbot.errors import BrokenTrainingError
from rlbot.ppo.acting import cpu_has_bfloat16
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO

SAME_STEP, NEXT_STEP = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP


def counting_data(endings, total=64, **sizes):
    env = CountingEnv(2, endings, SAME_STEP)
    return RolloutDataModule(env=env, total_timesteps=total, **{"batch_size": 32, "minibatch_size": 8} | sizes)


# Acting and learning see the same policy.


class RecordsRatios(PPO):
    """Keeps the log-ratios that ``training_step`` meets, by position of the minibatch."""

    def training_step(self, batch, batch_idx):
        with torch.no_grad():
            now = self.policy.evaluate(batch["observations"], batch["actions"])
        self.ratios = [*getattr(self, "ratios", []), (batch_idx, now.log_probs - batch["log_probs"])]
        return super().training_step(batch, batch_idx)


def log_ratios(precision):
    """Of the first minibatches and of the last ones of a fit in Rocket League."""
    torch.set_num_threads(2)
    torch.manual_seed(1)
    module = RecordsRatios(hidden_sizes=(32, 32), learning_rate=3e-3)
    with torch.no_grad():
        module.policy.actor[-1].weight *= 100  # a policy that knows what it wants
    data = RolloutDataModule(num_envs=2, batch_size=64, minibatch_size=32, epochs=2, total_timesteps=192)
    fit(module, data, precision=precision)
    return [torch.cat([ratio for k, ratio in module.ratios if k == place]) for place in (0, 3)]


def test_ratio_is_one_on_the_first_minibatch_of_every_iteration_in_float32():
    first, last = log_ratios("32-true")
    assert len(first) == 3 * 32
    assert (first.exp() - 1).abs().max().item() < 1e-5
    assert last.abs().mean().item() > 1e-2  # and it moves


def test_log_ratio_is_small_on_the_first_minibatch_in_bfloat16():
    first, last = log_ratios("bf16-mixed")
    assert first.abs().mean().item() < 1e-2
    assert last.abs().mean().item() > 1e-2


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_acting_valuing_and_learning_run_in_the_same_precision(precision, dtype):
    module, seen = counting_ppo(), []
    for network in (module.policy.actor, module.policy.critic):
        network.register_forward_hook(lambda network, inputs, output: seen.append((network.training, output.dtype)))
    fit(module, counting_data({}), precision=precision)
    assert {kind for _, kind in seen} == {dtype, dtype if cpu_has_bfloat16() else torch.float32}
    assert len(seen) == 2 * (16 + 2 + 2 * 8)  # each of two iterations: acts, values, two networks an update


# What a minibatch's loss is made of.


def test_loss_of_a_hand_made_minibatch():
    module = counting_ppo(value_weight=0.5, entropy=0.01)
    for network in (module.policy.actor, module.policy.critic):
        nn.init.zeros_(network[-1].weight)  # four equal actions, value 0
    batch = {
        "observations": torch.ones(2, 3),
        "actions": torch.tensor([0, 3]),
        "log_probs": torch.tensor([0.25 / 1.1, 0.25 / 1.5]).log(),  # ratios 1.1 and 1.5
        "advantages": torch.tensor([-1.0, 2.0]),  # losses 1.1 and -1.2 * 2
        "values": torch.zeros(2),
        "returns": torch.tensor([2.0, 4.0]),  # half the mean of 4 and 16 is 5
    }
    assert module.training_step(batch, 0).item() == pytest.approx((1.1 - 2.4) / 2 + 0.5 * 5 - 0.01)


def test_learns_to_take_the_rewarded_action():
    class Bandit(CountingEnv):
        def step(self, actions):
            following, _, *rest = super().step(actions)
            return following, (actions == 2).astype(float), *rest

    env = Bandit(4, {n: (8, "truncated") for n in range(4)}, SAME_STEP)
    module = counting_ppo(learning_rate=0.01, gamma=0.5)
    fit(module, RolloutDataModule(env=env, batch_size=128, minibatch_size=64, epochs=4, total_timesteps=1280))
    assert module.policy.actor(torch.tensor([[0.0, 1.0, 2.0]])).softmax(-1)[0, 2].item() > 0.9


# Schedules, clipping and logs.


def test_learning_rate_entropy_weight_and_trace_decay_follow_their_lines_over_timesteps():
    class Traces(PPO):
        def prepare(self, *arguments, **more):
            self.decays = [*getattr(self, "decays", []), self._lambda]
            return super().prepare(*arguments, **more)

    ends = {"learning_rate_end": 0.0, "entropy_end": 0.01, "gae_lambda_end": 0.5}
    module = counting_ppo(Traces, learning_rate=1e-3, entropy=0.02, gae_lambda=0.9, **ends)
    notes = fit(module, counting_data({}, total=1000, batch_size=300, minibatch_size=300))
    assert notes.learning_rates == pytest.approx([1e-3, 7e-4, 4e-4, 1e-4])
    assert [row["ppo/learning_rate"] for row in notes.scalars] == pytest.approx([1e-3, 7e-4, 4e-4, 1e-4])
    assert [row["ppo/entropy_weight"] for row in notes.scalars] == pytest.approx([0.02, 0.017, 0.014, 0.011])
    assert module.decays == pytest.approx([0.9, 0.78, 0.66, 0.54])


def test_without_an_end_learning_rate_and_entropy_weight_are_constant():
    notes = fit(counting_ppo(learning_rate=1e-3, entropy=0.02), counting_data({}))
    assert notes.learning_rates == [1e-3, 1e-3]
    assert [row["ppo/entropy_weight"] for row in notes.scalars] == pytest.approx([0.02, 0.02])


def test_gradients_are_clipped_to_the_norm_that_the_trainer_was_given():
    free = fit(counting_ppo(), counting_data({})).norms
    clipped = fit(counting_ppo(), counting_data({}), gradient_clip_val=0.01).norms
    assert min(free) > 0.01
    assert clipped == pytest.approx([0.01] * len(free), rel=1e-3)


def test_gradients_are_clipped_one_by_one_where_the_trainer_says_so():
    given = {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}
    module = counting_ppo()
    clipped = fit(module, counting_data({}), **given)
    assert min(clipped.norms) > 0.01
    assert max(float(p.grad.abs().max()) for p in module.parameters()) == pytest.approx(0.01)


def scaled_gradients(scale):
    """What a GPU's 16-mixed does, on the CPU."""
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))


class SeesNorms(L.Callback):
    """What a callback of a user's sees of the gradients."""

    def __init__(self):
        self.norms = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.norms.append(float(nn.utils.get_total_norm([p.grad for p in pl_module.parameters()])))


def test_scale_of_gradients_is_seen_by_no_one():
    seen = {}
    for scale in (1.0, 4096.0):
        callback = SeesNorms()
        notes = fit(counting_ppo(), counting_data({}), callback, plugins=scaled_gradients(scale))
        logged = [row["ppo/gradient_norm"] for row in notes.scalars]
        seen[scale] = callback.norms + notes.norms + logged  # by others, by the optimizer, in TensorBoard
    assert seen[4096.0] == pytest.approx(seen[1.0], rel=0.02)


def test_scaled_gradients_are_clipped_by_their_own_norm():
    clipped = fit(counting_ppo(), counting_data({}), plugins=scaled_gradients(4096.0), gradient_clip_val=0.01)
    assert clipped.norms == pytest.approx([0.01] * 16, rel=1e-3)


def test_adam_that_was_not_fused_under_scaled_gradients_is_when_it_goes_on(tmp_path):
    file = tmp_path / "earlier.ckpt"
    earlier = trainer(plugins=scaled_gradients(4096.0))
    earlier.fit(counting_ppo(), counting_data({}))
    earlier.save_checkpoint(file)
    saved = torch.load(file, weights_only=True)
    saved["optimizer_states"][0]["param_groups"][0]["fused"] = False
    torch.save(saved, file)
    later = trainer(plugins=scaled_gradients(4096.0))
    later.fit(counting_ppo(), counting_data({}, total=128), ckpt_path=file)
    assert [group["fused"] for group in later.optimizers[0].param_groups] == [True]
    assert {int(state["step"]) for state in later.optimizers[0].state.values()} == {2 * 16}  # it went on


def test_every_iteration_logs_the_tags_that_dashboards_rely_on():
    notes = fit(counting_ppo(), counting_data({}))
    assert len(notes.scalars) == 2
    for row in notes.scalars:
        assert {f"ppo/{name}" for name in ("entropy", "kl", "clip_fraction", "explained_variance")} <= row.keys()
        assert all(math.isfinite(value) for value in row.values())


# Broken numbers.


class Breaks(PPO):
    """Its loss, or a gradient of a finite loss, is not a number at some updates; keeps what it was around them."""

    def __init__(self, *args, broken, way, **settings):
        super().__init__(*args, **settings)
        self.broken, self.way, self.before, self.after = broken, way, {}, {}

    def training_step(self, batch, batch_idx):
        k = self.trainer.global_step
        self.before[k] = self._snapshot()
        if k in self.broken and self.way == "loss":
            batch = batch | {"advantages": batch["advantages"] * math.nan}
        loss = super().training_step(batch, batch_idx)
        if k in self.broken and self.way == "gradient":
            loss = loss + (0 * self.policy.actor[0].weight.sum()).sqrt()  # 0, whose slope is 0 times infinity
        return loss

    def on_train_batch_end(self, *args):
        self.after[self.trainer.global_step - 1] = self._snapshot()

    def _snapshot(self):
        adam = [value for state in self.optimizers().state.values() for value in state.values()]
        return copy.deepcopy([p.detach() for p in self.parameters()] + adam)


def is_untouched(module, k):
    return all(torch.equal(a, b) for a, b in zip(module.before[k], module.after[k], strict=True))


@pytest.mark.parametrize("way", ["loss", "gradient"])
def test_nan_leaves_weights_and_adam_untouched_and_is_counted(way):
    module = counting_ppo(Breaks, broken={3, 4, 9}, way=way)
    notes = fit(module, counting_data({}, epochs=2), gradient_clip_val=0.5)  # 2 iterations of 8 updates
    assert {k for k in range(1, 16) if is_untouched(module, k)} == {3, 4, 9}
    assert [row["ppo/skipped_updates"] for row in notes.scalars] == [2, 3]
    assert weights(module).isfinite().all()


@pytest.mark.parametrize(("way", "skipped"), [("loss", [2, 3]), ("gradient", [0, 0])])
def test_nan_under_scaled_gradients_leaves_weights_and_adam_untouched(way, skipped):
    module = counting_ppo(Breaks, broken={3, 4, 9}, way=way)
    plugin = scaled_gradients(4096.0)
    notes = fit(module, counting_data({}, epochs=2), gradient_clip_val=0.5, plugins=plugin)
    assert {k for k in range(1, 16) if is_untouched(module, k)} == {3, 4, 9}
    assert [row["ppo/skipped_updates"] for row in notes.scalars] == skipped  # gradients are the scaler's own affair
    assert plugin.scaler.get_scale() == 4096.0 / 2**3
    assert weights(module).isfinite().all()


def test_five_broken_updates_in_a_row_are_survived_as_often_as_they_come():
    module = counting_ppo(Breaks, broken=set(range(16)) - {5, 11}, way="loss")
    notes = fit(module, counting_data({}, epochs=2))
    assert notes.scalars[-1]["ppo/skipped_updates"] == 14


def test_more_than_five_broken_updates_in_a_row_stop_the_run():
    module = counting_ppo(Breaks, broken=set(range(4, 10)), way="gradient")
    with pytest.raises(BrokenTrainingError, match="6 updates in a row"):
        fit(module, counting_data({}, epochs=2))
    assert max(module.before) == 9
    assert weights(module).isfinite().all()


def test_gradients_that_no_scale_makes_finite_stop_the_run():
    module = counting_ppo(Breaks, broken=set(range(4, 16)), way="gradient")
    with pytest.raises(BrokenTrainingError, match="6 updates in a row"):
        fit(module, counting_data({}, epochs=2), plugins=scaled_gradients(4.0))
    assert max(module.before) == 11  # two updates halved the scale to 1, six more were not a number by themselves


def test_settings_out_of_range_are_all_named():
    wrong = {
        "hidden_sizes": (8, 0),
        "learning_rate": 0.0,
        "learning_rate_end": -1.0,
        "half_life": -1.0,
        "gamma": 1.5,
        "gae_lambda": -0.1,
        "gae_lambda_end": 1.5,
        "clip": 0.0,
        "value_clip": 0.0,
        "value_weight": -1.0,
        "entropy": -0.01,
        "entropy_end": -0.01,
    }
    with pytest.raises(ValueError, match=r"^model: ") as error:
        PPO(3, **wrong)
    assert [part.split("=")[0] for part in str(error.value).removeprefix("model: ").split("; ")] == list(wrong)


def test_one_setting_out_of_range_is_named_with_its_value_and_rule():
    with pytest.raises(ValueError, match=r"^model: gamma=1.01 \(0 to 1\)$"):
        PPO(3, gamma=1.01, half_life=None)


def test_half_life_is_in_seconds():
    assert PPO(3).gamma == pytest.approx(0.99, abs=1e-4)
    assert PPO(3, half_life=1.0, step_seconds=0.5).gamma == pytest.approx(0.5**0.5)


def test_discount_is_given_once_and_in_seconds_only_where_there_are_any():
    for settings in ({"gamma": 0.9}, {"half_life": None}, {"step_seconds": None}):
        with pytest.raises(ValueError, match=r"model: half_life="):
            PPO(3, **settings)


def test_settings_that_are_not_numbers_are_refused():
    for name in ("learning_rate", "gamma", "clip", "entropy"):
        with pytest.raises(ValueError, match=name):
            PPO(3, **{name: math.nan})
