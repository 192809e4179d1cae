"""What does the safety gate of a model set stop, and what does it cost on valid lesions?

    python benchmarks/gate.py --cohort milk10k=data/milk10k --cohort ham10000=data/ham10000

Two tables over the set's held-out lesions. The first: how well each check tells what should not be judged
from what should (AUROC; the share of the former that passes where 95 % of the latter do), and the share that
the gate refuses. The second: how many valid images it accepts, and the accuracy on all and on the accepted
ones.
`--json` prints both as JSON.
"""

from __future__ import annotations

import argparse
import json

from dxtree.cohorts.reading import read_cohorts
from dxtree.gating import foreign_images, judge
from plugins.assembly import assemble, find_model_set, load_registry


def main() -> None:
    """Reads, judges and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", default="default", help="name or folder of a model set with a fitted gate"
    )
    parser.add_argument("--cohort", action="append", required=True, help="NAME=FOLDER; repeatable")
    parser.add_argument("--images", type=int, default=10_000, help="at most so many of each modality")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    registry = load_registry()
    models = find_model_set(registry, given.models)
    images = read_cohorts(registry, given.cohort, models.partition.taxonomy)
    foreign = list(foreign_images(seed=given.seed))
    pipeline = assemble(registry, models)
    rates, accuracies = judge(models, pipeline, images, foreign, most=given.images, seed=given.seed)
    if given.json:
        document = {"rates": [r.to_dict() for r in rates], "accuracy": [a.to_dict() for a in accuracies]}
        print(json.dumps(document, indent=1, allow_nan=False))
        return
    print("| modality | given | images | check | AUROC | passes at 95 % | refused |")
    print("|---|---|---|---|---|---|---|")
    for r in rates:
        cells = (
            r.modality,
            r.kind,
            r.images,
            r.check or "",
            _told(r.auroc),
            _told(r.fpr95),
            _told(r.refused),
        )
        print("|", " | ".join(map(str, cells)), "|")
    print("\nflagged, share of the images of each kind, by check")
    for r in rates:
        print(f"{r.modality:12} {r.kind:20}", *(f"{n} {f:.3f}" for n, f in r.flagged.items()))
    print("\n| modality | images | accepted | first level | of accepted | training class | of accepted |")
    print("|---|---|---|---|---|---|---|")
    for a in accuracies:
        ranges = (a.accepted, a.level_before, a.level_after, a.class_before, a.class_after)
        print("|", " | ".join([a.modality, str(a.images), *map(_told, ranges)]), "|")


def _told(value: tuple[float, float, float] | None) -> str:
    return "" if value is None else f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


if __name__ == "__main__":
    main()
