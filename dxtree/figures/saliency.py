"""Which pixels move the probability of a node? Gradients of the input, drawn over the picture.

As in Esteva et al. 2017: the L1 norm over red, green and blue of the gradient of the log probability. A
bright pixel is one that would change the answer, not one that proves it, and no outline of a lesion.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from core.errors import ContractError, MissingExtra, NonFiniteOutput
from core.partition import Partition
from core.tree import FloatArray, TreeSums
from dxtree.figures.style import WIDE, WIDTH, blank, drawn, titled
from modalities.cnn.preprocess import ByteImage, Preprocessing

if TYPE_CHECKING:
    from torch import nn

_HEAT = LinearSegmentedColormap.from_list("heat", [(0, 0, 0, 0), (0.9, 0.35, 0.0, 0.55), (1, 0.95, 0.2, 0.9)])
_TOP = 99.5
"""Percentile that takes the brightest colour: a few pixels would else darken all others."""


@dataclass(frozen=True)
class Saliency:
    """What a net saw of one image and where its answer hangs.

    `picture`: uint8 size x size x 3, the preprocessed square; nothing else of the file. `heat`: float64
    size x size, >= 0, the L1 norm over RGB of d log P(node) / d pixel, pixels in [0, 1]. `probability`:
    P(node).
    """

    picture: ByteImage
    heat: FloatArray
    node: str
    probability: float


def saliency_of(
    net: nn.Module,
    preprocessing: Preprocessing,
    pixels: ByteImage,
    partition: Partition,
    node: str,
    *,
    temperature: float = 1.0,
) -> Saliency:
    """The saliency of any readable node of the tree, its probability being a sum over training classes.

    `net` answers N x 3 x H x W with logits N x classes of the partition, in evaluation mode; its weights,
    their gradients and its mode are left as they are. `pixels`: uint8 H x W x 3 as `modalities.images.decode`
    gives them, without any metadata of the file. `temperature` divides the logits.

    Raises `BelowTrainingClass` or `UnknownNode` for the node, `ContractError` for a net in training mode or
    with another number of classes, `NonFiniteOutput` for a gradient that is not finite, `MissingExtra`
    without torch.
    """
    try:
        import torch

        from modalities.cnn.torch_net import logits
    except ImportError as error:
        raise MissingExtra("a saliency map", "train") from error
    members = members_of(partition, node)
    if net.training:
        raise ContractError("the net is in training mode; put it into evaluation mode first")
    square = preprocessing.square(pixels)
    scaled = torch.from_numpy(square.astype(np.float32) / 255).permute(2, 0, 1)[None].requires_grad_()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    with torch.enable_grad():
        out = logits(net, (scaled - mean) / std).double() / temperature
        if tuple(out.shape) != (1, len(partition.classes)):
            raise ContractError(
                f"the net answers {tuple(out.shape)}; the partition has {len(partition.classes)} classes"
            )
        log_p = out[0, members].logsumexp(0) - out[0].logsumexp(0)
        (gradient,) = torch.autograd.grad(log_p, scaled)
    heat = gradient[0].abs().sum(0).double().numpy()
    if not np.isfinite(heat).all():
        raise NonFiniteOutput("the gradient is not finite; the weights may be damaged")
    return Saliency(square, heat, node, float(log_p.detach().exp()))


def members_of(partition: Partition, node: str) -> list[int]:
    """Places of the training classes at or below a node.

    Raises `UnknownNode`, or `BelowTrainingClass` where nothing can be read there.
    """
    sums = TreeSums(partition)
    sums.column(node)
    taxonomy = partition.taxonomy
    return [k for k, c in enumerate(partition.classes) if taxonomy.covers(node, c.node)]


@drawn
def saliency_figure(
    rows: Sequence[tuple[str, Sequence[Saliency]]], *, title: str, columns: int = 2
) -> Figure:
    """A grid: one row a class, each example as the picture and the same picture under its heat.

    `rows`: a class's name and its examples, of which the first `columns` are drawn. Each heat has a scale of
    its own, so brightness must not be compared between pictures. Raises `ContractError` without examples.
    """
    examples = [len(found) for _, found in rows]
    if not examples or not max(examples) or columns < 1:
        raise ContractError("no example is given; a class needs a saliency map to be drawn")
    used = min(columns, max(examples))
    width = WIDTH if used == 1 else WIDE
    side = (width - 2.2) / (2 * used)
    figure = blank(width, len(rows) * (side + 0.25) + 1.4)
    grid = figure.subplots(len(rows), 2 * used, squeeze=False)
    for line, (name, found) in zip(grid, rows, strict=True):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(_broken(name), size=6.5)
        for k, one in enumerate(list(found)[:used]):
            line[2 * k].imshow(one.picture)
            # Grey below the heat: the colours of the lesion would else be taken for those of the map.
            line[2 * k + 1].imshow(np.repeat(one.picture.mean(axis=2, keepdims=True) / 255, 3, axis=2))
            top = float(np.percentile(one.heat, _TOP)) or 1.0
            line[2 * k + 1].imshow(np.minimum(one.heat / top, 1), cmap=_HEAT, vmin=0, vmax=1)
            line[2 * k + 1].set_xlabel(f"P = {one.probability:.2f}", size=6.5, labelpad=1)
    titled(figure, title)
    return figure


def _broken(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 22)[:3])
