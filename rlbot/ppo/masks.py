"""Rows of the table that can do nothing for a car, told from its 180 numbers: they get no probability.

A mask only takes away what another row does as well, so the car can do all it could before.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from rlbot.game.actions import TABLE
from rlbot.game.observations import OWN, OWN_BOOST, OWN_HAS_FLIP, OWN_ON_GROUND

PITCH, ROLL, JUMP, BOOST = 2, 4, 5, 6  # columns of the table
NOTHING = -1e4  # a logit that float16 holds too; minus infinity would make the entropy NaN
OWN_HEIGHT = OWN.start + 2
# A car that lies on its roof has spent its flip and still gets up by a jump. 128 uu, in 16 bit too.
JUMP_MAY_HELP_BELOW = 1 / 16


class RowMask(nn.Module):
    """Takes the probability from rows that boost without boost and that jump in the air without a jump or flip left.

    Args:
        on_ground: on the ground also from rows that pitch or roll without a jump: it is another row's steering.
    """

    blocked: Tensor

    def __init__(self, on_ground: bool) -> None:
        super().__init__()
        rows = torch.from_numpy(TABLE)
        jumps, boosts = rows[:, JUMP] > 0, rows[:, BOOST] > 0
        turns = ((rows[:, PITCH] != 0) | (rows[:, ROLL] != 0)) & ~jumps & on_ground
        blocked = [(boosts & bool(case & 1)) | (jumps & bool(case & 2)) | (turns & bool(case & 4)) for case in range(8)]
        self.register_buffer("blocked", torch.stack(blocked), persistent=False)  # (8, 90)

    @override
    def forward(self, outputs: Tensor, observations: Tensor) -> Tensor:
        """Outputs (B, 90) for observations (B, 180), ``NOTHING`` where a row can do nothing."""
        grounded = observations[:, OWN_ON_GROUND] > 0.5
        spent = (observations[:, OWN_HAS_FLIP] < 0.5) & ~grounded & (observations[:, OWN_HEIGHT] > JUMP_MAY_HELP_BELOW)
        case = (observations[:, OWN_BOOST] <= 0).long() + 2 * spent + 4 * grounded
        return outputs.masked_fill(self.blocked.index_select(0, case), NOTHING)
