"""The layers of actor and critic."""

import math
from collections.abc import Sequence

from torch import nn


def network(num_inputs: int, hidden_sizes: Sequence[int], num_outputs: int, layer_norm: bool, gain: float) -> nn.Module:
    """Linear, LayerNorm if wanted, ReLU for each hidden size; orthogonal weights, ``gain`` for the last layer."""
    layers: list[nn.Module] = []
    for size in hidden_sizes:
        layers.append(_linear(num_inputs, size, math.sqrt(2)))
        if layer_norm:
            layers.append(nn.LayerNorm(size))
        layers.append(nn.ReLU(inplace=True))  # no layer before it needs its output for gradients
        num_inputs = size
    return nn.Sequential(*layers, _linear(num_inputs, num_outputs, gain))


def _linear(num_inputs: int, num_outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
