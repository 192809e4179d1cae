"""How are heads fitted over a split so that fusion can read them like a training run?

RUN/run.json, split.json     as `modalities.training.run` writes them, with the encoder's identity
RUN/final/, fold-0/ ...      data.json and weights.safetensors of one head; each fold's `evidence.csv`
RUN/validation.csv           evidence of the final head on the validation part
RUN/bundle/                  the final head, calibrated on out-of-fold logits
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.cohort import LabelledImage
from core.errors import TrainingError
from core.files import write_whole
from core.partition import Partition
from core.split import TRAINING, VALIDATION, Split, check_no_leak
from core.tree import FloatArray as DoubleArray
from modalities.encoders.embeddings import Embedded, Progress, embed_all
from modalities.encoders.encoder import Encoder, identity
from modalities.encoders.head import Head, IntArray, fit_head
from modalities.encoders.spec import EncoderModality
from modalities.training.data import draw_weights, prior_of
from modalities.training.evidence import evidence_csv
from modalities.training.recipe import make_config
from plugins.registry import guarded

FINAL = "final"


@dataclass(frozen=True)
class Balance:
    """How much an image weighs; see `balance_power` and `balance_level` of `TrainingConfig`."""

    power: float = 0.5
    level: int | None = 2


@dataclass(frozen=True)
class Fitted:
    """A run in memory: all embeddings, the final head, and what the `data.json` of each target says."""

    embedded: Embedded
    final: Head
    data: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class HeadRun:
    """The heads of one encoder over one split.

    `images` are the ones that the modality reads, of both parts, under the modality's own name. Raises
    `TrainingError` where a head would be shown fewer than two training classes or a label lies in none,
    `LeakageError` where the parts share a lesion, `CohortError` where the split lacks one.
    """

    folder: Path
    modality: str
    encoder: Encoder
    partition: Partition
    split: Split
    images: tuple[LabelledImage, ...]
    reads: str
    balance: Balance = Balance()

    def __post_init__(self) -> None:
        training = self.split.select(self.images, TRAINING)
        check_no_leak(training, self.split.select(self.images, VALIDATION), (TRAINING, VALIDATION))
        for target in self.targets():
            self._check_classes(target, {self._class_of(i.label) for i in self.training_images(target)})
        if not any(self.evidence_images(target) for target in self.targets()[1:]):
            raise TrainingError(f"{self.modality}: no fold holds an image that results may count")

    @classmethod
    def plan(
        cls,
        folder: Path,
        spec: EncoderModality,
        partition: Partition,
        split: Split,
        images: Sequence[LabelledImage],
        balance: Balance = Balance(),
    ) -> HeadRun:
        """The run of a plugin's modality over the images of its cohorts. Makes the encoder."""
        chosen = tuple(replace(i, modality=spec.name) for i in images if i.modality == spec.reads)
        if not chosen:
            found = ", ".join(sorted({i.modality for i in images})) or "none"
            raise TrainingError(f"{spec.name} reads {spec.reads} images, and the cohorts hold {found}")
        encoder = guarded(f"the encoder of {spec.name!r}", spec.encoder)
        return cls(folder, spec.name, encoder, partition, split, chosen, spec.reads, balance)

    @property
    def architecture(self) -> str:
        """What a run and a bundle call the model."""
        return f"linear head on {self.encoder.name}"

    def targets(self) -> tuple[str, ...]:
        """The heads of a run: the final one, then one a fold."""
        return (FINAL, *(f"fold-{k}" for k in range(self.split.folds)))

    def training_images(self, target: str) -> list[LabelledImage]:
        """The images that a target's head is fitted on: never those it gives evidence for."""
        training = self.split.select(self.images, TRAINING)
        return [i for i in training if self._never_seen_by(i) != target]

    def evidence_images(self, target: str) -> list[LabelledImage]:
        """The images that a target's head gives evidence for, without those that results exclude."""
        return self.split.kept([i for i in self.images if self._never_seen_by(i) == target])

    def fit(self, progress: Progress | None = None, store: Path | None = None) -> Fitted:
        """Embeds what the store lacks, fits every head and writes everything but the bundle.

        `store` keeps the embeddings, `RUN/embeddings` unless given; runs may share one. The same call goes on
        after an interruption. Raises what `embed_all` raises, and `TrainingError` where the folder holds
        another run.
        """
        self._write_shared()
        embedded = embed_all(self.encoder, self.images, store or self.folder / "embeddings", progress)
        heads = {target: self._fit(target, embedded) for target in self.targets()}
        for target, (head, data) in heads.items():
            (self.folder / target).mkdir(exist_ok=True)
            _write_json(self.folder / target / "data.json", data)
            write_whole(self.folder / target / "weights.safetensors", head.to_bytes())
            self._answer(target, head, embedded)
        return Fitted(embedded, heads[FINAL][0], {target: data for target, (_, data) in heads.items()})

    def targets_and_weights(self, images: Sequence[LabelledImage]) -> tuple[IntArray, DoubleArray]:
        """Training classes of images as indices, and the probability of each to be drawn."""
        owners = [self._class_of(i.label) for i in images]
        index = {name: k for k, name in enumerate(self.partition.ids)}
        taxonomy, level = self.partition.taxonomy, self.balance.level
        groups = owners
        if level is not None:
            groups = [taxonomy.ancestor_at(i.label, level) or i.label for i in images]
        return np.array([index[o] for o in owners], np.int64), draw_weights(groups, self.balance.power)

    def _never_seen_by(self, image: LabelledImage) -> str:
        held = self.split.part_of(image) == VALIDATION
        return FINAL if held else f"fold-{self.split.fold[image.lesion]}"

    def _class_of(self, label: str) -> str:
        owner = self.partition.class_of(label)
        if owner is None:
            raise TrainingError(f"{label!r} lies in no training class; use preset reference")
        return owner

    def _check_classes(self, target: str, classes: set[str]) -> None:
        if len(classes) < 2:
            raise TrainingError(
                f"{self.modality}: the head {target} would be fitted on {len(classes)} training class(es), "
                f"{', '.join(sorted(classes)) or 'none'}; two are needed: give more images or fewer folds"
            )

    def _fit(self, target: str, embedded: Embedded) -> tuple[Head, dict[str, Any]]:
        chosen = [i for i in self.training_images(target) if (i.cohort, i.image) in embedded.place]
        targets, weights = self.targets_and_weights(chosen)
        self._check_classes(target, {self.partition.ids[k] for k in np.unique(targets)})
        rows = embedded.rows[[embedded.place[i.cohort, i.image] for i in chosen]]
        head, c = fit_head(rows, targets, weights, [i.lesion for i in chosen], len(self.partition.ids))
        prior = prior_of(targets, weights, len(self.partition.ids))
        bad = set(embedded.bad)
        return head, {
            "images": len(chosen),
            "skipped": sorted({i.image for i in self.training_images(target)} & bad),
            "prior": dict(zip(self.partition.ids, prior, strict=True)),
            "penalty": c,
        }

    def _answer(self, target: str, head: Head, embedded: Embedded) -> None:
        images = [i for i in self.evidence_images(target) if (i.cohort, i.image) in embedded.place]
        if not images:
            return
        rows = head.logits(embedded.rows[[embedded.place[i.cohort, i.image] for i in images]])
        path = self.folder / ("validation.csv" if target == FINAL else f"{target}/evidence.csv")
        write_whole(path, evidence_csv(images, rows, self.partition.ids))

    def _write_shared(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fields: dict[str, Any] = {
            "modality": self.modality,
            "architecture": self.architecture,
            "balance_power": self.balance.power,
            "balance_level": self.balance.level,
        }
        make_config(fields)
        taxonomy = self.partition.taxonomy
        document: dict[str, Any] = {
            "config": fields,
            "reads": self.reads,
            "encoder": identity(self.encoder),
            "taxonomy": {"name": taxonomy.name, "fingerprint": taxonomy.fingerprint},
            "partition": self.partition.to_dict(),
            "cohorts": dict(Counter(i.cohort for i in self.images)),
            "images": {part: len(self.split.select(self.images, part)) for part in (TRAINING, VALIDATION)},
        }
        shared = {"run.json": document, "split.json": self.split.to_dict()}
        for name, raw in shared.items():
            path = self.folder / name
            if path.is_file() and json.loads(path.read_text("utf-8")) != json.loads(json.dumps(raw)):
                raise TrainingError(
                    f"{self.folder.name} holds a run of other data, another split or another encoder; "
                    "choose another folder"
                )
            _write_json(path, raw)


def _write_json(path: Path, document: object) -> None:
    write_whole(path, json.dumps(document, indent=1).encode())
