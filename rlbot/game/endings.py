"""When an episode is over: terminated (the game is, no future) or truncated (we stop watching, a future exists)."""

from abc import ABC, abstractmethod

import numpy as np

from rlbot.sim.state import BoolArray, GameState


class Ending(ABC):
    """One reason to end an episode.

    Attributes:
        truncates: whether the value of what would have come next still counts.
    """

    truncates: bool = True

    @property
    def name(self) -> str:
        """What statistics call this ending."""
        return type(self).__name__.lower()

    @abstractmethod
    def __call__(self, state: GameState) -> BoolArray:
        """(A,) which arenas end with this step."""


class Scored(Ending):
    """Somebody scored: the episode is terminated."""

    truncates = False

    def __call__(self, state: GameState) -> BoolArray:
        """See ``Ending``."""
        return np.not_equal(state.goal, 0)


class NoTouch(Ending):
    """No car has touched the ball for a while: truncated.

    Args:
        seconds: how long, in game seconds.
    """

    def __init__(self, seconds: float = 15.0) -> None:
        if not seconds > 0:
            raise ValueError(f"NoTouch.seconds={seconds} must be above 0")
        self.seconds = seconds

    def __call__(self, state: GameState) -> BoolArray:
        """See ``Ending``."""
        return state.seconds_since_touch >= self.seconds - 1e-3


class Clock(Ending):
    """The episode has lasted long enough: truncated.

    Args:
        seconds: how long, in game seconds.
    """

    def __init__(self, seconds: float = 300.0) -> None:
        if not seconds > 0:
            raise ValueError(f"Clock.seconds={seconds} must be above 0")
        self.seconds = seconds

    def __call__(self, state: GameState) -> BoolArray:
        """See ``Ending``."""
        return state.seconds >= self.seconds - 1e-3


def default_endings() -> list[Ending]:
    """The endings that ``configs/base.yaml`` starts from."""
    return [Scored()]
