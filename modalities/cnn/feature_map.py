"""Which module of a net gives its last feature map? One image is watched. Needs the extra `explain`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from core.errors import ExplanationError


def last_feature_map(net: nn.Module, images: torch.Tensor) -> nn.Module:
    """The module that ended last with a map, N x channels x rows x columns, of more than one row or column.

    Of modules that end with the same map it is the outermost. Raises `ExplanationError` where tokens follow
    (as in a vision transformer, whose last map is that of its first layer), or there is no map at all.
    """
    maps: list[nn.Module] = []
    has_tokens = False

    def watch(module: nn.Module, _: Any, out: Any) -> None:
        nonlocal has_tokens
        if not isinstance(out, torch.Tensor):
            return
        if out.ndim == 4 and max(out.shape[2:]) > 1:
            maps.append(module)
            has_tokens = False
        elif out.ndim == 3:
            has_tokens = True

    hooks = [module.register_forward_hook(watch) for module in net.modules() if module is not net]
    try:
        with torch.no_grad():
            net(images)
    finally:
        for hook in hooks:
            hook.remove()
    if has_tokens or not maps:
        raise ExplanationError(
            f"{type(net).__name__} ends in no feature map, which Grad-CAM needs; ask for saliency"
        )
    return maps[-1]
