"""How does batch norm that was folded into convolutions become one that can be trained?

Weights of the 2015 Inception release carry their batch norm inside convolution and bias: mean 0, variance 1,
weight 1. In training mode batch statistics would replace these and change the function. So each layer's input
is measured over some images, its mean and variance become the running statistics, and weight and bias are set
so that the net answers as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from core.errors import TrainingError
from modalities.cnn.torch_net import logits

IMAGES = 256
TOLERANCE = 1e-3
"""Largest change of a logit, relative to the largest logit, that is taken for rounding."""

_Norm = nn.BatchNorm2d


def is_folded(layer: nn.Module) -> bool:
    """Whether a batch norm has mean 0, variance 1 and weight 1 throughout."""
    if not isinstance(layer, _Norm) or layer.running_mean is None or layer.running_var is None:
        return False
    one = torch.ones_like(layer.running_var)
    return bool(
        (layer.running_mean == 0).all() and (layer.running_var == one).all() and (layer.weight == one).all()
    )


def unfold(net: nn.Module, batches: Iterable[torch.Tensor]) -> int:
    """Un-folds every batch norm that is folded, and returns how many there were.

    `batches` are N x 3 x H x W, normalised, `IMAGES` in all or more. Raises `TrainingError` where there is no
    image, and where the net answers otherwise than before.
    """
    kept = list(batches)
    if not kept:
        raise TrainingError("no image to measure batch norm on")
    net.eval()
    layers = [m for m in net.modules() if is_folded(m)]
    with torch.inference_mode():
        measured = _measure(net, layers, kept)
        before = logits(net, kept[0])
    for layer, (mean, variance) in measured.items():
        scale = (1 + layer.eps) ** -0.5
        with torch.no_grad():
            layer.running_mean.copy_(mean)  # type: ignore[union-attr]
            layer.running_var.copy_(variance)  # type: ignore[union-attr]
            layer.weight.copy_((variance + layer.eps).sqrt() * scale)
            layer.bias.add_(mean * scale)
    with torch.inference_mode():
        after = logits(net, kept[0])
    worst = float((after - before).abs().max() / before.abs().max().clamp_min(1e-6))
    if not worst <= TOLERANCE:
        raise TrainingError(f"un-folding batch norm changed the logits by {worst:.1e} of the largest one")
    return len(measured)


def _measure(
    net: nn.Module, layers: list[nn.Module], batches: list[torch.Tensor]
) -> dict[_Norm, tuple[torch.Tensor, torch.Tensor]]:
    """Mean and variance of each layer's input, a channel, over all images and places."""
    sums: dict[nn.Module, list[torch.Tensor]] = {}

    def watch(layer: nn.Module, given: tuple[Any, ...]) -> None:
        values = given[0].double()
        moments = [values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), torch.tensor(values[:, 0].numel())]
        old = sums.get(layer)
        sums[layer] = moments if old is None else [a + b for a, b in zip(old, moments, strict=True)]

    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        for images in batches:
            net(images)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for layer, (total, squares, count) in sums.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(1e-12)
        if isinstance(layer, _Norm):
            found[layer] = (mean.float(), variance.float())
    return found
