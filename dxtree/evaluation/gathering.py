"""What does each pipeline say about each lesion, with every image read by a net once?

Evidence is gathered lesion by lesion and kept; every way to combine it is then asked on the same evidence:
each modality alone, all of them without metadata, each fuser, and each fuser with metadata withheld.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.case import Case, ImageInput, PatientMetadata
from core.cohort import Lesion
from core.errors import CohortError, DxtreeError, UnknownModality
from core.gathering import LEFT_OUT, Gathered
from core.partition import Partition
from core.pipeline import Pipeline
from core.probabilities import mean
from core.protocols import Evidence, Fuser
from core.tree import FloatArray
from dxtree.evaluation.weighted import BoolArray

Progress = Callable[[int, int, float], None]
"""Lesions done, lesions in all, images a second so far."""

IMAGE_ONLY = "image_only"
"""Prefix of the pipelines without metadata, and name of the fuser that `image_only:both` is, if given."""

VARIANTS: Mapping[str, Callable[[PatientMetadata], PatientMetadata]] = {
    "no_metadata": lambda _: PatientMetadata(),
    "no_site": lambda patient: patient.model_copy(update={"site": None}),
}
"""What is withheld from a fuser that uses it. A site that is missing may itself tell the label."""

Answers = Callable[[Lesion, Sequence[Evidence]], FloatArray | None]
"""Probabilities of a lesion's training classes, or `None` where a pipeline does not apply to it."""


@dataclass(frozen=True)
class Failure:
    """Images of one lesion, or one pipeline's answer, that are missing, and the code of the reason."""

    lesion: str
    source: str
    """The modality whose images failed, or the pipeline that gave no answer."""
    code: str
    message: str


@dataclass(frozen=True)
class Gathering:
    """The evidence of every lesion, in order; `None` where there is none."""

    lesions: tuple[Lesion, ...]
    gathered: tuple[Gathered | None, ...]
    failures: tuple[Failure, ...]

    def models(self) -> dict[str, dict[str, str]]:
        """Provenance of the models that answered, by modality."""
        return {m: dict(p) for _, g in self for m, p in (g.models if g else {}).items()}

    def __iter__(self) -> Iterator[tuple[Lesion, Gathered | None]]:
        return zip(self.lesions, self.gathered, strict=True)


@dataclass(frozen=True)
class Predictions:
    """Probabilities of the training classes, lesions x classes, by pipeline; rows of NaN without an answer.

    `variants` maps a pipeline with something withheld to the pipeline it is a variant of.
    """

    partition: Partition
    lesions: tuple[Lesion, ...]
    values: Mapping[str, FloatArray]
    variants: Mapping[str, str]
    failures: tuple[Failure, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.lesions), len(self.partition.classes))
        for name, values in self.values.items():
            if values.shape != shape:
                raise CohortError(f"pipeline {name!r} has {values.shape} probabilities; {shape} are needed")

    def known(self, pipeline: str) -> BoolArray:
        """Which lesions a pipeline has an answer for."""
        return np.asarray(~np.isnan(self.values[pipeline][:, 0]))

    def common(self) -> BoolArray:
        """Which lesions every pipeline has an answer for."""
        return np.asarray(np.all([self.known(name) for name in self.values], axis=0))

    def image_only(self) -> tuple[str, ...]:
        """The pipelines without metadata, single modalities first."""
        return tuple(name for name in self.values if name.startswith(f"{IMAGE_ONLY}:"))


def gather(lesions: Sequence[Lesion], pipeline: Pipeline, *, progress: Progress | None = None) -> Gathering:
    """Runs the models once over every image. Lesions without an answer are kept as failures, by code."""
    found: list[Gathered | None] = []
    failures: list[Failure] = []
    images, start = 0, time.perf_counter()
    for done, lesion in enumerate(lesions, start=1):
        gathered, failed = _gather_one(lesion, pipeline)
        found.append(gathered)
        failures += failed
        images += len(lesion.images)
        if progress is not None:
            progress(done, len(lesions), images / max(time.perf_counter() - start, 1e-9))
    return Gathering(tuple(lesions), tuple(found), tuple(failures))


def predict(
    gathering: Gathering,
    pipeline: Pipeline,
    fusers: Mapping[str, Fuser],
    *,
    variants: Sequence[str] = tuple(VARIANTS),
) -> Predictions:
    """Asks every pipeline on one set of evidence; a pipeline without any answer is left out.

    Keys: `image_only:MODALITY`, `image_only:both` (`image_only:all` for three and more) for lesions
    with every modality, the fusers by name, and `FUSER:no_metadata`, `FUSER:no_site` where the fuser
    uses what is withheld. Raises `CohortError` for an unknown variant or a fuser named like one of those.
    """
    _check_names(fusers, variants)
    modalities = sorted({e.modality for _, g in gathering if g for e in g.evidence})
    asked: dict[str, Answers] = {f"{IMAGE_ONLY}:{m}": _alone(m) for m in modalities}
    if len(modalities) > 1:
        together = f"{IMAGE_ONLY}:{'both' if len(modalities) == 2 else 'all'}"
        asked[together] = _together(modalities, pipeline, fusers.get(IMAGE_ONLY))
    withheld: dict[str, str] = {}
    patients = [lesion.patient for lesion in gathering.lesions]
    for name, fuser in fusers.items():
        if name == IMAGE_ONLY:
            continue
        asked[name] = _fused(pipeline.with_fuser(fuser), None)
        for variant in variants:
            if _withholds(fuser, variant, patients):
                asked[f"{name}:{variant}"] = _fused(pipeline.with_fuser(fuser), variant)
                withheld[f"{name}:{variant}"] = name
    failures = list(gathering.failures)
    width = len(pipeline.partition.classes)
    values = {name: _ask(name, answers, gathering, width, failures) for name, answers in asked.items()}
    answered = {name: v for name, v in values.items() if not np.isnan(v).all()}
    kept = {name: base for name, base in withheld.items() if name in answered and base in answered}
    return Predictions(pipeline.partition, gathering.lesions, answered, kept, tuple(failures))


def _gather_one(lesion: Lesion, pipeline: Pipeline) -> tuple[Gathered | None, list[Failure]]:
    counts = Counter(image.modality for image in lesion.images)
    unknown = UnknownModality("no model of this pipeline answers for the modality")
    failures = [_failure(lesion, m, unknown) for m in sorted(counts) if m not in pipeline.models]
    readable = [i for i in lesion.images if i.modality in pipeline.models]
    if not readable:
        return None, failures
    try:
        images = tuple(ImageInput(modality=i.modality, path=i.path) for i in readable)
        gathered = pipeline.gather(Case(id=lesion.lesion, images=images, patient=lesion.patient))
    except DxtreeError as error:
        return None, failures + [_failure(lesion, m, error) for m in sorted({i.modality for i in readable})]
    failures += [_failure(lesion, m, error) for m, error in sorted(gathered.failed.items())]
    used = {e.modality: e.images for e in gathered.evidence}
    for modality, count in sorted(counts.items()):
        left_out = count - used.get(modality, 0)
        if left_out and modality in pipeline.models and modality not in gathered.failed:
            text = f"{left_out} of {count} images were left out by the quality gate"
            failures.append(Failure(lesion.lesion, modality, LEFT_OUT, text))
    return (gathered if gathered.evidence else None), failures


def _failure(lesion: Lesion, source: str, error: DxtreeError) -> Failure:
    return Failure(lesion.lesion, source, error.code, error.safe_message)


def _check_names(fusers: Mapping[str, Fuser], variants: Sequence[str]) -> None:
    for variant in variants:
        if variant not in VARIANTS:
            raise CohortError(f"variant {variant!r} is unknown; there are {', '.join(VARIANTS)}")
    for name in fusers:
        if ":" in name:
            raise CohortError(f"fuser {name!r}: a name with ':' would be taken for a variant; rename it")


def _withholds(fuser: Fuser, variant: str, patients: Sequence[PatientMetadata]) -> bool:
    """Whether the variant takes anything away that the fuser uses for any of these patients."""
    change = VARIANTS[variant]
    try:
        return any(fuser.used(p) != fuser.used(change(p)) for p in set(patients))
    except Exception:  # a plugin may raise anything; its answers fail as well, and are listed
        return False


def _alone(modality: str) -> Answers:
    def answer(_: Lesion, evidence: Sequence[Evidence]) -> FloatArray | None:
        return next((e.probabilities.values for e in evidence if e.modality == modality), None)

    return answer


def _together(modalities: Sequence[str], pipeline: Pipeline, fuser: Fuser | None) -> Answers:
    """The image-only fuser where there is one, else the mean; for lesions with every modality."""
    fused = _fused(pipeline.with_fuser(fuser), "no_metadata") if fuser else None

    def answer(lesion: Lesion, evidence: Sequence[Evidence]) -> FloatArray | None:
        if {e.modality for e in evidence} != set(modalities):
            return None
        return fused(lesion, evidence) if fused else mean(e.probabilities for e in evidence).values

    return answer


def _fused(pipeline: Pipeline, variant: str | None) -> Answers:
    def answer(lesion: Lesion, evidence: Sequence[Evidence]) -> FloatArray | None:
        patient = VARIANTS[variant](lesion.patient) if variant else lesion.patient
        leaf = pipeline.fuse(_fusion_case(lesion, patient), Gathered(tuple(evidence))).leaf
        return leaf.values if leaf else None

    return answer


def _fusion_case(lesion: Lesion, patient: PatientMetadata) -> Case:
    image = lesion.images[0]
    return Case(
        id=lesion.lesion, images=(ImageInput(modality=image.modality, path=image.path),), patient=patient
    )


def _ask(
    name: str, answers: Answers, gathering: Gathering, width: int, failures: list[Failure]
) -> FloatArray:
    """One row a lesion. A fuser's fault costs it that lesion, and is listed."""
    rows = np.full((len(gathering.lesions), width), np.nan)
    for k, (lesion, gathered) in enumerate(gathering):
        if gathered is None:
            continue
        try:
            found = answers(lesion, gathered.evidence)
        except DxtreeError as error:
            failures.append(_failure(lesion, name, error))
        else:
            rows[k] = np.nan if found is None else found
    return rows
