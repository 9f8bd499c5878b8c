"""Self-play in some arenas and an opponent in the others, as one environment."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlbot.errors import InputError
from rlbot.game.env import ACTION_SPACE, Floats, RocketSimVectorEnv
from rlbot.game.match import Match, Opponent
from rlbot.sim.state import BoolArray, FloatArray


def arenas(
    num_envs: int, mode: str, opponent: Opponent | None, share: float, **settings: Any
) -> VectorEnv[Any, Any, Any]:
    """So many arenas: self-play without an opponent, else the blue team against it in this share of them."""
    if opponent is None or share >= 1:
        return RocketSimVectorEnv(num_envs, mode, opponent, whole_team=opponent is not None, **settings)
    return MixedVectorEnv(num_envs, share, mode, opponent, **settings)


class MixedVectorEnv(VectorEnv[FloatArray, Floats, Any]):
    """Two ``RocketSimVectorEnv``: the rows of the self-play arenas, then those of the blue teams against the opponent.

    Args:
        num_envs: arenas of both together, at least 2.
        share: of them in which the opponent plays; at least one, and not all.
        mode: 1v1, 1v2, 2v2 or 3v3.
        opponent: drives the orange teams.
        settings: what else both take.

    Raises:
        InputError: too few arenas to share.
    """

    def __init__(self, num_envs: int, share: float, mode: str, opponent: Opponent, **settings: Any) -> None:
        if num_envs < 2:
            raise InputError("a stage's pool_share needs at least 2 arenas in each worker: raise data.num_envs")
        against = min(max(round(share * num_envs), 1), num_envs - 1)
        self._selfplay = RocketSimVectorEnv(num_envs - against, mode, None, **settings)
        self._against = RocketSimVectorEnv(against, mode, opponent, whole_team=True, **settings)
        self._parts = (self._selfplay, self._against)
        self.num_arenas = num_envs
        self.num_envs = sum(part.num_envs for part in self._parts)
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
        self.render_mode = None
        self.single_observation_space = self._selfplay.single_observation_space
        self.single_action_space = ACTION_SPACE
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(ACTION_SPACE, self.num_envs)

    @property
    def match(self) -> Match:
        """Where the opponent plays."""
        return self._against.match

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode everywhere: observations (rows, D); arena i has the seed ``seed + i``."""
        first, _ = self._selfplay.reset(seed=seed)
        second, _ = self._against.reset(seed=None if seed is None else seed + self._selfplay.num_arenas)
        return np.concatenate((first, second)), {}

    def step(self, actions: Floats) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Drive every row's car for one step; see ``RocketSimVectorEnv``."""
        split = self._selfplay.num_envs
        first, second = self._selfplay.step(actions[:split]), self._against.step(actions[split:])
        observations, rewards, terminated, truncated = (
            np.concatenate(pair) for pair in zip(first[:-1], second[:-1], strict=True)
        )
        infos: dict[str, Any] = {}
        for name in first[-1].keys() | second[-1].keys():
            known: Any = first[-1].get(name, second[-1].get(name))
            absent = [np.zeros((part.num_envs, *np.shape(known)[1:]), known.dtype) for part in self._parts]
            given = zip((first[-1], second[-1]), absent, strict=True)
            infos[name] = np.concatenate([info.get(name, nothing) for info, nothing in given])
        return observations, rewards, terminated, truncated, infos

    def anneal(self, progress: float) -> None:
        """See ``RocketSimVectorEnv``."""
        for part in self._parts:
            part.anneal(progress)

    def take_statistics(self) -> dict[str, tuple[float, float]]:
        """What your cars did since the last call: total and amount by tag."""
        taken: dict[str, tuple[float, float]] = {}
        for part in self._parts:
            for name, (total, amount) in part.take_statistics().items():
                before = taken.get(name, (0.0, 0.0))
                taken[name] = (before[0] + total, before[1] + amount)
        return taken

    def take_seconds(self) -> dict[str, float]:
        """Seconds of physics, observe, reward and infer since the last call."""
        first, second = (part.take_seconds() for part in self._parts)
        return {name: first[name] + second[name] for name in first}
