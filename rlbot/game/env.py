"""The match as Gymnasium environments: one arena, or any number of them in one process.

env = gymnasium.make("RocketLeague/Soccar-v0", opponent="chaser")
envs = gymnasium.make_vec("RocketLeague/Soccar-v0", num_envs=16)
"""

import importlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlbot.game.actions import NUM_CONTROLS, to_controls
from rlbot.game.endings import Ending
from rlbot.game.match import Match, Opponent
from rlbot.game.observations import Observation
from rlbot.game.rewards import Reward
from rlbot.game.starts import Start
from rlbot.sim.state import TICKS_PER_SECOND, BoolArray, FloatArray

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.floating[Any]]]"

ACTION_SPACE = Box(-1.0, 1.0, (NUM_CONTROLS,), np.float32)


def observation_space(size: int) -> Box:
    """Bounds that are never violated: none."""
    return Box(-np.inf, np.inf, (size,), np.float32)


def find_opponent(opponent: Opponent | str) -> Opponent:
    """The opponent itself, or the one that the league knows by this name (random, chaser, ..., a checkpoint file).

    Raises:
        ValueError: no opponent has this name.
    """
    if not isinstance(opponent, str):
        return opponent
    # By name, as Gymnasium finds environments: the league stands above this floor and may need torch.
    found: Opponent = importlib.import_module("rlbot.league.opponents").find(opponent)
    return found


class RocketSimEnv(gym.Env[FloatArray, Floats]):
    """One arena: the first blue car is yours, an opponent drives the others.

    ``reset(seed=…)`` builds the arena anew, so the same seed and actions give the same episode, bit by bit.

    Args:
        mode: 1v1, 1v2, 2v2 or 3v3.
        opponent: random, idle, chaser, goalie, a checkpoint file, or any ``Opponent``.
        observation: what cars see; None for the 180 numbers of ``DefaultObservation``.
        rewards: terms to sum; None for the default ones.
        endings: reasons to end an episode; None for a goal alone.
        starts: opening positions; None for kickoffs.
        tick_skip: physics ticks (1/120 s) a step.
        render_mode: must be None.
    """

    metadata = {"render_modes": [], "render_fps": TICKS_PER_SECOND // 8}  # noqa: RUF012 - Gymnasium's contract

    def __init__(
        self,
        mode: str = "1v1",
        opponent: Opponent | str = "random",
        *,
        observation: Observation | None = None,
        rewards: Sequence[Reward] | None = None,
        endings: Sequence[Ending] | None = None,
        starts: Sequence[Start] | None = None,
        tick_skip: int = 8,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            raise ValueError(f"render_mode={render_mode!r} is not supported")
        self.render_mode = None
        self._match = Match(
            1,
            mode,
            opponent=find_opponent(opponent),
            observation=observation,
            rewards=rewards,
            endings=endings,
            starts=starts,
            tick_skip=tick_skip,
        )
        self.observation_space: gym.Space[FloatArray] = observation_space(self._match.observation.size)  # type: ignore[assignment]
        self.action_space: gym.Space[Floats] = ACTION_SPACE
        self._built = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode: observation (180,) and an empty info."""
        super().reset(seed=seed)
        if seed is not None or not self._built:
            self._built = True
            return self._match.begin([self.np_random])[0, 0].copy(), {}
        return self._match.reset(np.ones(1, bool))[0, 0].copy(), {}

    def step(self, action: Floats) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Drive for one step with eight controls, clipped to [-1, 1].

        Raises:
            ValueError: NaN, infinity or another shape.
        """
        step = self._match.step(to_controls(action, (NUM_CONTROLS,))[None, None])
        info = {"faulty": True} if step.faulty[0] else {}
        observation = step.observations[0, 0].copy()
        return observation, float(step.rewards[0, 0]), bool(step.terminated[0]), bool(step.truncated[0]), info


class RocketSimVectorEnv(VectorEnv[FloatArray, Floats, Any]):
    """Any number of arenas in one process, stepped in arrays; equal to as many ``RocketSimEnv`` one by one.

    With an opponent, row i is the first blue car of arena i; with ``whole_team`` all blue cars are rows, by arena.
    With ``opponent=None`` (self-play) every car of every arena is a row, and the env's ``num_envs`` counts these rows.

    When an episode ends under ``same_step``, the returned observation is the next episode's first and
    ``infos["final_obs"]`` (rows, 180) holds the last of the old one where ``infos["_final_obs"]`` (rows,) is set.
    Under ``next_step`` the last observation is returned and the following step resets, ignoring its action.
    ``infos["faulty"]`` (rows,) marks steps in which the physics broke down; they are truncated and mean nothing.

    Args:
        num_envs: arenas.
        mode: 1v1, 1v2, 2v2 or 3v3.
        opponent: random, idle, chaser, goalie, a checkpoint file, any ``Opponent``, or None for self-play.
        observation: what cars see; None for the 180 numbers of ``DefaultObservation``.
        rewards: terms to sum; None for the default ones.
        endings: reasons to end an episode; None for a goal alone.
        starts: opening positions; None for kickoffs.
        tick_skip: physics ticks (1/120 s) a step.
        whole_team: against an opponent all blue cars are yours, not only the first.
        autoreset_mode: same_step or next_step.
        render_mode: must be None.
    """

    def __init__(
        self,
        num_envs: int = 1,
        mode: str = "1v1",
        opponent: Opponent | str | None = "random",
        *,
        observation: Observation | None = None,
        rewards: Sequence[Reward] | None = None,
        endings: Sequence[Ending] | None = None,
        starts: Sequence[Start] | None = None,
        tick_skip: int = 8,
        whole_team: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None:
            raise ValueError(f"render_mode={render_mode!r} is not supported")
        names = {"same_step": AutoresetMode.SAME_STEP, "next_step": AutoresetMode.NEXT_STEP}
        chosen = names.get(autoreset_mode, autoreset_mode) if isinstance(autoreset_mode, str) else autoreset_mode
        if chosen not in (AutoresetMode.SAME_STEP.value, AutoresetMode.NEXT_STEP.value, *names.values()):
            raise ValueError(f"autoreset_mode={autoreset_mode!r} is none of {', '.join(names)}")
        self._autoreset = AutoresetMode(chosen)
        self.metadata = {"render_modes": [], "autoreset_mode": self._autoreset}
        self.render_mode = None
        self.match = Match(
            num_envs,
            mode,
            opponent=None if opponent is None else find_opponent(opponent),
            observation=observation,
            rewards=rewards,
            endings=endings,
            starts=starts,
            tick_skip=tick_skip,
            whole_team=whole_team,
        )
        self.num_arenas = num_envs
        self.num_envs = num_envs * self.match.num_learners
        self.single_observation_space = observation_space(self.match.observation.size)
        self.single_action_space = ACTION_SPACE
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(ACTION_SPACE, self.num_envs)
        self._rngs: list[np.random.Generator] = []
        self._ended = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode everywhere: observations (rows, 180).

        Args:
            seed: an int s gives arena i the seed s + i; or one seed an arena. With a seed the arenas are built anew.
            options: not used.
        """
        self._ended[:] = False
        if seed is None and self._rngs:
            return self._rows(self.match.reset(np.ones(self.num_arenas, bool))), {}
        seeds = (
            list(seed)
            if isinstance(seed, Sequence)
            else [None if seed is None else seed + i for i in range(self.num_arenas)]
        )
        if len(seeds) != self.num_arenas:
            raise ValueError(f"{len(seeds)} seeds for {self.num_arenas} arenas")
        self._rngs = [seeding.np_random(one)[0] for one in seeds]
        return self._rows(self.match.begin(self._rngs)), {}

    def step(self, actions: Floats) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Drive every row's car for one step with controls (rows, 8), clipped to [-1, 1].

        Raises:
            ValueError: NaN, infinity or another shape.
        """
        match = self.match
        controls = to_controls(actions, (self.num_envs, NUM_CONTROLS))
        controls = controls.reshape(self.num_arenas, match.num_learners, NUM_CONTROLS)
        if self._autoreset is AutoresetMode.NEXT_STEP and self._ended.any():
            again, self._ended = self._ended, np.zeros(self.num_arenas, bool)
            match.reset(again)
            step = match.step(controls, active=~again)
        else:
            step = match.step(controls)
        infos: dict[str, Any] = {}
        observations = step.observations
        ended = step.terminated | step.truncated
        if step.faulty.any():
            infos["faulty"] = self._per_row(step.faulty)
        if self._autoreset is AutoresetMode.NEXT_STEP:
            self._ended = ended
        elif ended.any():
            infos["final_obs"] = observations.reshape(self.num_envs, -1)  # a view, for the reset makes a new array
            infos["_final_obs"] = self._per_row(ended)
            observations = match.reset(ended)
        return (
            self._rows(observations),
            self._rows(step.rewards),
            self._per_row(step.terminated),
            self._per_row(step.truncated),
            infos,
        )

    def anneal(self, progress: float) -> None:
        """Give the reward terms the weights they have when this share of a training run is done."""
        self.match.anneal(progress)

    def take_statistics(self) -> dict[str, tuple[float, float]]:
        """What your cars did since the last call: total and amount by TensorBoard tag."""
        return self.match.take_statistics()

    def take_seconds(self) -> dict[str, float]:
        """Where the time of the steps since the last call went: seconds of physics, observe, reward and infer."""
        return self.match.take_seconds()

    def _rows(self, values: FloatArray) -> FloatArray:
        """(A, L, ...) to a new (rows, ...)."""
        return values.reshape(self.num_envs, *values.shape[2:]).copy()

    def _per_row(self, flags: BoolArray) -> BoolArray:
        return np.repeat(flags, self.match.num_learners)
