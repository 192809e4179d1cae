"""How near do drawn orders come to all orders, and how long does it take to explain an answer?

python benchmarks/contributions.py

First table: images whose probabilities of a node are averaged, the parts of drawn orders against those of
all orders; the worst image of a case, in log-odds, mean and largest over 20 seeds. Second table: CPU seconds
for one node with the fusers of the shipped models, one thread, three metadata fields known.
"""

from __future__ import annotations

import math
import time
from functools import cache
from unittest.mock import patch

import numpy as np

from core import Evidence, LeafProbabilities, PatientMetadata, TreeSums, coalitions
from core.contributions import contributions
from core.probabilities import mean
from plugins.assembly import find_model_set, load_fuser, load_registry, usable_fusers

PRIOR_LOG_ODDS = -1.4
"""Before any image: about one in five."""


def accuracy() -> None:
    """Prints the error of drawn orders."""
    print("images  spread of parts  worst image, mean  worst image, largest")
    for images in (11, 12, 14):
        shares = np.random.default_rng(0).beta(0.3, 0.3, images) * 0.98 + 0.01
        value = cache(lambda inside, shares=shares: averaged(inside, shares))
        with patch.object(coalitions, "MOST_EXACT", images):
            exact = np.array(coalitions.shapley(coalitions.weights(images, 0), value))
        drawn = [coalitions.shapley(coalitions.weights(images, seed), value) for seed in range(20)]
        worst = np.abs(np.array(drawn) - exact).max(axis=1)
        print(f"{images:6}  {np.ptp(exact):15.2f}  {worst.mean():17.2f}  {worst.max():20.2f}")


def averaged(inside: int, shares: np.ndarray) -> float:
    """Log-odds of the mean over the images inside a coalition."""
    kept = [share for k, share in enumerate(shares) if inside >> k & 1]
    p = float(np.mean(kept)) if kept else 0.0
    return math.log(p / (1 - p)) if kept else PRIOR_LOG_ODDS


def speed() -> None:
    """Prints CPU seconds by fuser and number of images."""
    registry = load_registry()
    models = find_model_set(registry)
    sums = TreeSums(models.partition)
    node = models.partition.taxonomy.level(1)[0]
    patient = PatientMetadata(age_years=60, sex="male", site="back")
    cases = ((1, 1), (2, 3), (10, 1))
    print("\nfuser        " + "  ".join(f"{a:>2}+{b:<2} images" for a, b in cases))
    for name in usable_fusers(registry, models):
        fuser = load_fuser(registry, models, name)
        taken = []
        for counts in cases:
            modalities = zip(("clinical", "dermoscopy"), counts, strict=True)
            evidence = [drawn_evidence(m, n, models.partition.ids) for m, n in modalities]
            start = time.process_time()
            contributions(fuser, evidence, patient, node, sums)
            taken.append(time.process_time() - start)
        print(f"{name:<12} " + "  ".join(f"{t:>10.2f} s" for t in taken))


def drawn_evidence(modality: str, images: int, classes: tuple[str, ...]) -> Evidence:
    """Random probabilities over the training classes, with an even prior."""
    rows = np.random.default_rng(images).dirichlet(np.full(len(classes), 0.2), images)
    each = tuple(LeafProbabilities(classes, row) for row in rows)
    return Evidence(
        modality, mean(each), LeafProbabilities.from_weights(classes, [1] * len(classes)), images, each
    )


if __name__ == "__main__":
    accuracy()
    speed()
