"""Does a preprocessing step help a net, or hurt it? Balanced accuracy without and with each step.

    python benchmarks/preprocessing_effects.py --cohort milk10k=data/milk10k --cohort ham10000=data/ham10000 \
        --models default --work effects

Two questions for each cohort and modality, each over the cohort's own classes:

- shipped: the model set's net, trained without steps, is given stepped images. What a step costs that is
  switched on in front of a finished net.
- refitted: a multinomial logistic regression on the net's penultimate features, fitted and judged on stepped
  images. What a step is worth where training and use agree, as far as a frozen net can tell.

Judged on lesions that the model set held out for validation, fitted on those that it was trained on; no other
lesion is read. The difference is paired, with a 95 % interval from a bootstrap over lesions. Of each cohort
and modality `--training` and `--validation` lesions at most are taken, by a hash of the lesion's id. Features
are kept under `--work`, so the same command goes on after an interruption.

Verdict by the refitted head, whose training met the step, and by the net where that is worse:
"leave off" where an interval lies below zero, "use" where the refitted one lies above it and the other not
below, else "no difference", which is as good a reason to leave a step off.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save

from core.cohort import LabelledImage, lesions
from core.diagnosis import RESEARCH_USE
from core.files import write_whole
from core.split import TRAINING, VALIDATION
from dxtree.cohorts.reading import read_cohorts
from dxtree.evaluation.counting import balanced_accuracy
from dxtree.evaluation.intervals import draw_weights, group_index
from dxtree.evaluation.labels import OFFICIAL, UNKNOWN, label_sets
from modalities.cnn.penultimate import Penultimate
from modalities.cnn.preprocess import Preprocessing, shrunk
from modalities.images import decode_here
from modalities.stages import step_of
from plugins.assembly import find_model_set, load_registry
from plugins.model_set import ModelSet
from plugins.registry import Registry
from plugins.specs import PreprocessorSpec

OFF = "off"
RESAMPLES = 2000
PENALTIES = (0.0001, 0.001, 0.01, 0.1)
"""Inverse strengths of the L2 penalty ; `best_penalty` takes one, for all steps."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Unit:
    """One cohort through one modality: images, their lesions, classes as numbers, and which are held out."""

    name: str
    modality: str
    images: tuple[LabelledImage, ...]
    truth: Ints
    held: npt.NDArray[np.bool_]
    membership: Floats


@dataclass(frozen=True)
class Effect:
    """Balanced accuracy with a step, and its difference from without, with a 95 % interval."""

    value: float
    difference: float
    low: float
    high: float


def main() -> None:
    """Reads, embeds, judges and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="default")
    parser.add_argument("--cohort", action="append", required=True, help="NAME=FOLDER; repeatable")
    parser.add_argument(
        "--step", action="append", help="repeatable, A+B for two; default: every one that ships"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of features; it is gone on with")
    parser.add_argument("--training", type=int, default=800, help="lesions a cohort and modality, at most")
    parser.add_argument("--validation", type=int, default=1000)
    given = parser.parse_args()
    registry = load_registry()
    models = find_model_set(registry, given.models)
    units = units_of(registry, models, given.cohort, {TRAINING: given.training, VALIDATION: given.validation})
    asked = given.step or sorted(registry.preprocessors.specs)
    steps = {OFF: ()} | {
        name: tuple(step_of(s, registry.preprocessors.specs) for s in name.split("+")) for name in asked
    }
    print("| cohort | modality | step | shipped net | difference | refitted head | difference | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    for unit in units:
        _report(unit, models, steps, given.work)
    held = {u.name + " " + u.modality: (int((~u.held).sum()), int(u.held.sum())) for u in units}
    counts = "; ".join(f"{name} {fit:,} and {judged:,}" for name, (fit, judged) in held.items())
    print(f"\nImages that heads were fitted on, and that were judged: {counts}.\n{RESEARCH_USE}")


def units_of(
    registry: Registry, models: ModelSet, cohorts: Sequence[str], most: Mapping[str, int]
) -> list[Unit]:
    """Every cohort through every modality of the set that it has images of."""
    found = []
    images = read_cohorts(registry, cohorts, models.partition.taxonomy)
    for cohort in dict.fromkeys(i.cohort for i in images):
        for modality in models.modalities:
            own = [i for i in images if i.cohort == cohort and i.modality == modality]
            parts = {i.lesion: models.part_of(i.lesion) for i in own}
            taken = {
                lesion
                for part, limit in most.items()
                for lesion in sorted((n for n, p in parts.items() if p == part), key=_draw)[:limit]
            }
            members = lesions(i for i in own if i.lesion in taken)
            if not members:
                continue
            sets = label_sets(members, models.partition, registry.cohorts.get(cohort))
            official = next(s for s in sets.sets if s.name == OFFICIAL)
            rows = [
                (image, truth)
                for lesion, truth in zip(members, official.truth.tolist(), strict=True)
                for image in lesion.images
                if truth != UNKNOWN
            ]
            held = np.array([parts[i.lesion] == VALIDATION for i, _ in rows])
            truths = np.array([t for _, t in rows], np.int64)
            found.append(Unit(cohort, modality, tuple(i for i, _ in rows), truths, held, official.membership))
    return found


def _draw(lesion: str) -> str:
    return hashlib.sha256(lesion.encode()).hexdigest()


def _report(
    unit: Unit, models: ModelSet, steps: Mapping[str, tuple[PreprocessorSpec, ...]], work: Path
) -> None:
    bundle = models.modality_bundle(unit.modality)
    assert bundle is not None  # noqa: S101 - the set says that it has this modality
    plain = replace(Preprocessing.from_dict(bundle.require("preprocessing", dict)), steps=())
    net = Penultimate.of(bundle, plain)
    answers: dict[str, tuple[Ints, Ints]] = {}
    without = features(unit, net, work)
    penalty = best_penalty(without, unit)
    for name, chosen in steps.items():
        started = time.monotonic()
        rows = features(unit, replace(net, preprocessing=replace(plain, steps=chosen)), work, without)
        scores = _probabilities(net.logits(rows[unit.held])) @ unit.membership
        answers[name] = scores.argmax(axis=1), refitted(rows, unit, penalty)
        took = time.monotonic() - started
        print(
            f"{unit.name} {unit.modality} {name}: {took:.0f} s, penalty {penalty}",
            file=sys.stderr,
            flush=True,
        )
    for name in list(steps)[1:]:
        shipped, head = (effect(unit, answers[name][k], answers[OFF][k]) for k in (0, 1))
        cells = [
            f"{x.value:.3f} | {x.difference:+.3f} ({x.low:+.3f} to {x.high:+.3f})" for x in (shipped, head)
        ]
        print(
            f"| {unit.name} | {unit.modality} | {name} | {' | '.join(cells)} | {verdict(shipped, head)} |",
            flush=True,
        )
    shares = [(answers[OFF][k] == unit.truth[unit.held]) for k in (0, 1)]
    off = [float(balanced_accuracy(s, unit.truth[unit.held])(np.ones((len(s), 1)))[0]) for s in shares]
    print(f"| {unit.name} | {unit.modality} | off | {off[0]:.3f} | | {off[1]:.3f} | | |", flush=True)


def features(
    unit: Unit, net: Penultimate, work: Path, without: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Features of every image, from the folder where it has them, by net and preprocessing.

    A picture that the steps leave as it is has the features that it has `without` them.
    """
    key = json.dumps([net.preprocessing.to_dict(), hashlib.sha256(net.weight.tobytes()).hexdigest()])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    file = work / f"{unit.name}-{unit.modality}-{name}.safetensors"
    known = load_file(file) if file.is_file() else {}
    work.mkdir(parents=True, exist_ok=True)
    missing = [(row, i) for row, i in enumerate(unit.images) if i.image not in known]
    bare = replace(net.preprocessing, steps=())
    for k, (row, image) in enumerate(missing, start=1):
        pixels = decode_here(image.path, target_side=bare.seen.target_side).pixels
        scaled = shrunk(pixels, bare.resize)
        stepped = net.preprocessing.prepare(scaled)
        if without is not None and np.array_equal(scaled, stepped):
            known[image.image] = without[row]
        else:
            known[image.image] = net.of_square(bare.planes(stepped))
        if k % 500 == 0 or k == len(missing):
            write_whole(file, save(known))
            print(f"  {file.stem}: {k:,} of {len(missing):,}", file=sys.stderr, flush=True)
    return np.stack([known[i.image] for i in unit.images])


def refitted(rows: npt.NDArray[np.float32], unit: Unit, penalty: float) -> Ints:
    """Answers of a head that was fitted on the training lesions, for the others. Classes weigh equally."""
    fit = ~unit.held
    return _fitted(rows[fit], unit.truth[fit], rows[unit.held], penalty)


def best_penalty(rows: npt.NDArray[np.float32], unit: Unit) -> float:
    """By balanced accuracy over three folds of the training lesions, from pictures without any step."""
    from sklearn.model_selection import GroupKFold

    fit = ~unit.held
    rows, truth = rows[fit], unit.truth[fit]
    groups = [i.lesion for i, f in zip(unit.images, fit, strict=True) if f]
    score = dict.fromkeys(PENALTIES, 0.0)
    for penalty in PENALTIES:
        for here, there in GroupKFold(3).split(rows, groups=groups):
            right = _fitted(rows[here], truth[here], rows[there], penalty) == truth[there]
            score[penalty] += float(balanced_accuracy(right, truth[there])(np.ones((len(there), 1)))[0])
    return max(score, key=lambda p: score[p])


def _fitted(
    rows: npt.NDArray[np.float32], truth: Ints, asked: npt.NDArray[np.float32], penalty: float
) -> Ints:
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    head = LogisticRegression(C=penalty, class_weight="balanced", max_iter=500)
    head.fit((rows - mean) / spread, truth)
    return np.asarray(head.predict((asked - mean) / spread), np.int64)


def effect(unit: Unit, answer: Ints, without: Ints) -> Effect:
    """Of a step, on the same resamples of lesions as without it."""
    truth = unit.truth[unit.held]
    groups = group_index([i.lesion for i, h in zip(unit.images, unit.held, strict=True) if h])
    here, there = (balanced_accuracy(a == truth, truth) for a in (answer, without))
    whole = np.ones((len(truth), 1))
    drawn = np.concatenate([here(w) - there(w) for w in draw_weights(groups, RESAMPLES, 0)])
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    value = float(here(whole)[0])
    return Effect(value, value - float(there(whole)[0]), float(low), float(high))


def verdict(shipped: Effect, head: Effect) -> str:
    """In a word."""
    if shipped.high < 0 or head.high < 0:
        return "leave off"
    return "use" if head.low > 0 else "no difference"


def _probabilities(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


if __name__ == "__main__":
    main()
