"""Running spread of discounted returns; rewards are divided by it, so that values stay near 1 at any weights."""

import torch
from torch import Tensor, nn


def discounted_sums(rewards: Tensor, ended: Tensor, gamma: float) -> Tensor:
    """(T, N) running sums ``R_t = r_t + gamma * R_{t-1}`` that start anew after each ending; inputs (T, N)."""
    sums = torch.empty_like(rewards)
    carried = torch.zeros_like(rewards[0])
    for t in range(len(rewards)):
        carried = rewards[t] + gamma * carried
        sums[t] = carried
        carried = carried * (~ended[t])
    return sums


class ReturnScale(nn.Module):
    """Standard deviation of all discounted sums seen so far, kept in float64 and saved with the model."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("count", "mean", "squares"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, sums: Tensor) -> None:
        """Take in more sums, of any shape (Chan et al.'s parallel variance)."""
        new = sums.double().flatten()
        if len(new) == 0:
            return
        count = self.count + len(new)
        delta = new.mean() - self.mean
        self.squares += new.var(correction=0) * len(new) + delta.square() * self.count * len(new) / count
        self.mean += delta * len(new) / count
        self.count.copy_(count)

    @property
    def std(self) -> Tensor:
        """The scale, float32; 1 until anything has varied."""
        variance = self.squares / self.count.clamp_min(1)
        return torch.where(variance > 0, variance.clamp_min(1e-12).sqrt(), 1.0).float()
