"""PPO as a LightningModule: one epoch is one iteration, one ``training_step`` one minibatch, automatic optimisation."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from gymnasium.spaces import Space
from torch import Tensor
from typing_extensions import override

from rlbot.ppo import together
from rlbot.ppo.gae import generalised_advantages
from rlbot.ppo.guard import GuardedUpdates
from rlbot.ppo.losses import (
    approximate_kl,
    clip_fraction,
    clipped_policy_loss,
    clipped_value_loss,
    explained_variance,
    staleness_weights,
)
from rlbot.ppo.normalise import ReturnScale, discounted_sums, standardised
from rlbot.ppo.policy import ActionHead, ActorCritic, Evaluation, TableHead
from rlbot.ppo.rollout import Rollout
from rlbot.ppo.settings import along, check, check_numbers, discount

Batch = dict[str, Tensor]
CHUNK = 8192  # rows a network sees at once when a rollout is prepared
REWARD_LIMIT = 10.0  # scaled rewards are kept within this
LOWERED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # what autocast makes of a network's inputs


class PPO(GuardedUpdates):
    """Proximal policy optimisation of an actor-critic.

    Args:
        observation_size: numbers an agent sees; the command line takes it from the environment.
        head: how the actor's outputs become actions; by default a row of the 90-row table.
        hidden_sizes: hidden layers of the actor and of the critic.
        layer_norm: LayerNorm after each hidden layer.
        learning_rate: Adam's step size at the start.
        learning_rate_end: step size after data.anneal_timesteps, reached along a line; null keeps it constant.
        half_life: seconds after which a reward counts half: 4.6 s is a discount of 0.99 a step at tick_skip 8.
        gamma: discount a step, instead of half_life: for environments that know no seconds; one of the two is null.
        gae_lambda: trace decay of the advantages at the start.
        gae_lambda_end: trace decay after data.anneal_timesteps, reached along a line; null keeps it constant.
        clip: how far the ratio may move before its gradient stops.
        value_clip: how far a value may move before its gradient stops, in scaled rewards; null does not clip.
        value_weight: weight of the value loss.
        entropy: weight of the entropy bonus at the start, for entropy as a share of the largest one that the head could
            have; GaussianHead, whose entropy has no largest value, counts in nats.
        entropy_end: weight of the entropy bonus after data.anneal_timesteps; null keeps it constant.
        normalise_returns: scale rewards by the running standard deviation of discounted returns.
        learn_threads: torch threads while learning on a CPU; null for one a core.
        symmetry: canonical: left and right are the same to the policy, for it sees the world mirrored whenever the car
            is on one side of the field; null: they need not be.
        close_up: the networks also see the ball close up: its direction, and finely where it is when the car is near.
        step_seconds: of a step; null where an environment knows no seconds. The command line takes it from the data.

    Raises:
        ValueError: a setting out of range, all of them named.
    """

    def __init__(
        self,
        observation_size: int = 180,
        head: ActionHead | None = None,
        hidden_sizes: Sequence[int] = (256, 256),
        layer_norm: bool = True,
        learning_rate: float = 8e-4,
        learning_rate_end: float | None = None,
        half_life: float | None = 4.6,
        gamma: float | None = None,
        gae_lambda: float = 0.8,
        gae_lambda_end: float | None = None,
        clip: float = 0.2,
        value_clip: float | None = None,
        value_weight: float = 0.5,
        entropy: float = 0.0225,
        entropy_end: float | None = None,
        normalise_returns: bool = True,
        learn_threads: int | None = None,
        symmetry: Literal["canonical"] | None = None,
        close_up: bool = False,
        step_seconds: float | None = 8 / 120,
    ) -> None:
        super().__init__()
        check(
            hidden_sizes=list(hidden_sizes),
            learning_rate=learning_rate,
            learning_rate_end=learning_rate_end,
            half_life=half_life,
            gamma=gamma,
            gae_lambda=gae_lambda,
            gae_lambda_end=gae_lambda_end,
            clip=clip,
            value_clip=value_clip,
            value_weight=value_weight,
            entropy=entropy,
            entropy_end=entropy_end,
            learn_threads=learn_threads,
        )
        head = TableHead() if head is None else head
        check_numbers(symmetry, close_up, head, observation_size)
        self.policy = ActorCritic(observation_size, head, hidden_sizes, layer_norm, symmetry == "canonical", close_up)
        self.return_scale = ReturnScale()
        self.architecture = {
            "observation_size": observation_size,
            "head": type(self.policy.head).__name__,
            "head_arguments": self.policy.head.arguments,
            "hidden_sizes": list(hidden_sizes),
            "layer_norm": layer_norm,
            "symmetry": symmetry,
            "close_up": close_up,
            "step_seconds": step_seconds,
        }
        self.learning_rate, self.learning_rate_end = learning_rate, learning_rate_end
        self.gamma = discount(half_life, gamma, step_seconds)
        self.gae_lambda, self.gae_lambda_end, self._lambda = gae_lambda, gae_lambda_end, gae_lambda
        self.clip, self.value_clip, self.value_weight = clip, value_clip, value_weight
        self.entropy, self.entropy_end = entropy, entropy_end
        self.normalise_returns, self.learn_threads = normalise_returns, learn_threads
        self._entropy_weight = entropy
        self._weight = 1.0  # of this process's loss in the mean over processes: every sample counts the same
        self._steps: list[Tensor] = []
        self._explained = torch.zeros(())
        self._recorded: dict[str, float] = {}

    def check_fit(self, space: Space[object], own_numbers: bool) -> None:
        """See that the model fits an environment.

        Args:
            space: its actions.
            own_numbers: it is Rocket League and shows the 180 numbers as they are documented.

        Raises:
            ValueError: it does not.
        """
        head, view = self.policy.head, {name: self.architecture[name] for name in ("symmetry", "close_up")}
        if not head.fits(space):
            raise ValueError(
                f"model.head {type(head).__name__} with {head.num_outputs} outputs does not fit the actions {space}"
            )
        if (any(view.values()) or head.reads_numbers) and not own_numbers:
            raise ValueError(
                f"model.symmetry={view['symmetry']} (null), model.close_up={view['close_up']} (false) and a mask in "
                "model.head (false) are not for your own data.env or data.observation"
            )

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, eps=1e-5, fused=True)

    @override
    def on_fit_start(self) -> None:
        if self.learn_threads is not None:
            torch.set_num_threads(self.learn_threads)

    @override
    def on_train_epoch_start(self) -> None:
        progress = self.trainer.datamodule.progress  # type: ignore[attr-defined]
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = along(self.learning_rate, self.learning_rate_end, progress)
        self._entropy_weight = along(self.entropy, self.entropy_end, progress)
        self._lambda = along(self.gae_lambda, self.gae_lambda_end, progress)

    @torch.no_grad()
    def prepare(self, rollout: Rollout, size: int, stale: bool = False) -> Batch:
        """Turn a rollout (T, N) into at most ``size`` flat samples to learn from, those that are valid, in time order.

        Values, scaled rewards and advantages are computed for the whole rollout under the trainer's precision; the
        advantages of the samples are brought to mean 0 and spread 1. Return scale, mean and spread are those of all
        processes. A ``stale`` rollout was collected by an older policy than the present one. The samples'
        observations and actions are what the networks see and answer.
        """
        rollout = Rollout(*(tensor.to(self.device) for tensor in rollout.tensors), report=rollout.report)
        lowered = LOWERED.get(str(self.trainer.precision))
        numbers, sides = self.policy.view(rollout.observations.flatten(0, 1).to(lowered))  # once, not in every pass
        values, next_values = self._values(rollout, numbers)
        ended = rollout.terminated | rollout.truncated
        rewards = rollout.rewards
        if self.normalise_returns:
            self.return_scale.update(discounted_sums(rewards, ended, self.gamma)[rollout.valid])
            rewards = (rewards / self.return_scale.std).clamp(-REWARD_LIMIT, REWARD_LIMIT)
        truncated = rollout.truncated.clone()  # nothing is learned from an invalid step, nor through it
        truncated[:-1] |= ~rollout.valid[1:]
        advantages = generalised_advantages(
            rewards, values, next_values, rollout.terminated, truncated, self.gamma, self._lambda
        )
        chosen = rollout.valid.flatten().nonzero().squeeze(1)[:size]  # a copy, for the next rollout overwrites this
        batch = {
            "observations": numbers,
            "actions": self.policy.head.mirrored(rollout.actions.flatten(0, 1), sides),
            "log_probs": rollout.log_probs.flatten(),
            "values": values.flatten(),
            "returns": (advantages + values).flatten(),
            "advantages": advantages.flatten(),
        }
        batch = {name: tensor[chosen] for name, tensor in batch.items()}
        batch["advantages"] = standardised(batch["advantages"])
        if stale:
            present = self._evaluate(batch).log_probs
            batch["advantages"] *= staleness_weights(present - batch["log_probs"])
            batch["log_probs"] = present
        sizes = together.gather(len(chosen))
        self._weight = len(chosen) * len(sizes) / max(sum(sizes), 1)
        self._explained = explained_variance(batch["values"], batch["returns"])
        return batch

    def _evaluate(self, batch: Batch) -> Evaluation:
        """What the present policy thinks of the batch's actions."""
        parts = zip(*(torch.split(batch[name], CHUNK) for name in ("observations", "actions")), strict=True)
        with self.trainer.precision_plugin.forward_context():
            done = [self.policy.evaluate(seen, actions) for seen, actions in parts]
        return Evaluation(*(torch.cat(tensors) for tensors in zip(*done, strict=True)))

    def _values(self, rollout: Rollout, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Values (T, N) of what is ``seen`` (T * N, S), and of what followed each before any reset."""
        values = self._value(seen).reshape(rollout.rewards.shape)
        next_values = torch.cat((values[1:], self._value(self._look(rollout.last_observations))[None]))
        report = rollout.report
        if len(report.final_index):
            steps, agents = torch.from_numpy(report.final_index).to(self.device).unbind(1)
            last = torch.from_numpy(report.final_observations).to(self.device)
            next_values[steps, agents] = self._value(self._look(last))
        return values, next_values

    def _look(self, observations: Tensor) -> Tensor:
        numbers: Tensor = self.policy.view(observations).numbers
        return numbers

    def _value(self, seen: Tensor) -> Tensor:
        with self.trainer.precision_plugin.forward_context():
            return torch.cat([self.policy.value(chunk) for chunk in torch.split(seen, CHUNK)])

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if len(batch["advantages"]) == 0:  # only in one of several processes, which has to take part in the update
            self._last_loss = sum((p.sum() for p in self.parameters()), torch.zeros((), device=self.device)) * 0.0
            return self._last_loss
        now = self.policy.evaluate(batch["observations"], batch["actions"])
        log_ratio = now.log_probs - batch["log_probs"]
        policy_loss = clipped_policy_loss(log_ratio, batch["advantages"], self.clip)
        value_loss = clipped_value_loss(now.values, batch["values"], batch["returns"], self.value_clip)
        entropy = now.entropy.mean() / self.policy.head.entropy_unit
        loss = policy_loss + self.value_weight * value_loss - self._entropy_weight * entropy
        with torch.no_grad():
            kl, clipped = approximate_kl(log_ratio), clip_fraction(log_ratio, self.clip)
            self._steps.append(torch.stack((policy_loss, value_loss, entropy, kl, clipped)).detach())
        self._last_loss = loss.detach()
        return loss if self._weight == 1.0 else loss * self._weight

    def record(self, scalars: Mapping[str, float | Tensor]) -> None:
        """Log numbers at the end of this iteration, all in one call, against timesteps.

        Lightning's own ``log`` takes half a millisecond a number at forty numbers, a percent of an iteration.
        """
        self._recorded |= {name: float(value) for name, value in scalars.items()}
        self.trainer.callback_metrics.update({name: torch.as_tensor(value) for name, value in self._recorded.items()})

    @override
    def on_train_epoch_end(self) -> None:
        names = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction", "explained_variance")
        means = torch.stack(self._steps).mean(dim=0).cpu() if self._steps else torch.zeros(len(names) - 1)
        means = torch.stack(together.gather(torch.cat((means, self._explained.cpu()[None])))).mean(dim=0)
        self._steps.clear()
        norms = torch.stack(self._gradient_norms).cpu() if self._gradient_norms else torch.zeros(1)
        self._gradient_norms.clear()
        logged: dict[str, Any] = {f"ppo/{name}": value for name, value in zip(names, means, strict=True)}
        logged["ppo/gradient_norm"] = norms[norms.isfinite()].mean() if norms.isfinite().any() else norms.mean()
        logged["ppo/return_std"] = self.return_scale.std
        logged["ppo/learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        logged["ppo/entropy_weight"] = self._entropy_weight
        self.record(logged | {"ppo/skipped_updates": float(self._bad_steps)})
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        for logger in self.trainer.loggers:
            logger.log_metrics(self._recorded, step=data.timesteps)
        self._recorded = {}
        # The x-axis of what a user's callback logs; float64, because float32 is exact to 16.7 million only.
        self.log_dict({"epoch": float(data.num_iterations), "step": torch.tensor(data.timesteps, dtype=torch.float64)})

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for optimizer in checkpoint["optimizer_states"]:
            for group in optimizer["param_groups"]:
                group["fused"] = True  # a file of before 2026-11-27 from a GPU in 16-mixed says that it was not

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["architecture"] = self.architecture
        # Saves happen between iterations only, so the position of Lightning's loops says nothing; restoring one that
        # was taken inside ``on_train_epoch_end`` would train on one minibatch too many.
        checkpoint.pop("loops", None)
