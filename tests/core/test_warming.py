"""Is everything loaded after warming, and does a model that cannot be had say so without harm?"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from core.errors import BundleError, PluginContractError, UnknownModality
from core.partition import Partition
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities, mean
from core.protocols import ImageResult
from core.warming import SIDE, picture


@dataclass
class Model:
    """Answers with the prior, and keeps what it was shown and by how many at once."""

    modality: str
    classes: tuple[str, ...]
    provenance: dict[str, str] = field(default_factory=dict)
    concerns: tuple[str, ...] = ()
    shown: list[bytes] = field(default_factory=list)
    together: threading.Barrier | None = None

    @property
    def prior(self):
        return LeafProbabilities.from_weights(self.classes, np.ones(len(self.classes)))

    def predict(self, images):
        if self.together is not None:
            self.together.wait(5)
        self.shown += [image.data for image in images]
        return [ImageResult(self.prior, (), self.concerns) for _ in images]


class Parallel(Model):
    def side_by_side(self, calls):
        return replace(self, together=threading.Barrier(calls), shown=self.shown)


@dataclass
class Fuser:
    name: str = "mean"
    provenance: dict[str, str] = field(default_factory=dict)
    fused: list[tuple[str, ...]] = field(default_factory=list)

    def fuse(self, evidence, patient):
        self.fused.append(tuple(e.modality for e in evidence))
        return mean(e.probabilities for e in evidence)

    def used(self, patient):
        return ()


@pytest.fixture
def loads() -> list[str]:
    return []


@pytest.fixture
def pipeline(small: Partition, loads: list[str]) -> Pipeline:
    models = {name: Model(name, small.ids) for name in ("photo", "scope")}

    def loader(name: str):
        return lambda: (loads.append(name), models[name])[1]

    return Pipeline(small, {name: loader(name) for name in models}, Fuser())


def test_every_model_is_loaded_and_shown_a_picture_that_can_be_read(pipeline: Pipeline) -> None:
    assert pipeline.warm() == {"photo": None, "scope": None}
    for name in ("photo", "scope"):
        (shown,) = pipeline.models[name]().shown
        with Image.open(io.BytesIO(shown)) as image:
            assert (image.format, image.size, image.mode) == ("BMP", (SIDE, SIDE), "RGB")


def test_the_picture_is_a_brown_spot_on_skin() -> None:
    with Image.open(io.BytesIO(picture())) as image:
        assert image.getpixel((0, 0)) == (222, 184, 168)
        assert image.getpixel((SIDE // 2, SIDE // 2)) == (122, 84, 68)


def test_the_fuser_has_had_work_to_do_for_each_modality(pipeline: Pipeline) -> None:
    pipeline.warm()
    assert pipeline.fuser.fused == [("photo",), ("scope",)]


def test_a_gate_that_leaves_the_drawn_picture_out_is_no_fault_and_the_fuser_is_warmed_all_the_same(
    pipeline: Pipeline, small: Partition
) -> None:
    doubting = Model("photo", small.ids, concerns=("it is no photograph",))
    assert replace(pipeline, models={"photo": lambda: doubting}).warm() == {"photo": None}
    assert pipeline.fuser.fused == [("photo",)]


def test_only_the_named_modalities_are_loaded(pipeline: Pipeline, loads: list[str]) -> None:
    assert pipeline.warm(["scope"]) == {"scope": None}
    assert set(loads) == {"scope"}


def test_a_name_without_a_model_is_refused_before_anything_is_loaded(
    pipeline: Pipeline, loads: list[str]
) -> None:
    with pytest.raises(UnknownModality, match="scoop"):
        pipeline.warm(["photo", "scoop"])
    assert loads == []


def test_a_model_that_cannot_be_had_says_why_and_the_others_are_warm(pipeline: Pipeline) -> None:
    def missing():
        raise BundleError("the bundle is gone")

    def broken():
        raise ZeroDivisionError

    models = {**pipeline.models, "echo": missing, "film": broken}
    found = replace(pipeline, models=models).warm()
    assert isinstance(found.pop("echo"), BundleError)
    assert isinstance(found.pop("film"), PluginContractError)
    assert found == {"photo": None, "scope": None}


def test_no_observer_is_told(pipeline: Pipeline) -> None:
    told: list[object] = []
    replace(pipeline, observers=(lambda *seen: told.append(seen),)).warm(many=True)
    assert told == []


def test_with_many_the_model_is_asked_by_as_many_threads_at_once_as_there_are_cores(
    pipeline: Pipeline, small: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call waits until all are there, so that fewer threads would fail."""
    monkeypatch.setattr("core.warming.usable_cores", lambda: 3)
    model = Parallel("photo", small.ids)
    assert replace(pipeline, models={"photo": lambda: model}).warm(many=True) == {"photo": None}
    assert len(model.shown) == 4


def test_with_many_a_fault_in_a_thread_is_the_answer(
    pipeline: Pipeline, small: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.warming.usable_cores", lambda: 3)

    class Fragile(Model):
        def side_by_side(self, calls):
            raise BundleError("no second engine")

    fragile = Fragile("photo", small.ids)
    found = replace(pipeline, models={"photo": lambda: fragile}).warm(many=True)
    assert isinstance(found["photo"], BundleError)
