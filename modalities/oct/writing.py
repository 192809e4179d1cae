"""How are simulated volumes stored? As multi-page TIFF with distances as ImageJ writes them."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

_DESCRIPTION, _X, _Y, _UNIT = 270, 282, 283, 296
_NO_UNIT = 1
_PER_UM = 1_000_000


def write_tiff(
    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], distances_um: tuple[float, float, float]
) -> bytes:
    """Slices x rows x columns; distances of rows, columns and slices."""
    down, across, step = distances_um
    tags = ImageFileDirectory_v2()
    tags[_DESCRIPTION] = (
        f"ImageJ=1.54f\nimages={len(values)}\nslices={len(values)}\nunit=micron\nspacing={step:g}\n"
    )
    tags[_X] = IFDRational(_PER_UM, round(_PER_UM * across))
    tags[_Y] = IFDRational(_PER_UM, round(_PER_UM * down))
    tags[_UNIT] = _NO_UNIT
    pages = [Image.fromarray(plane) for plane in values]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags)
    return buffer.getvalue()
