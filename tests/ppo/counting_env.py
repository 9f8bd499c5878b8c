"""An environment whose observations say where they come from, so that a wrong index shows."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class CountingEnv(VectorEnv):
    """Agents count their steps: the observation is (agent, episode, step), the step to it pays 100, 10 and 1 of each.

    Args:
        num_envs: agents.
        endings: length and kind (terminated, truncated or faulty) of the episodes, by (agent, episode) or, for all
            episodes of an agent, by agent; any other goes on for ever.
        mode: SAME_STEP or NEXT_STEP.
    """

    def __init__(self, num_envs: int, endings: dict[Any, tuple[int, str]], mode: AutoresetMode) -> None:
        self.metadata = {"autoreset_mode": mode}
        self.num_envs, self.endings = num_envs, endings
        self.single_observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.single_action_space = Discrete(4)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.seen: list[np.ndarray] = []  # actions

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        agents = np.arange(self.num_envs, dtype=np.float32)
        self._place = np.stack((agents, 0 * agents, 0 * agents), axis=1)
        self._ended = np.zeros(self.num_envs, bool)
        return self._place.copy(), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self.seen.append(np.array(actions))
        place, next_step = self._place, self.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        again = self._ended if next_step else np.zeros(self.num_envs, bool)
        place[:, 2] += 1
        self._begin(again)
        kinds = np.array([self._kind(*row) for row in place.astype(int).tolist()])
        rewards = np.where(again, 0, place @ np.float32([100, 10, 1]))
        terminated, truncated = kinds == "terminated", np.isin(kinds, ("truncated", "faulty"))
        infos: dict[str, Any] = {"faulty": kinds == "faulty"} if (kinds == "faulty").any() else {}
        self._ended = terminated | truncated
        if not next_step and self._ended.any():
            infos["_final_obs"] = self._ended
            infos["final_obs"] = np.where(self._ended[:, None], place, np.nan)
            self._begin(self._ended)
        return place.copy(), rewards, terminated, truncated, infos

    def _begin(self, which: np.ndarray) -> None:
        self._place[which, 1] += 1
        self._place[which, 2] = 0

    def _kind(self, agent: int, episode: int, step: int) -> str:
        length, kind = self.endings.get((agent, episode), self.endings.get(agent, (0, "")))
        return kind if 0 < length == step else ""
