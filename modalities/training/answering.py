"""What does a trained net say of images, as logits?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from modalities.cnn.preprocess import ByteImage, Preprocessing
from modalities.cnn.torch_net import logits
from modalities.training.freezing import upper_part
from modalities.training.machine import device

TURNS = 8
"""The turns and flips of a square."""


def predict(
    net: nn.Module, pixels: Sequence[ByteImage], preprocessing: Preprocessing, batch: int = 32, turns: int = 1
) -> npt.NDArray[np.float64]:
    """Logits, N x classes in float64, of decoded images, in evaluation mode and fp32.

    With `turns` up to 8 they are the mean of the logarithms of the probabilities of that many turns and
    flips of each image, which is test-time augmentation.
    """
    where = device()
    # The layout decides the last bits: a net read from a file must answer like the one that was trained.
    net = net.eval().to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = []
    with torch.inference_mode():
        for k in range(0, len(pixels), batch):
            stacked = np.stack([preprocessing(p) for p in pixels[k : k + batch]])
            images = torch.from_numpy(stacked).to(where)
            found = [logits(net, _laid_out(turned(images, n))) for n in range(turns)]
            if turns > 1:
                found = [nn.functional.log_softmax(f.double(), dim=1) for f in found]
            rows.append(torch.stack(found).double().mean(0).cpu().numpy())
    return np.concatenate(rows)


def predict_frozen(
    net: nn.Module, layer: str, activations: npt.NDArray[np.float16], batch: int = 64
) -> npt.NDArray[np.float64]:
    """The same from what the frozen part gave, N x channels x height x width."""
    where = device()
    upper = upper_part(net.eval().to(where, memory_format=torch.channels_last), layer)  # type: ignore[call-overload]
    rows = []
    with torch.inference_mode():
        for k in range(0, len(activations), batch):
            values = torch.from_numpy(activations[k : k + batch].astype(np.float32)).to(where)
            out = upper(_laid_out(values))
            rows.append((out if isinstance(out, torch.Tensor) else out.logits).double().cpu().numpy())
    return np.concatenate(rows)


def features(
    net: nn.Module, pixels: Sequence[ByteImage], preprocessing: Preprocessing, batch: int = 32
) -> npt.NDArray[np.float64]:
    """What the last linear layer is given, N x channels, in evaluation mode."""
    where = device()
    net = net.eval().to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    last = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    rows: list[npt.NDArray[np.float64]] = []
    hook = last.register_forward_pre_hook(lambda _, given: rows.append(given[0].double().cpu().numpy()))
    try:
        with torch.inference_mode():
            for k in range(0, len(pixels), batch):
                images = torch.from_numpy(np.stack([preprocessing(p) for p in pixels[k : k + batch]]))
                net(_laid_out(images.to(where)))
    finally:
        hook.remove()
    return np.concatenate(rows)


def turned(images: torch.Tensor, number: int) -> torch.Tensor:
    """One of the eight turns and flips of squares, N x channels x side x side; 0 leaves them."""
    found = torch.rot90(images, number % 4, (2, 3))
    return found.flip(3) if number >= 4 else found


def _laid_out(images: torch.Tensor) -> torch.Tensor:
    return images.contiguous(memory_format=torch.channels_last)
