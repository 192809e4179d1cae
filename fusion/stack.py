"""What do several fusers say together? The convex mixture of their answers that is best on unseen lesions.

The Super Learner of van der Laan, Polley and Hubbard (2007); see `fusion.blend`. The bundle holds the bundles
of the bases that have a weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from core.case import FIELDS, PatientMetadata
from core.errors import ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from core.tree import FloatArray
from fusion import image_only
from fusion.blend import convex_weights
from fusion.evidence import in_order
from fusion.fitted import Contract, FittedFuser, content, provenance, read_contract, refuse_foreign
from fusion.image_only import ImageOnly
from fusion.training import Fitting, Learned, prepare
from plugins.specs import FusionCase

NAME = "stack"

LEARNERS = ("bayes", "joint_concat", "joint_metablock", "logistic", "pool")
"""The bases beside `image_only`: those that answer with numpy alone."""

SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Stack:
    """Bases with weights above 0 that sum to 1, as `core.protocols.Fuser` asks for it."""

    partition: Partition
    contract: Contract
    bases: Sequence[tuple[float, FittedFuser | ImageOnly]]
    provenance: Mapping[str, str]

    @property
    def name(self) -> str:
        """Always `stack`."""
        return NAME

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the bases were fitted for."""
        return self.contract.modalities

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        """The metadata fields that one base at least uses."""
        fields = {f for _, base in self.bases for f in base.used(patient)}
        return tuple(f for f in FIELDS if f in fields)

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        """The mixture. Raises what the bases raise.

        With one modality and no metadata that is used it is that modality's probabilities, to the bit.
        """
        ordered = in_order(evidence, self.partition)
        if len(ordered) == 1 and not self.used(patient):
            return ordered[0].probabilities
        refuse_foreign(self.name, ordered, self.modalities)
        return self._mixed([(w, base.fuse(ordered, patient)) for w, base in self.bases])

    def prior(self, patient: PatientMetadata) -> LeafProbabilities | None:
        """The mixture of what the bases say without an image; `None` where none of them says anything."""
        said = [(w, base.prior(patient)) for w, base in self.bases]
        given = [(w, answer) for w, answer in said if answer is not None]
        return self._mixed(given) if given else None

    def _mixed(self, said: Sequence[tuple[float, LeafProbabilities]]) -> LeafProbabilities:
        total: FloatArray = sum((w * p.values for w, p in said), np.zeros(len(self.partition.ids)))
        return LeafProbabilities.from_weights(self.partition.ids, total)


def load(partition: Partition, bundle: Bundle | None) -> Stack:
    """The fitted fuser. Raises what `read_contract` and the bases do; `ContractError` for wrong weights."""
    contract, bundle = read_contract(NAME, partition, bundle)
    weights, manifests = bundle.require("weights", dict), bundle.require("bases", dict)
    numbers = list(weights.values())
    if (
        not set(weights) <= {image_only.NAME, *LEARNERS}
        or set(manifests) != set(weights) - {image_only.NAME}
        or not all(isinstance(w, float) and 0 < w <= 1 for w in numbers)
        or not abs(sum(numbers) - 1) <= SUM_TOLERANCE
    ):
        raise ContractError(
            f"the bundle of the {NAME} fuser needs weights above 0 that sum to 1, and a manifest a base"
        )
    bases = [(w, _base(name, partition, contract, bundle)) for name, w in sorted(weights.items())]
    return Stack(partition, contract, bases, provenance(bundle))


def _base(name: str, partition: Partition, contract: Contract, bundle: Bundle) -> FittedFuser | ImageOnly:
    if name == image_only.NAME:
        return image_only.load(partition, None)
    manifest = bundle.require("bases", dict)[name]
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, list) or not all(isinstance(f, str) for f in files):
        raise ContractError(f"the bundle of the {NAME} fuser needs the manifest of its base {name!r}")
    own = {file: content(bundle, f"{name}.{file}") for file in files}
    base: FittedFuser = import_module(f"fusion.{name}").load(partition, Bundle(manifest, own, bundle.digest))
    if base.contract.modalities != contract.modalities:
        raise ContractError(f"the base {name!r} of the {NAME} fuser was fitted for other modalities")
    return base


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. Raises `MissingExtra` where torch is not installed: two of the bases need it."""
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there."""
    return mixed(data, learn_bases(data))


def learn_bases(data: Fitting) -> dict[str, Learned]:
    """Every base by name, fitted on the same rows."""
    return {name: import_module(f"fusion.{name}").learn(data) for name in LEARNERS}


def mixed(data: Fitting, learned: Mapping[str, Learned]) -> Learned:
    """The stack of bases that are fitted already, with the least loss for lesions as they come."""
    answers = {image_only.NAME: data.images, **{name: found.crossed for name, found in learned.items()}}
    at = np.arange(len(data.truth))
    said = np.stack([a[at, data.truth] for a in answers.values()], axis=1)
    found = dict(zip(answers, convex_weights(said, data.natural).tolist(), strict=True))
    weights = {name: w for name, w in sorted(found.items()) if w > 0}
    kept = {name: learned[name] for name in weights if name in learned}
    manifest = data.manifest(NAME, 1.0, ["scipy", "torch"], data.fields) | {
        "weights": weights,
        "bases": {name: {**base.manifest, "files": sorted(base.files)} for name, base in kept.items()},
    }
    files = {f"{name}.{file}": raw for name, base in kept.items() for file, raw in base.files.items()}
    crossed = np.sum([w * answers[name] for name, w in weights.items()], axis=0)
    return Learned(manifest, files, crossed)
