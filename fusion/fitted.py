"""What do all fitted fusers share? The rules of `fuse`, and a manifest that says what they were fitted for.

A fuser of its own kind is a `Scorer`; `FittedFuser` puts the common rules around it, so that no kind can
forget one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.case import FIELDS, PatientMetadata
from core.errors import BundleError, ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities, mean
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.balance import Mixture
from fusion.evidence import in_order

KIND = "fuser"
"""The manifest's `kind`."""

OWN_WEIGHT = "own_weight"
"""The manifest's entry for `Contract.own_weight`."""

MAX_SHIFT = 50.0
"""Largest log ratio of two shares that any number of lesions can give."""


class Scorer(Protocol):
    """The part of a fitted fuser that was learned.

    `logits` gets evidence sorted by modality, none where only the prior is asked for, and a patient in whom
    only the fuser's fields may be known; it answers with one finite log weight a class, up to a constant.
    """

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes, in the order of the partition."""
        ...


@dataclass(frozen=True)
class Contract:
    """What a fuser was fitted for. `fields` are those known in at least one lesion of the fit.

    `own_weight`, 0 to 1, is the share of the answer that is the fuser's own; the rest is `image_only`'s.
    """

    name: str
    modalities: tuple[str, ...]
    fields: tuple[str, ...]
    temperature: float
    mixture: Mixture
    own_weight: float = 1.0


@dataclass(frozen=True)
class FittedFuser:
    """A fuser as `core.protocols.Fuser` asks for it.

    Any subset of the modalities, at least one, and of the fields is legal. With one modality and no field
    that is known and used the answer is that modality's probabilities, to the bit. `open_ended` says that
    the scorer has an answer for modalities it was not fitted for.
    """

    partition: Partition
    contract: Contract
    scorer: Scorer
    provenance: Mapping[str, str]
    open_ended: bool = False

    @property
    def name(self) -> str:
        """Name of the kind of fuser."""
        return self.contract.name

    @property
    def modalities(self) -> tuple[str, ...] | None:
        """The modalities that it was fitted for; `None` where it has an answer for any."""
        return None if self.open_ended else self.contract.modalities

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        """The metadata fields that are known and that the fuser was fitted for; none at own weight 0."""
        fields = self.contract.fields if self.contract.own_weight else ()
        return tuple(f for f in patient.known() if f in fields)

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        """Probabilities of the training classes given everything.

        Raises `ContractError` as `in_order` does, and for a modality that the fuser was not fitted for
        unless it is open-ended; `NonFiniteOutput` where the scorer fails.
        """
        ordered = in_order(evidence, self.partition)
        used = self.used(patient)
        if len(ordered) == 1 and not used:
            return ordered[0].probabilities
        refuse_foreign(self.name, ordered, self.modalities)
        images, share = mean(e.probabilities for e in ordered), self.contract.own_weight
        if not share:
            return images
        own = self._own(ordered, restricted(patient, used))
        if share == 1:
            return own
        return LeafProbabilities.from_weights(
            self.partition.ids, share * own.values + (1 - share) * images.values
        )

    def prior(self, patient: PatientMetadata) -> LeafProbabilities:
        """Probabilities of the training classes given the metadata that are used, and no image."""
        return self._own((), restricted(patient, self.used(patient)))

    def _own(self, ordered: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        logits = self.scorer.logits(ordered, patient)
        balanced = LeafProbabilities.from_logits(self.partition.ids, logits / self.contract.temperature)
        return LeafProbabilities.from_weights(
            self.partition.ids, self.contract.mixture.apply(balanced.values)
        )


def refuse_foreign(name: str, evidence: Sequence[Evidence], modalities: Sequence[str] | None) -> None:
    """Raises `ContractError` for evidence of another modality than these; `None` stands for any."""
    foreign = [e.modality for e in evidence if modalities is not None and e.modality not in modalities]
    if modalities is not None and foreign:
        raise ContractError(
            f"the {name} fuser was not fitted for modality {foreign[0]!r}, only for "
            f"{', '.join(modalities)}; fit it anew with dxtree fit-fusion"
        )


def restricted(patient: PatientMetadata, fields: Sequence[str]) -> PatientMetadata:
    """The patient with every other field not known."""
    if set(patient.known()) <= set(fields):
        return patient
    return patient.model_copy(update={f: None for f in FIELDS if f not in fields})


def read_contract(name: str, partition: Partition, bundle: Bundle | None) -> tuple[Contract, Bundle]:
    """Checks that a bundle is this fuser's and belongs to the partition, before any file of it is parsed.

    Raises `BundleError` where there is no bundle and `ContractError` for another kind, fuser, partition,
    class list or a contract out of range.
    """
    if bundle is None:
        raise BundleError(f"the {name} fuser learns from cases and needs its bundle: run dxtree fit-fusion")
    for key, wanted in (("kind", KIND), ("fuser", name)):
        found = bundle.require(key, str)
        if found != wanted:
            raise ContractError(f"the bundle's {key!r} is {found!r}; the {name} fuser needs {wanted!r}")
    same = bundle.require("partition", str) == partition.fingerprint
    if not same or tuple(bundle.require("classes", list)) != partition.ids:
        raise ContractError(
            f"the bundle of the {name} fuser belongs to other training classes than partition "
            f"{partition.fingerprint[:12]}; fit it anew with dxtree fit-fusion"
        )
    modalities = _texts(bundle, "modalities")
    fields = _texts(bundle, "fields")
    temperature = bundle.require("temperature", float)
    unknown = sorted(set(fields) - set(FIELDS))
    if not modalities or list(modalities) != sorted(set(modalities)) or unknown:
        raise ContractError(f"the bundle of the {name} fuser names its modalities or fields wrongly")
    if not (math.isfinite(temperature) and temperature > 0):
        raise ContractError(f"the temperature of the {name} fuser must be a finite number > 0")
    contract = Contract(
        name, modalities, fields, temperature, _mixture(partition, bundle), _own_weight(name, bundle)
    )
    return contract, bundle


def _own_weight(name: str, bundle: Bundle) -> float:
    # Bundles from before answers were mixed have no entry: their answers are the fuser's own alone.
    own = bundle.require(OWN_WEIGHT, float) if OWN_WEIGHT in bundle.manifest else 1.0
    if not 0 <= own <= 1:
        raise ContractError(f"the {OWN_WEIGHT} of the {name} fuser must be a number from 0 to 1")
    return float(own)


def _mixture(partition: Partition, bundle: Bundle) -> Mixture:
    shift = bundle.require("first_level_shift", dict)
    values = [shift.get(name) for name in partition.ids]
    if len(shift) != len(values) or not all(isinstance(v, float) and abs(v) <= MAX_SHIFT for v in values):
        raise ContractError("the bundle's first_level_shift must hold one finite number a training class")
    return Mixture(partition, np.array(values, np.float64))


def provenance(bundle: Bundle) -> dict[str, str]:
    """What an answer says about the fuser that made it."""
    told = {k: str(bundle.manifest[k]) for k in ("lesions", "licence") if k in bundle.manifest}
    return {"digest": bundle.digest, **told}


def content(bundle: Bundle, file: str) -> bytes:
    """The checked bytes of a file. Raises `ContractError` where the manifest does not list it."""
    if file not in bundle.files:
        raise ContractError(f"the bundle of the {bundle.manifest.get('fuser')} fuser lacks {file!r}")
    return bundle.files[file]


def _texts(bundle: Bundle, key: str) -> tuple[str, ...]:
    values = bundle.require(key, list)
    if not all(isinstance(v, str) for v in values):
        raise ContractError(f"the bundle's manifest needs {key!r} as a list of texts")
    return tuple(values)
