"""Which pixels does log P(node) hang on, by its gradient? Through captum; needs the extra `explain`.

Saliency: Simonyan et al. 2014, summed over colours as in Esteva et al. 2017. Grad-CAM: Selvaraju et al. 2017,
without the ReLU that drops what speaks against. Integrated gradients: Sundararajan et al. 2017, from a square
of the mean colour, which `occlusion` covers with too.
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Saliency

from core.case import ImageInput
from core.errors import ContractError, ExplanationError, NonFiniteOutput
from core.probabilities import TreeProbabilities
from core.tree import TreeSums
from modalities.cnn.attribution import GRAD_CAM, INTEGRATED, SALIENCY, Attribution
from modalities.cnn.deadline import Deadline
from modalities.cnn.feature_map import last_feature_map
from modalities.cnn.model import CnnModel
from modalities.cnn.node_score import NodeScore
from modalities.cnn.occlusion import frame_of, plain_square
from modalities.images import decode

STEPS = (64, 128, 256)
"""Points of the path from the mean colour to the image: doubled until the sum holds."""
TOLERANCE = 0.02
"""By how much integrated gradients may miss their sum: a share of it, and at least so much of log P."""
PIXELS = 4 * 224**2
"""Of the points of the path that are held in memory at a time, at least one whole image."""
ENGINE_TOLERANCE = 0.01
"""Difference of P(node) between the engine and the torch net above which the map says so."""

_turn = threading.Lock()
"""Captum hangs hooks on the net, and torch has one set of threads: maps of one process take turns."""


class _Path(NamedTuple):
    """Normalised image and a square of its mean colour, 1 x 3 x H x W; the channels' std, 3 x 1 x 1."""

    image: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor


_Made = tuple[torch.Tensor, float | None, tuple[str, ...]]


def gradient_of(
    model: CnnModel,
    image: ImageInput,
    sums: TreeSums,
    node: str,
    method: str,
    deadline: Deadline | None = None,
) -> Attribution:
    """The map by one of the three methods; the node must have been checked.

    Raises `InputError` for an image that cannot be read, `ExplanationError` past the deadline and where the
    net has no feature map, `ContractError` where its weights cannot be read, `NonFiniteOutput`.
    """
    until = deadline or Deadline()
    if model.make_net is None:
        raise ContractError("the model has no torch net to take gradients of")
    seen = model.preprocessing.seen
    picture = decode(image.source, target_side=seen.target_side)
    square = plain_square(model.preprocessing.read(image.source))
    mean = np.broadcast_to(square.reshape(-1, 3).mean(axis=0).round().astype(np.uint8), square.shape)
    one, other = (torch.from_numpy(model.preprocessing.normalise(s)[None]) for s in (square, mean))
    path = _Path(one, other, torch.tensor(model.preprocessing.std).reshape(3, 1, 1))
    probability = TreeProbabilities(sums, model.probabilities(square))[node]
    if not _turn.acquire(timeout=min(until.left, threading.TIMEOUT_MAX)):
        until.check()
        raise ExplanationError("another map is being made; ask again later")
    try:
        net = model.make_net().requires_grad_(False)  # noqa: FBT003 - the library's signature
        score = NodeScore(net, model.temperature, sums, node, until)
        with torch.no_grad():
            own = math.exp(float(score(path.image)))
        path.image.requires_grad_()
        values, total, notes = _WAYS[method](score, path, until)
    finally:
        _turn.release()
    found = values.detach().double().numpy()
    if not np.isfinite(found).all():
        raise NonFiniteOutput(f"the gradient of {node!r} is not finite; this image has no such map")
    if abs(own - probability) > ENGINE_TOLERANCE:
        rounded = (
            f"the map is of the net in float32, which gives {own:.3f}; the engine gave {probability:.3f}"
        )
        notes = (*notes, rounded)
    height, width = picture.pixels.shape[:2]
    return Attribution(
        picture=picture.pixels,
        frame=frame_of(seen, width, height),
        values=found,
        node=node,
        probability=probability,
        method=method,
        total=total,
        notes=(*picture.notes, *notes),
    )


def _saliency(score: NodeScore, path: _Path, until: Deadline) -> _Made:  # noqa: ARG001 - one way of calling
    gradient = Saliency(score).attribute(path.image, abs=True)[0]
    return (gradient / path.std).sum(dim=0), None, ()


def _grad_cam(score: NodeScore, path: _Path, until: Deadline) -> _Made:  # noqa: ARG001 - one way of calling
    layer = last_feature_map(score.net, path.image.detach())
    found = LayerGradCam(score, layer).attribute(path.image)[0, 0]
    rows, columns = found.shape
    return found, None, (f"the net's last feature map has {rows} x {columns} places",)


def _integrated(score: NodeScore, path: _Path, until: Deadline) -> _Made:
    with torch.no_grad():
        total = float(score(path.image) - score(path.mean))
    batch = max(1, PIXELS // path.image[0, 0].numel())
    allowed = TOLERANCE * max(1.0, abs(total))
    for steps in STEPS:
        began = until.spent
        found = (
            IntegratedGradients(score)
            .attribute(
                path.image, path.mean, n_steps=steps, method="gausslegendre", internal_batch_size=batch
            )
            .detach()
        )
        missed = abs(float(found.double().sum()) - total)
        if missed <= allowed or 3 * (until.spent - began) > until.left:
            break
    notes = f"the values should sum to {total:.3f} and miss it by {missed:.3f}", f"{steps} steps"
    return found[0].sum(dim=0), total, notes if missed > allowed else notes[1:]


_WAYS = {SALIENCY: _saliency, GRAD_CAM: _grad_cam, INTEGRATED: _integrated}
