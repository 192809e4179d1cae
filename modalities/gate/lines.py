"""How much of a picture lies under thin dark lines, such as hair?

Dark structures that are thin in any direction are found as in DullRazor (Lee, Ng, Gallagher, Coldman and
McLean, Computers in Biology and Medicine 27, 1997): by the gain of a grey closing over the picture, along a
row, a column and both diagonals. A line is then what stays of the gain in one direction and not in another;
spots and skin texture stay in all or in none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WIDEST = 9
"""Pixels of the closing: what is wider, as a lesion is, gains nothing."""
LENGTH = 5
"""Pixels that a line runs straight on."""
DEPTH = 30
"""A line is so many of 255 grey levels darker than what lies on both sides."""
RIM = WIDEST - 1 + LENGTH - 1
"""Pixels at the edge at least that are not looked at: the filters reach into them from the other side."""

Flat = npt.NDArray[np.uint8]


def line_share(grey: npt.NDArray[np.uint8]) -> float:
    """Share of the middle of a uint8 picture, three quarters of each side, under dark lines; sides >= 28."""
    height, width = grey.shape
    rim_y, rim_x = max(RIM, height // 8), max(RIM, width // 8)
    above = line_depth(grey)[rim_y:-rim_y, rim_x:-rim_x] > DEPTH
    return float(np.count_nonzero(above)) / above.size


def line_depth(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """How many grey levels each pixel of a uint8 picture lies under a dark line, sides >= 28.

    What stands in the outer `RIM` pixels means nothing.
    """
    height, width = grey.shape
    # Rows stand behind one another, so that what leaves at one edge enters at the other, into the rim.
    flat = np.ascontiguousarray(grey).reshape(-1)
    steps = (1, width, width + 1, width - 1)
    gain = np.zeros_like(flat)
    for step in steps:
        inside = _inside(flat, WIDEST, step)
        closed = _along(_along(flat, step, WIDEST, np.maximum), step, WIDEST, np.minimum)
        np.maximum(gain[inside], closed - flat[inside], out=gain[inside])
    most, least = np.zeros_like(flat), np.full_like(flat, 255)
    for step in steps:
        inside = _inside(flat, LENGTH, step)
        opened = _along(_along(gain, step, LENGTH, np.minimum), step, LENGTH, np.maximum)
        np.maximum(most[inside], opened, out=most[inside])
        np.minimum(least[inside], opened, out=least[inside])
    return (np.maximum(most, least) - least).reshape(height, width)


def _inside(flat: Flat, length: int, step: int) -> slice:
    return slice((length - 1) * step, len(flat) - (length - 1) * step)


def _along(flat: Flat, step: int, length: int, of: np.ufunc) -> Flat:
    """The extreme of every `length` pixels, 5 or 9, one step apart: of 2, of 4, of 8 and one more."""
    found, reach = flat, 1
    while 2 * reach < length:
        found = of(found[: -reach * step], found[reach * step :])
        reach *= 2
    last = (length - 1) * step
    return np.asarray(of(found[: len(flat) - last], flat[last:]), np.uint8)
