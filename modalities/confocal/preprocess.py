"""What does a net see of a confocal stack or mosaic?"""

from __future__ import annotations

import numpy as np

from modalities.confocal.attenuation import Array, compensated
from modalities.confocal.fields import field_pixels, grid_of
from modalities.confocal.layers import LAYERS_UM
from modalities.confocal.shading import evened
from modalities.stacks.stack import FloatArray, Stack

SIDE = 96
"""Pixels; one is 5 micrometres of a field, so that honeycomb, large cells and papillae stay apart."""
MOST_VIEWS = 8
_SOFT = 0.15
"""Of the mean light, added before the logarithm: detector noise in the dark must not become contrast."""


def views(stack: Stack) -> FloatArray:
    """float32 views x 1 x `SIDE` x `SIDE`, log light, mean 0 and spread 1 over the views of the file.

    A stack gives the planes nearest to `LAYERS_UM`, or planes evenly through it where its depths are not
    known; a mosaic gives fields evenly over it. Light lost with depth is made up for
    (`modalities.confocal.attenuation`), then its fall-off within a field (`modalities.confocal.shading`).
    Each view is the mean over cells of a `SIDE` x `SIDE` grid, which also averages speckle.
    """
    planes = stack.values[..., 0]
    if stack.axis == "depth":
        fields = compensated(planes, _depths(stack))
        chosen = _at_layers(stack)
    else:
        fields = _cut(planes, stack.spacing_um)
        fields = compensated(fields, np.zeros(len(fields)))
        chosen = _evenly(len(fields), MOST_VIEWS)
    fields = evened(fields)[chosen]
    small = np.stack([_reduced(_middle(field, stack.spacing_um)) for field in fields])
    log = np.log(small + _SOFT * max(float(small.mean()), 1e-6))
    spread = float(log.std())
    seen: FloatArray = ((log - log.mean()) / max(spread, 1e-3)).astype(np.float32)
    return seen[:, None]


def _depths(stack: Stack) -> Array:
    """Micrometres where every plane's is known, else numbers of planes: a rate fits either."""
    known = [p for p in stack.positions if p is not None]
    return np.array(known if len(known) == len(stack.values) else range(len(stack.values)), np.float64)


def _at_layers(stack: Stack) -> list[int]:
    """Planes to see, by depth where it is known, each once, from shallow to deep."""
    if any(p is None for p in stack.positions):
        return _evenly(len(stack.values), len(LAYERS_UM))
    depths = _depths(stack)
    order = np.argsort(depths, kind="stable")
    nearest = {int(np.argmin(np.abs(depths[order] - depth))) for _, depth in LAYERS_UM}
    return [int(order[k]) for k in sorted(nearest)]


def _evenly(number: int, most: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(0, number - 1, min(most, number))})


def _cut(planes: FloatArray, spacing: tuple[float, float] | None) -> FloatArray:
    """Fields x height x width of mosaics or single fields; what does not fill a field at the edge is left."""
    down, across = grid_of(planes.shape[1], planes.shape[2], spacing)
    height, width = planes.shape[1] // down, planes.shape[2] // across
    return np.stack(
        [
            plane[r * height : (r + 1) * height, c * width : (c + 1) * width]
            for plane in planes
            for r in range(down)
            for c in range(across)
        ]
    )


def _middle(field: FloatArray, spacing: tuple[float, float] | None) -> FloatArray:
    """The central square, at most one field of the microscope on a side."""
    rows, columns = field_pixels(spacing)
    per = rows / columns
    height = min(field.shape[0], round(rows), round(field.shape[1] * per))
    width = min(field.shape[1], round(columns), round(field.shape[0] / per))
    top, left = (field.shape[0] - height) // 2, (field.shape[1] - width) // 2
    return field[top : top + height, left : left + width]


def _reduced(field: FloatArray) -> FloatArray:
    """`SIDE` x `SIDE`: means over areas, or between pixels where the field has fewer."""
    from PIL import Image

    return np.asarray(Image.fromarray(field).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
