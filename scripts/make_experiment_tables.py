"""Prints the tables of an experiment as Markdown, for the documentation.

python scripts/make_experiment_tables.py RUN/results.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

METRICS = ("accuracy", "balanced_accuracy", "balanced_accuracy_even")
MARKS = {"better": "▲", "worse": "▼", "no difference": "=", None: "", "undefined": "?"}


def short(value: float, sign: str = "") -> str:
    """Such as .712, or +.012 with a sign."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1)


def cell(found: dict[str, Any] | None) -> str:
    """Mean ± SD over folds and, beside it, the difference to the reference."""
    if found is None:
        return "not readable"
    text = short(found["mean"]) + (
        f" ± {short(found['deviation'])}" if found["deviation"] is not None else ""
    )
    apart = found["difference"]
    if apart is None or apart["low"] is None:
        return text
    low, high = short(apart["low"], "+"), short(apart["high"], "+")
    return f"{text} ({short(apart['value'], '+')} [{low}, {high}] {MARKS[found['verdict']]})"


def main(path: Path) -> None:
    """One table a modality and yardstick, then the binary tasks and what the arms cost."""
    results = json.loads(path.read_text("utf-8"))
    cells = {(c["modality"], c["yardstick"], c["arm"], c["metric"]): c for c in results["cells"]}
    for modality, yardstick in dict.fromkeys((c["modality"], c["yardstick"]) for c in results["cells"]):
        images = next(c["images"] for k, c in cells.items() if k[:2] == (modality, yardstick))
        print(f"\n**{modality}, {yardstick}**, {images:,} images\n")
        print("| arm | classes | accuracy | balanced accuracy | the same, even prior |")
        print("|---|---|---|---|---|")
        arms = {a["arm"]: str(a["classes"]) for a in results["arms"] if a["modality"] == modality}
        arms |= {name: f"{len(members)} arms" for name, members in results["ensembles"].items()}
        for arm, classes in arms.items():
            row = [cells.get((modality, yardstick, arm, m)) for m in METRICS]
            if any(row):
                print(f"| {arm} | {classes} | {' | '.join(cell(c) for c in row)} |")
    print("\n| task | images | score | AUC |\n|---|---|---|---|")
    for task in results["tasks"]:
        for name, score in task["scores"].items():
            auc = score["auc"]
            interval = f"{short(auc['value'])} [{short(auc['low'])}, {short(auc['high'])}]"
            print(f"| {task['task']['title']} | {task['n']:,} | {name} | {interval} |")
    print(
        "\n| arm | modality | classes | epochs | seconds, all folds | images/s |\n|---|---|---|---|---|---|"
    )
    for a in results["arms"]:
        print(
            f"| {a['arm']} | {a['modality']} | {a['classes']} | {a['epochs']} | {a['seconds']:,.0f} "
            f"| {a['images_per_second']:.0f} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
