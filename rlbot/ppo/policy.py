"""ActorCritic: an actor, a critic, and an action head that turns the actor's outputs into actions.

Shapes: B samples, D numbers of an observation, S seen, O head outputs. Networks may run in 16 bit; logits,
log-probabilities and values are float32.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from typing_extensions import override

from rlbot.game.actions import NUM_ACTIONS, NUM_CONTROLS, TABLE
from rlbot.game.mirror import CONTROL_SIGNS, ROW_ORDER
from rlbot.ppo.masks import RowMask
from rlbot.ppo.networks import network
from rlbot.ppo.view import Seen, View


class Evaluation(NamedTuple):
    """What the current policy thinks of actions taken earlier; each (B,) float32."""

    log_probs: Tensor
    entropy: Tensor
    values: Tensor


class ActionHead(nn.Module, ABC):
    """A distribution over actions made from the actor's outputs.

    Attributes:
        num_outputs: how many numbers the actor has to give (O).
        action_shape: of one action, as the policy stores it.
        action_dtype: of its numbers.
        arguments: what the head was made with, as plain values: a checkpoint holds them.
        entropy_unit: nats that the entropy bonus counts as 1: the largest entropy where there is one.
        reads_numbers: whether it has to know the 180 numbers that an action is for.
        has_mirror: whether its actions have mirror images, left and right exchanged.
    """

    num_outputs: int
    action_shape: tuple[int, ...] = ()
    action_dtype: torch.dtype = torch.int64
    arguments: dict[str, float]
    entropy_unit: float = 1.0
    reads_numbers: bool = False
    has_mirror: bool = False

    @abstractmethod
    def sample(self, outputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Actions (B, ...) and their log-probabilities (B,) for outputs (B, O)."""

    @abstractmethod
    def best(self, outputs: Tensor) -> Tensor:
        """The most likely actions (B, ...)."""

    @abstractmethod
    def log_prob_and_entropy(self, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Of actions (B, ...) under outputs (B, O); each (B,)."""

    def masked(self, outputs: Tensor, seen: Tensor) -> Tensor:
        """Outputs (B, O) for what is seen (B, S), without what can do nothing there."""
        return outputs

    def mirrored(self, actions: Tensor, sides: Tensor | None) -> Tensor:
        """The actions (B, ...), those with side (B,) 1 in their mirror image; None leaves all."""
        if sides is None:
            return actions
        raise ValueError(f"actions of {type(self).__name__} have no mirror image")

    @abstractmethod
    def to_env(self, actions: Tensor) -> np.ndarray:
        """The actions as the environment takes them."""

    @abstractmethod
    def fits(self, space: Space[object]) -> bool:
        """Whether an environment's single action space takes what ``to_env`` gives."""


def choose(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Indices (B,) drawn from (B, O) by inverse CDF, one uniform number (B,) each: the cheapest exact sampler here."""
    cumulative = probabilities.cumsum(-1)
    target = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp_max(probabilities.shape[-1] - 1)


class CategoricalHead(ActionHead):
    """One of ``num_actions`` choices, for environments with a ``Discrete`` action space.

    Args:
        num_actions: how many choices.
    """

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.num_outputs = num_actions
        self.arguments = {"num_actions": num_actions}
        self.entropy_unit = math.log(num_actions) or 1.0

    @override
    def sample(self, outputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        probabilities = outputs.softmax(-1, dtype=torch.float32)
        uniform = torch.rand(len(outputs), generator=generator, device=generator.device).to(outputs.device)
        actions = choose(probabilities, uniform)
        return actions, probabilities.gather(1, actions[:, None]).squeeze(1).log()

    @override
    def best(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-1)

    @override
    def log_prob_and_entropy(self, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = F.log_softmax(outputs.float(), dim=-1)
        chosen = log_probs.gather(1, actions[:, None]).squeeze(1)
        return chosen, -(log_probs.exp() * log_probs).sum(-1)

    @override
    def to_env(self, actions: Tensor) -> np.ndarray:
        chosen: np.ndarray = actions.cpu().numpy()
        return chosen

    @override
    def fits(self, space: Space[object]) -> bool:
        return isinstance(space, Discrete) and (int(space.n), int(space.start)) == (self.num_outputs, 0)


class TableHead(CategoricalHead):
    """One of the 90 rows of the field's standard table of controls.

    Args:
        mask: never a row that boosts without boost, or jumps in the air without a jump or flip left.
        mask_on_ground: with mask, on the ground never a row that only steers as another does.
    """

    has_mirror = True
    rows: Tensor

    def __init__(self, mask: bool = False, mask_on_ground: bool = False) -> None:
        super().__init__(NUM_ACTIONS)
        if mask_on_ground and not mask:
            raise ValueError("mask_on_ground=true needs mask=true")
        self.arguments = {"mask": mask, "mask_on_ground": mask_on_ground}
        self.reads_numbers, self.mask = mask, RowMask(mask_on_ground) if mask else None
        order = torch.from_numpy(ROW_ORDER)
        self.register_buffer("rows", torch.stack((torch.arange(NUM_ACTIONS), order)), persistent=False)

    @override
    def masked(self, outputs: Tensor, seen: Tensor) -> Tensor:
        masked: Tensor = outputs if self.mask is None else self.mask(outputs, seen)
        return masked

    @override
    def mirrored(self, actions: Tensor, sides: Tensor | None) -> Tensor:
        return actions if sides is None else self.rows[sides, actions]

    @override
    def to_env(self, actions: Tensor) -> np.ndarray:
        controls: np.ndarray = TABLE[super().to_env(actions)]
        return controls

    @override
    def fits(self, space: Space[object]) -> bool:
        return isinstance(space, Box) and space.shape == (NUM_CONTROLS,)


class GaussianHead(ActionHead):
    """Independent normal distributions with a learned spread, for continuous actions.

    Args:
        num_actions: how many numbers an action has.
        scale: the environment's action is this times the drawn one, clipped by the environment.
        initial_std: spread at the start.
    """

    def __init__(self, num_actions: int = NUM_CONTROLS, scale: float = 1.0, initial_std: float = 0.6) -> None:
        super().__init__()
        self.num_outputs = num_actions
        self.action_shape, self.action_dtype = (num_actions,), torch.float32
        self.scale = scale
        self.arguments = {"num_actions": num_actions, "scale": scale, "initial_std": initial_std}
        self.log_std = nn.Parameter(torch.full((num_actions,), math.log(initial_std)))
        self.has_mirror = num_actions == NUM_CONTROLS

    @override
    def mirrored(self, actions: Tensor, sides: Tensor | None) -> Tensor:
        if sides is None or not self.has_mirror:
            return super().mirrored(actions, sides)
        signs = torch.from_numpy(CONTROL_SIGNS).to(actions.device)
        return torch.where(sides[:, None] == 1, actions * signs, actions)

    @override
    def sample(self, outputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(outputs.shape, generator=generator, device=generator.device).to(outputs.device)
        actions = outputs.float() + self.log_std.exp() * noise
        return actions, self._log_prob(outputs, actions)

    @override
    def best(self, outputs: Tensor) -> Tensor:
        return outputs.float()

    @override
    def log_prob_and_entropy(self, outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        entropy = (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()
        return self._log_prob(outputs, actions), entropy.expand(len(outputs))

    def _log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        z = (actions - outputs.float()) / self.log_std.exp()
        return (-0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    @override
    def to_env(self, actions: Tensor) -> np.ndarray:
        return self.scale * actions.float().cpu().numpy()

    @override
    def fits(self, space: Space[object]) -> bool:
        return isinstance(space, Box) and space.shape == (self.num_outputs,)


class Outputs(NamedTuple):
    """What an actor has to say about observations.

    Attributes:
        numbers: (B, O) what the head makes actions of.
        sides: (B,) 1 where these actions belong to the mirrored world; None: nowhere.
    """

    numbers: Tensor
    sides: Tensor | None

    def split(self, sizes: list[int]) -> list["Outputs"]:
        """Parts of so many samples each."""
        sides = [None] * len(sizes) if self.sides is None else torch.split(self.sides, sizes)
        return [Outputs(*part) for part in zip(torch.split(self.numbers, sizes), sides, strict=True)]


def outputs_of(actor: nn.Module, head: ActionHead, seen: Seen) -> Outputs:
    """The actor's outputs for what is seen, masked by the head."""
    return Outputs(head.masked(actor(seen.numbers), seen.numbers), seen.sides)


class ActorCritic(nn.Module):
    """Actor and critic with separate bodies: the actor alone acts, the critic values whole rollouts afterwards.

    Both are given what ``view`` makes of the observations: S numbers.

    Args:
        observation_size: numbers a car is shown (D).
        head: turns the actor's outputs into actions.
        hidden_sizes: of actor and critic.
        layer_norm: LayerNorm after each hidden layer.
        canonical: what a car is shown on one side of the field is seen, valued and acted in as its mirror image.
        close_up: the ball is also seen close up.
    """

    def __init__(
        self,
        observation_size: int,
        head: ActionHead,
        hidden_sizes: Sequence[int] = (256, 256),
        layer_norm: bool = True,
        canonical: bool = False,
        close_up: bool = False,
    ) -> None:
        super().__init__()
        self.head = head
        self.view = View(observation_size, canonical, close_up)
        self.actor = network(self.view.size, hidden_sizes, head.num_outputs, layer_norm, gain=0.01)
        self.critic = network(self.view.size, hidden_sizes, 1, layer_norm, gain=1.0)

    def outputs(self, observations: Tensor) -> Outputs:
        """What the head makes actions of, for observations (B, D)."""
        return outputs_of(self.actor, self.head, self.view(observations))

    def value(self, seen: Tensor) -> Tensor:
        """Values (B,) of what is seen (B, S)."""
        value: Tensor = self.critic(seen)
        return value.squeeze(-1).float()

    def evaluate(self, seen: Tensor, actions: Tensor) -> Evaluation:
        """Log-probabilities of ``actions`` in what is seen (B, S), entropy and values, with gradients."""
        log_probs, entropy = self.head.log_prob_and_entropy(self.head.masked(self.actor(seen), seen), actions)
        return Evaluation(log_probs, entropy, self.value(seen))
