"""Which form of batch norm costs least to store? Mean 0, variance 1, and what these were in scale and shift.

Needs the extra `train`.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

HALF_ULP = 2.0**-10
"""Scale and shift become float16 where that moves a channel by no more than this share of itself ..."""
LEAST = 1e-6
"""... or by this much."""


def canonical(net: nn.Module, *, halves: bool = True) -> nn.Module:
    """A copy in evaluation mode in which every batch norm has running mean 0 and variance 1.

    With s = sqrt(variance + eps), scale becomes scale * sqrt(1 + eps) / s and shift becomes shift - mean *
    scale / s, in float64 and then rounded to float16, both of a layer or neither: where a channel of the
    layer would move by more than `HALF_ULP` of itself plus `LEAST`, or without `halves`, they stay float32.
    A layer without scale and shift or without running statistics stays as it is.
    """
    own = copy.deepcopy(net).cpu().eval()
    with torch.no_grad():
        for module in own.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                _fold(module, halves)
    return own


def _fold(norm: nn.modules.batchnorm._BatchNorm, to_halves: bool) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or not norm.affine:
        return
    spread = (variance.double() + norm.eps).sqrt()
    weight, bias = norm.weight.double(), norm.bias.double()
    scale = weight * (1 + norm.eps) ** 0.5 / spread
    shift = bias - mean.double() * weight / spread
    halves = scale.half(), shift.half()
    # An input one spread from its mean shows what a rounded scale does to the channel.
    errors = ((halves[0].double() - scale).abs() * spread, (halves[1].double() - shift).abs())
    allowed = (HALF_ULP * weight.abs() + LEAST, HALF_ULP * shift.abs() + LEAST)
    fits = to_halves and all(bool((e <= a).all()) for e, a in zip(errors, allowed, strict=True))
    norm.weight.copy_(halves[0].float() if fits else scale.float())
    norm.bias.copy_(halves[1].float() if fits else shift.float())
    mean.zero_()
    variance.fill_(1.0)
