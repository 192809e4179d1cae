"""What did the nets say about each image, and which nets had not seen it? One folder, made once.

An *evidence set* holds the logits of every image by modality, the fold whose net answered, and the prior that
each net was trained under. It holds no image, no label, no metadata of a patient and no id: rows are known by
hashes of image ids, and are joined with a cohort's lesions when a benchmark runs.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from core.cohort import Lesion
from core.errors import CohortError, ContractError, TrainingError
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities, mean
from core.protocols import Evidence
from core.taxonomy import IntArray, Taxonomy
from plugins.model_set import hashed
from plugins.specs import FusionCase

MANIFEST = "evidence.json"
KIND = "evidence"

HELD_OUT = -1
"""The fold of an image that no net of the set was trained on: the final nets answered."""

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """What the nets of one modality said.

    `keys`: (cohort, hash of the image's id) a row. `logits`: rows x training classes, float32,
    before `temperature`. `fold`: whose net answered, `HELD_OUT` for the final one. `priors`: fold to the
    share of each class in what its net was shown.
    """

    modality: str
    keys: tuple[tuple[str, str], ...]
    logits: Logits
    fold: IntArray
    temperature: float
    priors: Mapping[int, LeafProbabilities]

    def __post_init__(self) -> None:
        rows = len(self.keys)
        if self.logits.shape[:1] != (rows,) or self.fold.shape != (rows,):
            raise ContractError(f"{self.modality}: keys, logits and folds differ in number")
        if not np.isfinite(self.logits).all() or not (np.isfinite(self.temperature) and self.temperature > 0):
            raise ContractError(f"{self.modality}: logits must be finite and the temperature above 0")
        if len(set(self.keys)) < rows:
            raise ContractError(f"{self.modality}: an image stands twice")
        if lost := sorted(set(self.fold.tolist()) - set(self.priors)):
            raise ContractError(f"{self.modality}: there is no prior of fold {lost[0]}")

    def select(self, chosen: Sequence[bool]) -> Answers:
        """The chosen rows."""
        rows = np.flatnonzero(chosen)
        keys = tuple(self.keys[k] for k in rows.tolist())
        return replace(self, keys=keys, logits=self.logits[rows], fold=self.fold[rows])


@dataclass(frozen=True)
class EvidenceSet:
    """Answers of every modality over one partition. `about` tells nets, digests and licence."""

    partition: Partition
    answers: Mapping[str, Answers]
    about: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    """sha256 of the folder's manifest; empty for a set that was not read from one."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return tuple(sorted(self.answers))

    def cases(self, lesions: Sequence[Lesion]) -> list[FusionCase]:
        """One case a lesion that has evidence, in the order of the lesions; `HELD_OUT` is a fold here.

        The images of a modality are averaged. Raises `TrainingError` where a lesion's images were answered
        by nets of different folds: one of them saw the lesion.
        """
        rows = {m: {key: k for k, key in enumerate(a.keys)} for m, a in self.answers.items()}
        found = (self._case(lesion, rows) for lesion in lesions)
        return [case for case in found if case is not None]

    def _case(self, lesion: Lesion, rows: Mapping[str, Mapping[tuple[str, str], int]]) -> FusionCase | None:
        truth = self.partition.class_of(lesion.label)
        # A head on another encoder may read the images of a net under a modality of its own.
        grouped: dict[str, list[int]] = defaultdict(list)
        for key in dict.fromkeys((lesion.cohort, hashed(i.image)) for i in lesion.images):
            for modality, places in rows.items():
                if key in places:
                    grouped[modality].append(places[key])
        if truth is None or not grouped:
            return None
        folds = {int(self.answers[m].fold[k]) for m, ks in grouped.items() for k in ks}
        if len(folds) > 1:
            raise TrainingError(f"{lesion.cohort}: lesion {lesion.lesion} was answered by nets of {folds}")
        fold = folds.pop()
        evidence = tuple(self._evidence(m, ks, fold) for m, ks in sorted(grouped.items()))
        return FusionCase(lesion.lesion, lesion.cohort, fold, evidence, lesion.patient, truth)

    def _evidence(self, modality: str, rows: Sequence[int], fold: int) -> Evidence:
        answers, ids = self.answers[modality], self.partition.ids
        each = tuple(
            LeafProbabilities.from_logits(ids, answers.logits[k].astype(np.float64) / answers.temperature)
            for k in rows
        )
        return Evidence(modality, mean(each), answers.priors[fold], len(rows), each)

    def left_out(self, lesions: Sequence[Lesion]) -> dict[str, int]:
        """Lesions that give no case, by reason."""
        have = {key for a in self.answers.values() for key in a.keys}
        found = {"no training class holds the label": 0, "no evidence of any image": 0}
        for lesion in lesions:
            if self.partition.class_of(lesion.label) is None:
                found["no training class holds the label"] += 1
            elif not any((i.cohort, hashed(i.image)) in have for i in lesion.images):
                found["no evidence of any image"] += 1
        return {reason: n for reason, n in found.items() if n}

    def of_cohorts(self, names: Sequence[str]) -> EvidenceSet:
        """The answers for these cohorts alone. Raises `CohortError` for one that there is none for."""
        there = sorted({key[0] for a in self.answers.values() for key in a.keys})
        for name in names:
            if name not in there:
                raise CohortError(f"the evidence holds no cohort {name!r}; it holds {', '.join(there)}")
        kept = {m: a.select([key[0] in names for key in a.keys]) for m, a in self.answers.items()}
        return replace(self, answers={m: a for m, a in kept.items() if a.keys}, digest="")

    def with_about(self, **told: Any) -> EvidenceSet:
        """The same set with more told about it."""
        return replace(self, about={**self.about, **told}, digest="")

    def write(self, folder: Path) -> None:
        """Writes the set as a checked folder; see `core.manifest`."""
        files: dict[str, bytes] = {
            "taxonomy.json": self.partition.taxonomy.to_json().encode(),
            "partition.json": json.dumps(self.partition.to_dict(), ensure_ascii=False).encode(),
        }
        modalities = {}
        for name, answers in sorted(self.answers.items()):
            files[f"{name}.csv"] = _keys_csv(answers)
            files[f"{name}.safetensors"] = save({"logits": np.ascontiguousarray(answers.logits)})
            modalities[name] = {
                "temperature": answers.temperature,
                "priors": {str(fold): p.to_dict() for fold, p in sorted(answers.priors.items())},
            }
        manifest = {"kind": KIND, **self.about, "partition": self.partition.fingerprint}
        write_bundle(folder, MANIFEST, {**manifest, "modalities": modalities}, files)


def read_evidence_set(folder: Path) -> EvidenceSet:
    """The set of a folder. Raises what `read_bundle` raises, and `ContractError` for what does not fit."""
    bundle = read_bundle(folder, MANIFEST)
    if bundle.manifest.get("kind") != KIND:
        raise ContractError(f"{folder.name!r} holds no evidence; `dxtree evidence` writes a set")
    try:
        taxonomy = Taxonomy.from_dict(json.loads(bundle.files["taxonomy.json"]))
        partition = Partition.from_dict(taxonomy, json.loads(bundle.files["partition.json"]))
        modalities = bundle.require("modalities", dict)
        answers = {name: _answers(name, one, bundle, partition) for name, one in modalities.items()}
    except (KeyError, ValueError, TypeError) as error:
        raise ContractError(f"the evidence set {folder.name!r} cannot be read; make it anew") from error
    if partition.fingerprint != bundle.manifest.get("partition"):
        raise ContractError("partition.json is not the partition that the evidence set's manifest names")
    known = ("format", "kind", "partition", "modalities", "files", "sha256")
    about = {k: v for k, v in bundle.manifest.items() if k not in known}
    return EvidenceSet(partition, answers, about, bundle.digest)


def _answers(name: str, raw: Mapping[str, Any], bundle: Bundle, partition: Partition) -> Answers:
    rows = list(csv.reader(io.StringIO(bundle.files[f"{name}.csv"].decode())))[1:]
    logits = load(bundle.files[f"{name}.safetensors"])["logits"]
    if logits.shape != (len(rows), len(partition.ids)) or logits.dtype != np.float32:
        raise ContractError(f"{name}: one float32 logit a training class and row is needed")
    priors = {
        int(fold): LeafProbabilities(partition.ids, np.array([shares[c] for c in partition.ids]))
        for fold, shares in raw["priors"].items()
    }
    keys = tuple((cohort, image) for cohort, image, _ in rows)
    fold = np.array([int(r[2]) for r in rows], np.int64)
    return Answers(name, keys, logits, fold, float(raw["temperature"]), priors)


def _keys_csv(answers: Answers) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cohort", "image", "fold"])
    writer.writerows([*key, fold] for key, fold in zip(answers.keys, answers.fold.tolist(), strict=True))
    return text.getvalue().encode()
