"""What the processes of a distributed run do together; alone, each of these costs nothing and changes nothing.

Every process must call them in the same order: one that is missing keeps the others waiting.
"""

import os
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")  # how torchrun, Lightning and Slurm number processes


def leads() -> bool:
    """Whether this process is the one that writes and prints; known before the processes have met."""
    return dist.get_rank() == 0 if _met() else not any(int(os.environ.get(name) or 0) for name in RANKS)


def num_processes() -> int:
    """How many processes learn together."""
    return dist.get_world_size() if _met() else 1


def rank() -> int:
    """Which of them this one is."""
    return dist.get_rank() if _met() else 0


def gather(value: T) -> list[T]:
    """Every process's value, in order of rank; tensors in it must be on the CPU."""
    if num_processes() == 1:
        return [value]
    values: list[T] = [value] * num_processes()
    dist.all_gather_object(values, value)
    return values


def from_first(make: Callable[[], T]) -> T:
    """What the first process makes, given to all; tensors in it must be on the CPU."""
    if num_processes() == 1:
        return make()
    values = [make() if leads() else None]
    dist.broadcast_object_list(values)
    return values[0]  # type: ignore[return-value]


def everywhere(condition: Tensor) -> Tensor:
    """Whether the condition, a bool tensor (), holds in every process."""
    if num_processes() == 1:
        return condition
    holds = condition.to(torch.uint8)
    dist.all_reduce(holds, dist.ReduceOp.MIN)
    return holds.bool()


def _met() -> bool:
    return dist.is_available() and dist.is_initialized()
