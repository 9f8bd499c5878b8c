"""Collect a rollout from any vectorised environment, and the buffer it is written to.

Shapes: T steps, N agents (rows of the environment), D observation.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from rlbot.ppo.policy import ActionHead
from rlbot.threads import one_thread

ALIGNMENT = 64  # bytes


@dataclass(slots=True)
class Rollout:
    """T steps of N agents in CPU memory, which every rollout writes to anew.

    Attributes:
        observations: (T, N, D) acted on.
        actions: (T, N, ...) as the policy's head gave them.
        log_probs: (T, N) of these actions.
        rewards: (T, N).
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        valid: (T, N) bool: false where nothing was decided (a reset step) or the physics broke down.
        last_observations: (N, D) where the rollout stopped.
        report: what has no fixed size.
    """

    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor
    last_observations: Tensor
    report: "Report" = field(default_factory=lambda: Report(), kw_only=True)

    @property
    def tensors(self) -> list[Tensor]:
        """All but the report; the last has no axis of steps."""
        return [getattr(self, f.name) for f in fields(self)[:-1]]

    def part(self, steps: int, agents: slice = slice(None)) -> "Rollout":
        """The first steps of some agents, as views."""
        *timed, last = self.tensors
        return Rollout(*[*(tensor[:steps, agents] for tensor in timed), last[agents]])


@dataclass(slots=True)
class Report:
    """What happened in a rollout, beside its steps.

    Attributes:
        final_observations: (F, D) of the F episodes whose last observation is not among those acted on.
        final_index: (F, 2) step and agent of those.
        episode_returns: undiscounted, of the episodes that ended in this rollout.
        episode_steps: their lengths.
        statistics: total and amount by TensorBoard tag, where the environment counts them.
        seconds: where the time went: physics, observe, reward, infer, and all of it (collect).
    """

    final_observations: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    final_index: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    episode_returns: list[float] = field(default_factory=list)
    episode_steps: list[int] = field(default_factory=list)
    statistics: dict[str, tuple[float, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def _layout(num_steps: int, num_agents: int, size: int, head: ActionHead) -> list[tuple[tuple[int, ...], torch.dtype]]:
    flat = (num_steps, num_agents)
    return [
        ((*flat, size), torch.float32),
        ((*flat, *head.action_shape), head.action_dtype),
        *[(flat, torch.float32)] * 2,
        *[(flat, torch.bool)] * 3,
        ((num_agents, size), torch.float32),
    ]


def _bytes(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    return -(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT


def rollout_bytes(num_steps: int, num_agents: int, size: int, head: ActionHead) -> int:
    """Memory that ``allocate`` lays out."""
    return sum(_bytes(*tensor) for tensor in _layout(num_steps, num_agents, size, head))


def allocate(num_steps: int, num_agents: int, size: int, head: ActionHead, memory: Any = None) -> Rollout:
    """Room for ``num_steps`` of ``num_agents`` with observations of ``size``: new, or laid out in ``memory``."""
    layout = _layout(num_steps, num_agents, size, head)
    if memory is None:
        return Rollout(*(torch.zeros(shape, dtype=dtype) for shape, dtype in layout))
    tensors, offset = [], 0
    for shape, dtype in layout:
        tensors.append(torch.frombuffer(memory, dtype=dtype, count=math.prod(shape), offset=offset).view(shape))
        offset += _bytes(shape, dtype)
    return Rollout(*tensors)


class Player(Protocol):
    """Chooses actions: ``Acting``, or whoever stands in for it."""

    head: ActionHead

    def __call__(self, observations: NDArray[Any], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Actions (B, ...) and their log-probabilities (B,) for observations (B, D)."""
        ...


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

    @property
    def observation_size(self) -> int:
        """Numbers an agent sees (D)."""
        shape = self.env.single_observation_space.shape
        assert shape is not None
        return int(shape[0])

    def reset(self, seed: Any) -> None:
        """Begin new episodes everywhere; the seed is the environment's."""
        self._observations, _ = self.env.reset(seed=seed)
        self._resetting = np.zeros(self.num_agents, bool)  # NEXT_STEP: rows whose coming step only resets
        self._returns, self._steps = np.zeros(self.num_agents), np.zeros(self.num_agents, np.int64)

    def collect(
        self, acting: Player, into: Rollout, generator: torch.Generator, each_step: Callable[[], object] = bool
    ) -> Report:
        """Act for as many steps as there is room for.

        Args:
            acting: the policy, as ``Acting`` plays it; unchanged throughout.
            into: (T, N, ...) is written to.
            generator: all of the policy's noise.
            each_step: called before every step.
        """
        if self._observations is None:
            raise RuntimeError("collect was called before reset")
        begun, infer_seconds = time.perf_counter(), 0.0
        observed, log_probs, rewards = (t.numpy() for t in (into.observations, into.log_probs, into.rewards))
        terminated, truncated, valid = (t.numpy() for t in (into.terminated, into.truncated, into.valid))
        finals: list[np.ndarray] = []
        final_index: list[tuple[int, int]] = []
        returns: list[float] = []
        lengths: list[int] = []
        with one_thread():
            for t in range(len(observed)):
                each_step()
                now = time.perf_counter()
                observed[t] = self._observations
                action, log_probs[t] = acting(observed[t], generator)
                into.actions[t] = action
                choice = acting.head.to_env(action)
                infer_seconds += time.perf_counter() - now
                following, rewards[t], terminated[t], truncated[t], infos = self.env.step(choice)
                valid[t] = ~self._resetting & np.logical_not(infos.get("faulty", False))
                ended = terminated[t] | truncated[t]
                self._count(rewards[t], ended, valid[t], returns, lengths)
                if self._next_step:
                    # The step after an ending only resets: cut the trace there too.
                    truncated[t] |= self._resetting
                    self._resetting = ended
                elif ended.any():
                    for n in np.flatnonzero(truncated[t] & ~terminated[t]):
                        finals.append(infos["final_obs"][n])
                        final_index.append((t, int(n)))
                self._observations = following
        into.last_observations.numpy()[:] = self._observations
        seconds = {"physics": 0.0, "observe": 0.0, "reward": 0.0, "infer": 0.0} | self._take("take_seconds")
        seconds["infer"] += infer_seconds
        seconds["collect"] = time.perf_counter() - begun
        return Report(
            final_observations=np.array(finals, np.float32).reshape(-1, observed.shape[-1]),
            final_index=np.array(final_index, np.int64).reshape(-1, 2),
            episode_returns=returns,
            episode_steps=lengths,
            statistics=self._take("take_statistics"),
            seconds=seconds,
        )

    def _take(self, name: str) -> dict[str, Any]:
        """What our own environment counts and others do not."""
        taken: dict[str, Any] = getattr(self.env, name, dict)()
        return taken

    def _count(
        self, rewards: np.ndarray, ended: np.ndarray, valid: np.ndarray, returns: list[float], lengths: list[int]
    ) -> None:
        self._returns += np.where(valid, rewards, 0)
        self._steps += valid
        if ended.any():
            returns.extend(self._returns[ended].tolist())
            lengths.extend(self._steps[ended].tolist())
            self._returns[ended], self._steps[ended] = 0, 0

    def change_opponent(self, opponent: Any) -> None:
        """From now on this opponent drives the cars that are not the learner's."""
        self.env.match.opponent = opponent  # type: ignore[attr-defined]

    def anneal(self, progress: float) -> None:
        """Tell our own environment what share of the run is done."""
        getattr(self.env, "anneal", float)(progress)

    def close(self) -> None:
        """Release the environment."""
        self.env.close()
