"""A pool of opponents that share the arenas, drawn by how hard they are: prioritised fictitious self-play.

Members are dealt to the arenas in turn, and how the episodes against each of them ended is counted. Who is dealt is
drawn with weights from those results (AlphaStar's (1 - win rate) ^ p), with a share kept for the newest and for all.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rlbot.game.actions import NUM_CONTROLS
from rlbot.game.match import Opponent
from rlbot.sim.state import BoolArray, FloatArray

RESULTS = "pool/"  # what the tags of the results begin with, followed by the member's name


class Pool:
    """Opponents that share the arenas: arena i meets member ``deal[i % len(deal)]``; each member acts in one batch.

    Args:
        members: by name, at least one.
        deal: names; one that stands there twice has twice the arenas. By default each stands there once.

    Attributes:
        worker: index of the worker process that has the arenas: each deals on where those before it left off, so that
            few arenas in each do not always leave out the same members.
    """

    def __init__(self, members: Mapping[str, Opponent], deal: Sequence[str] = ()) -> None:
        if not members:
            raise ValueError("a pool needs at least one member")
        self.deal = list(deal or members)
        self.members = {name: members[name] for name in dict.fromkeys(self.deal)}
        self.worker = 0
        self._points = dict.fromkeys(self.members, 0.0)
        self._episodes = dict.fromkeys(self.members, 0.0)
        self._num_arenas = 0
        self._arenas: dict[str, NDArray[np.int64]] = {}

    def _arenas_of(self, num_arenas: int) -> dict[str, NDArray[np.int64]]:
        """Which arenas each member plays in; worked out once for a number of arenas."""
        if num_arenas != self._num_arenas:
            self._num_arenas = num_arenas
            turns = self.worker * num_arenas + np.arange(num_arenas)
            met = np.array(self.deal)[turns % len(self.deal)]
            arenas = {name: np.flatnonzero(met == name) for name in self.members}
            self._arenas = {name: which for name, which in arenas.items() if len(which)}
        return self._arenas

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        controls = np.empty((*noise.shape, NUM_CONTROLS), np.float32)
        for name, arenas in self._arenas_of(len(noise)).items():
            controls[arenas] = self.members[name](observations[arenas], noise[arenas])
        return controls

    def add_episodes(self, ended: BoolArray, goal: FloatArray) -> None:
        """See ``Scorekeeper``: blue's goal is a point for the learner, an episode without a goal half a point."""
        for name, arenas in self._arenas_of(len(ended)).items():
            over = arenas[ended[arenas]]
            self._points[name] += float((0.5 + 0.5 * goal[over]).sum())
            self._episodes[name] += len(over)

    def take_statistics(self) -> dict[str, tuple[float, float]]:
        """The learner's points and the episodes against each member since the last call, by tag."""
        taken = {f"{RESULTS}{name}": (self._points[name], self._episodes[name]) for name in self.members}
        self._points, self._episodes = dict.fromkeys(self.members, 0.0), dict.fromkeys(self.members, 0.0)
        return taken


def chances(win_rates: Sequence[float], hardness: float, newest_share: float, any_share: float) -> NDArray[np.float64]:
    """How likely each member is to be drawn.

    Args:
        win_rates: the learner's against each member, oldest first.
        hardness: p of the weight (1 - win rate) ^ p; 0 draws all alike.
        newest_share: given to the last member before weights count.
        any_share: dealt out evenly before weights count.
    """
    weights = (1 - np.asarray(win_rates, float)) ** hardness
    count, total = len(weights), weights.sum()
    even = np.full(count, 1 / count)
    by_hardness = weights / total if total > 0 else even
    drawn = (1 - newest_share - any_share) * by_hardness + any_share * even
    drawn[-1] += newest_share
    return drawn


def thinned(timesteps: Sequence[int], size: int) -> list[int]:
    """Which of the rising ``timesteps`` to drop so that ``size`` are left, spread over all: the first and last stay."""
    kept, dropped = list(timesteps), []
    while len(kept) > max(size, 2):
        gaps = [after - before for before, after in zip(kept, kept[2:], strict=False)]
        dropped.append(kept.pop(1 + gaps.index(min(gaps))))
    return dropped
