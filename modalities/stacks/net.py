"""Which net reads the views of a stack, and how does it become a graph? Needs the extra `train`."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from torch import nn

from modalities.cnn.graph import OPSET
from modalities.stacks.recipe import Pooling

WIDTHS = (16, 32, 48, 64, 96)
"""Channels after each halving of the side."""
HIDDEN = 32
"""Of the gated attention."""


class ViewsNet(nn.Module):
    """A depthwise separable net for each view, one pooling over views, one linear layer.

    `forward` takes the views of one lesion, V x C x S x S, any V of at least 1, and gives logits 1 x classes;
    the order of the views changes nothing but the last bits. `mean` weighs views alike; `attention` is the
    gated attention of Ilse, Tomczak and Welling, "Attention-based deep multiple instance learning" (ICML
    2018, eq. 9): weights softmax over views of w' (tanh(V h) * sigmoid(U h)).
    """

    def __init__(self, channels: int, classes: int, pooling: Pooling) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_Full(channels, WIDTHS[0])]
        for inner, outer in pairwise(WIDTHS):
            blocks += [_Separable(inner, outer, 2), _Separable(outer, outer, 1)]
        self.each = nn.Sequential(*blocks)
        width = 2 * WIDTHS[-1]
        self.pooling = pooling
        if pooling == "attention":
            self.tanh, self.gate = nn.Linear(width, HIDDEN), nn.Linear(width, HIDDEN)
            self.weigh = nn.Linear(HIDDEN, 1, bias=False)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(width, classes)

    def features(self, views: torch.Tensor) -> torch.Tensor:
        """N x C x S x S to N x features: mean and maximum of the last maps, as a sign may be small."""
        maps = self.each(views)
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)

    def joined(self, features: torch.Tensor) -> torch.Tensor:
        """V x features of one lesion to logits 1 x classes."""
        if self.pooling == "mean":
            one = features.mean(dim=0, keepdim=True)
        else:
            scores = self.weigh(torch.tanh(self.tanh(features)) * torch.sigmoid(self.gate(features)))
            one = (torch.softmax(scores, dim=0) * features).sum(dim=0, keepdim=True)
        logits: torch.Tensor = self.head(self.dropout(one))
        return logits

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """V x C x S x S to 1 x classes."""
        return self.joined(self.features(views))

    def batch(self, lesions: Sequence[torch.Tensor]) -> torch.Tensor:
        """Views of several lesions to logits, lesions x classes; their numbers of views may differ."""
        found = torch.split(self.features(torch.cat(list(lesions))), [len(views) for views in lesions])
        return torch.cat([self.joined(one) for one in found])


class _Full(nn.Sequential):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(
            nn.Conv2d(inner, outer, 3, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
        )


class _Separable(nn.Sequential):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outer, 1, bias=False),
            nn.BatchNorm2d(outer),
            nn.ReLU(inplace=True),
        )


def export_views_net(net: ViewsNet, channels: int, side: int) -> bytes:
    """The graph of a net in evaluation mode: float32 views x channels x side x side to logits 1 x classes.

    The number of views is free; normalisation is folded into the convolutions.
    """
    net = net.cpu().eval()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # torch announces the end of this exporter
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            net,
            (torch.zeros(2, channels, side, side),),
            path,
            input_names=["views"],
            output_names=["logits"],
            dynamic_axes={"views": {0: "views"}},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(path)
    onnx.checker.check_model(model)
    graph: bytes = model.SerializeToString()
    return graph
