"""An iteration's samples as shuffled minibatches, in the form in which Lightning fetches nothing ahead."""

from collections.abc import Callable, Iterator

import torch

from rlbot.ppo import together
from rlbot.ppo.module import Batch


def shuffled(batch: Batch, epochs: int, num_minibatches: int, generator: torch.Generator) -> Iterator[Batch]:
    """Every sample once an epoch, in ``num_minibatches`` that are views of a shuffled copy."""
    size = len(batch["advantages"])
    for _ in range(epochs):
        order = torch.randperm(size, generator=generator).to(batch["advantages"].device)
        mixed = {name: tensor[order] for name, tensor in batch.items()}
        for k in range(num_minibatches):
            cut = slice(k * size // num_minibatches, (k + 1) * size // num_minibatches)
            if cut.start < cut.stop or together.num_processes() > 1:  # the others would wait for one left out
                yield {name: tensor[cut] for name, tensor in mixed.items()}


class Minibatches:
    """One iteration as a sized plain object; iterating it collects the rollout.

    Not a ``DataLoader``, and sized: from anything else Lightning would fetch ahead, and so collect the next rollout
    with the policy as it was before the update.

    Args:
        epochs: passes over the samples.
        num_minibatches: of a pass; as announced, also if samples are left out.
        collect: gives the samples and the noise to shuffle them by.
    """

    def __init__(self, epochs: int, num_minibatches: int, collect: Callable[[], tuple[Batch, torch.Generator]]) -> None:
        self._epochs, self._num_minibatches, self._collect = epochs, num_minibatches, collect

    def __len__(self) -> int:
        return self._epochs * self._num_minibatches

    def __iter__(self) -> Iterator[Batch]:
        batch, generator = self._collect()
        yield from shuffled(batch, self._epochs, self._num_minibatches, generator)
