"""Prints the tables of docs/how-to/benchmark.md from a benchmark's results.

dxtree benchmark examples/benchmarks/milk10k.yaml --data DATA --out OUT
python scripts/make_benchmark_tables.py OUT/results.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SHOWN = {
    "balanced_accuracy": "balanced acc.",
    "official_f1_fitted": "F1 at .5, fitted cuts",
    "auc_malignant": "AUC malignant",
    "brier": "Brier",
}
TABLE = {"balanced_accuracy": "balanced acc.", "auc_malignant": "AUC malignant", "brier": "Brier"}
MARKS = {"better": "▲", "worse": "▼", "no difference": "="}


def number(found: dict[str, Any], *, signed: bool = False) -> str:
    """`.454 [.424, .489]`; signed for differences."""
    texts = [f"{found[k]:+.3f}" if signed else f"{found[k]:.3f}" for k in ("value", "low", "high")]
    short = [t.replace("0.", ".", 1) for t in texts]
    return f"{short[0]} [{short[1]}, {short[2]}]"


def main(path: Path) -> None:
    """Values of every arm, then paired differences to each reference."""
    for cohort in json.loads(path.read_text("utf-8"))["cohorts"]:
        level = cohort["levels"][cohort["headline"]]
        arms = {a: cells for a, cells in level["arms"].items() if not any(f", {c}" in a for c in KINDS)}
        print(f"\n{cohort['cohort']}, {level['n']:,} lesions, {level['classes']} official classes\n")
        print(f"| arm | {' | '.join(SHOWN.values())} |\n|{'---|' * (len(SHOWN) + 1)}")
        for arm, cells in arms.items():
            row = [number(cells[m]) if cells.get(m, {}).get("low") is not None else "-" for m in SHOWN]
            print(f"| {arm} | {' | '.join(row)} |")
        found = {
            (c["arm"], c["against"], c["metric"]): c
            for c in cohort["comparisons"]
            if c["label_set"] == cohort["headline"]
        }
        for against in dict.fromkeys(c["against"] for c in cohort["comparisons"]):
            print(f"\n| minus {against} | {' | '.join(TABLE.values())} |\n|{'---|' * (len(TABLE) + 1)}")
            for arm in arms:
                cells = [found.get((arm, against, m)) for m in TABLE]
                if all(cells):
                    row = [
                        f"{number(c, signed=True)} {MARKS[c['verdict']]}"
                        + ("*" if (c["p_holm"] or 1) < 0.05 else "")
                        for c in cells
                        if c
                    ]
                    print(f"| {arm} | {' | '.join(row)} |")


KINDS = ("temperature", "tree", "vector", "isotonic", "dirichlet")
"""Calibrated arms, which have a table of their own on the page."""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
