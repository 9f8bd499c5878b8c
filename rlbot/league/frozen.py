"""A policy as it was when it was saved, driving cars."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from rlbot.ppo.policy import ActionHead, ActorCritic, CategoricalHead, GaussianHead, TableHead, choose
from rlbot.sim.state import FloatArray

HEADS: dict[str, type[ActionHead]] = {"TableHead": TableHead, "GaussianHead": GaussianHead}


class FrozenPolicy:
    """An opponent that acts by a saved policy: it draws from the table with the noise it is given, on the CPU.

    Args:
        policy: is not trained any more.
        name: for messages.
    """

    def __init__(self, policy: ActorCritic, name: str) -> None:
        self._policy = policy.eval().requires_grad_(False)
        self.name = name

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the policy of a checkpoint; nothing in the file can run code.

        Raises:
            ValueError: the file is no checkpoint of this trainer, or its policy does not play Rocket League.
        """
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            return cls(_rebuild(checkpoint), str(path))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            raise ValueError(f"{path} holds no policy that can play ({str(error).splitlines()[0]})") from error
        except Exception as error:  # UnpicklingError and whatever else a foreign file provokes in torch.load
            raise ValueError(f"{path} is no checkpoint ({type(error).__name__})") from error

    @torch.no_grad()
    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        flat = torch.from_numpy(observations.reshape(-1, observations.shape[-1]))
        outputs = self._policy.actor(flat)
        head = self._policy.head
        if isinstance(head, CategoricalHead):
            actions: Tensor = choose(outputs.softmax(-1), torch.from_numpy(noise.reshape(-1)))
        else:
            actions = head.best(outputs)
        controls: FloatArray = head.to_env(actions).reshape(*noise.shape, -1)
        return controls


def _rebuild(checkpoint: dict[str, Any]) -> ActorCritic:
    made = checkpoint["architecture"]
    if made["head"] not in HEADS:
        raise ValueError(f"its head {made['head']} is none of {', '.join(HEADS)}")
    policy = ActorCritic(made["observation_size"], HEADS[made["head"]](), made["hidden_sizes"], made["layer_norm"])
    prefix = "policy."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    policy.load_state_dict(weights)
    return policy
