"""Running spread of discounted returns; rewards are divided by it, so that values stay near 1 at any weights."""

import torch
from torch import Tensor, nn

from rlbot.ppo import together


def discounted_sums(rewards: Tensor, ended: Tensor, gamma: float) -> Tensor:
    """(T, N) running sums ``R_t = r_t + gamma * R_{t-1}`` that start anew after each ending; inputs (T, N)."""
    sums = torch.empty_like(rewards)
    carried = torch.zeros_like(rewards[0])
    for t in range(len(rewards)):
        carried = rewards[t] + gamma * carried
        sums[t] = carried
        carried = carried * (~ended[t])
    return sums


class Moments(nn.Module):
    """Count, mean and sum of squared deviations of all numbers taken in so far, in float64."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("count", "mean", "squares"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Take in more numbers, of any shape, and those that the other processes take in now.

        All of them count once, in order of rank (Chan et al.'s parallel variance), so every process holds the same.
        """
        new = values.double().flatten()
        own = (len(new), new.mean().cpu(), new.var(correction=0).cpu()) if len(new) else None
        for part in together.gather(own):
            if part is not None:
                self._take_in(part[0], part[1].to(new.device), part[2].to(new.device))

    def _take_in(self, added: int, mean: Tensor, variance: Tensor) -> None:
        count = self.count + added
        delta = mean - self.mean
        self.squares += variance * added + delta.square() * self.count * added / count
        self.mean += delta * added / count
        self.count.copy_(count)


class ReturnScale(Moments):
    """Standard deviation of all discounted sums seen so far, saved with the model."""

    @property
    def std(self) -> Tensor:
        """The scale, float32; 1 until anything has varied."""
        variance = self.squares / self.count.clamp_min(1)
        return torch.where(variance > 0, variance.clamp_min(1e-12).sqrt(), 1.0).float()


def standardised(values: Tensor) -> Tensor:
    """``values`` (B,) brought to mean 0 and spread 1 over the values of all processes."""
    if together.num_processes() == 1:
        return (values - values.mean()) / (values.std(correction=0) + 1e-8)
    all_values = Moments().to(values.device)
    all_values.update(values)
    spread = (all_values.squares / all_values.count.clamp_min(1)).sqrt()
    return (values - all_values.mean.to(values.dtype)) / (spread.to(values.dtype) + 1e-8)
