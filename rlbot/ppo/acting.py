"""The actor alone, ready to act: on the CPU, in the process that steps the arenas, in the learner's precision."""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from rlbot.ppo.policy import ActorCritic, Outputs, outputs_of

# A network of this size is cheapest where the arenas are, on one thread: a round trip to a GPU or a second core costs
# more than its few hundred thousand multiplications.


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively; elsewhere it is slower than float32."""
    checks = (getattr(torch.cpu, "_is_avx512_bf16_supported", None), getattr(torch.cpu, "_is_amx_tile_supported", None))
    return any(check() for check in checks if check is not None)


@torch.no_grad()
def weights_of(policy: ActorCritic) -> Tensor:
    """What acting needs of a policy as one vector, float32 on the CPU."""
    modules = (policy.actor, policy.head)
    return torch.cat([p.detach().float().flatten() for module in modules for p in module.parameters()]).cpu()


class Acting:
    """A copy of what a policy acts with: its view, its actor and its head.

    With ``bfloat16`` its linear layers hold bfloat16 weights: the same numbers that autocast makes of them at every
    forward pass in learning, cast once a rollout instead of once a step.

    Args:
        policy: gives the architecture and the first weights.
        bfloat16: act as autocast to bfloat16 does; else in float32.
    """

    def __init__(self, policy: ActorCritic, bfloat16: bool = False) -> None:
        self.actor = copy.deepcopy(policy.actor).cpu().requires_grad_(False)
        self.head = copy.deepcopy(policy.head).cpu().requires_grad_(False)
        self._view = copy.deepcopy(policy.view).cpu()
        self._dtype = torch.bfloat16 if bfloat16 else torch.float32
        for layer in self.actor.modules():
            if isinstance(layer, nn.Linear):
                layer.to(self._dtype)

    @property
    def num_weights(self) -> int:
        """Length of ``weights_of``."""
        return sum(p.numel() for module in (self.actor, self.head) for p in module.parameters())

    @torch.no_grad()
    def load(self, weights: Tensor) -> None:
        """Take over a policy's ``weights_of``."""
        offset = 0
        for module in (self.actor, self.head):
            for parameter in module.parameters():
                count = parameter.numel()
                parameter.copy_(weights[offset : offset + count].view_as(parameter))
                offset += count

    @torch.inference_mode()
    def outputs(self, observations: np.ndarray) -> Outputs:
        """What the head makes actions of, for observations (B, D)."""
        return outputs_of(self.actor, self.head, self._view(torch.from_numpy(observations).to(self._dtype)))

    @torch.inference_mode()
    def __call__(self, observations: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw actions (B, ...) and their log-probabilities (B,) for observations (B, D)."""
        outputs, sides = self.outputs(observations)
        actions, log_probs = self.head.sample(outputs, generator)
        return self.head.mirrored(actions, sides), log_probs
