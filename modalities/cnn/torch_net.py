"""Which net, with which starting weights? Any torchvision classifier by name. Needs the extra `train`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
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


def check_architecture(name: str) -> None:
    """Raises `TrainingError` for a name that torchvision does not know."""
    if name not in architectures():
        raise TrainingError(
            f"architecture {name!r} is no torchvision classifier{did_you_mean(name, architectures())}"
        )


def build(architecture: str, classes: int) -> nn.Module:
    """The named classifier, randomly initialised, with `classes` outputs; errors as `check_architecture`."""
    check_architecture(architecture)
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if architecture in ("inception_v3", "googlenet"):
        options |= {"aux_logits": True, "init_weights": True}
    net: nn.Module = torchvision.models.get_model(architecture, **options)
    return net


def start(net: nn.Module, architecture: str, weights: str | Path, *, partial: bool = False) -> list[str]:
    """Loads starting weights and returns the names of the parameters that stay random.

    `weights` is a name such as ``IMAGENET1K_V1``, which torchvision downloads, or the path of a
    safetensors file in torchvision's naming. Heads alone may stay random: the last layer, where it is
    absent or has another shape, and auxiliary ones; with `partial` any parameter that the file lacks.

    Raises `UnsafeFormat` for any other kind of file, `ContractError` where names or shapes do not fit,
    `TrainingError` where a download fails.
    """
    check_weights(architecture, weights)
    own = {k: v for k, v in net.state_dict().items() if v.is_floating_point()}
    if Path(weights).suffix:
        try:
            given = load_file(weights)
        except (OSError, SafetensorError) as error:
            raise ContractError(f"starting weights cannot be read: {error}") from error
    else:
        given = _published(architecture, str(weights))
    foreign = sorted(set(given) - set(net.state_dict()))
    if foreign:
        raise ContractError(f"starting weights do not fit {architecture}: it has no {foreign[0]!r}")
    fits = {k: v.to(own[k].dtype) for k, v in given.items() if k in own and v.shape == own[k].shape}
    random = sorted(set(own) - set(fits))
    head = next(reversed(own)).rpartition(".")[0]
    lost = [k for k in random if k.rpartition(".")[0] != head and "aux" not in k.lower()]
    lost = [k for k in lost if k in given or not partial]
    if lost:
        raise ContractError(
            f"starting weights do not fit {architecture}: {lost[0]!r} is absent or has another shape"
            + ("" if lost[0] in given else "; --partial-weights leaves absent ones random")
        )
    load_state(net, fits, strict=False)
    return random


def check_weights(architecture: str, weights: str | Path) -> None:
    """Whether the name or the kind of file can be, before anything is read. Raises what `start` raises."""
    if suffix := Path(weights).suffix:
        if suffix != ".safetensors":
            raise UnsafeFormat(
                "starting weights are a safetensors file or a torchvision name; pickle is refused"
            )
        return
    known = list(torchvision.models.get_model_weights(architecture).__members__)
    if str(weights) not in known:
        raise ContractError(
            f"torchvision has no weights {str(weights)!r} for {architecture}, but {', '.join(known)}; "
            "a local file ends in .safetensors"
        )


def _published(architecture: str, name: str) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = torchvision.models.get_model(architecture, weights=name).state_dict()
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"the weights {name} of {architecture} could not be fetched ({type(error).__name__}); "
            "give a local safetensors file"
        ) from error
    return state


def load_state(net: nn.Module, state: Mapping[str, torch.Tensor], *, strict: bool = True) -> None:
    """Loads tensors that were stored without torch's own metadata, of which MNASNet's loader needs a part."""
    given = OrderedDict(state)
    given._metadata = net.state_dict()._metadata  # type: ignore[attr-defined]
    net.load_state_dict(given, strict=strict)


def prepare_input(net: nn.Module) -> None:
    """Switches off the second scaling inside Inception and GoogLeNet: preprocessing does it, once."""
    if hasattr(net, "transform_input"):
        net.transform_input = False  # type: ignore[assignment]


def logits(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Main logits, N x classes, of a net in evaluation mode."""
    out = net(images)
    result: torch.Tensor = out if isinstance(out, torch.Tensor) else out.logits
    return result
