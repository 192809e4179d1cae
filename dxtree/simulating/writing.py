"""Where do simulated files go, and which file says what each shows?"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.errors import PathRejected
from core.files import write_whole
from modalities.stacks import StackRecipe
from modalities.stacks.drawing import ending_of

TRUTH = "truth.csv"


def write_simulated(
    recipe: StackRecipe,
    folder: Path,
    lesions: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """So many files in the modality's real format, kinds in turn, and `truth.csv` with what each shows.

    Columns: file, kind, and nodes, the ids of the taxonomies' nodes that the kind stands for, joined by `|`.
    Raises `PathRejected` where the folder holds anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PathRejected(f"{folder.name!r} holds something; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str]] = []
    paths = []
    width = len(str(max(lesions - 1, 0)))
    for k in range(lesions):
        kind, nodes = recipe.kinds[k % len(recipe.kinds)]
        data = recipe.draw(kind, np.random.default_rng([seed, k]))
        path = folder / f"{recipe.name}-{k:0{width}}{ending_of(data)}"
        path.write_bytes(data)
        paths.append(path)
        rows.append((path.name, kind, "|".join(nodes)))
        if progress is not None:
            progress(k + 1, lesions)
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows([("file", "kind", "nodes"), *rows])
    write_whole(folder / TRUTH, table.getvalue().encode())
    return paths
