"""What does the file on the phone compute? Pixels in, logits out: normalisation is a part of it."""

from __future__ import annotations

import torch
from torch import nn

from modalities.cnn.preprocess import Preprocessing
from modalities.cnn.torch_net import logits


class PhoneGraph(nn.Module):
    """float32 1 x size x size x 3, RGB from 0 to 255, to logits 1 x classes.

    An app that hands over the bytes of its picture as numbers cannot normalise them wrongly.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, net: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.net = net
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (mean / std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of one picture."""
        return logits(self.net, pixels.permute(0, 3, 1, 2) * self.scale - self.shift)
