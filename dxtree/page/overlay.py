"""How does a browser get a map and its picture? As `data:` URLs: nothing is kept to be asked for later."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from dxtree.heat import draw
from modalities.cnn.attribution import Attribution


@dataclass(frozen=True)
class Overlay:
    """The picture and what lies over it, as `data:` URLs of one size, width x height pixels."""

    picture: str
    heat: str
    width: int
    height: int


def overlay_of(found: Attribution) -> Overlay:
    """The picture as JPEG, the map as a transparent PNG."""
    heat = draw(found)
    return Overlay(_url(heat.picture, "JPEG"), _url(heat.colours, "PNG"), *heat.picture.size)


def _url(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    image.save(file, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
