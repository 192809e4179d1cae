"""Which volume does a DICOM multi-frame image hold, and where do its frames lie?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modalities.dicom.samples import open_dataset, stored_samples
from modalities.images.limits import Limits
from modalities.oct.volume import evenly, volume
from modalities.stacks.stack import Stack

SOP_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.77.1.5.4",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
_UM_PER_MM = 1e3
_NAMES = (
    "PixelSpacing", "SpacingBetweenSlices", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip


def parse_dicom(data: bytes, limits: Limits) -> Stack:
    """Frames in the file's order, or by their places along the scan where every frame gives one.

    Raises what `open_dataset`, `stored_samples` and `volume` raise.
    """
    dataset = open_dataset(data, limits, SOP_CLASSES, _NAMES)
    samples, bits = stored_samples(dataset, limits)
    notes = []
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        samples = 2**bits - 1 - samples
        notes.append("stored with black as its highest number; turned round")
    measures = _macro(dataset, "PixelMeasuresSequence")
    spacing = _numbers(_first(measures, dataset, "PixelSpacing"), 2)
    places = _places(dataset, len(samples))
    if places is not None:
        order = np.argsort(places, kind="stable")
        if (order != np.arange(len(order))).any():
            notes.append("frames were put in the order of their places")
        samples = samples[order]
        positions: tuple[float | None, ...] = tuple(float(p) for p in np.sort(places) - min(places))
    else:
        step = _numbers(_first(measures, dataset, "SpacingBetweenSlices"), 1)
        positions = evenly(None if step is None else _UM_PER_MM * step[0], len(samples))
    known = (None, None) if spacing is None else (_UM_PER_MM * spacing[0], _UM_PER_MM * spacing[1])
    return volume(samples, bits=bits, spacing_um=known, positions_um=positions, notes=notes)


def _macro(dataset: Any, keyword: str) -> Any:
    """The item of a functional group that all frames share, or `None`."""
    shared = dataset.get("SharedFunctionalGroupsSequence")
    items = shared[0].get(keyword) if shared else None
    return items[0] if items else None


def _first(measures: Any, dataset: Any, keyword: str) -> Any:
    found = measures.get(keyword) if measures is not None else None
    return dataset.get(keyword) if found is None else found


def _places(dataset: Any, frames: int) -> list[float] | None:
    """Micrometres of each frame along the line from the first to the furthest; `None` unless all say it."""
    groups: Sequence[Any] = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if len(groups) != frames or frames < 2:
        return None
    found = []
    for group in groups:
        plane = group.get("PlanePositionSequence")
        place = _numbers(plane[0].get("ImagePositionPatient"), 3) if plane else None
        if place is None:
            return None
        found.append(place)
    points = _UM_PER_MM * np.array(found)
    away = points - points[0]
    furthest = away[np.argmax((away**2).sum(axis=1))]
    length = float(np.sqrt((furthest**2).sum()))
    return None if length == 0 else [float(p) for p in away @ furthest / length]


def _numbers(value: Any, count: int) -> list[float] | None:
    """So many finite numbers, or `None`."""
    if value is None:
        return None
    values = list(value) if not isinstance(value, int | float | str) else [value]
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None
