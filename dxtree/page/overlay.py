"""How is an occlusion drawn over the picture? As a transparent PNG of the picture's own geometry."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.tree import FloatArray
from modalities.cnn.occlusion import Occlusion

LONGEST = 1024
"""Pixels of the longer side of what the browser gets."""
FOR, AGAINST, UNSEEN = (255, 225, 0), (0, 90, 255), (128, 128, 128)
_UNSEEN_ALPHA = 150


@dataclass(frozen=True)
class Overlay:
    """The picture and what lies over it, as `data:` URLs of one size, width x height pixels."""

    picture: str
    heat: str
    width: int
    height: int


def draw(found: Occlusion) -> Overlay:
    """Yellow speaks for the node, blue against it; the strongest cell is opaque. Grey is unseen."""
    height, width = found.picture.shape[:2]
    scale = min(1.0, LONGEST / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(found.picture).resize(size, Image.Resampling.BILINEAR)
    heat = Image.new("RGBA", size, (*UNSEEN, _UNSEEN_ALPHA))
    left, top, right, bottom = (round(v * s / t) for v, s, t in _edges(found.frame, size, width, height))
    cells = Image.fromarray(_coloured(found.drop), "RGBA")
    heat.paste(cells.resize((right - left, bottom - top), Image.Resampling.BILINEAR), (left, top))
    return Overlay(_url(picture, "JPEG"), _url(heat, "PNG"), *size)


def _edges(
    frame: tuple[float, float, float, float], size: tuple[int, int], width: int, height: int
) -> list[tuple[float, int, int]]:
    sides = ((size[0], width), (size[1], height))
    return [(value, *sides[k % 2]) for k, value in enumerate(frame)]


def _coloured(drop: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """RGBA of each cell; its alpha grows with the size of the change, up to opaque."""
    top = float(np.abs(drop).max()) or 1.0
    cells = np.empty((*drop.shape, 4), np.uint8)
    cells[..., :3] = np.where(drop[..., None] >= 0, FOR, AGAINST)
    cells[..., 3] = np.round(255 * np.abs(drop) / top)
    return cells


def _url(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    image.save(file, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
