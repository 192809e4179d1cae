"""A drawn cohort as a file of cases."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.case import Case
from core.errors import DxtreeError
from core.pipeline import Pipeline
from dxtree.batch import Batch, Recipe
from dxtree.cohorts import make_lesion
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.config import Settings

HEADER = ("id", "age_years", "sex", "site", "dermoscopy", "clinical")
RECIPE = Recipe(settings=Settings(models="demonstration"))


@dataclass
class Told:
    """A `Progress` that keeps what it hears."""

    begun: list[tuple[int, int]] = field(default_factory=list)
    rows: int = 0
    faults: int = 0
    after: Callable[[int], None] = lambda _: None

    def begin(self, rows: int, done: int) -> None:
        self.begun.append((rows, done))

    def advance(self, rows: int, faults: int) -> None:
        self.rows += rows
        self.faults += faults
        self.after(self.rows)


def write_csv(path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def batch(cases: Path, out: Path, **options: Any) -> Batch:
    return Batch(cases, out, RECIPE, **options)


def command(cases: Path, out: Path, *options: object) -> list[str]:
    return [
        sys.executable, "-m", "dxtree", "diagnose-many", str(cases), "--out", str(out),
        "--models", "demonstration", *map(str, options),
    ]  # fmt: skip


def invoke(cases: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(cases, out, *options), capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def lines(out: Path) -> list[dict[str, Any]]:
    shards = sorted((out / "shards").glob("*.jsonl"))
    return [json.loads(line) for shard in shards for line in shard.read_text("utf-8").splitlines()]


def content(out: Path) -> dict[str, bytes]:
    """Every file but the lock, and the summary with its seconds."""
    found = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    del found["lock"], found["summary.json"]
    return found


def expected(pipeline: Pipeline, case: Case) -> dict[str, Any]:
    """What a line must hold beside row and id, by `Pipeline.diagnose` and a trip through JSON."""
    try:
        told = {"diagnosis": pipeline.diagnose(case).to_dict()}
    except DxtreeError as error:
        told = {"fault": {"code": error.code, "message": error.safe_message}}
    return json.loads(json.dumps(told))


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    registry = load_registry(Settings())
    return assemble(registry, find_model_set(registry, "demonstration"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six lesions in two views, a file that is no image, and 40 cases of which four are at fault."""
    root = tmp_path_factory.mktemp("cohort")
    for k in range(6):
        for view, jpeg in make_lesion(7, k).jpegs.items():
            (root / f"{k}-{view}.jpg").write_bytes(jpeg)
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    rows = []
    for n in range(40):
        age, sex, site = (str(20 + n), ("female", "male")[n % 2], "back") if n % 3 else ("", "", "")
        scope = f"{n % 6}-dermoscopy.jpg" if n % 4 else f"{n % 6}-dermoscopy.jpg;{(n + 1) % 6}-dermoscopy.jpg"
        rows.append([f"case {n}", age, sex, site, scope, f"{n % 6}-clinical.jpg" if n % 5 else ""])
    rows[7][1] = "300"
    rows[8] = ["=cmd()", "", "", "", "broken.jpg", ""]
    rows[21][3] = "bak"
    rows[30] = ["case 30", "", "", "", "", ""]
    write_csv(root / "cases.csv", rows)
    return root


@pytest.fixture(scope="session")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run in shards of seven rows writes that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole") / "out"
    batch(folder / "cases.csv", out, shard_rows=7).run()
    return out
