"""How sparse must a net become for a ratio, and in which steps does it get there?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from core.errors import TrainingError
from modalities.compression.pruning import prunable
from modalities.compression.settings import CompressionConfig

MARGIN = 0.97
"""Share of the bytes allowed that sparsity is planned for; layers differ from the estimate by that much."""


@dataclass(frozen=True)
class Phase:
    """`steps` steps on crops of `size` pixels, from step `first` of the run."""

    name: str
    first: int
    steps: int
    size: int


def phases(config: CompressionConfig, size: int, epoch_steps: int) -> list[Phase]:
    """The phases of a run whose full size is `size` pixels, one after another; one may have no step."""
    found, first = [], 0
    for name, epochs, side in (
        ("prune", config.pruning_epochs, config.pruning_size or size),
        ("retrain", config.retraining_epochs, size),
        ("share", config.sharing_epochs, size),
    ):
        found.append(Phase(name, first, epochs * epoch_steps, side))
        first += epochs * epoch_steps
    return found


def planned_sparsity(net: nn.Module, config: CompressionConfig) -> float:
    """The share of weights that are to be zero. Raises `TrainingError` where the ratio cannot be reached."""
    if config.sparsity is not None:
        return config.sparsity
    weights = sum(p.numel() for p in prunable(net).values())
    channels = sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    # Scale and shift of batch norm in float16; the names and shapes of the graph.
    rest = 4 * channels + 300 * len(prunable(net))
    try:
        return sparsity_for(config.target_ratio, config.bits, weights, rest)
    except ValueError as error:
        raise TrainingError(f"target_ratio {config.target_ratio:g} cannot be reached: {error}") from None


def sparsity_for(target_ratio: float, bits: int, weights: int, rest_bytes: int) -> float:
    """The smallest sparsity, of a half and more, at which `weights` weights and `rest_bytes` other bytes
    reach the ratio; 0 where even dense weights reach it.

    A weight costs the entropy of being zero or not, and `.88 bits` where it is not: what a Huffman code of
    2 ** bits values that k-means placed takes. Raises `ValueError` where the other bytes alone are too many.
    """
    full = 4 * weights + rest_bytes
    allowed = MARGIN * 8 * (full / target_ratio - rest_bytes)
    if allowed <= 0:
        raise ValueError(
            f"{rest_bytes} bytes that are no weights are more than 1/{target_ratio:g} of the net"
        )
    low, high = 0.0, 0.5  # density; the cost rises with it up to more than half
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weights * _cost(middle, bits) <= allowed else (low, middle)
    if low > 0.4999 and weights * _cost(1.0, bits) <= allowed:
        return 0.0
    return 1 - low


def _cost(density: float, bits: int) -> float:
    """Bits of a weight in the mean."""
    zero = 1 - density
    entropy = -sum(p * math.log2(p) for p in (density, zero) if p > 0)
    return entropy + density * 0.88 * bits
