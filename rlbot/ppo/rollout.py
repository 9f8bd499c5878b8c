"""Collect a rollout from any vectorised environment, and the buffer it is written to.

Shapes: T steps, N agents (rows of the environment), D observation.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from rlbot.ppo.policy import ActorCritic


@dataclass(slots=True)
class Rollout:
    """T steps of N agents, on the policy's device.

    Attributes:
        observations: (T, N, D) acted on.
        actions: (T, N, ...) as the policy's head gave them.
        log_probs: (T, N) of these actions.
        rewards: (T, N).
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        valid: (T, N) bool: false where nothing was decided (a reset step) or the physics broke down.
        last_observations: (N, D) where the rollout stopped.
        final_observations: (F, D) of the F episodes whose last observation is not in ``observations``.
        final_index: (F, 2) step and agent of those.
        episode_returns: undiscounted, of the episodes that ended in this rollout.
        episode_steps: their lengths.
        statistics: total and amount by TensorBoard tag, where the environment counts them.
    """

    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor
    last_observations: Tensor
    final_observations: Tensor
    final_index: Tensor
    episode_returns: list[float] = field(default_factory=list)
    episode_steps: list[int] = field(default_factory=list)
    statistics: dict[str, tuple[float, float]] = field(default_factory=dict)


class one_torch_thread(AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    """Act on one torch thread: a small network on few rows is slower on several, and they would spin beside physics."""

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *exception: object) -> None:
        torch.set_num_threads(self._before)


class Collector:
    """Steps one environment with a policy; the environment goes on where the last rollout stopped.

    Args:
        env: SAME_STEP or NEXT_STEP autoreset.

    Raises:
        ValueError: an environment that does not reset by itself.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise ValueError(f"autoreset_mode={mode} of {type(env).__name__} is neither SAME_STEP nor NEXT_STEP")
        self.env = env
        self._next_step = mode == AutoresetMode.NEXT_STEP
        self._observations: np.ndarray | None = None

    @property
    def num_agents(self) -> int:
        """Rows of the environment (N)."""
        return self.env.num_envs

    def reset(self, seed: int) -> None:
        """Begin new episodes everywhere."""
        self._observations, _ = self.env.reset(seed=seed)
        self._resetting = np.zeros(self.num_agents, bool)  # NEXT_STEP: rows whose coming step only resets
        self._returns, self._steps = np.zeros(self.num_agents), np.zeros(self.num_agents, np.int64)

    @torch.no_grad()
    def collect(
        self, policy: ActorCritic, num_steps: int, generator: torch.Generator, precision: AbstractContextManager[Any]
    ) -> Rollout:
        """Act for ``num_steps`` steps under the trainer's precision.

        Args:
            policy: acts, unchanged throughout.
            num_steps: T.
            generator: all of the policy's noise.
            precision: context in which the network runs, the same as in learning.
        """
        if self._observations is None:
            raise RuntimeError("collect was called before reset")
        device = next(policy.parameters()).device
        num_agents = self.num_agents
        observed = torch.empty((num_steps, num_agents, self._observations.shape[1]))
        actions, log_probs = [], torch.empty((num_steps, num_agents), device=device)
        rewards = np.empty((num_steps, num_agents), np.float32)
        terminated, truncated, valid = (np.zeros((num_steps, num_agents), bool) for _ in range(3))
        finals: list[np.ndarray] = []
        final_index: list[tuple[int, int]] = []
        returns: list[float] = []
        steps: list[int] = []
        with precision, one_torch_thread():
            for t in range(num_steps):
                observed[t] = torch.from_numpy(self._observations)
                action, log_probs[t] = policy.act(observed[t].to(device), generator)
                actions.append(action)
                following, rewards[t], terminated[t], truncated[t], infos = self.env.step(policy.head.to_env(action))
                valid[t] = ~self._resetting & np.logical_not(infos.get("faulty", False))
                ended = terminated[t] | truncated[t]
                self._count(rewards[t], ended, valid[t], returns, steps)
                if self._next_step:
                    # The step after an ending only resets: cut the trace there too.
                    truncated[t] |= self._resetting
                    self._resetting = ended
                elif ended.any():
                    for n in np.flatnonzero(truncated[t] & ~terminated[t]):
                        finals.append(infos["final_obs"][n])
                        final_index.append((t, int(n)))
                self._observations = following
        size = observed.shape[-1]
        take_statistics = getattr(self.env, "take_statistics", dict)
        return Rollout(
            observations=observed.to(device),
            actions=torch.stack(actions),
            log_probs=log_probs,
            rewards=torch.from_numpy(rewards).to(device),
            terminated=torch.from_numpy(terminated).to(device),
            truncated=torch.from_numpy(truncated).to(device),
            valid=torch.from_numpy(valid).to(device),
            last_observations=torch.from_numpy(np.array(self._observations, np.float32)).to(device),
            final_observations=torch.from_numpy(np.array(finals, np.float32).reshape(-1, size)).to(device),
            final_index=torch.tensor(final_index, dtype=torch.int64, device=device).reshape(-1, 2),
            episode_returns=returns,
            episode_steps=steps,
            statistics=take_statistics(),
        )

    def _count(
        self, rewards: np.ndarray, ended: np.ndarray, valid: np.ndarray, returns: list[float], steps: list[int]
    ) -> None:
        self._returns += np.where(valid, rewards, 0)
        self._steps += valid
        if ended.any():
            returns.extend(self._returns[ended].tolist())
            steps.extend(self._steps[ended].tolist())
            self._returns[ended], self._steps[ended] = 0, 0

    def close(self) -> None:
        """Release the environment."""
        self.env.close()
