"""What collects rollouts: the contract, and doing it in this process; ``workers.py`` does it in others."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from gymnasium.vector import VectorEnv
from typing_extensions import override

from rlbot.ppo.acting import Acting, weights_of
from rlbot.ppo.policy import ActorCritic
from rlbot.ppo.rollout import Collector, Rollout, allocate
from rlbot.ppo.work import noise

MakeEnv = Callable[[int], VectorEnv[Any, Any, Any]]  # from the number of arenas


class Actors(ABC):
    """Collects rollouts with the policy it is given.

    Attributes:
        num_agents: rows of a rollout (N).
        kind: name of the environment, for people.
    """

    num_agents: int = 0
    kind: str = ""

    @abstractmethod
    def open(self, make_env: MakeEnv, seed: int) -> None:
        """Build the arenas and begin new episodes; arena i has the seed ``seed + i``."""

    @abstractmethod
    def change_opponent(self, opponent: Any) -> None:
        """From the next rollout on, this opponent drives the cars that are not the learner's."""

    @abstractmethod
    def begin(self, policy: ActorCritic, num_steps: int, seed: int, progress: float = 0.0) -> None:
        """Start collecting ``num_steps`` with the policy as it is now.

        Args:
            policy: acts.
            num_steps: of every agent.
            seed: of the policy's noise.
            progress: share of the run that is done; the weights of the reward terms follow it.
        """

    @abstractmethod
    def finish(self) -> Rollout:
        """The rollout that was begun; it is overwritten by the next."""

    @abstractmethod
    def close(self) -> None:
        """Release the arenas, and whatever runs them."""


class Inline(Actors):
    """In this process.

    Args:
        acting: plays the policy.
        num_envs: arenas.
    """

    def __init__(self, acting: Acting, num_envs: int) -> None:
        self._acting, self._num_envs = acting, num_envs
        self._collector: Collector | None = None
        self._room: Rollout | None = None

    @override
    def open(self, make_env: MakeEnv, seed: int) -> None:
        self._collector = Collector(make_env(self._num_envs))
        self._collector.reset(seed)
        self.num_agents, self.kind = self._collector.num_agents, type(self._collector.env.unwrapped).__name__

    @override
    def change_opponent(self, opponent: Any) -> None:
        self._opened.change_opponent(opponent)

    @property
    def _opened(self) -> Collector:
        if self._collector is None:
            raise RuntimeError("the arenas are not open")
        return self._collector

    @override
    def begin(self, policy: ActorCritic, num_steps: int, seed: int, progress: float = 0.0) -> None:
        self._acting.load(weights_of(policy))
        self._opened.anneal(progress)
        self._asked = (num_steps, seed)

    @override
    def finish(self) -> Rollout:
        num_steps, seed = self._asked
        shape = self._room.observations.shape[:2] if self._room else (0, 0)
        if self._room is None or num_steps > shape[0] or self.num_agents != shape[1]:
            self._room = allocate(num_steps, self.num_agents, self._opened.observation_size, self._acting.head)
        rollout = self._room.part(num_steps)
        rollout.report = self._opened.collect(self._acting, rollout, noise(seed, 0))
        return rollout

    @override
    def close(self) -> None:
        if self._collector is not None:
            self._collector.close()
            self._collector = None
