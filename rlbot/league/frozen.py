"""A policy as it was when it was saved, driving cars."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from rlbot.errors import InputError
from rlbot.ppo.acting import Acting
from rlbot.ppo.checkpoint import load
from rlbot.ppo.policy import ActionHead, ActorCritic, CategoricalHead, GaussianHead, TableHead, choose
from rlbot.sim.state import TICKS_PER_SECOND, FloatArray

HEADS: dict[str, type[ActionHead]] = {"TableHead": TableHead, "GaussianHead": GaussianHead}


class FrozenPolicy:
    """An opponent that acts by a saved policy: it draws from the table with the noise it is given, on the CPU.

    Args:
        policy: is not trained any more.
        name: for messages.
        deterministic: takes the most likely action instead.
        tick_skip: physics ticks (1/120 s) between its decisions.

    Attributes:
        observation_size: numbers that it sees.
    """

    def __init__(self, policy: ActorCritic, name: str, *, deterministic: bool = False, tick_skip: int = 8) -> None:
        self._acting = Acting(policy)  # in float32, as an exported bot plays
        self.name, self.tick_skip = name, tick_skip
        self.observation_size = policy.view.observation_size
        self._deterministic = deterministic

    @classmethod
    def load(cls, path: Path, *, deterministic: bool = False) -> Self:
        """Read the policy of a checkpoint; nothing in the file can run code.

        Raises:
            InputError: the file is no checkpoint of this trainer, or its policy does not play Rocket League.
        """
        try:
            checkpoint = load(path)
        except InputError as error:
            raise InputError(str(error).removeprefix("ckpt_path=")) from error
        try:
            policy, tick_skip = rebuild(checkpoint), tick_skip_of(checkpoint["architecture"])
            return cls(policy, str(path), deterministic=deterministic, tick_skip=tick_skip)
        except (RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} holds no policy that can play ({reason})") from error

    @torch.inference_mode()
    def __call__(self, observations: FloatArray, noise: FloatArray) -> FloatArray:
        """See ``Opponent``."""
        outputs, sides = self._acting.outputs(observations.reshape(-1, observations.shape[-1]))
        head = self._acting.head
        if isinstance(head, CategoricalHead) and not self._deterministic:
            actions: Tensor = choose(outputs.softmax(-1, dtype=torch.float32), torch.from_numpy(noise.reshape(-1)))
        else:
            actions = head.best(outputs)
        controls: FloatArray = head.to_env(head.mirrored(actions, sides)).reshape(*noise.shape, -1)
        return controls


def rebuild(checkpoint: dict[str, Any]) -> ActorCritic:
    """The policy that a checkpoint holds; any error of what builds and fills it."""
    made = checkpoint["architecture"]
    if made["head"] not in HEADS:
        raise KeyError(f"its head {made['head']} is none of {', '.join(HEADS)}")
    head = HEADS[made["head"]](**made["head_arguments"])
    view = {"canonical": made.get("symmetry") == "canonical", "close_up": made.get("close_up", False)}  # or older files
    policy = ActorCritic(made["observation_size"], head, made["hidden_sizes"], made["layer_norm"], **view)
    prefix = "policy."
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    policy.load_state_dict(weights)
    return policy


def tick_skip_of(architecture: dict[str, Any]) -> int:
    """Physics ticks (1/120 s) between its decisions."""
    seconds = architecture.get("step_seconds") or 8 / TICKS_PER_SECOND  # older files do not say it here
    if not seconds > 0:
        raise ValueError(f"step_seconds={seconds}")
    return max(round(TICKS_PER_SECOND * seconds), 1)
