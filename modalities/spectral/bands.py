"""Which channel was recorded at the wavelength or frequency that the physics asks for?"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import CorruptImage, UnsupportedPixels
from modalities.stacks.stack import Channel

WINDOWS = dict[str, tuple[float, float]]


def values(channels: Sequence[Channel], unit: str, needed: str) -> list[float]:
    """The physical quantity of each channel, in the order of the file.

    Raises `UnsupportedPixels` where a channel does not say it in `unit`, naming what is `needed`, and
    `CorruptImage` for two channels of one value.
    """
    found = [c.value for c in channels if c.value is not None and c.unit == unit]
    if len(found) != len(channels):
        raise UnsupportedPixels(f"file does not say the {unit} of each channel; needed: {needed}")
    if len(set(found)) != len(found):
        raise CorruptImage(f"file has two channels of one value in {unit}; export it again")
    return found


def choose(channels: Sequence[Channel], unit: str, windows: WINDOWS) -> dict[str, int]:
    """The channel for each name: the one nearest to the middle of its window, which lies inside it.

    `windows` are the lowest and highest value of each name, in `unit`; the place of a channel in the file
    never counts. Raises `UnsupportedPixels`, naming every window, where one is empty or no value is given.
    """
    needed = ", ".join(f"{low:g} to {high:g} {unit} ({name})" for name, (low, high) in windows.items())
    found = values(channels, unit, needed)
    chosen = {}
    for name, (low, high) in windows.items():
        inside = [i for i, value in enumerate(found) if low <= value <= high]
        if not inside:
            raise UnsupportedPixels(f"file has no channel for {name}; needed: {needed}")
        chosen[name] = min(inside, key=lambda i: (abs(found[i] - (low + high) / 2), found[i]))
    return chosen
