"""Two encoders as modalities: `Texture`, and `Trunk` where DXTREE_TRUNK names a file of weights.

dxtree fit-head --encoder examples/encoder/encoder_plugin.py --cohort NAME=FOLDER --out RUN
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from modalities.encoders import ByteArray, EncoderModality, FloatArray, modality_from_encoder
from plugins import hookimpl


class Texture:
    """Quantiles of the colours in rings around the centre, and the change of light at four scales."""

    name, digest, side, dimension = "texture", "texture-1", 128, 88

    def embed(self, images: ByteArray) -> FloatArray:
        """N x side x side x 3 to N x dimension."""
        radius = np.hypot(*np.mgrid[-1 : 1 : self.side * 1j, -1 : 1 : self.side * 1j])
        ring, light = np.digitize(radius, (0.25, 0.5, 0.75)), images.mean(axis=3)
        colours = [np.quantile(images[:, ring == k], np.linspace(0, 1, 7), axis=1) for k in range(4)]
        changes = [np.log1p(np.abs(light[:, s:] - light[:, :-s]).mean(axis=(1, 2))) for s in (1, 2, 4, 8)]
        flat = np.stack(colours).transpose(2, 0, 1, 3).reshape(len(images), -1)
        return np.column_stack([flat, *changes]).astype(np.float32)


class Trunk:
    """A MobileNetV2 up to its pooling layer."""

    name, side, dimension = "mobilenet_v2", 224, 1280

    def __init__(self, weights: str | None = None) -> None:
        import safetensors.torch
        import torch
        import torchvision

        data = Path(weights or os.environ["DXTREE_TRUNK"]).read_bytes()
        self.torch, self.net = torch, torchvision.models.mobilenet_v2().eval()
        self.digest = hashlib.sha256(data).hexdigest()
        self.net.load_state_dict({k: v.float() for k, v in safetensors.torch.load(data).items()})

    def embed(self, images: ByteArray) -> FloatArray:
        """N x side x side x 3 to N x dimension."""
        x = ((images / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).astype(np.float32)
        with self.torch.inference_mode():
            return np.asarray(self.net.features(self.torch.from_numpy(x.transpose(0, 3, 1, 2))).mean((2, 3)))


@hookimpl
def dxtree_modalities() -> list[EncoderModality]:
    """Offers `texture` and, with DXTREE_TRUNK, `mobilenet_v2`; both read dermoscopic images."""
    made = [modality_from_encoder(e.name, e.name, e, reads="dermoscopy") for e in (Texture, Trunk)]
    return made if "DXTREE_TRUNK" in os.environ else made[:1]
