"""Two processes learn what one with the double batch learns; without what they do together they would not."""

from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from side_by_side import in_two_processes
from small_fit import trainer, weights
from torch import Tensor

from rlbot.ppo import module as learning
from rlbot.ppo import together
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO
from rlbot.ppo.normalise import Moments, ReturnScale
from rlbot.ppo.policy import CategoricalHead
from rlbot.ppo.rollout import Report, Rollout

T, N, D = 8, 6, 5  # steps, agents of all processes, observation


def rollout(iteration: int, agents: slice, dtype: torch.dtype) -> Rollout:
    """Numbers made up for all agents, of which a process sees its own; those of the later agents are far larger."""
    noise = torch.Generator().manual_seed(iteration)
    size = torch.tensor([1.0, 2.0, 3.0, 40.0, 50.0, 60.0])
    observations = torch.randn(T + 1, N, D, generator=noise).to(dtype)
    rewards = (torch.randn(T, N, generator=noise) * size + size).to(dtype)
    odd = torch.rand(T, N, generator=noise)
    return Rollout(
        observations=observations[:T, agents],
        actions=torch.randint(3, (T, N), generator=noise)[:, agents],
        log_probs=(-1.1 + 0.1 * torch.randn(T, N, generator=noise)).to(dtype)[:, agents],
        rewards=rewards[:, agents],
        terminated=(odd < 0.1)[:, agents],
        truncated=torch.zeros(T, N, dtype=torch.bool)[:, agents],
        valid=(odd < 0.85 + 0.2 * (torch.arange(N) > 2))[:, agents],  # some of the first agents' steps are left out
        last_observations=observations[T, agents],
        report=Report(
            episode_returns=[1.0 + iteration],
            episode_steps=[2],
            statistics={"game/speed": (float(size[agents].sum()), 3.0)},
        ),
    )


class MadeUp(RolloutDataModule):
    """Hands out ``rollout`` instead of collecting."""

    nothing_valid = False

    def __init__(self, world: int, dtype: torch.dtype) -> None:
        self.num_agents, self._dtype = N // world, dtype
        size = T * self.num_agents
        super().__init__(num_envs=2, batch_size=size, minibatch_size=size, epochs=2, total_timesteps=10_000)

    def open(self, module: PPO) -> Any:
        return self  # what collects

    def begin(self, *arguments: Any) -> None:
        """There is nothing to begin."""

    def finish(self) -> Rollout:
        own = slice(together.rank() * self.num_agents, (together.rank() + 1) * self.num_agents)
        made_up = rollout(self.num_iterations, own, self._dtype)
        made_up.valid &= not self.nothing_valid
        return made_up


def local_advantages(values: Tensor) -> Tensor:
    return (values - values.mean()) / (values.std(correction=0) + 1e-8)


def local_update(self: Moments, values: Tensor) -> None:
    new = values.double().flatten()
    self._take_in(len(new), new.mean(), new.var(correction=0))


def with_a_broken_loss(self: PPO, optimizer: torch.optim.Optimizer, guard: Any = PPO.on_before_optimizer_step) -> None:
    if self.trainer.global_step == 1:  # the second update
        self._last_loss = torch.tensor(torch.inf)
    guard(self, optimizer)


def learn(world: int, precision: str, mutation: str = "") -> dict[str, Any]:
    """Three iterations of two epochs; what has been learned."""
    if mutation == "advantages":
        learning.standardised = local_advantages
    if mutation == "nothing valid" and together.leads():
        MadeUp.nothing_valid = True
    if mutation == "normaliser":
        ReturnScale.update = local_update  # type: ignore[method-assign]
    if mutation == "broken loss" and together.leads():
        PPO.on_before_optimizer_step = with_a_broken_loss  # type: ignore[method-assign]
    torch.manual_seed(1)
    module = PPO(D, CategoricalHead(3), hidden_sizes=[16], learning_rate=1e-3)
    data = MadeUp(world, torch.float64 if precision == "64-true" else torch.float32)
    strategy = DDPStrategy(broadcast_buffers=False) if world > 1 else "auto"
    trainer(max_epochs=3, devices=world, strategy=strategy, precision=precision).fit(module, data)
    assert data.iteration is not None
    scale = [float(buffer) for buffer in module.return_scale.buffers()]
    bad = module._bad_steps
    return {"weights": weights(module), "bad": bad, "scale": scale, "total": data.timesteps, **data.iteration._asdict()}


@pytest.mark.parametrize(("precision", "tolerance"), [("64-true", 1e-10), ("32-true", 1e-5)])
def test_two_processes_equal_one_with_the_double_batch(tmp_path, precision, tolerance):
    one, (first, second) = learn(1, precision), in_two_processes(tmp_path, learn, 2, precision)
    assert torch.equal(first["weights"], second["weights"])
    assert (first["weights"] - one["weights"]).abs().max() < tolerance
    assert first["scale"] == second["scale"] == pytest.approx(one["scale"], rel=tolerance)
    assert first["total"] == second["total"] == one["total"] < 3 * T * N


@pytest.mark.parametrize("mutation", ["advantages", "normaliser"])
def test_statistics_of_one_process_alone_would_learn_something_else(tmp_path, mutation):
    one, (first, _) = learn(1, "64-true"), in_two_processes(tmp_path, learn, 2, "64-true", mutation)
    assert (first["weights"] - one["weights"]).abs().max() > 1e-4


def test_what_was_counted_is_added_up(tmp_path):
    first, second = in_two_processes(tmp_path, learn, 2, "32-true")
    assert first["statistics"] == second["statistics"] == {"game/speed": (156.0, 6.0)}
    assert (first["episode_returns"], first["episode_steps"]) == ([3.0, 3.0], [2, 2])


def test_process_without_a_valid_sample_keeps_up_with_the_other(tmp_path):
    first, second = in_two_processes(tmp_path, learn, 2, "32-true", "nothing valid")
    assert torch.equal(first["weights"], second["weights"])
    assert first["weights"].isfinite().all()
    assert first["total"] == second["total"] == 3 * T * N // 2


def test_loss_that_is_no_number_in_one_process_counts_in_both(tmp_path):
    first, second = in_two_processes(tmp_path, learn, 2, "32-true", "broken loss")
    assert torch.equal(first["weights"], second["weights"])
    assert first["bad"] == second["bad"] == 1
