"""Where does the dermatoscope end? The dark corners around its round field of view.

Dark pixels that hang together with a corner are a vignette where their inner edge is an arc of a circle; a
dark lesion or shadow that reaches a corner has no such edge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modalities.stages.arrays import grey_of
from modalities.stages.inpainting import fill
from plugins.specs import Mask, Pixels

DARK = 48
"""Grey levels below which a pixel may lie outside the field of view."""
HAIR = 5
"""Pixels of a hair's width that are not taken for a corner."""
SMALLEST = 2e-3
"""Of the picture, what the corners cover at least."""
ROUGHNESS = 0.03
"""Root mean square distance of the edge from the circle, over its radius, at most."""
RADII = (0.55, 1.6)
"""Radius of the field over half the short side."""
SOFT = 0.04
"""Of the radius: the dark rim inside the circle that belongs to the vignette as well."""


def outside(pixels: Pixels) -> Mask:
    """What lies outside the round field of view; nothing where there is none."""
    from scipy.ndimage import binary_erosion, binary_opening, label

    height, width = pixels.shape[:2]
    nothing = np.zeros((height, width), np.bool_)
    # Opened, so that a hair which ends in a corner is no part of it.
    dark = binary_opening(np.pad(grey_of(pixels) < DARK, HAIR, mode="edge"), np.ones((HAIR, HAIR)))
    numbered, _ = label(dark[HAIR:-HAIR, HAIR:-HAIR])
    corners = {int(numbered[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    hanging = np.isin(numbered, sorted(corners))
    if hanging.sum() < SMALLEST * hanging.size:
        return nothing
    edge = hanging & ~binary_erosion(hanging, border_value=1)
    y, x = np.nonzero(edge)
    if len(y) < 16:
        return nothing
    centre_x, centre_y, radius, error = circle(x, y)
    if error > ROUGHNESS * radius or not RADII[0] <= 2 * radius / min(height, width) <= RADII[1]:
        return nothing
    rows, columns = np.ogrid[:height, :width]
    away: Mask = np.hypot(rows - centre_y, columns - centre_x) > (1 - SOFT) * radius
    return away


def circle(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Centre x and y, radius and root mean square distance of points, at least 3, from their circle.

    By least squares on the squared radius (Kåsa, IEEE Transactions on Instrumentation and Measurement 25:8,
    1976).
    """
    rows = np.stack([x, y, np.ones(len(x))], axis=1).astype(np.float64)
    (a, b, c), *_ = np.linalg.lstsq(rows, (rows[:, :2] ** 2).sum(axis=1), rcond=None)
    centre_x, centre_y = a / 2, b / 2
    radius = float(np.sqrt(max(c + centre_x**2 + centre_y**2, 0)))
    away = np.hypot(x - centre_x, y - centre_y) - radius
    return float(centre_x), float(centre_y), radius, float(np.sqrt((away**2).mean()))


def remove_vignette(pixels: Pixels) -> Pixels:
    """The picture with dark corners filled from the field of view."""
    return fill(pixels, outside(pixels))
