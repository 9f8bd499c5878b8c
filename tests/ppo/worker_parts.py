"""What worker processes are given in tests: an environment that identifies itself and can die, a broken reward."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from counting_env import CountingEnv
from gymnasium.vector import AutoresetMode

from rlbot.game.rewards import Reward
from rlbot.sim.state import GameState


class Numbered(CountingEnv):
    """A ``CountingEnv`` whose arena i is agent ``seed % 90 + i``; each step also pays 10,000 times the opponent.

    It pays a million times the progress of the run, too.

    Args:
        num_envs: arenas.
        endings: see ``CountingEnv``.
        signum: the process sends this to itself at the third step.
        once: it does so only if it can make this file; None for always.
    """

    def __init__(self, num_envs: int, endings: Any = None, signum: int = 0, once: Path | None = None) -> None:
        super().__init__(num_envs, endings or {}, AutoresetMode.SAME_STEP)
        self.match = SimpleNamespace(opponent=0)
        self.signum, self.once = signum, once
        self._progress = 0.0

    def anneal(self, progress: float) -> None:
        self._progress = progress

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset()
        self._place[:, 0] += seed % 90
        return self._place.copy(), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        following, rewards, *rest = super().step(actions)
        if self.signum and len(self.seen) == 3 and self._is_first():
            os.kill(os.getpid(), self.signum)
        return following, rewards + 10_000 * self.match.opponent + 1_000_000 * self._progress, *rest

    def _is_first(self) -> bool:
        try:
            return self.once is None or not self.once.open("x").close()
        except FileExistsError:
            return False

    def take_statistics(self) -> dict[str, tuple[float, float]]:
        return {"game/arenas": (float(self.num_envs), 1.0), f"game/of_{self.num_envs}": (2.0, 3.0)}

    def take_seconds(self) -> dict[str, float]:
        return {"physics": float(self.num_envs)}


class Broken(Reward):
    """Not a number, from the start."""

    def __call__(self, state: GameState) -> np.ndarray:  # (arenas, cars)
        return np.full(state.cars.touched.shape, np.nan)
