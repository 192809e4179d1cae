"""How does one bundle become one with an int8 graph and checked engines?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.errors import BundleError, CohortError, DxtreeError, InputError, MissingExtra
from core.manifest import Bundle
from core.partition import Partition
from dxtree.exporting.checking import Answers, Checked, answer, check_engines
from dxtree.exporting.images import Chosen, seen
from dxtree.exporting.truth import Judged, judge
from modalities.cnn.belonging import read_temperature
from modalities.cnn.preprocess import Preprocessing
from modalities.engines import INT8, KINDS, Engine, FloatArray, Kind, source_file
from modalities.engines.checking import LIMITS, record_of
from modalities.engines.choosing import build_engine
from modalities.engines.graphs import sha256_of, source_graph
from modalities.engines.kinds import AUTO, check_engine
from modalities.engines.quantising import ends, quantise
from modalities.engines.records import RECORDS

QUANTISATION = "quantisation"
"""Entry of the manifest: how the int8 graph was made."""
ON_REQUEST = frozenset({"torch-compile"})
"""Engines that are checked where they are named alone: this one compiles for minutes."""

Progress = Callable[[str, int, int], None]
"""What is done, steps done, steps in all."""


@dataclass(frozen=True)
class Exported:
    """New entries and files of the bundle, and what a reader is told of each engine.

    `records`: engine to the record that the manifest keeps. `left_out`: engine to the reason why it was not
    checked. `megabytes`: size of the file that each engine loads.
    """

    entries: Mapping[str, Any]
    files: Mapping[str, bytes]
    against: str
    judged: Judged
    records: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, str]
    megabytes: Mapping[str, float]


@dataclass(frozen=True)
class _Plan:
    bundle: Bundle
    chosen: Chosen
    judged: Judged
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    temperature: float
    resamples: int
    seed: int
    progress: Progress

    def calibration(self) -> list[FloatArray]:
        """What the net sees of the calibration images. Raises `CohortError` where none can be read."""
        found = []
        for done, image in enumerate(self.chosen.calibration, start=1):
            with suppress(InputError):  # how many were read stands in the manifest
                found.append(seen(image, self.preprocessing))
            self.progress("reading calibration images", done, len(self.chosen.calibration))
        if not found:
            raise CohortError("no calibration image can be read")
        return found

    def quantised(self, images: Sequence[FloatArray], keep: tuple[str, ...]) -> bytes:
        """The int8 graph."""
        done = 0

        def one() -> None:
            nonlocal done
            done += 1
            self.progress(QUANTISATION, done, len(images))

        return quantise(source_graph(self.bundle), images, keep=keep, progress=one)

    def answers(self, engines: Mapping[str, Engine]) -> Answers:
        """Of every engine on the validation images."""
        return answer(
            self.chosen.validation,
            engines,
            self.preprocessing,
            self.classes,
            self.temperature,
            lambda done, total: self.progress(f"checking {len(engines)} engines", done, total),
        )

    def check(self, answers: Answers, against: str) -> dict[str, Checked]:
        """Every engine against the source."""
        return check_engines(
            answers, against, self.judged, self.chosen.validation, resamples=self.resamples, seed=self.seed
        )


def export(
    bundle: Bundle,
    partition: Partition,
    chosen: Chosen,
    malignant: str | None,
    *,
    engines: Sequence[str] = (),
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> Exported:
    """Makes the int8 graph where an engine needs it, and checks engines on the held-out images.

    `engines`: names, or none for every one that is installed, but those `ON_REQUEST`. Torch stands for the
    source, or without it ONNX Runtime on the graph as exported. The int8 graph has every layer in 8 bits
    where that passes, else the first and the last layer stay in fp32.

    Raises `BundleError` for an unknown engine, `MissingExtra` for a named one that is not installed, and
    `CohortError` where images cannot be read.
    """
    against = "torch" if KINDS["torch"].installed else "onnxruntime"
    kinds, left_out = _wanted(engines, against)
    plan = _Plan(
        bundle,
        chosen,
        judge(chosen.validation, partition, malignant),
        Preprocessing.from_dict(bundle.require("preprocessing", dict)),
        tuple(bundle.require("classes", list)),
        read_temperature(bundle),
        resamples,
        seed,
        progress,
    )
    calibration = plan.calibration() if any(k.precision == "int8" for k in kinds) else []
    int8 = plan.quantised(calibration, ()) if calibration else None
    built = _built(bundle, [KINDS[against], *kinds], int8, left_out)
    if against not in built:
        raise BundleError(f"{against}, which the others are held against, {left_out[against]}")
    answers = plan.answers(built)
    checked = plan.check(answers, against)
    keep: tuple[str, ...] = ()
    small = [k for k in kinds if k.precision == "int8" and k.name in built]
    if int8 is not None and _failing(checked, small):
        other = plan.quantised(calibration, ends(source_graph(bundle)))
        again = plan.answers(_built(bundle, small, other, left_out))
        both = {against: answers.values[against], **again.values}
        second = plan.check(replace(again, values=both), against)
        if _failing(second, small) <= _failing(checked, small):
            int8, keep = other, ends(source_graph(bundle))
            checked |= {k.name: second[k.name] for k in small if k.name in second}
    digests = _digests(bundle, int8)
    about = _about(plan, answers)
    records = {
        k.name: record_of(
            k, checked[k.name].findings, digests(k), against, _intervals(checked[k.name]) | about
        )
        for k in kinds
        if k.name in checked
    }
    sizes = {k.name: _megabytes(bundle, int8, k) for k in (KINDS[against], *kinds) if k.name in built}
    made = {} if int8 is None else {QUANTISATION: _quantisation(plan, calibration, keep)}
    kept = _still_true(bundle, int8)
    return Exported(
        entries={**made, RECORDS: {**kept, **records}},
        files={} if int8 is None else {INT8: int8},
        against=against,
        judged=plan.judged,
        records=records,
        left_out=left_out,
        megabytes=sizes,
    )


def _wanted(engines: Sequence[str], against: str) -> tuple[list[Kind], dict[str, str]]:
    """The engines to check, and why others are left out."""
    for name in engines:
        kind = KINDS.get(check_engine(name))
        if kind is None:
            raise BundleError(f"--engine {AUTO} stands for one of the others; name that")
        if kind.extra is not None and not kind.installed:
            raise MissingExtra(f"the engine {name}", kind.extra)
    left_out: dict[str, str] = {}
    if not engines:
        left_out = {k.name: f"needs the extra {k.extra!r}" for k in KINDS.values() if not k.installed}
        left_out |= dict.fromkeys(ON_REQUEST - left_out.keys(), "is checked where --engine names it")
    names = [n for n in KINDS if (n in engines if engines else n not in left_out) and n != against]
    return [KINDS[name] for name in names], left_out


def _built(
    bundle: Bundle, kinds: Sequence[Kind], int8: bytes | None, left_out: dict[str, str]
) -> dict[str, Engine]:
    """Engines by name; one that cannot be built here is left out, with the reason."""
    built: dict[str, Engine] = {}
    for kind in kinds:
        try:
            built[kind.name] = build_engine(bundle, kind, int8=int8)
        except DxtreeError as error:
            left_out[kind.name] = error.safe_message
    return built


def _failing(checked: Mapping[str, Checked], kinds: Sequence[Kind]) -> int:
    return sum(not checked[k.name].findings.passed(LIMITS[k.precision]) for k in kinds if k.name in checked)


def _digests(bundle: Bundle, int8: bytes | None) -> Callable[[Kind], dict[str, str]]:
    source = sha256_of(bundle, source_file(bundle))
    small = None if int8 is None else hashlib.sha256(int8).hexdigest()
    return lambda kind: {"graph": small or source if kind.precision == "int8" else source, "source": source}


def _still_true(bundle: Bundle, int8: bytes | None) -> dict[str, Any]:
    """Earlier records, but those of an int8 graph that is replaced."""
    records = bundle.manifest.get(RECORDS, {})
    held = records if isinstance(records, dict) else {}
    return {
        name: record
        for name, record in held.items()
        if int8 is None or name not in KINDS or KINDS[name].precision != "int8"
    }


def _about(plan: _Plan, answers: Answers) -> dict[str, Any]:
    lesions = plan.chosen.validation
    return {
        "images": len(answers.owner),
        "lesions": len(set(answers.owner)),
        "unread": answers.unread,
        "cohorts": sorted({lesion.cohort for lesion in lesions}),
        "auc": plan.judged.area,
    }


def _intervals(checked: Checked) -> dict[str, Any]:
    found = {
        "balanced_accuracy_interval": checked.balanced_accuracy_interval,
        "auc_interval": checked.auc_interval,
    }
    return {key: None if value is None else list(value) for key, value in found.items()}


def _quantisation(plan: _Plan, images: Sequence[FloatArray], keep: tuple[str, ...]) -> dict[str, Any]:
    return {
        "images": len(images),
        "unread": len(plan.chosen.calibration) - len(images),
        "kept": list(keep),
        "weights": "signed bytes, a scale for each output channel",
        "activations": "unsigned bytes, smallest to largest value of the calibration images",
    }


def _megabytes(bundle: Bundle, int8: bytes | None, kind: Kind) -> float:
    content = int8 if kind.precision == "int8" and int8 is not None else bundle.files[source_file(bundle)]
    return len(content) / 1e6
