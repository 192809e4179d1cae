"""How is a net fitted to simulated lesions, and how good is it on others that are simulated alike?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import MissingExtra, TrainingError
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import Partition
from core.tree import FloatArray as DoubleArray
from modalities.engines import GRAPH
from modalities.stacks.drawing import classes_of, draw_lesions
from modalities.stacks.model import shape_of, views_of
from modalities.stacks.recipe import StackRecipe
from modalities.stacks.stack import FloatArray
from plugins.model_set import MODALITY_MANIFEST

TRAINING, CALIBRATION, JUDGEMENT = range(3)
SHARES = (0.5, 0.15, 0.35)
"""Of the lesions that are asked for: what the net learns, what sets its temperature, what judges it."""
LEAST = 24
"""Lesions; with fewer a part would lack a class."""

CARD = "card.md"
SOURCE = "simulated"
Progress = Callable[[str, int, int], None]
"""What is done, how much of it, and how much there is."""


@dataclass(frozen=True)
class Judged:
    """How a net does on simulated lesions that it never saw, as many of each class.

    `balanced_accuracy`: mean recall over the `classes` that are simulated; `low` to `high` is its 95 % Wilson
    interval, `chance` what a guess has. It says how well one simulation is told from another, and nothing of
    a patient.
    """

    lesions: int
    classes: int
    balanced_accuracy: float
    low: float
    high: float
    chance: float

    def __str__(self) -> str:
        return (
            f"balanced accuracy {self.balanced_accuracy:.3f} (95 % interval {self.low:.3f} to "
            f"{self.high:.3f}) on {self.lesions} other simulated lesions of {self.classes} classes; "
            f"chance {self.chance:.3f}"
        )


@dataclass(frozen=True)
class Fitted:
    """A written bundle and its judgement."""

    bundle: Bundle
    judged: Judged


def fit_simulated(
    recipe: StackRecipe,
    partition: Partition,
    folder: Path,
    *,
    lesions: int = 400,
    seed: int = 0,
    epochs: int = 24,
    progress: Progress | None = None,
) -> Fitted:
    """Draws lesions, reads their files as any file is read, fits a net and writes its bundle to `folder`.

    The same arguments give the same bundle on one machine. Raises `TrainingError` for fewer than `LEAST`
    lesions or no epoch, and what `classes_of` raises; `MissingExtra` without torch.
    """
    if lesions < LEAST or epochs < 1:
        raise TrainingError(f"at least {LEAST} lesions and one epoch are needed")
    try:
        from modalities.stacks.net import export_views_net
        from modalities.stacks.training import train_views_net
    except ImportError as error:
        raise MissingExtra("fitting a net", "train") from error
    classes = classes_of(recipe, partition)
    parts = {
        part: _seen(recipe, classes, _even(lesions * SHARES[part], len(classes)), seed, part, progress)
        for part in (TRAINING, CALIBRATION, JUDGEMENT)
    }
    views, targets = parts[TRAINING]
    told = None if progress is None else lambda done, total: progress("fitting", done, total)
    net = train_views_net(
        views,
        targets,
        len(classes),
        recipe.pooling,
        seed=seed,
        epochs=epochs,
        vary=recipe.vary,
        progress=told,
    )
    graph = export_views_net(net, recipe.channels, recipe.side)
    temperature = _temperature(_logits(graph, parts[CALIBRATION][0]), parts[CALIBRATION][1])
    judged = _judge(_logits(graph, parts[JUDGEMENT][0]), parts[JUDGEMENT][1], len(classes))
    about = {"lesions": len(targets), "calibrated_on": len(parts[CALIBRATION][1]), "seed": seed}
    about |= {"epochs": epochs}
    manifest = _manifest(recipe, partition, classes, temperature, about, judged)
    card = _card(recipe, classes, about, judged)
    write_bundle(folder, MODALITY_MANIFEST, manifest, {GRAPH: graph, CARD: card.encode()})
    return Fitted(read_bundle(folder, MODALITY_MANIFEST), judged)


def _even(number: float, classes: int) -> int:
    """The nearest number of lesions that holds as many of each class, one of each at least."""
    return classes * max(1, round(number / classes))


def _seen(
    recipe: StackRecipe,
    classes: dict[str, tuple[str, ...]],
    number: int,
    seed: int,
    part: int,
    progress: Progress | None,
) -> tuple[list[FloatArray], npt.NDArray[np.int64]]:
    """Views and class of every lesion of a part, by way of its file's bytes."""
    views, targets = [], []
    index = {owner: k for k, owner in enumerate(classes)}
    what = ("drawing lesions to learn", "drawing lesions to calibrate", "drawing lesions to judge")[part]
    for done, drawn in enumerate(draw_lesions(recipe, classes, number, seed, part), start=1):
        views.append(views_of(recipe, recipe.read(drawn.data)))
        targets.append(index[drawn.owner])
        if progress is not None:
            progress(what, done, number)
    return views, np.array(targets, np.int64)


def _logits(graph: bytes, views: list[FloatArray]) -> DoubleArray:
    """Lesions x classes, by the engine that will answer."""
    from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine

    engine = OnnxRuntimeEngine(graph)
    return np.concatenate([engine(one) for one in views]).astype(np.float64)


def _temperature(logits: DoubleArray, targets: npt.NDArray[np.int64]) -> float:
    from modalities.encoders.head import temperature_of

    return temperature_of(logits, targets, np.ones(len(targets)))


def _judge(logits: DoubleArray, targets: npt.NDArray[np.int64], classes: int) -> Judged:
    """The interval is Wilson's: with as many lesions of each class the mean recall is the share of hits."""
    from scipy.stats import binomtest

    hits = int((logits.argmax(axis=1) == targets).sum())
    low, high = binomtest(hits, len(targets)).proportion_ci(method="wilson")
    return Judged(len(targets), classes, hits / len(targets), float(low), float(high), 1 / classes)


def _manifest(
    recipe: StackRecipe,
    partition: Partition,
    classes: Mapping[str, tuple[str, ...]],
    temperature: float,
    about: Mapping[str, Any],
    judged: Judged,
) -> dict[str, Any]:
    import torch

    return {
        "kind": "modality",
        "modality": recipe.name,
        "name": f"simulated-{recipe.name}",
        "licence": "Apache-2.0",
        "demonstration": True,
        "architecture": f"views net, {recipe.pooling} pooling",
        "taxonomy_name": partition.taxonomy.name,
        "taxonomy": partition.taxonomy.fingerprint,
        "partition": partition.fingerprint,
        "classes": list(partition.ids),
        "prior": {name: 1 / len(classes) if name in classes else 0.0 for name in partition.ids},
        "temperature": temperature,
        "views": shape_of(recipe),
        "training": {"source": SOURCE, **about, "torch": str(torch.__version__)},
        "judged": {"source": SOURCE, **asdict(judged)},
    }


def _card(
    recipe: StackRecipe,
    classes: Mapping[str, tuple[str, ...]],
    about: Mapping[str, Any],
    judged: Judged,
) -> str:
    rows = "".join(f"- {owner}: {', '.join(kinds)}\n" for owner, kinds in classes.items())
    return f"""# {recipe.title}: a net fitted to simulations

Fitted to {about["lesions"]} simulated lesions and to no patient's image: it shows that reading,
preprocessing, net and fusion work, and its answers mean nothing for a patient. For research use only.

What is simulated, by training class; of every other class it says nothing (prior 0):

{rows}
On simulated lesions that it never saw: {judged}.

`dxtree train-simulated {recipe.name} --lesions N --seed {about["seed"]} --epochs {about["epochs"]}` makes it;
the net pools the views of a file by {recipe.pooling}.
"""
