"""What the networks see: the observation, mirrored where left and right are the same, and the ball close up.

A fixed function of the observation, so a rollout is looked at once and then learned from as often as wanted.
Shapes: B samples, D numbers of the observation, S numbers seen.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from rlbot.game.observations import BALL_POSITION, OWN_BALL, OWN_FORWARD, OWN_UP, OWN_VELOCITY, POSITION
from rlbot.ppo.symmetry import Mirror, sides_of
from rlbot.sim.state import BACK_WALL_Y, BALL_RADIUS

NUM_CLOSE_UP = 12
REACH = 400.0  # uu: what lies nearer to the car is told apart finely
GOAL = torch.tensor((0.0, BACK_WALL_Y, BALL_RADIUS))  # the opponents', in team view
FIELD = torch.from_numpy(1 / POSITION)  # brings the numbers of a place back to uu
TINY = 1e-3  # keeps the direction of nothing finite


class Seen(NamedTuple):
    """What the networks are given.

    Attributes:
        numbers: (B, S).
        sides: (B,) 1 where the world is seen mirrored, so that actions are mirrored too; None: nowhere.
    """

    numbers: Tensor
    sides: Tensor | None


class View(nn.Module):
    """Looks at observations (B, D) as the networks do.

    Args:
        observation_size: numbers a car is shown (D).
        canonical: what a car is shown on one side of the field is seen as its mirror image.
        close_up: the ball is also seen close up; see ``seen_close_up``.

    Attributes:
        observation_size: numbers a car is shown (D).
        size: numbers that are seen (S).
    """

    def __init__(self, observation_size: int, canonical: bool = False, close_up: bool = False) -> None:
        super().__init__()
        self.mirror = Mirror() if canonical else None
        self.close_up = close_up
        self.observation_size = observation_size
        self.size = observation_size + NUM_CLOSE_UP * close_up

    @override
    def forward(self, observations: Tensor) -> Seen:
        """What is seen of the observations (B, D)."""
        sides = None if self.mirror is None else sides_of(observations)
        seen = observations if self.mirror is None or sides is None else self.mirror(observations, sides)
        return Seen(torch.cat((seen, seen_close_up(seen)), 1) if self.close_up else seen, sides)


def seen_close_up(observations: Tensor) -> Tensor:
    """(B, 12) what to steer and to aim by, made of the 180 numbers (B, 180), all along the car's forward, right and up.

    The direction to the ball; its place around the car as a share of ``REACH``, levelling off at 1; the direction from
    the ball to the opponents' goal; the car's velocity as a share of its top speed. The 180 numbers scale the ball's
    place to the whole field: a ball that is touched stands at 0.03, and where it is touched decides where it goes.
    """
    numbers = observations[:, : OWN_BALL.stop].float()
    ball, forward, up = numbers[:, OWN_BALL], numbers[:, OWN_FORWARD], numbers[:, OWN_UP]
    axes = torch.stack((forward, torch.linalg.cross(up, forward), up), dim=1)  # RocketSim's frame is left-handed
    goal, field = GOAL.to(numbers.device), FIELD.to(numbers.device)
    to_goal = _direction(goal - numbers[:, BALL_POSITION] * field)
    near = torch.tanh(ball * (BACK_WALL_Y / REACH))
    speed = _dot(numbers[:, None, OWN_VELOCITY], axes)
    return torch.cat((_direction(ball), near, _dot(to_goal[:, None], axes), speed), 1).to(observations.dtype)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """(...) of (..., 3); sums of torch differ in the last bit with where a tensor lies in memory, this one does not."""
    product = one * other
    return product[..., 0] + product[..., 1] + product[..., 2]


def _direction(way: Tensor) -> Tensor:
    """(B, 3) of length 1."""
    return way / _dot(way, way).sqrt().clamp_min(TINY)[:, None]
