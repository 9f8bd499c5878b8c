"""Environments built of RLGym v2's parts as one Gymnasium ``VectorEnv``: the parts run as they are."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rlbot.errors import InputError


class Moment(NamedTuple):
    """What one arena's agents were given, in the order of its rows."""

    observations: NDArray[np.float32]  # (K, D)
    rewards: NDArray[np.float32]  # (K,)
    terminated: NDArray[np.bool_]  # (K,)
    truncated: NDArray[np.bool_]  # (K,)


class RLGymArenas:
    """Makes ``RLGymVectorEnv``s, in whichever process: what ``data.env`` asks for.

    Args:
        make: called without arguments for each arena, gives an ``rlgym.api.RLGym``.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __call__(self, num_envs: int) -> "RLGymVectorEnv":
        """So many arenas."""
        return RLGymVectorEnv(self.make, num_envs)


class RLGymVectorEnv(VectorEnv[Any, Any, Any]):
    """Steps RLGym environments one after the other; every agent of each is a row.

    Where an agent's episode ends, those of its whole arena end, and the arena is reset at once (SAME_STEP). A step
    after which an agent saw anything but finite numbers ends them too, marked in ``infos["faulty"]`` (rows,).
    Continuous actions are clipped to their space.

    Args:
        make: called without arguments for each arena, gives an ``rlgym.api.RLGym``.
        num_envs: arenas; the env's own ``num_envs`` counts rows.

    Raises:
        InputError: no RLGym environment, observations that are not rows of one length, another number of agents after a
            reset, a reward that is no number, or actions of another kind than RLGym's discrete and continuous ones.
    """

    def __init__(self, make: Callable[[], Any], num_envs: int) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self._make = make
        self._arenas = [self._new() for _ in range(num_envs)]
        self._agents: list[list[Any]] = [[]] * num_envs
        self._shape: tuple[int, ...] | None = None  # of an observation
        first = np.concatenate([self._begin(i) for i in range(num_envs)])
        ends = np.cumsum([len(agents) for agents in self._agents]).tolist()
        self._rows = [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]
        self.num_envs = len(first)
        self.single_observation_space = Box(-np.inf, np.inf, first.shape[1:])
        self.single_action_space = _space(self._arenas[0].action_space(self._agents[0][0]))
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode everywhere: observations (rows, D).

        RLGym takes no seed: its parts draw from the streams of ``random`` and ``numpy.random`` that a whole process
        shares, so a seed, the first of several, is given to those.
        """
        first = seed[0] if isinstance(seed, Sequence) else seed
        if first is not None:
            random.seed(first)
            np.random.seed(first % 2**32)
        return np.concatenate([self._begin(i) for i in range(len(self._arenas))]), {}

    def step(self, actions: NDArray[Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """The five values, (rows, ...); ``final_obs`` (rows, D) has the old episode's last where one ended."""
        if isinstance(space := self.single_action_space, Box):
            actions = np.clip(actions, space.low, space.high)
        chosen = np.asarray(actions).reshape(self.num_envs, -1)  # RLGym's table is asked by arrays of one number
        moments = [self._step(i, chosen[rows]) for i, rows in enumerate(self._rows)]
        observations, rewards, terminated, truncated = (np.concatenate(part) for part in zip(*moments, strict=True))
        broken = ~np.isfinite(observations).all(axis=1)
        faulty, over = self._whole_arenas(broken), self._whole_arenas(broken | terminated | truncated)
        if not np.isfinite(rewards[~faulty]).all():
            raise InputError("RLGym's reward function gave a reward that is NaN or infinite")
        observations[faulty], rewards[faulty], terminated[faulty] = 0, 0, False
        infos: dict[str, Any] = {"faulty": faulty} if faulty.any() else {}
        following = observations
        if over.any():
            infos |= {"final_obs": observations, "_final_obs": over}
            following = observations.copy()
        for i, rows in enumerate(self._rows):
            if over[rows].any():
                following[rows] = self._begin(i)
        return following, rewards, terminated, over & ~terminated, infos

    def close(self, **kwargs: Any) -> None:
        """Close every arena."""
        for arena in self._arenas:
            arena.close()

    def _whole_arenas(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(rows,) set for all agents of an arena where it is for one."""
        return np.concatenate([np.full_like(flags[rows], flags[rows].any()) for rows in self._rows])

    def _new(self) -> Any:
        arena = self._make()
        if not all(hasattr(arena, name) for name in ("agents", "action_space", "reset", "step")):
            name = getattr(self._make, "__name__", self._make)
            raise InputError(
                f"data.env make={name} gave {type(arena).__name__}: it must return the RLGym(...) itself, in no wrapper"
            )
        return arena

    def _begin(self, i: int) -> NDArray[np.float32]:
        """Reset an arena: observations (K, D), with as many agents as it had."""
        arena, known = self._arenas[i], self._agents[i]
        seen = arena.reset()
        agents = self._agents[i] = list(arena.agents)
        if known and len(agents) != len(known):
            raise InputError(
                f"an RLGym arena of {len(known)} agents was reset with {len(agents)}: its state mutator must always "
                "give it the same number of cars"
            )
        observations = self._stacked(seen, agents)
        if not np.isfinite(observations).all():
            raise InputError("RLGym's observations hold NaN or infinity after a reset")
        return observations

    def _step(self, i: int, actions: NDArray[Any]) -> Moment:
        agents = self._agents[i]
        seen, *rest = self._arenas[i].step(dict(zip(agents, actions, strict=True)))
        rewards, terminated, truncated = ([part[agent] for agent in agents] for part in rest)
        return Moment(
            self._stacked(seen, agents),
            np.array(rewards, np.float32),
            np.array(terminated, bool),
            np.array(truncated, bool),
        )

    def _stacked(self, seen: dict[Any, Any], agents: Sequence[Any]) -> NDArray[np.float32]:
        """Observations (K, D) in the order of the agents."""
        rows = [np.asarray(seen[agent], np.float32) for agent in agents]
        if not rows:
            raise InputError("an RLGym arena without agents: let its state mutator add cars")
        self._shape = self._shape or rows[0].shape
        if {row.shape for row in rows} != {self._shape} or len(self._shape) != 1:
            shapes = " and ".join(map(str, sorted({self._shape, *(row.shape for row in rows)})))
            raise InputError(f"RLGym's observations have the shape {shapes}, expected one length for all agents")
        return np.stack(rows)


def _space(space: Any) -> Space[Any]:
    """Of RLGym's ``("discrete", n)``, ``("real", n)`` or ``(n, "continuous")``, or a Gymnasium space as it is."""
    if isinstance(space, Space):
        return space
    if isinstance(space, tuple) and len(space) == 2:
        kind, size = space if isinstance(space[0], str) else space[::-1]
        if kind == "discrete":
            return Discrete(int(size))
        if kind in ("real", "continuous"):
            return Box(-1, 1, (int(size),))
    raise InputError(f"RLGym's action space {space!r} is neither ('discrete', n) nor ('real', n) nor a Gymnasium space")
