"""Match: arenas, opponent, observations, rewards and endings as one vectorised step.

Data flows one way: controls in, state out, observation, reward, endings. Who resets what and when is the caller's.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from rlbot.game.actions import NUM_CONTROLS
from rlbot.game.endings import Ending, default_endings
from rlbot.game.observations import DefaultObservation, Observation, shuffled_others
from rlbot.game.rewards import Reward, default_rewards, mixing
from rlbot.game.starts import Start, default_starts, draw
from rlbot.game.statistics import GameStatistics
from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import BoolArray, FloatArray

MODES = {"1v1": (1, 1), "1v2": (1, 2), "2v2": (2, 2), "3v3": (3, 3)}  # blue and orange cars


class Opponent(Protocol):
    """Drives the cars that are not the learner's."""

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """Controls (A, K, 8) for observations (A, K, D); noise (A, K) in [0, 1) is the only randomness to use."""
        ...


@runtime_checkable
class Scorekeeper(Protocol):
    """An opponent that keeps count of how the episodes against it end."""

    def add_episodes(self, ended: BoolArray, goal: FloatArray) -> None:
        """Arenas in which an episode ended (A,), and who scored (A,): 1 blue, -1 orange, 0 nobody."""
        ...

    def take_statistics(self) -> dict[str, tuple[float, float]]:
        """Total and amount by tag since the last call."""
        ...


class Step(NamedTuple):
    """What one step of the learner's L cars in A arenas gave; an ended arena has to be reset before it goes on."""

    observations: FloatArray  # (A, L, D)
    rewards: FloatArray  # (A, L)
    terminated: BoolArray  # (A,)
    truncated: BoolArray  # (A,)
    faulty: BoolArray  # (A,) the physics broke down: nothing to learn from this step


class Match:
    """A arenas of one mode. Without an opponent all cars are the learner's, with one the first blue car or all blue.

    Args:
        num_arenas: how many matches are simulated.
        mode: 1v1, 1v2, 2v2 or 3v3 (blue against orange).
        opponent: drives all other cars; None for self-play.
        observation: what cars see.
        rewards: terms to sum.
        endings: reasons to end an episode.
        starts: opening positions to draw from.
        tick_skip: physics ticks (1/120 s) a step.
        whole_team: against an opponent all blue cars are the learner's, not only the first.

    Raises:
        ValueError: an unknown mode, two reward terms of one name, no starts.
    """

    def __init__(
        self,
        num_arenas: int,
        mode: str = "1v1",
        *,
        opponent: Opponent | None = None,
        observation: Observation | None = None,
        rewards: Sequence[Reward] | None = None,
        endings: Sequence[Ending] | None = None,
        starts: Sequence[Start] | None = None,
        tick_skip: int = 8,
        whole_team: bool = False,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode={mode!r} is none of {', '.join(MODES)}")
        if num_arenas < 1 or tick_skip < 1:
            raise ValueError(f"num_envs={num_arenas} and tick_skip={tick_skip} must be at least 1")
        self.num_arenas, self.mode, self.tick_skip = num_arenas, mode, tick_skip
        self.team = np.repeat([0, 1], MODES[mode])
        self.num_cars = len(self.team)
        self.opponent = opponent
        self.num_learners = self.num_cars if opponent is None else MODES[mode][0] if whole_team else 1
        self.observation = DefaultObservation() if observation is None else observation
        self.rewards = default_rewards() if rewards is None else list(rewards)
        self._mixing = [
            (k, mixing(self.team, reward.team_spirit, reward.zero_sum).T)
            for k, reward in enumerate(self.rewards)
            if reward.team_spirit or reward.zero_sum
        ]
        self.endings = default_endings() if endings is None else list(endings)
        self.starts = default_starts() if starts is None else list(starts)
        names = [reward.name for reward in self.rewards]
        if len(set(names)) < len(names):
            raise ValueError(f"rewards holds two terms of one name: {', '.join(names)}")
        if not self.starts or sum(start.weight for start in self.starts) <= 0:
            raise ValueError("starts holds no start with a weight above 0")
        self._arenas: ArenaBatch | None = None
        self._seconds = {"observe": 0.0, "reward": 0.0, "infer": 0.0}
        self._observations = np.zeros((num_arenas, self.num_cars, self.observation.size), np.float32)
        self._order = np.zeros((num_arenas, self.num_cars, self.num_cars - 1), np.int64)
        self.anneal(0.0)

    def anneal(self, progress: float) -> None:
        """Give every reward term the weight it has when this share of ``total_timesteps`` is done."""
        self._weights = [reward.weight_at(progress) for reward in self.rewards]

    @property
    def arenas(self) -> ArenaBatch:
        """The arenas; they exist from the first reset on."""
        if self._arenas is None:
            raise RuntimeError("step was called before reset")
        return self._arenas

    def begin(self, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Build every arena anew with its own random stream (one an arena) and reset it: observations (A, L, D).

        The same streams give the same match, bit by bit.
        """
        blue, orange = MODES[self.mode]
        self._arenas = ArenaBatch(rngs, blue, orange, self.tick_skip)
        learner = slice(0, self.num_learners)
        self._learner = learner
        self._statistics = GameStatistics(self._arenas.step_seconds, self.rewards, self.endings)
        return self.reset(np.ones(self.num_arenas, bool))

    def reset(self, which: BoolArray) -> FloatArray:
        """Begin a new episode in the arenas ``which`` (A,) selects; observations (A, L, D) of all."""
        arenas = self.arenas
        indices = np.flatnonzero(which).tolist()
        starts = [(i, draw(self.starts, arenas.rngs[i], self.team)) for i in indices]
        if self.num_cars > 2:
            for i in indices:
                self._order[i] = shuffled_others(self.team, arenas.rngs[i])
        elif self.num_cars == 2:
            self._order[:] = [[[1], [0]]]
        begun = self.observation(arenas.reset(starts).of(indices), self._order[indices])
        self._observations = self._observations.copy()  # what was handed out must not change
        self._observations[indices] = begun
        return self._observations[:, self._learner]

    def step(self, actions: FloatArray, active: BoolArray | None = None) -> Step:
        """Apply the learner's controls (A, L, 8) and the opponent's; arenas that are not ``active`` (A,) stand still.

        Raises:
            ValueError: NaN, infinity or another shape.
        """
        arenas = self.arenas
        controls = self._all_controls(actions, active)
        state = arenas.step(controls, active)
        live = ~state.faulty if active is None else active & ~state.faulty
        begun = time.perf_counter()
        terms = np.empty((len(self.rewards), self.num_arenas, self.num_cars), np.float32)
        for k, (reward, weight) in enumerate(zip(self.rewards, self._weights, strict=True)):
            terms[k] = weight * reward(state)
        for k, shares in self._mixing:
            terms[k] = terms[k] @ shares
        if not np.isfinite(terms).all():
            broken = [r.name for r, term in zip(self.rewards, terms, strict=True) if not np.isfinite(term).all()]
            raise ValueError(f"reward {', '.join(broken)} is NaN or infinite")
        self._seconds["reward"] += time.perf_counter() - begun
        held = np.zeros((len(self.endings), self.num_arenas), bool)
        for k, ending in enumerate(self.endings):
            held[k] = ending(state) & live
        truncates = np.array([ending.truncates for ending in self.endings], bool)
        terminated = held[~truncates].any(axis=0)
        truncated = (held[truncates].any(axis=0) & ~terminated) | state.faulty
        self._statistics.add(state, self._learner, terms, live)
        ended = (terminated | truncated) & live
        if ended.any():
            self._statistics.add_episodes(state.seconds[ended], held[:, ended])
            if isinstance(self.opponent, Scorekeeper):
                self.opponent.add_episodes(ended, state.goal)
        rewards = np.where(live[:, None], terms.sum(axis=0), np.float32(0))
        begun = time.perf_counter()
        self._observations = self.observation(state, self._order)
        self._seconds["observe"] += time.perf_counter() - begun
        learner = self._learner
        return Step(self._observations[:, learner], rewards[:, learner], terminated, truncated, state.faulty)

    def take_statistics(self) -> dict[str, tuple[float, float]]:
        """What the learner's cars did since the last call: total and amount by TensorBoard tag."""
        taken: dict[str, tuple[float, float]] = dict(self._statistics.take())
        if isinstance(self.opponent, Scorekeeper):
            taken |= self.opponent.take_statistics()
        return taken

    def take_seconds(self) -> dict[str, float]:
        """Seconds since the last call inside RocketSim's step (physics), observing, rewarding, and the opponent."""
        taken = self._seconds | {"physics": self.arenas.physics_seconds}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self.arenas.physics_seconds = 0.0
        return taken

    def _all_controls(self, actions: FloatArray, active: BoolArray | None) -> FloatArray:
        if self.opponent is None:
            return actions
        others = self._observations[:, self.num_learners :]
        noise = np.zeros(others.shape[:2], np.float32)
        for i in range(self.num_arenas) if active is None else np.flatnonzero(active):
            noise[i] = self.arenas.rngs[i].random(others.shape[1], np.float32)
        begun = time.perf_counter()
        answer = self.opponent(others, noise)
        self._seconds["infer"] += time.perf_counter() - begun
        expected = (*others.shape[:2], NUM_CONTROLS)
        if answer.shape != expected:
            raise ValueError(f"the opponent returned controls of shape {answer.shape}, expected {expected}")
        return np.concatenate((actions, answer), axis=1)
