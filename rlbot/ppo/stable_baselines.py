"""A Stable-Baselines3 ``VecEnv`` as a Gymnasium ``VectorEnv``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class VecEnvAdapter(VectorEnv[Any, Any, Any]):
    """Takes what Stable-Baselines3 gives (bare reset, 4 values from step) and gives what Gymnasium asks for.

    Args:
        env: any ``stable_baselines3.common.vec_env.VecEnv``.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = env.num_envs
        self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self.observation_space = batch_space(env.observation_space, self.num_envs)
        self.action_space = batch_space(env.action_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Observations (N, D) and an empty info."""
        if seed is not None:
            self._env.seed(seed)
        return self._env.reset(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """The five values: ``dones`` split by ``TimeLimit.truncated``, ``terminal_observation`` as ``final_obs``."""
        self._env.step_async(actions)
        observations, rewards, dones, infos = self._env.step_wait()
        dones = np.asarray(dones, bool)
        truncated = dones & np.array([info.get("TimeLimit.truncated", False) for info in infos])
        found: dict[str, Any] = {}
        if dones.any():
            found["final_obs"] = np.array(
                [info.get("terminal_observation", row) for info, row in zip(infos, observations, strict=True)]
            )
            found["_final_obs"] = dones
        if any(info.get("faulty") for info in infos):
            found["faulty"] = np.array([bool(info.get("faulty")) for info in infos])
        return observations, rewards, dones & ~truncated, truncated, found

    def close(self, **kwargs: Any) -> None:
        """Close the environments."""
        self._env.close()


def as_vector_env(env: Any) -> VectorEnv[Any, Any, Any]:
    """The environment as the collector takes it.

    Raises:
        ValueError: neither a Gymnasium ``VectorEnv`` nor a Stable-Baselines3 ``VecEnv``.
    """
    if hasattr(env, "step_wait") and hasattr(env, "observation_space") and not isinstance(env, VectorEnv):
        return VecEnvAdapter(env)
    if not isinstance(env, VectorEnv):
        raise ValueError(
            f"data.env is {type(env).__name__}, neither a gymnasium VectorEnv nor a VecEnv; an RLGym is made by "
            "rlbot.ppo.rlgym.RLGymArenas"
        )
    return env
