"""Which net, with which starting weights? Any torchvision classifier by name. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core.errors import ContractError, TrainingError, UnsafeFormat, did_you_mean


def architectures() -> tuple[str, ...]:
    """Names of torchvision's image classifiers."""
    return tuple(sorted(torchvision.models.list_models(module=torchvision.models)))


def build(architecture: str, classes: int) -> nn.Module:
    """The named classifier, randomly initialised, with `classes` outputs.

    Raises `TrainingError` for a name that torchvision does not know.
    """
    if architecture not in architectures():
        raise TrainingError(
            f"architecture {architecture!r} is no torchvision classifier"
            f"{did_you_mean(architecture, architectures())}"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if architecture in ("inception_v3", "googlenet"):
        options |= {"aux_logits": True, "init_weights": True}
    net: nn.Module = torchvision.models.get_model(architecture, **options)
    return net


def start(net: nn.Module, architecture: str, weights: str | Path) -> list[str]:
    """Loads starting weights and returns the names of the parameters that stay random.

    `weights` is a name such as ``IMAGENET1K_V1``, which torchvision downloads, or the path of a
    safetensors file in torchvision's naming. The head is never loaded where its shape differs.

    Raises `UnsafeFormat` for any other kind of file, `ContractError` where names or shapes do not fit.
    """
    own = net.state_dict()
    if Path(weights).suffix == ".safetensors":
        try:
            given = load_file(weights)
        except (OSError, SafetensorError) as error:
            raise ContractError(f"starting weights cannot be read: {error}") from error
    elif Path(weights).suffix:
        raise UnsafeFormat("starting weights are a safetensors file or a torchvision name; pickle is refused")
    else:
        given = torchvision.models.get_model(architecture, weights=str(weights)).state_dict()
    foreign = sorted(set(given) - set(own))
    if foreign:
        raise ContractError(f"starting weights do not fit {architecture}: it has no {foreign[0]!r}")
    fits = {k: v.to(own[k].dtype) for k, v in given.items() if v.shape == own[k].shape}
    net.load_state_dict(fits, strict=False)
    return sorted(k for k in own if k not in fits and not k.endswith("num_batches_tracked"))


def prepare_input(net: nn.Module) -> None:
    """Switches off the second scaling inside Inception and GoogLeNet: preprocessing does it, once."""
    if hasattr(net, "transform_input"):
        net.transform_input = False  # type: ignore[assignment]


def logits(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Main logits, N x classes, of a net in evaluation mode."""
    out = net(images)
    result: torch.Tensor = out if isinstance(out, torch.Tensor) else out.logits
    return result
