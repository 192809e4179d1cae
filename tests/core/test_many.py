"""Does a stream of cases give what one call each would give, in order, with bounded memory and no debris?"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import Case, ImageInput, Outcome, diagnose_many
from core.cores import usable_cores
from core.diagnosis import Notice
from core.errors import (
    ContractError,
    CorruptImage,
    DxtreeError,
    InputError,
    PluginContractError,
    UnknownModality,
)
from core.partition import Partition
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities, mean
from core.protocols import ImageResult, ModalityModel


@dataclass
class Model:
    """A small real model: a linear map of the image's bytes, which counts who calls it at the same time."""

    modality: str
    classes: tuple[str, ...]
    provenance: dict[str, str] = field(default_factory=lambda: {"model": "tiny"})
    seconds: float = 0.0
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def prior(self):
        return LeafProbabilities.from_weights(self.classes, np.ones(len(self.classes)))

    def predict(self, images):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return [self.result(image.data) for image in images]
        finally:
            with self._lock:
                self._now -= 1

    def result(self, data):
        if data.startswith(b"slow"):
            time.sleep(0.05)
        time.sleep(self.seconds)
        if data.startswith(b"torn"):
            raise CorruptImage("the image is truncated")
        if data.startswith(b"bug"):
            raise ZeroDivisionError
        weights = np.random.default_rng(len(self.modality)).normal(0, 2, (len(self.classes), 8))
        pixels = np.frombuffer(data.ljust(8, b"\0")[:8], np.uint8) / 255
        return ImageResult(LeafProbabilities.from_logits(self.classes, weights @ pixels))


class Parallel(Model):
    """The same, which says that several threads may call it."""

    asked: ClassVar[list[int]] = []

    def side_by_side(self, calls):
        self.asked.append(calls)
        return self


@dataclass(frozen=True)
class MeanFuser:
    name: str = "mean"
    provenance: dict[str, str] = field(default_factory=dict)

    def fuse(self, evidence, patient):
        return mean(e.probabilities for e in evidence)

    def used(self, patient):
        return ()


Build = Callable[..., Pipeline]


@pytest.fixture
def build(small: Partition) -> Build:
    def made(kind: type[Model] = Model, **given: float) -> Pipeline:
        models = {name: kind(name, small.ids, **given) for name in ("photo", "scope")}
        loaders = {name: (lambda m=m: m) for name, m in models.items()}
        return Pipeline(small, loaders, MeanFuser(), abstain_below=0.0)

    return made


def case(data: bytes = b"abcdefgh", name: str = "case", modality: str = "photo") -> Case:
    return Case(id=name, images=(ImageInput(modality=modality, data=data),))


def cases(count: int) -> list[Case]:
    return [case(bytes([k % 251 + 1]) * 8, f"case {k}") for k in range(count)]


def alone(pipeline: Pipeline, one: Case, *, strict: bool = False) -> str | tuple[type[DxtreeError], str]:
    """What `diagnose` says of the case: all of the answer, or class and text of the error."""
    try:
        return json.dumps(pipeline.diagnose(one, strict=strict).to_dict())
    except DxtreeError as error:
        return type(error), str(error)


def said(outcome: Outcome) -> str | tuple[type[DxtreeError], str]:
    if outcome.diagnosis is not None:
        return json.dumps(outcome.diagnosis.to_dict())
    return type(outcome.error), str(outcome.error)  # type: ignore[return-value]


def streams() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("dxtree-many")]


# --- the same answers, in order -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Model, Parallel])
def test_outcomes_come_in_the_order_of_the_cases_whichever_takes_longest(build: Build, kind: type) -> None:
    given = [case(b"slow" if k % 3 == 0 else b"fast", f"case {k}") for k in range(12)]
    found = list(diagnose_many(given, pipeline=build(kind)))
    assert [o.case_id for o in found] == [c.id for c in given]
    assert all(o.diagnosis is not None and o.diagnosis.case_id == o.case_id for o in found)


DATA = st.sampled_from([b"torn", b"bug", b"slow"]) | st.binary(min_size=1, max_size=8)
IMAGES = st.lists(st.tuples(st.sampled_from(["photo", "scope", "nothing"]), DATA), min_size=1, max_size=3)


@given(st.lists(IMAGES, max_size=6), st.integers(1, 8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_outcome_is_what_diagnose_says_to_the_bit(
    small: Partition, given: list[list[tuple[str, bytes]]], window: int, strict: bool
) -> None:
    models = {name: Model(name, small.ids) for name in ("photo", "scope")}
    loaders = {name: (lambda m=m: m) for name, m in models.items()}
    pipeline = Pipeline(small, loaders, MeanFuser(), abstain_below=0.0)
    asked = [
        Case(id="repeated", images=tuple(ImageInput(modality=m, data=d) for m, d in images))
        for images in given
    ]
    found = diagnose_many(asked, pipeline=pipeline, window=window, strict=strict)
    assert [said(o) for o in found] == [alone(pipeline, c, strict=strict) for c in asked]


def test_no_cases_give_no_outcomes(build: Build) -> None:
    assert list(diagnose_many([], pipeline=build())) == []


def test_observers_are_told_every_answer_in_order_and_in_the_callers_thread(build: Build) -> None:
    told: list[tuple[str, int]] = []
    pipeline = replace(build(), observers=(lambda c, _: told.append((c.id, threading.get_ident())),))
    given = [case(b"slow" if k % 2 else b"fast", f"case {k}") for k in range(8)]
    list(diagnose_many(given, pipeline=pipeline))
    assert told == [(c.id, threading.get_ident()) for c in given]


def test_an_observer_that_fails_leaves_a_notice_as_it_does_in_diagnose(build: Build) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError

    pipeline = replace(build(), observers=(failing,))
    (found,) = diagnose_many([case()], pipeline=pipeline)
    assert found.diagnosis is not None
    assert found.diagnosis.notices == pipeline.diagnose(case()).notices
    assert isinstance(found.diagnosis.notices[0], Notice)


# --- faults ---------------------------------------------------------------------------------------------


def test_a_case_at_fault_has_its_typed_error_and_stops_nothing(build: Build) -> None:
    given = [
        case(name="1"),
        case(b"torn", "2"),
        case(b"bug", "3"),
        case(name="4", modality="foto"),
        case(name="5"),
    ]
    found = list(diagnose_many(given, pipeline=build()))
    kinds = [None, CorruptImage, PluginContractError, UnknownModality, None]
    assert [o.error if o.error is None else type(o.error) for o in found] == kinds
    assert [o.diagnosis is None for o in found] == [False, True, True, True, False]
    assert isinstance(found[1].error, InputError)


def test_strict_puts_the_error_where_a_partial_answer_stood(build: Build) -> None:
    half = Case(images=(*case().images, ImageInput(modality="scope", data=b"torn")))
    (partial,) = diagnose_many([half], pipeline=build())
    (strict,) = diagnose_many([half], pipeline=build(), strict=True)
    assert partial.diagnosis is not None
    assert partial.diagnosis.status == "partial"
    assert isinstance(strict.error, CorruptImage)


def test_a_model_that_could_not_be_loaded_is_tried_again_for_the_next_case(build: Build) -> None:
    pipeline = build()
    tries = iter(range(9))

    def load() -> ModalityModel:
        if not next(tries):
            raise DxtreeError("out of memory")
        return pipeline.models["photo"]()

    found = list(diagnose_many(cases(2), pipeline=replace(pipeline, models={"photo": load}), window=1))
    assert [o.error is None for o in found] == [False, True]


def test_what_the_cases_raise_comes_after_the_outcomes_of_all_before(build: Build) -> None:
    def broken() -> Iterator[Case]:
        yield from cases(5)
        raise OSError("the disk is gone")

    stream = diagnose_many(broken(), pipeline=build())
    assert [o.case_id for o in itertools.islice(stream, 5)] == [f"case {k}" for k in range(5)]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert streams() == []


@pytest.mark.parametrize("stranger", [None, "lesion.jpg", {"images": []}])
def test_what_is_no_case_is_an_input_error_after_the_outcomes_before_it(
    build: Build, stranger: object
) -> None:
    found = diagnose_many([*cases(2), stranger, *cases(1)], pipeline=build())  # type: ignore[list-item]
    assert [next(found).case_id, next(found).case_id] == ["case 0", "case 1"]
    with pytest.raises(InputError, match="cases hold a"):
        next(found)


@pytest.mark.parametrize("window", [0, -1, True, 1.0, "8", None, float("nan")], ids=repr)
def test_a_window_that_is_no_whole_number_above_zero_is_refused_at_once(build: Build, window: object) -> None:
    with pytest.raises(InputError, match="window is"):
        diagnose_many(cases(1), pipeline=build(), window=window)  # type: ignore[arg-type]


def test_an_outcome_is_either_a_diagnosis_or_an_error(build: Build) -> None:
    answer = build().diagnose(case())
    for wrong in ({}, {"diagnosis": answer, "error": DxtreeError("both")}):
        with pytest.raises(ContractError):
            Outcome("case", **wrong)


# --- bounded, lazy, clean -------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.parametrize("seconds", [0.0, 0.004])
def test_no_more_than_the_window_is_read_ahead_even_of_an_endless_source(
    build: Build, window: int, seconds: float
) -> None:
    read = itertools.count()
    drawn = 0

    def endless() -> Iterator[Case]:
        nonlocal drawn
        for k in read:
            drawn = k + 1
            yield case(name=f"case {k}")

    stream = diagnose_many(endless(), pipeline=build(seconds=seconds), window=window)
    assert drawn == 0
    for answered in range(1, 31):
        assert next(stream).case_id == f"case {answered - 1}"
        assert drawn <= answered - 1 + window
    stream.close()  # type: ignore[attr-defined]
    assert streams() == []


def test_a_caller_who_stops_early_leaves_no_thread_and_what_waited_is_not_begun(build: Build) -> None:
    pipeline = build(seconds=0.02)
    model = pipeline.models["photo"]()
    begun: list[bytes] = []
    model.result = lambda data, own=model.result: (begun.append(data), own(data))[1]  # type: ignore[attr-defined]
    stream = diagnose_many(cases(60), pipeline=pipeline, window=60)
    next(stream)
    assert streams()
    del stream
    assert streams() == []
    assert len(begun) < 30


def test_a_stream_that_is_never_asked_starts_nothing(build: Build) -> None:
    diagnose_many(cases(3), pipeline=build())
    assert streams() == []


def test_a_finished_answer_is_given_before_more_is_read(build: Build) -> None:
    read: list[str] = []

    def source() -> Iterator[Case]:
        for name in ("first", "second", "third", "fourth"):
            read.append(name)
            yield case(name=name)
            time.sleep(0.2)  # an answer is there by now

    assert next(diagnose_many(source(), pipeline=build())).case_id == "first"
    assert read in (["first"], ["first", "second"])


def test_a_stream_that_ends_early_does_not_end_another_of_the_same_pipeline(build: Build) -> None:
    pipeline = build()
    first, second = (diagnose_many(cases(6), pipeline=pipeline, window=2) for _ in range(2))
    next(first)
    first.close()  # type: ignore[attr-defined]
    assert [o.case_id for o in second] == [f"case {k}" for k in range(6)]


# --- who may be called by several threads ---------------------------------------------------------------


def test_a_model_that_promises_nothing_is_called_by_one_thread_at_a_time(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.many.usable_cores", lambda: 4)
    pipeline = build(seconds=0.004)
    list(diagnose_many(cases(16), pipeline=pipeline))
    assert pipeline.models["photo"]().most == 1  # type: ignore[attr-defined]


def test_a_model_that_can_is_called_by_as_many_threads_as_there_are_cores(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.many.usable_cores", lambda: 4)
    monkeypatch.setattr(Parallel, "asked", [])
    pipeline = build(Parallel, seconds=0.01)
    list(diagnose_many(cases(24), pipeline=pipeline))
    model = pipeline.models["photo"]()
    assert model.asked == [4]  # type: ignore[attr-defined]
    assert 2 <= model.most <= 4  # type: ignore[attr-defined]


def test_a_window_below_the_cores_means_fewer_threads(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.many.usable_cores", lambda: 4)
    monkeypatch.setattr(Parallel, "asked", [])
    list(diagnose_many(cases(6), pipeline=build(Parallel), window=2))
    assert Parallel.asked == [2]


def test_a_model_is_loaded_once_a_stream_however_many_threads_ask(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.many.usable_cores", lambda: 8)
    pipeline = build()
    loads: list[int] = []

    def load() -> Model:
        loads.append(1)
        time.sleep(0.02)
        return pipeline.models["photo"]()  # type: ignore[return-value]

    list(diagnose_many(cases(16), pipeline=replace(pipeline, models={"photo": load})))
    assert loads == [1]


def test_cores_are_those_that_the_process_may_run_on() -> None:
    assert usable_cores() >= 1
