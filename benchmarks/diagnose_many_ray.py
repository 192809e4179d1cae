r"""What does Ray cost on one machine? `diagnose-many` with `--engine ray` against the plain way, same cases.

    python benchmarks/diagnose_many_ray.py
    python benchmarks/diagnose_many_ray.py --images photographs --modality clinical --models default

The pictures (drawn ones, or the .jpg files of a folder) are repeated until there are `--cases` of them. A
round runs both ways, the next one the other way about, each into an empty folder. Two rates are taken:
*steady* is rows over seconds between the reports at a tenth and nine tenths of the rows, when models are
loaded and Ray has started; *whole* counts every second from building the pipeline to the summary. Medians
over rounds, and the ratios of rates within a round. Both ways must write the same bytes. Research use, not a
medical device.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path

from dxtree.batch import Batch, RayPool, Recipe
from dxtree.cohorts import make_lesion
from dxtree.speed.machine import Machine
from plugins.config import Settings


@dataclass
class Clock:
    """Notes when how many rows were done. Satisfies `dxtree.batch.Progress`."""

    rows: int = 0
    faults: int = 0
    done: list[tuple[float, int]] = field(default_factory=list)

    def begin(self, rows: int, done: int) -> None:
        """So many rows there are."""
        self.rows = rows - done

    def advance(self, rows: int, faults: int) -> None:
        """So many more were done."""
        before = self.done[-1][1] if self.done else 0
        self.faults += faults
        self.done.append((time.perf_counter(), before + rows))

    def steady(self) -> float:
        """Rows a second between a tenth and nine tenths of them."""
        inside = [(when, rows) for when, rows in self.done if 0.1 <= rows / self.rows <= 0.9]
        (start, first), (end, last) = inside[0], inside[-1]
        return (last - first) / (end - start)


def write_cases(folder: Path, chosen: argparse.Namespace) -> Path:
    """A file of so many cases over the pictures, which are drawn where no folder is given."""
    if chosen.images is None:
        for k in range(chosen.pictures):
            (folder / f"{k}.jpg").write_bytes(make_lesion(7, k, size=chosen.side).jpegs[chosen.modality])
    root = chosen.images or folder
    names = sorted(path.name for path in root.glob("*.jpg"))
    if not names:
        raise SystemExit(f"{root} holds no .jpg")
    path = folder / "cases.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "age_years", "sex", "site", chosen.modality])
        for k, name in enumerate(islice(cycle(names), chosen.cases)):
            writer.writerow([f"case {k}", 20 + k % 70, ("female", "male")[k % 2], "back", name])
    return path


def timed(batch: Batch) -> tuple[float, float]:
    """Steady and whole rate, rows a second."""
    clock, start = Clock(), time.perf_counter()
    found = batch.run(progress=clock)
    whole = found.rows / (time.perf_counter() - start)
    if clock.faults:
        raise SystemExit(f"{clock.faults} cases have a fault: {found.codes}; give other pictures")
    return clock.steady(), whole


def shards(out: Path) -> list[bytes]:
    """The bytes of every shard, in order."""
    return [path.read_bytes() for path in sorted((out / "shards").iterdir())]


def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Rates of every round, by way."""
    recipe = Recipe(Settings(models=chosen.models), engine=chosen.engine)
    plain = Batch(
        write_cases(folder, chosen), folder / "out", recipe, root=chosen.images, shard_rows=chosen.shard_rows
    )
    ways = {"plain": plain, "ray": replace(plain, pool=RayPool())}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for k in range(chosen.rounds):
        written = []
        for name in list(ways)[:: -1 if k % 2 else 1]:
            out = folder / f"{name}{k}"
            rates[name].append(timed(replace(ways[name], out=out)))
            written.append(shards(out))
        if written[0] != written[1]:
            raise SystemExit("the two ways wrote different bytes")
        print(f"round {k + 1}: " + ", ".join(f"{n} {r[-1][0]:.2f}/s" for n, r in rates.items()), flush=True)
    return rates


def main() -> None:
    """Prints one JSON document at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--images", type=Path, help="Folder of .jpg files in place of drawn ones.")
    parser.add_argument("--pictures", type=int, default=50, help="How many are drawn.")
    parser.add_argument("--side", type=int, default=450, help="Side of a drawn picture, pixels.")
    parser.add_argument("--modality", default="dermoscopy")
    parser.add_argument("--models", default="demonstration")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--shard-rows", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rates = measure(chosen, Path(folder))
    told: dict[str, object] = {"machine": Machine.here().to_dict(), "cases": chosen.cases}
    for k, kind in enumerate(("steady", "whole")):
        told[kind] = {name: round(statistics.median(r[k] for r in found), 3) for name, found in rates.items()}
        ratios = [r[k] / p[k] for p, r in zip(rates["plain"], rates["ray"], strict=True)]
        told[f"{kind}_ray_over_plain"] = round(statistics.median(ratios), 3)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
