"""What does a small net of log ratios and metadata answer? In numpy, so that answering never imports torch.

The first layer makes `WIDTH` features of the images, the last one logits; between them metadata comes in:

    concat      h = relu(image W1 + metadata V1 + b1)
    metablock   h = sigmoid(tanh(v * f) + g),  v = relu(image W1 + b1),
                f = 1 + metadata F + bf,  g = metadata G + bg

The second is the gate of Pacheco and Krohling, "An attention-based mechanism to combine images and metadata
in deep learning models applied to skin cancer classification", IEEE JBHI 25(9), 2021, without its batch norm,
under which the answers for one case of a fit depend on the others. The logits are added to those of the
log-opinion pool of the images (see `fusion.opinion`), which the net so corrects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from core.case import PatientMetadata
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.features import Features
from fusion.opinion import Weights, pooled

Kind = Literal["concat", "metablock"]

WIDTH = 32
"""Features in the middle: more overfit 2,000 lesions, fewer lose the correction."""


def shapes(kind: Kind, features: Features) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a net, by name; `target` is the log target prior."""
    classes, images = len(features.partition.ids), features.images
    known = len(features.names) - images
    inner = {"concat": ("v1",), "metablock": ("f", "g")}[kind]
    biases = {"concat": (), "metablock": ("bf", "bg")}[kind]
    return {
        "target": (classes,),
        "w1": (images, WIDTH),
        "b1": (WIDTH,),
        **dict.fromkeys(inner, (known, WIDTH)),
        **dict.fromkeys(biases, (WIDTH,)),
        "w2": (WIDTH, classes),
        "b2": (classes,),
    }


def correction(kind: Kind, arrays: Mapping[str, FloatArray], table: FloatArray) -> FloatArray:
    """What the net adds to the pool's logits: rows x classes, from rows x entries."""
    images = len(arrays["w1"])
    seen, known = table[:, :images], table[:, images:]
    first = seen @ arrays["w1"] + arrays["b1"]
    if kind == "concat":
        hidden = np.maximum(first + known @ arrays["v1"], 0.0)
    else:
        gain = 1 + known @ arrays["f"] + arrays["bf"]
        gate = np.tanh(np.maximum(first, 0.0) * gain) + known @ arrays["g"] + arrays["bg"]
        hidden = 1 / (1 + np.exp(-gate))
    return np.asarray(hidden @ arrays["w2"] + arrays["b2"])


class NetScorer:
    """The pool of the images, corrected by the net."""

    def __init__(
        self, kind: Kind, features: Features, weights: Weights, arrays: Mapping[str, FloatArray]
    ) -> None:
        self.kind: Kind = kind
        self.features, self.weights, self.arrays = features, weights, arrays

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        ratios = {e.modality: self.features.ratios.log(e) for e in evidence}
        row = self.features.from_ratios(ratios, patient)[None, :]
        start = self.arrays["target"] + pooled(self.weights, ratios)
        return np.asarray(start + correction(self.kind, self.arrays, row)[0])
