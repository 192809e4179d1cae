"""How are the logits of images that a net did not see kept, exact to the last bit?"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.cohort import LabelledImage


def evidence_csv(
    images: Sequence[LabelledImage], rows: npt.NDArray[np.float64], classes: Sequence[str]
) -> bytes:
    """A CSV of image, lesion, cohort and one logit a training class, exact to the last bit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "lesion", "cohort", *classes])
    for image, row in zip(images, rows.tolist(), strict=True):
        writer.writerow([image.image, image.lesion, image.cohort, *map(repr, row)])
    return text.getvalue().encode()


def read_evidence(path: Path) -> tuple[list[tuple[str, str, str]], npt.NDArray[np.float64], tuple[str, ...]]:
    """(image, lesion, cohort) a row, logits N x classes and class ids, as `evidence_csv` wrote them."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    keys = [(r[0], r[1], r[2]) for r in rows]
    return keys, np.array([[float(v) for v in r[3:]] for r in rows]), tuple(header[3:])
