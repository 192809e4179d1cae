"""How sparse must a net become for a ratio, and in which steps does it get there?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from torch import nn

from core.errors import TrainingError
from modalities.compression.container import deflate
from modalities.compression.layers import write_layer
from modalities.compression.pruning import choose, prunable
from modalities.compression.settings import CompressionConfig
from modalities.compression.sharing import assign, cluster
from modalities.compression.tensor import SharedTensor

MARGIN = 0.97
"""Share of the bytes allowed that sparsity is planned for: what learning changes afterwards."""
SPARSEST = 0.999
"""The largest share of zeros that is planned."""
STEP = 0.0005
"""What sparsity is found to."""


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
    """The share of weights that are to be zero: the one that is given, or what the ratio asked for takes.

    Found by pruning and sharing a copy of the weights at once, without learning: the layers of the file that
    learning ends with are as long within some hundredths. Raises `TrainingError` where the ratio cannot be
    reached.
    """
    if config.sparsity is not None:
        return config.sparsity
    weights = {name: w.detach().cpu() for name, w in prunable(net).items()}
    channels = sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    # Scale and shift of batch norm in float16; the names and shapes of the graph.
    rest = 4 * channels + 200 * len(weights)
    full = 4 * sum(w.numel() for w in weights.values()) + rest
    allowed = MARGIN * full / config.target_ratio - rest

    def excess(sparsity: float) -> float:
        return math.log(layer_bytes(weights, sparsity, config.bits) / allowed)

    if allowed <= 0 or excess(SPARSEST) > 0:
        raise TrainingError(
            f"target_ratio {config.target_ratio:g} cannot be reached: what is no weight takes {rest} bytes, "
            f"and at most {SPARSEST:.1%} of the weights become zero"
        )
    if excess(0.0) <= 0:
        return 0.0
    found: float = brentq(excess, 0.0, SPARSEST, xtol=STEP)
    return min(SPARSEST, math.ceil(found / STEP + 1) * STEP)


def layer_bytes(weights: Mapping[str, torch.Tensor], sparsity: float, bits: int) -> int:
    """Bytes of the layers of a file whose weights are pruned and shared as they are now."""
    codes, total = [], 0
    for index, (name, mask) in enumerate(choose(weights, sparsity).items()):
        given = (weights[name] * mask).double().numpy()
        centroids = cluster(given[given != 0], 2**bits)
        shared = np.concatenate([[0.0], centroids])[np.where(given != 0, assign(given, centroids) + 1, 0)]
        code, body = write_layer(index, SharedTensor.of(shared.astype(np.float16)))
        codes.append(code)
        total += len(body)
    return total + len(deflate(b"".join(codes)))
