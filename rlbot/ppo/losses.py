"""PPO's losses and diagnostics (Schulman et al., 2017) as pure functions on float32 tensors of B samples."""

import torch
from torch import Tensor


def clipped_policy_loss(log_ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Mean of ``-min(ratio * A, clamp(ratio, 1 - clip, 1 + clip) * A)``; both inputs (B,)."""
    ratio = log_ratio.exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def staleness_weights(log_ratio: Tensor, limit: float = 2.0) -> Tensor:
    """Factors (B,) for the advantages of an older policy's samples, where clipping is around the present policy.

    Clipping around the older one would stop most samples' gradients (Hilton et al., 2021: decoupled PPO).
    ``log_ratio`` is the present policy's log-probability minus the older one's.
    """
    return log_ratio.exp().clamp(max=limit)


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float | None) -> Tensor:
    """Half the mean of the squared error or, if worse, of the value kept within ``clip`` of the old one; all (B,)."""
    error = (values - returns).square()
    if clip is not None:
        kept = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, (kept - returns).square())
    return 0.5 * error.mean()


def approximate_kl(log_ratio: Tensor) -> Tensor:
    """Estimate of KL(old, new) from samples of the old policy: mean of ``ratio - 1 - log ratio`` (Schulman's k3)."""
    return (log_ratio.exp() - 1 - log_ratio).mean()


def clip_fraction(log_ratio: Tensor, clip: float) -> Tensor:
    """Share of samples whose ratio has left [1 - clip, 1 + clip]."""
    return ((log_ratio.exp() - 1).abs() > clip).float().mean()


def explained_variance(values: Tensor, returns: Tensor) -> Tensor:
    """Share of the returns' variance that the values explain: 1 all, 0 no better than a constant; 0 for one sample."""
    variance = returns.var(correction=0)
    return torch.where(variance > 0, 1 - (returns - values).var(correction=0) / variance.clamp_min(1e-12), 0.0)
