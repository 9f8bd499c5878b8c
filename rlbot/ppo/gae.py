"""Generalised advantage estimation (Schulman et al., 2016) with terminated and truncated kept apart."""

import torch
from torch import Tensor


def generalised_advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Advantages (T, N) of T steps of N agents.

        delta_t = r_t + gamma * next_value_t * (1 - terminated_t) - value_t
        A_t     = delta_t + gamma * lam * (1 - terminated_t) * (1 - truncated_t) * A_{t+1}

    Args:
        rewards: (T, N).
        values: (T, N) of the observations acted on.
        next_values: (T, N) of the observations that followed, before any reset: after a truncation the value of the
            episode's last observation, in the last row the value of where the rollout stopped.
        terminated: (T, N) bool: the game ended, there is no future.
        truncated: (T, N) bool: we stopped watching, the future counts through ``next_values``.
        gamma: discount a step.
        lam: trace decay, 0 one-step to 1 Monte Carlo.
    """
    going_on = (~terminated).to(rewards.dtype)
    delta = rewards + gamma * next_values * going_on - values
    decay = gamma * lam * going_on * (~truncated).to(rewards.dtype)
    advantages = torch.empty_like(rewards)
    carried = torch.zeros_like(rewards[0])
    for t in range(len(rewards) - 1, -1, -1):
        carried = torch.addcmul(delta[t], decay[t], carried)
        advantages[t] = carried
    return advantages
