"""Past selves to play against: some of a run's checkpoints, each driving the opponents of its share of the arenas."""

from collections.abc import Sequence

import numpy as np

from rlbot.game.actions import NUM_CONTROLS
from rlbot.game.match import Opponent
from rlbot.sim.state import FloatArray


class Pool:
    """Opponents that share the arenas: arena i meets member ``i % len(members)``; each member acts in one batch.

    Args:
        members: at least one.
    """

    def __init__(self, members: Sequence[Opponent]) -> None:
        if not members:
            raise ValueError("a pool needs at least one member")
        self.members = list(members)

    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        count = len(self.members)
        controls = np.empty((*noise.shape, NUM_CONTROLS), np.float32)
        for k, member in enumerate(self.members[: len(noise)]):
            controls[k::count] = member(observations[k::count], noise[k::count])
        return controls
