"""How was `dxtree_fundus/models` made? A linear model and Bayes' rule, fitted to drawn eyes. Needs no torch.

    python train.py

Draws eyes of every kind, describes each photograph, and chooses the penalty of a multinomial logistic
regression in five folds. The fuser is fitted on what the folds' models say of eyes that they did not see, and
on the drawn ages.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from dxtree_fundus.drawing import KINDS, draw
from dxtree_fundus.field import flatten
from dxtree_fundus.model import MODALITY, WEIGHTS
from dxtree_fundus.signs import describe
from dxtree_fundus.tree import taxonomy
from PIL import Image
from sklearn.linear_model import LogisticRegression

from core.case import PatientMetadata
from core.manifest import write_bundle
from core.partition import partition_at_level
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from core.split import TRAINING, Split
from plugins.assembly import load_registry
from plugins.config import Settings
from plugins.model_set import MODALITY_MANIFEST, write_model_set
from plugins.specs import FusionCase

FOLDS, PENALTIES = 5, (0.003, 0.01, 0.03, 0.1)
ABOUT = {
    "name": "fundus-demonstration",
    "description": "Trained on drawn eyes; it knows no patient.",
    "licence": "Apache-2.0",
    "demonstration": True,
}


def pictures(per_kind: int, workers: int) -> tuple[np.ndarray, list[str], list[int]]:
    """Numbers N x D, kinds and ages of drawn eyes."""
    tasks = [(kind, seed) for seed in range(per_kind) for kind in KINDS]
    with ProcessPoolExecutor(workers) as pool:
        found = []
        for one in pool.map(_picture, tasks, chunksize=5):
            found.append(one)
            print(f"\r{len(found)} of {len(tasks)}", end="", flush=True)
    print()
    return np.array([row for row, _ in found]), [kind for kind, _ in tasks], [age for _, age in found]


def _picture(task: tuple[str, int]) -> tuple[np.ndarray, int]:
    drawn = draw(*task)
    return describe(flatten(np.asarray(Image.open(io.BytesIO(drawn.data))))), drawn.age


def fitted(rows: np.ndarray, targets: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight classes x D and bias of a fit on standardised numbers, for numbers as they come."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread < 1e-9] = 1.0
    model = LogisticRegression(C=penalty, max_iter=2000).fit((rows - mean) / spread, targets)
    weight = model.coef_ / spread
    return weight, model.intercept_ - weight @ mean


def loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log P(truth), nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]))


def out_of_fold(rows: np.ndarray, targets: np.ndarray, fold: np.ndarray, penalty: float) -> np.ndarray:
    """Logits of every eye by the model of the folds that it is not in."""
    logits = np.empty((len(rows), targets.max() + 1))
    for k in range(FOLDS):
        weight, bias = fitted(rows[fold != k], targets[fold != k], penalty)
        logits[fold == k] = rows[fold == k] @ weight.T + bias
    return logits


def main() -> None:
    """Draws, fits and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-kind", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "dxtree_fundus" / "models")
    given = parser.parse_args()
    tree = taxonomy()
    partition = partition_at_level(tree, dict.fromkeys(KINDS, given.per_kind), tree.max_depth)
    rows, kinds, ages = pictures(given.per_kind, given.workers)
    targets = np.array([partition.ids.index(k) for k in kinds])
    fold = np.arange(len(rows)) // len(KINDS) % FOLDS
    tried = {p: out_of_fold(rows, targets, fold, p) for p in PENALTIES}
    penalty = min(PENALTIES, key=lambda p: loss(tried[p], targets))
    logits = tried[penalty]
    right = float(np.mean(logits.argmax(axis=1) == targets))
    print(f"penalty {penalty}, out of fold: {right:.3f} right, {loss(logits, targets):.3f} nats")
    weight, bias = fitted(rows, targets, penalty)
    prior = LeafProbabilities.from_weights(partition.ids, np.ones(len(partition.ids)))
    linear = {
        "weight": [[float(f"{v:.6g}") for v in row] for row in weight],
        "bias": [float(f"{v:.6g}") for v in bias],
        "prior": dict(zip(partition.ids, prior.values.tolist(), strict=True)),
    }
    manifest = {
        "kind": "modality",
        "modality": MODALITY,
        **{k: ABOUT[k] for k in ("name", "licence")},
        "taxonomy": partition.taxonomy.fingerprint,
        "partition": partition.fingerprint,
        "classes": list(partition.ids),
        "training": {"drawn": len(rows), "penalty": penalty, "out_of_fold_accuracy": round(right, 4)},
    }
    names = [f"drawn-{k}" for k in range(len(rows))]
    cases = [
        FusionCase(
            names[k],
            "drawn",
            int(fold[k]),
            (Evidence(MODALITY, LeafProbabilities.from_logits(partition.ids, logits[k]), prior, 1),),
            PatientMetadata(age_years=ages[k]),
            kinds[k],
        )
        for k in range(len(rows))
    ]
    fit = load_registry(Settings()).fusers.get("bayes").fit
    if fit is None:
        raise SystemExit("the fuser bayes of this dxtree learns nothing")
    split = Split(
        dict.fromkeys(names, TRAINING), {n: int(f) for n, f in zip(names, fold, strict=True)}, FOLDS, 0
    )
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / MODALITY
        card = (Path(__file__).parent / "dxtree_fundus" / "card.md").read_bytes()
        write_bundle(bundle, MODALITY_MANIFEST, manifest, {WEIGHTS: json.dumps(linear).encode()})
        write_model_set(
            given.out,
            partition,
            split,
            modalities={MODALITY: bundle},
            fusers={"bayes": fit(cases, partition, 0)},
            default_fuser="bayes",
            about=ABOUT,
            texts={"card.md": card},
        )


if __name__ == "__main__":
    main()
