"""How many fields of the microscope does a plane hold, and what did the file leave unsaid of it?"""

from __future__ import annotations

from modalities.confocal import notes
from modalities.confocal.layers import FIELD_PIXELS, FIELD_UM

_SLACK = 1.5
"""Times a field's side, from which a plane is taken for a mosaic of several."""
ENOUGH = 4
"""Fields from which their common fall-off of light is told from tissue."""


def field_pixels(spacing: tuple[float, float] | None) -> tuple[float, float]:
    """Rows and columns of one field."""
    if spacing is None:
        return float(FIELD_PIXELS), float(FIELD_PIXELS)
    return FIELD_UM / spacing[0], FIELD_UM / spacing[1]


def grid_of(height: int, width: int, spacing: tuple[float, float] | None) -> tuple[int, int]:
    """Fields down and across a plane, one at least."""
    rows, columns = field_pixels(spacing)
    if height < _SLACK * rows and width < _SLACK * columns:
        return 1, 1
    return max(1, round(height / rows)), max(1, round(width / columns))


def is_mosaic(shape: tuple[int, ...], spacing: tuple[float, float] | None) -> bool:
    """Whether planes x height x width ... are of several fields each."""
    return grid_of(shape[1], shape[2], spacing) != (1, 1)


def unsaid(
    shape: tuple[int, ...], axis: str, *, depth: bool, spacing: tuple[float, float] | None
) -> list[str]:
    """Notes on what the file does not say, and what therefore happens."""
    found = []
    if not depth:
        found.append(notes.NO_DEPTH if axis == "depth" else notes.NO_DEPTH_OF_ONE)
    if spacing is None:
        found.append(notes.NO_SIZE)
    down, across = grid_of(shape[1], shape[2], spacing)
    if down * across > 1 or axis == "tile":
        found.append(notes.MOSAIC)
    if shape[0] * down * across < ENOUGH:
        found.append(notes.FEW)
    return found
