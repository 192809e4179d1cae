"""What do the models say about the images of a case? Each model is called once, and its answer is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.case import Case, ImageInput
from core.checks import Check, GatePolicy, ImageCheck
from core.diagnosis import Notice
from core.errors import (
    AllModalitiesFailed,
    CaseError,
    DxtreeError,
    InputError,
    PluginContractError,
    UnknownModality,
    did_you_mean,
)
from core.guarding import guarded, has_classes, texts
from core.partition import Partition
from core.probabilities import LeafProbabilities, mean
from core.protocols import Evidence, ImageResult, ModalityModel

Models = Mapping[str, Callable[[], ModalityModel]]
"""Modality to a function that loads its model, once; it raises the cause where the model cannot be had."""

LEFT_OUT = "ImageLeftOut"
"""Code of the notice that an image did not enter the answer."""
WARNED = "ImageWarning"
"""Code of the notice that a check was flagged and the image used all the same."""


@dataclass(frozen=True)
class Asked:
    """Evidence, where any image was kept, with what was found on the way to it."""

    evidence: Evidence | None
    notices: list[Notice]
    provenance: Mapping[str, str]
    checks: tuple[ImageCheck, ...]


@dataclass(frozen=True)
class Gathered:
    """Evidence for one case before fusion, and what happened on the way to it."""

    evidence: tuple[Evidence, ...]
    notices: tuple[Notice, ...] = ()
    failed: Mapping[str, DxtreeError] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Provenance of the models that answered, by modality."""
    checks: tuple[ImageCheck, ...] = ()
    """What the models looked for in each image, without the checks that are off."""


def gather(
    case: Case, models: Models, partition: Partition, *, strict: bool, gate: GatePolicy | None = None
) -> Gathered:
    """Runs the model of every modality of the case; one that fails is left out with a notice.

    `gate` says what is done about an image that a check flags; without it, what the check proposes.
    Raises `UnknownModality` for a modality without a model and, when nothing is left, `AllModalitiesFailed`
    or the only fault where it is the input's. With `strict` the first modality that fails raises its error.
    """
    evidence: list[Evidence] = []
    notices: list[Notice] = []
    failed: dict[str, DxtreeError] = {}
    provenance: dict[str, Mapping[str, str]] = {}
    checks: list[ImageCheck] = []
    policy = gate or GatePolicy()
    loaders = {modality: loader_of(modality, models) for modality in case.modalities()}
    for modality, load in loaders.items():
        images = tuple(i for i in case.images if i.modality == modality)
        try:
            ask = _ask if strict else _ask_for_readable
            asked = ask(modality, load, images, partition, policy)
        except DxtreeError as error:
            if strict:
                raise
            failed[modality] = error
            notices.append(Notice(error.code, f"{modality} was left out: {error.safe_message}"))
            continue
        notices += asked.notices
        checks += asked.checks
        provenance[modality] = asked.provenance
        evidence += [asked.evidence] if asked.evidence else []
    if failed and not evidence:
        raise _nothing_left(failed)
    return Gathered(tuple(evidence), tuple(notices), failed, provenance, tuple(checks))


def loader_of(modality: str, models: Models) -> Callable[[], ModalityModel]:
    """What loads the model of a modality. Raises `UnknownModality` where there is none."""
    try:
        return models[modality]
    except KeyError:
        raise UnknownModality(
            f"no model answers for modality {modality!r}; there are {', '.join(sorted(models))}"
            f"{did_you_mean(modality, models)}"
        ) from None


def _ask_for_readable(
    modality: str,
    load: Callable[[], ModalityModel],
    images: Sequence[ImageInput],
    partition: Partition,
    gate: GatePolicy,
) -> Asked:
    """The same without the images that are at fault, as long as one is not. Only then does one run twice."""
    try:
        return _ask(modality, load, images, partition, gate)
    except InputError:
        if len(images) == 1:
            raise
    readable: dict[int, ImageInput] = {}
    faults: dict[int, InputError] = {}
    for k, image in enumerate(images, start=1):
        try:
            _ask(modality, load, (image,), partition, gate)
            readable[k] = image
        except InputError as error:
            faults[k] = error
    if not readable:
        raise next(iter(faults.values()))
    asked = _ask(modality, load, tuple(readable.values()), partition, gate, tuple(readable))
    left = [
        Notice(LEFT_OUT, f"{modality} image {k} was left out: {e.safe_message}") for k, e in faults.items()
    ]
    return replace(asked, notices=[*left, *asked.notices])


def _ask(
    modality: str,
    load: Callable[[], ModalityModel],
    images: Sequence[ImageInput],
    partition: Partition,
    gate: GatePolicy,
    numbers: tuple[int, ...] | None = None,
) -> Asked:
    """Loads and runs one model and checks its answer; any fault of the model becomes a typed error.

    `numbers` are the places of the images among all of the modality in the case; by default 1, 2, 3.
    """
    who = f"the model of {modality}"
    model = guarded(who, load)
    results, prior, provenance = guarded(
        who, lambda: (list(model.predict(images)), model.prior, texts(model.provenance))
    )
    if len(results) != len(images) or not all(_is_result(r) for r in results):
        raise PluginContractError(f"{who} must answer one ImageResult an image")
    if not all(has_classes(p, partition) for p in (prior, *(r.probabilities for r in results))):
        raise PluginContractError(f"{who} answered with other training classes")
    places = numbers or tuple(range(1, len(images) + 1))
    alone = numbers is None and len(images) == 1
    notices: list[Notice] = []
    checks: list[ImageCheck] = []
    kept: dict[int, LeafProbabilities] = {}
    for k, result in zip(places, results, strict=True):
        which = f"the {modality} image" if alone else f"{modality} image {k}"
        notices += [Notice("ImageNote", f"{which}: {text}") for text in result.notes]
        notices += [Notice(LEFT_OUT, f"{which} was left out: {text}") for text in result.concerns]
        judged = [ImageCheck(modality, k, check, outcome) for check, outcome in gate.judge(result.checks)]
        notices += [_told(which, found) for found in judged if found.outcome != "passed"]
        checks += judged
        if not result.concerns and all(found.outcome != "refused" for found in judged):
            kept[k] = result.probabilities
    return Asked(_evidence(modality, prior, kept), notices, provenance, tuple(checks))


def _told(which: str, found: ImageCheck) -> Notice:
    if found.outcome == "refused":
        return Notice(LEFT_OUT, f"{which} was left out: {found.check.reason}")
    return Notice(WARNED, f"{which} was used all the same: {found.check.reason}")


def _evidence(
    modality: str, prior: LeafProbabilities, kept: Mapping[int, LeafProbabilities]
) -> Evidence | None:
    each = tuple(kept.values())
    return Evidence(modality, mean(each), prior, len(each), each, tuple(kept)) if each else None


def _is_result(result: object) -> bool:
    return (
        isinstance(result, ImageResult)
        and all(
            isinstance(texts, tuple) and all(isinstance(t, str) for t in texts)
            for texts in (result.notes, result.concerns)
        )
        and isinstance(result.checks, tuple)
        and all(isinstance(check, Check) for check in result.checks)
        and len({check.name for check in result.checks}) == len(result.checks)
    )


def _nothing_left(failed: Mapping[str, DxtreeError]) -> DxtreeError:
    first = next(iter(failed.values()))
    if len(failed) == 1:
        return first
    text = "; ".join(f"{m}: {e.safe_message}" for m, e in failed.items())
    if all(isinstance(e, InputError) for e in failed.values()):
        return CaseError(f"no image of the case could be used ({text})")
    return AllModalitiesFailed(f"no modality could answer ({text})")
