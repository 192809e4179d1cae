"""How does a case become a diagnosis? The algorithm, against protocols alone.

    Case -> images by modality -> model -> mean per modality with its prior -> fuser -> tree sums -> answer

Fusion comes before the tree. No order of images, modalities or plugins changes a bit of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from core.case import FIELDS, Case, ImageInput, PatientMetadata
from core.diagnosis import Diagnosis, Notice, Status
from core.errors import (
    AllModalitiesFailed,
    CaseError,
    DxtreeError,
    InputError,
    PluginContractError,
    UnknownModality,
    did_you_mean,
)
from core.partition import Partition
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.protocols import Evidence, Fuser, ImageResult, ModalityModel
from core.tree import TreeSums

Models = Mapping[str, Callable[[], ModalityModel]]
"""Modality to a function that loads its model, once; it raises the cause where the model cannot be had."""

Observer = Callable[[Case, Diagnosis], None]

T = TypeVar("T")


@dataclass(frozen=True)
class Gathered:
    """Evidence for one case before fusion, and what happened on the way to it."""

    evidence: tuple[Evidence, ...]
    notices: tuple[Notice, ...] = ()
    failed: Mapping[str, DxtreeError] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Provenance of the models that answered, by modality."""


@dataclass(frozen=True)
class Pipeline:
    """Models by modality, a fuser and the partition they share.

    `abstain_below`: where no first-level node reaches this probability the status is "abstained"; the
    numbers stay in the answer. `observers` are told every diagnosis and cannot change it. `fallback`
    answers, with a notice, where a modality is none that `fuser` was fitted for.
    """

    partition: Partition
    models: Models
    fuser: Fuser
    abstain_below: float = 0.4
    observers: tuple[Observer, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    fallback: Fuser | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sums", TreeSums(self.partition))

    @property
    def sums(self) -> TreeSums:
        """The sums over this pipeline's partition."""
        sums: TreeSums = self._sums  # type: ignore[attr-defined]
        return sums

    def with_fuser(self, fuser: Fuser) -> Pipeline:
        """The same models under another fuser: compare on one `gather` without a CNN running twice."""
        return replace(self, fuser=fuser)

    def diagnose(self, case: Case, *, strict: bool = False) -> Diagnosis:
        """One case to one answer.

        Raises `UnknownModality` for a modality without a model and `AllModalitiesFailed`, or the only
        fault where it is the input's, when nothing is left to fuse. With `strict` the first modality
        that fails raises its own error instead of a partial answer.
        """
        answer = self.fuse(case, self.gather(case, strict=strict))
        notices = [n for n in (_observe(o, case, answer) for o in self.observers) if n is not None]
        return replace(answer, notices=(*answer.notices, *notices)) if notices else answer

    def gather(self, case: Case, *, strict: bool = False) -> Gathered:
        """Runs the models: the part of a diagnosis that costs time."""
        evidence: list[Evidence] = []
        notices: list[Notice] = []
        failed: dict[str, DxtreeError] = {}
        models: dict[str, Mapping[str, str]] = {}
        loaders = {modality: self._model(modality) for modality in case.modalities()}
        for modality, load in loaders.items():
            images = tuple(i for i in case.images if i.modality == modality)
            try:
                ask = _ask if strict else _ask_for_readable
                found, remarks, models[modality] = ask(modality, load, images, self.partition)
            except DxtreeError as error:
                if strict:
                    raise
                failed[modality] = error
                notices.append(Notice(error.code, f"{modality} was left out: {error.safe_message}"))
                continue
            notices += remarks
            evidence += [found] if found else []
        if failed and not evidence:
            raise _nothing_left(failed)
        return Gathered(tuple(evidence), tuple(notices), failed, models)

    def fuse(self, case: Case, gathered: Gathered) -> Diagnosis:
        """Fuses what was gathered and sums it up the tree."""
        foreign = self._foreign(gathered.evidence)
        if foreign and self.fallback is not None:
            fuser, other = self.fuser.name, self.fallback.name
            text = f"{fuser} was not fitted with {foreign[0]}; {other} fused in its place"
            notices = (*gathered.notices, Notice("OtherFuser", text))
            pipeline = replace(self, fuser=self.fallback, fallback=None)
            return pipeline.fuse(case, replace(gathered, notices=notices))
        patient = case.patient
        missing = [m for m in sorted(self.models) if m not in {e.modality for e in gathered.evidence}]
        missing += [f for f in FIELDS if getattr(patient, f) is None]
        tree: TreeProbabilities | None = None
        status: Status = "abstained"
        doubt: tuple[Notice, ...] = ()
        used: tuple[str, ...] = ()
        if gathered.evidence:
            leaf, fields = self._fused(gathered.evidence, patient)
            tree = TreeProbabilities(self.sums, leaf)
            status, doubt = self._status(tree, gathered)
            used = (*(e.modality for e in gathered.evidence), *fields)
        return Diagnosis(
            case_id=case.id,
            status=status,
            tree=tree,
            leaf=tree.leaf if tree else None,
            evidence=gathered.evidence,
            fuser=self.fuser.name,
            used=used,
            missing=tuple(missing),
            notices=(*gathered.notices, *doubt),
            modalities_failed={m: e.code for m, e in gathered.failed.items()},
            provenance={
                **self.provenance,
                "models": dict(gathered.models),
                "fuser": _guarded(f"fuser {self.fuser.name!r}", lambda: _texts(self.fuser.provenance)),
            },
        )

    def _foreign(self, evidence: Sequence[Evidence]) -> list[str]:
        fitted = getattr(self.fuser, "modalities", None)
        return [e.modality for e in evidence if fitted is not None and e.modality not in fitted]

    def _model(self, modality: str) -> Callable[[], ModalityModel]:
        try:
            return self.models[modality]
        except KeyError:
            raise UnknownModality(
                f"no model answers for modality {modality!r}; there are {', '.join(sorted(self.models))}"
                f"{did_you_mean(modality, self.models)}"
            ) from None

    def _fused(
        self, evidence: Sequence[Evidence], patient: PatientMetadata
    ) -> tuple[LeafProbabilities, tuple[str, ...]]:
        """The fuser's answer and the metadata fields that entered it, both checked."""
        who = f"fuser {self.fuser.name!r}"
        leaf, used = _guarded(
            who, lambda: (self.fuser.fuse(evidence, patient), tuple(self.fuser.used(patient)))
        )
        if not _has_classes(leaf, self.partition):
            raise PluginContractError(f"{who} did not answer with the training classes")
        if not set(used) <= set(patient.known()):
            raise PluginContractError(f"{who} says that it used a field that is not known")
        return leaf, used

    def _status(self, tree: TreeProbabilities, gathered: Gathered) -> tuple[Status, tuple[Notice, ...]]:
        taxonomy = self.partition.taxonomy
        best = max((tree[n] for n in taxonomy.children(taxonomy.root) if n in tree), default=0.0)
        if best < self.abstain_below:
            text = (
                f"no first-level group reaches {self.abstain_below:.0%}; the numbers are shown for study only"
            )
            return "abstained", (Notice("LowConfidence", text),)
        left_out = gathered.failed or any(n.code == LEFT_OUT for n in gathered.notices)
        return ("partial" if left_out else "complete"), ()


LEFT_OUT = "ImageLeftOut"


Asked = tuple[Evidence | None, list[Notice], Mapping[str, str]]


def _ask_for_readable(
    modality: str, load: Callable[[], ModalityModel], images: Sequence[ImageInput], partition: Partition
) -> Asked:
    """The same without the images that are at fault, as long as one is not. Only then does one run twice."""
    try:
        return _ask(modality, load, images, partition)
    except InputError:
        if len(images) == 1:
            raise
    readable: list[ImageInput] = []
    faults: dict[int, InputError] = {}
    for k, image in enumerate(images, start=1):
        try:
            _ask(modality, load, (image,), partition)
            readable.append(image)
        except InputError as error:
            faults[k] = error
    if not readable:
        raise next(iter(faults.values()))
    found, notices, provenance = _ask(modality, load, tuple(readable), partition)
    left = [
        Notice(LEFT_OUT, f"{modality} image {k} was left out: {e.safe_message}") for k, e in faults.items()
    ]
    return found, [*left, *notices], provenance


def _ask(
    modality: str, load: Callable[[], ModalityModel], images: Sequence[ImageInput], partition: Partition
) -> Asked:
    """Loads and runs one model and checks its answer; any fault of the model becomes a typed error."""
    who = f"the model of {modality}"
    model = _guarded(who, load)
    results, prior, provenance = _guarded(
        who, lambda: (list(model.predict(images)), model.prior, _texts(model.provenance))
    )
    if len(results) != len(images) or not all(_is_result(r) for r in results):
        raise PluginContractError(f"{who} must answer one ImageResult an image")
    if not all(_has_classes(p, partition) for p in (prior, *(r.probabilities for r in results))):
        raise PluginContractError(f"{who} answered with other training classes")
    several = len(images) > 1
    notices = []
    for k, result in enumerate(results, start=1):
        which = f"{modality} image {k}" if several else f"the {modality} image"
        notices += [Notice("ImageNote", f"{which}: {text}") for text in result.notes]
        notices += [Notice(LEFT_OUT, f"{which} was left out: {text}") for text in result.concerns]
    kept = [r.probabilities for r in results if not r.concerns]
    evidence = Evidence(modality, mean(kept), prior, len(kept)) if kept else None
    return evidence, notices, provenance


def _guarded(who: str, function: Callable[[], T]) -> T:
    """Calls into a plugin. What it raises becomes a typed error, whose text repeats nothing of it."""
    try:
        return function()
    except (DxtreeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        raise PluginContractError(f"{who} failed with {type(error).__name__}") from error


def _texts(provenance: Mapping[str, str]) -> dict[str, str]:
    return {str(k): str(v) for k, v in provenance.items()}


def _is_result(result: object) -> bool:
    return isinstance(result, ImageResult) and all(
        isinstance(texts, tuple) and all(isinstance(t, str) for t in texts)
        for texts in (result.notes, result.concerns)
    )


def _has_classes(probabilities: object, partition: Partition) -> bool:
    return isinstance(probabilities, LeafProbabilities) and probabilities.classes == partition.ids


def mean(probabilities: Iterable[LeafProbabilities]) -> LeafProbabilities:
    """Arithmetic mean; of one distribution, itself. The order of the members does not change a bit."""
    members = list(probabilities)
    if len(members) == 1:
        return members[0]
    # Sorting each class's values makes the floating-point sum independent of their order.
    stacked = np.sort(np.stack([m.values for m in members]), axis=0)
    return LeafProbabilities.from_weights(members[0].classes, stacked.sum(axis=0))


def _nothing_left(failed: Mapping[str, DxtreeError]) -> DxtreeError:
    first = next(iter(failed.values()))
    if len(failed) == 1:
        return first
    text = "; ".join(f"{m}: {e.safe_message}" for m, e in failed.items())
    if all(isinstance(e, InputError) for e in failed.values()):
        return CaseError(f"no image of the case could be used ({text})")
    return AllModalitiesFailed(f"no modality could answer ({text})")


def _observe(observer: Observer, case: Case, diagnosis: Diagnosis) -> Notice | None:
    # Each observer gets mappings of its own: what it writes into them is not in the answer.
    own = replace(
        diagnosis,
        modalities_failed=dict(diagnosis.modalities_failed),
        provenance=deepcopy(dict(diagnosis.provenance)),
    )
    try:
        observer(case, own)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an observer may raise anything; it must not change an answer
        return Notice("ObserverFailed", f"an observer failed with {type(error).__name__}")
    return None
