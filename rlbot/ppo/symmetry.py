"""Left and right exchanged on tensors: what a policy that is the same on both sides sees.

Shapes: B samples, 180 numbers; ``sides`` (B,) is 1 for the samples to mirror and 0 for the others.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from rlbot.game.mirror import OBSERVATION_ORDER, OBSERVATION_SIGNS, OWN_SIDE
from rlbot.game.observations import PADS


class Mirror(nn.Module):
    """Mirrors some of the observations of a batch. Only pads change places; gathering all 180 would cost twice."""

    factors: Tensor
    pads: Tensor

    def __init__(self) -> None:
        super().__init__()
        signs, order = torch.from_numpy(OBSERVATION_SIGNS), torch.from_numpy(OBSERVATION_ORDER)
        self.register_buffer("factors", torch.stack((torch.ones_like(signs), signs)), persistent=False)
        self.register_buffer("pads", torch.stack((torch.arange(PADS.start, PADS.stop), order[PADS])), persistent=False)

    @override
    def forward(self, observations: Tensor, sides: Tensor) -> Tensor:
        """Observations (B, 180), mirrored on the sides that are 1."""
        seen = observations * self.factors.to(observations.dtype).index_select(0, sides)
        seen[:, PADS] = observations.gather(1, self.pads.index_select(0, sides))
        return seen


def sides_of(observations: Tensor) -> Tensor:
    """1 where the own car is on one side of the field, which is then seen as the other.

    To go by the side of the ball instead is quicker at first, but a policy that always has the ball on its right
    learns to steer right, whatever the angle: it zigzags, and stops getting better (docs/experiments.md).
    """
    return (observations[:, OWN_SIDE] < 0).long()
