"""Does a model set with plugins become the pipeline that was asked for?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.case import Case, ImageInput
from core.errors import (
    BundleError,
    ContractError,
    PluginContractError,
    PluginError,
    UnknownModality,
)
from core.partition import Partition
from fusion.calibrating.calibrator import from_files, to_files
from fusion.calibrating.fit import fit_calibrator
from plugins import ModalitySpec, hookimpl
from plugins.assembly import (
    assemble,
    default_pipeline,
    find_model_set,
    load_calibration,
    load_fuser,
    usable_fusers,
)
from plugins.conformance import sample_images
from plugins.manager import PluginManager
from plugins.model_set import ModelSet, write_model_set
from plugins.registry import Registry

Write = Callable[[str, str], str]
Load = Callable[..., Registry]


@pytest.fixture
def calibrated(models: ModelSet, cells: Partition, tiny: SimpleNamespace, tmp_path: Path) -> ModelSet:
    """The small set with two calibrations of `image_only`: "all", the default, and "first", another one."""
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(len(cells.ids)), 200)
    made = {}
    for name, sharp in (("all", 0.5), ("first", 2.0)):
        weights = rows**sharp
        truth = (weights.cumsum(axis=1) / weights.sum(axis=1)[:, None] < rng.random((200, 1))).sum(axis=1)
        found = fit_calibrator("temperature", rows, truth, cells)
        made[name] = to_files(found, "image_only", {"cohort": name, "lesions": 200})
    return write_model_set(
        tmp_path / "calibrated",
        cells,
        tiny.split,
        modalities={m: models.folder / m for m in tiny.modalities},
        fusers={},
        default_fuser="image_only",
        about={"name": "calibrated"},
        texts={},
        calibrations={"image_only": made},
        default_calibration="all",
    )


def only(modality: str) -> Case:
    return Case(images=sample_images(modality, 1))


def test_a_model_is_loaded_when_a_case_first_needs_it_and_once_under_eight_threads(
    models: ModelSet, case: Case
) -> None:
    loads: list[int] = []
    gate = threading.Barrier(8)

    class Model:
        modality, provenance = "colposcopy", {}
        classes = models.partition.ids
        prior = None

        def predict(self, images: list[ImageInput]) -> list[object]:
            return []

    def load(request: object) -> Model:
        loads.append(threading.get_ident())
        time.sleep(0.05)
        return Model()

    @hookimpl
    def dxtree_modalities() -> list[ModalitySpec]:
        return [ModalitySpec("colposcopy", "Of a test", load)]  # type: ignore[arg-type]

    manager = PluginManager()
    manager.load_entry_points()
    manager.add(SimpleNamespace(dxtree_modalities=dxtree_modalities), "slow")
    pipeline = assemble(Registry.of(manager), models)
    pipeline.diagnose(case)
    assert loads == []

    def ask(_: int) -> int:
        gate.wait()
        return id(pipeline.models["colposcopy"]())

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert len(loads) == 1
    assert len(found) == 1


def test_eight_threads_get_the_bits_of_one(models: ModelSet, case: Case, registry_with: Load) -> None:
    alone = assemble(registry_with(), models).diagnose(case)
    pipeline = assemble(registry_with(), models)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pipeline.diagnose(case), range(24)))
    assert all(a.leaf == alone.leaf for a in answers)


def test_a_modality_that_needs_a_bundle_is_offered_only_where_the_set_has_one(
    cells: Partition, tiny: SimpleNamespace, tmp_path: Path, registry_with: Load
) -> None:
    made = write_model_set(
        tmp_path / "set",
        cells,
        tiny.split,
        modalities={"clinical": tiny.bundle(tmp_path / "clinical", cells, "clinical")},
        fusers={},
        default_fuser="image_only",
        about={"name": "half"},
        texts={},
    )
    pipeline = assemble(registry_with(), made)
    assert list(pipeline.models) == ["clinical"]
    with pytest.raises(UnknownModality, match="no bundle for modality 'dermoscopy'"):
        pipeline.diagnose(only("dermoscopy"))


def test_the_set_s_default_calibration_is_applied_and_named(
    calibrated: ModelSet, registry_with: Load, case: Case, expected: dict[str, float]
) -> None:
    answer = assemble(registry_with(), calibrated).diagnose(case)
    assert answer.tree is not None
    assert answer.leaf is not None
    bundle = calibrated.calibration_bundle("image_only", "all")
    assert bundle is not None
    plain = assemble(registry_with(), calibrated, calibration="none").diagnose(case)
    assert plain.tree is not None
    assert plain.leaf is not None
    assert plain.tree.to_dict() == expected
    applied = from_files(calibrated.partition, bundle, "image_only").apply(plain.leaf)
    assert answer.leaf == applied
    assert answer.leaf != plain.leaf
    told = answer.provenance["adjustments"]
    assert told == [
        {
            "name": "temperature",
            "cohort": "all",
            "lesions": "200",
            "fuser": "image_only",
            "digest": bundle.digest,
        }
    ]
    assert "adjustments" not in plain.provenance


def test_another_calibration_is_applied_by_name(
    calibrated: ModelSet, registry_with: Load, case: Case
) -> None:
    leaves = [
        assemble(registry_with(), calibrated, calibration=name).diagnose(case).leaf
        for name in (None, "all", "first")
    ]
    assert leaves[0] == leaves[1]
    assert leaves[0] != leaves[2]


def test_a_calibration_that_the_set_lacks_is_a_typed_error_and_a_default_is_not_forced_on_other_fusers(
    calibrated: ModelSet, models: ModelSet, registry_with: Load
) -> None:
    with pytest.raises(BundleError, match=r"no calibration 'second' of the image_only fuser.*all, first"):
        assemble(registry_with(), calibrated, calibration="second")
    with pytest.raises(BundleError, match=r"it holds: none\. See dxtree fit-fusion"):
        assemble(registry_with(), models, calibration="all")
    assert load_calibration(calibrated, "pool") is None
    assert load_calibration(calibrated, "pool", "none") is None


def test_a_calibration_of_another_fuser_is_refused(
    calibrated: ModelSet, cells: Partition, tiny: SimpleNamespace, registry_with: Load
) -> None:
    bundle = calibrated.calibration_bundle("image_only", "all")
    assert bundle is not None
    manifest = {k: v for k, v in bundle.manifest.items() if k not in ("files", "sha256", "format")}
    moved = write_model_set(
        calibrated.folder,
        cells,
        tiny.split,
        modalities={m: calibrated.folder / m for m in tiny.modalities},
        fusers={},
        default_fuser="image_only",
        about={"name": "moved"},
        texts={},
        calibrations={"image_only": {"all": ({**manifest, "fuser": "bayes"}, bundle.files)}},
        default_calibration="all",
    )
    with pytest.raises(ContractError, match="'fuser' is 'bayes', not 'image_only'"):
        assemble(registry_with(), moved)


LOADS = {
    "raises": ("raise ValueError('patient X')", "modality 'colposcopy' could not be loaded: ValueError"),
    "exits": ("raise SystemExit(3)", "modality 'colposcopy' could not be loaded: SystemExit"),
    "gives no model": ("pass", "loaded something that is no model"),
    "answers with other classes": (
        "made = Base(request.partition); made.classes = ('a', 'b'); return made",
        "answers with other training classes",
    ),
}


@pytest.mark.parametrize("fault", LOADS)
def test_a_model_that_cannot_be_loaded_fails_alone_and_says_why(
    fault: str,
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    body, cause = LOADS[fault]
    text = source("colposcopy").replace(
        "lambda request: Model(request.partition), **about)]", f"load)]\n\ndef load(request):\n    {body}"
    )
    pipeline = assemble(registry_with(plugin("faulty", text)), models)
    with pytest.raises(PluginError, match=cause):
        pipeline.diagnose(only("colposcopy"))
    answer = pipeline.diagnose(Case(images=(*case.images, *only("colposcopy").images), patient=case.patient))
    assert answer.status == "partial"
    assert answer.tree is not None
    assert answer.tree.to_dict() == expected
    with pytest.raises(PluginError):
        pipeline.diagnose(
            Case(images=(*case.images, *only("colposcopy").images), patient=case.patient), strict=True
        )


ANSWERS = {
    "raises": ("raise ValueError('patient X')", "failed with ValueError"),
    "exits": ("raise SystemExit(3)", "failed with SystemExit"),
    "NaN": ("return [self.answer([np.nan] * len(self.classes)) for _ in images]", "finite"),
    "all zero": ("return [self.answer([0] * len(self.classes)) for _ in images]", "not all zero"),
    "too few answers": ("return []", "one ImageResult an image"),
    "other type": ("return [0.5 for _ in images]", "one ImageResult an image"),
    "wrong shape": ("return [self.answer([1.0, 1.0]) for _ in images]", "2,.* values for"),
    "other labels": (
        "other = LeafProbabilities.from_weights(self.classes[::-1], self.prior.values)\n"
        "        return [ImageResult(other) for _ in images]",
        "other training classes",
    ),
    "changes its input": ("images[0].modality = 'x'\n        return super().predict(images)", "failed with"),
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_a_model_that_answers_wrongly_is_left_out_and_the_others_keep_their_bits(
    fault: str,
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    body, cause = ANSWERS[fault]
    text = source("colposcopy", f"class Model(Base):\n    def predict(self, images):\n        {body}\n")
    pipeline = assemble(registry_with(plugin("faulty", text)), models)
    answer = pipeline.diagnose(Case(images=(*case.images, *only("colposcopy").images), patient=case.patient))
    assert answer.status == "partial"
    assert list(answer.modalities_failed) == ["colposcopy"]
    assert answer.tree is not None
    assert answer.tree.to_dict() == expected
    notice = next(n.text for n in answer.notices if "colposcopy" in n.text)
    assert "patient X" not in notice
    with pytest.raises(Exception, match=cause):
        pipeline.diagnose(only("colposcopy"))


def test_a_fuser_that_the_set_did_not_fit_is_named_with_those_that_it_did(
    registry_with: Load, models: ModelSet
) -> None:
    with pytest.raises(BundleError, match=r"no fitted .logistic.; fitted are: bayes\. See dxtree"):
        assemble(registry_with(), models, fuser="logistic")


def test_usable_fusers_are_the_fitted_ones_and_those_that_learn_nothing(
    registry_with: Load, models: ModelSet
) -> None:
    assert usable_fusers(registry_with(), models) == ("bayes", "image_only")


def test_an_unknown_fuser_is_a_plugin_error(registry_with: Load, models: ModelSet) -> None:
    with pytest.raises(PluginError, match="no fuser 'vote'"):
        assemble(registry_with(), models, fuser="vote")


@pytest.mark.parametrize(
    ("load", "error"), [("lambda p, b: 3", PluginContractError), ("lambda p, b: 1 / 0", PluginError)]
)
def test_a_fuser_that_is_none_or_cannot_be_loaded_is_typed(
    load: str, error: type[PluginError], plugin: Write, registry_with: Load, models: ModelSet
) -> None:
    text = (
        "from plugins import FuserSpec, hookimpl\n@hookimpl\ndef dxtree_fusers():\n"
        f"    return [FuserSpec('vote', 'x', {load})]"
    )
    with pytest.raises(error, match="fuser 'vote'"):
        load_fuser(registry_with(plugin("faulty", text)), models, "vote")


def test_provenance_names_the_set_its_digest_and_the_strangers_that_worked(
    plugin: Write, source: Callable[..., str], registry_with: Load, models: ModelSet, case: Case
) -> None:
    registry = registry_with(plugin("good", source("colposcopy")), plugin("bad", "raise OSError"))
    found = assemble(registry, models).diagnose(case).provenance
    assert found["model_set"] == "tiny"
    assert found["digest"] == models.bundle.digest
    assert found["plugins"] == ["good"]
    assert found["partition"] == models.partition.fingerprint
    assert set(found["models"]) == {"clinical", "dermoscopy"}


@pytest.mark.parametrize("wanted", ["a name that nobody has", "an empty folder", "a folder that is no set"])
def test_a_model_set_that_is_none_is_a_typed_error(
    wanted: str, registry_with: Load, tmp_path: Path, models: ModelSet
) -> None:
    name = {
        "a name that nobody has": "nobody",
        "an empty folder": str(tmp_path),
        "a folder that is no set": str(models.folder / "clinical"),
    }[wanted]
    with pytest.raises((PluginError, BundleError)):
        find_model_set(registry_with(), name)


def test_a_model_set_of_a_plugin_is_found_by_name(
    plugin: Write, registry_with: Load, models: ModelSet
) -> None:
    text = (
        "from pathlib import Path\nfrom plugins import ModelSetSpec, hookimpl\n"
        "@hookimpl\ndef dxtree_model_sets():\n"
        f"    return [ModelSetSpec('mine', 'x', Path({str(models.folder)!r}))]"
    )
    found = find_model_set(registry_with(plugin("sets", text)), "mine")
    assert found.bundle.digest == models.bundle.digest


def test_the_default_pipeline_is_what_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
    plugin: Write,
    source: Callable[..., str],
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    monkeypatch.setenv("DXTREE_MODELS", str(models.folder))
    monkeypatch.setenv("DXTREE_PLUGINS", plugin("good", source("colposcopy")))
    pipeline = default_pipeline()
    assert "colposcopy" in pipeline.models
    assert pipeline.diagnose(case).tree.to_dict() == expected  # type: ignore[union-attr]


def test_an_unknown_engine_says_which_there_are(registry_with: Load, models: ModelSet, case: Case) -> None:
    with pytest.raises(BundleError, match="engine 'onyx' is unknown; there are auto, torch"):
        assemble(registry_with(), models, engine="onyx").diagnose(case, strict=True)
