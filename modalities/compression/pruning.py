"""Which weights go, and when? The smallest, layer by layer as each can spare them, a few at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

Masks = dict[str, torch.Tensor]
"""By parameter: bool, true where the weight stays."""


def prunable(net: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of convolutions and linear layers by name: all parameters of two and more dimensions."""
    return {name: p for name, p in net.named_parameters() if p.ndim > 1}


def sparsity_at(step: int, steps: int, final: float) -> float:
    """Share of weights that are zero after a step of the ramp: fast at first, slow at last.

    final * (1 - (1 - t) ** 3), t from 0 to 1 over `steps` (Zhu and Gupta 2017, arXiv 1710.01878).
    """
    return final if steps <= 0 else final * (1 - (1 - min(1.0, step / steps)) ** 3)


def choose(weights: Mapping[str, torch.Tensor], sparsity: float) -> Masks:
    """Masks that keep a share of 1 - `sparsity` of all weights, those of the largest LAMP scores.

    The score of a weight is its square over the sum of the squares of its layer that are no smaller (Lee et
    al. 2021, arXiv 2010.07611): the largest of every layer scores 1, so none is emptied, and one threshold
    serves all. Of scores that equal the threshold all go. Weights that are zero stay zero.
    """
    scores = {name: lamp(w) for name, w in weights.items()}
    every = torch.cat([s.flatten() for s in scores.values()])
    kept = round((1 - sparsity) * every.numel())
    if kept >= every.numel():
        return {name: w != 0 for name, w in weights.items()}
    # kthvalue counts from the smallest, from 1.
    threshold = every.kthvalue(max(1, every.numel() - kept)).values
    # A score of 1 stays even where fewer weights are to stay than there are layers.
    return {name: ((s > threshold) | (s >= 1)) & (weights[name] != 0) for name, s in scores.items()}


def lamp(weights: torch.Tensor) -> torch.Tensor:
    """LAMP scores of a layer, in (0, 1], and 0 for a weight of 0; the shape is kept."""
    squares = weights.detach().double().square().flatten()
    ordered, order = squares.sort()
    from_here = ordered.flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(squares)
    scores[order] = torch.where(from_here > 0, ordered / from_here.clamp_min(1e-300), 0.0)
    return scores.float().reshape(weights.shape)


def sparsity_of(weights: Mapping[str, torch.Tensor]) -> float:
    """Share of the weights that are zero."""
    zeros = sum(int((w == 0).sum()) for w in weights.values())
    return zeros / sum(w.numel() for w in weights.values())
