"""Does a model set get its gate from its training lesions alone, and is nothing else of it changed?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image, ImageFilter

from core import Case, GatePolicy, ImageInput, LabelledImage, Pipeline
from core.diagnosis import schema
from core.errors import CohortError, PathRejected
from core.manifest import read_bundle, write_bundle
from core.split import TRAINING, VALIDATION
from dxtree.batch.recipe import Recipe
from dxtree.cohorts.reading import read_cohorts
from dxtree.cohorts.synthetic.lesion import make_lesion
from dxtree.gating import Foreign, fit_gates, foreign_images, judge, write_gates
from dxtree.gating.looking import chosen
from modalities.gate import NAMES, SafetyGate
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.model_set import MANIFEST, MODALITY_MANIFEST, ModelSet
from plugins.registry import Registry

LESIONS, RATE = 420, 0.03


def dxtree(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dxtree", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def old(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> ModelSet:
    """The demonstration set as it would be with too few images to fit a gate."""
    found = find_model_set(registry, "demonstration")
    folder = tmp_path_factory.mktemp("ungated") / "set"
    shutil.copytree(found.folder, folder)
    digests = {}
    for modality in found.modalities:
        bundle = read_bundle(folder / modality, MODALITY_MANIFEST)
        write_bundle(folder / modality, MODALITY_MANIFEST, bundle.stated | {"checks": None}, bundle.files)
        digests[modality] = read_bundle(folder / modality, MODALITY_MANIFEST).digest
    write_bundle(folder, MANIFEST, found.bundle.stated | {"modalities": digests}, found.bundle.files)
    return ModelSet.open(folder)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "cohort"
    done = dxtree("synthesize", folder, "--lesions", LESIONS, "--size", 128)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def images(registry: Registry, drawn: Path, old: ModelSet) -> list[LabelledImage]:
    return read_cohorts(registry, [f"synthetic={drawn}"], old.partition.taxonomy)


@pytest.fixture(scope="module")
def gates(old: ModelSet, images: list[LabelledImage]) -> dict[str, SafetyGate]:
    return fit_gates(old, images, rate=RATE)


@pytest.fixture(scope="module")
def new(old: ModelSet, gates: dict[str, SafetyGate], tmp_path_factory: pytest.TempPathFactory) -> ModelSet:
    return write_gates(old, gates, tmp_path_factory.mktemp("sets") / "gated")


@pytest.fixture(scope="module")
def pipeline(registry: Registry, new: ModelSet) -> Pipeline:
    return assemble(registry, new)


def bundle_of(models: ModelSet, modality: str) -> dict[str, object]:
    return dict(json.loads((models.folder / modality / MODALITY_MANIFEST).read_text("utf-8")))


def test_only_training_lesions_are_looked_at_and_as_many_as_asked(
    old: ModelSet, images: list[LabelledImage]
) -> None:
    some = chosen(images, old, TRAINING, 50)
    assert {m: len(found) for m, found in some.items()} == {"clinical": 50, "dermoscopy": 50}
    assert {old.part_of(i.lesion) for found in some.values() for i in found} == {TRAINING}
    assert chosen(images[::-1], old, TRAINING, 50) == some
    assert chosen(images, old, TRAINING, 50, seed=1) != some
    held = {i.lesion for found in chosen(images, old, VALIDATION, 999).values() for i in found}
    assert held and not held & {i.lesion for found in some.values() for i in found}


def test_every_check_records_its_rate_and_on_how_many_images_it_was_set(new: ModelSet) -> None:
    for modality, other in (("clinical", "dermoscopy"), ("dermoscopy", "clinical")):
        raw = bundle_of(new, modality)["checks"]
        assert isinstance(raw, dict)
        assert tuple(raw["limits"]) == NAMES
        assert {limit["false_alarm_rate"] for limit in raw["limits"].values()} == {RATE}
        assert all(limit["images"] > 150 for limit in raw["limits"].values())
        assert raw["fitted_on"]["cohorts"] == ["synthetic"]
        assert set(raw["fitted_on"]["others"]) == {other}
        assert raw["fitted_on"]["images"] > 300


def test_nothing_but_manifests_changes_and_the_set_still_checks_out(old: ModelSet, new: ModelSet) -> None:
    for path in (p for p in old.folder.rglob("*") if p.is_file()):
        there = new.folder / path.relative_to(old.folder)
        if path.name not in (MODALITY_MANIFEST, "pipeline.json"):
            assert there.read_bytes() == path.read_bytes(), path.name
    for modality in old.modalities:
        before, after = bundle_of(old, modality), bundle_of(new, modality)
        assert {k for k in after if after[k] != before.get(k)} == {"checks", "sha256"}
        assert new.modality_bundle(modality) is not None


def test_valid_images_get_the_same_answer_to_the_bit(
    registry: Registry, old: ModelSet, pipeline: Pipeline
) -> None:
    before = assemble(registry, old)
    for index in range(4):
        images = [ImageInput(modality=m, data=d) for m, d in make_lesion(31, index).jpegs.items()]
        case = Case(id="x", images=tuple(images))
        loose = pipeline.with_gate(GatePolicy({"all": "warn"})).diagnose(case)
        first = before.diagnose(case)
        assert first.tree is not None and loose.tree is not None
        assert loose.tree.to_dict() == first.tree.to_dict()
        assert first.checks == ()
        assert len(loose.checks) == 2 * len(NAMES)
        jsonschema.validate(loose.to_dict(), schema())


def test_the_card_names_the_new_bundles(old: ModelSet, gates: dict[str, SafetyGate], tmp_path: Path) -> None:
    text = f"| clinical | {old.modalities['clinical'][:16]} |".encode()
    carded = replace(old, bundle=replace(old.bundle, files={**old.bundle.files, "card.md": text}))
    written = write_gates(carded, gates, tmp_path / "out")
    card = written.bundle.files["card.md"].decode()
    assert card == f"| clinical | {written.modalities['clinical'][:16]} |"


def test_a_set_can_be_fitted_in_its_place_and_again_with_the_same_bytes(
    new: ModelSet, gates: dict[str, SafetyGate], tmp_path: Path
) -> None:
    shutil.copytree(new.folder, tmp_path / "set")
    again = write_gates(ModelSet.open(tmp_path / "set"), gates, tmp_path / "set")
    assert again.bundle.digest == new.bundle.digest


def test_a_folder_that_holds_something_is_left_alone(
    old: ModelSet, gates: dict[str, SafetyGate], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(PathRejected, match="holds something"):
        write_gates(old, gates, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_cohort_without_training_lesions_is_a_cohort_error(
    old: ModelSet, images: list[LabelledImage]
) -> None:
    foreign = [replace(i, lesion=f"never-{i.lesion}") for i in images]
    with pytest.raises(CohortError, match="no clinical image"):
        fit_gates(old, foreign)


def test_a_view_given_as_the_other_is_refused_with_its_reason_and_score(pipeline: Pipeline) -> None:
    refused = 0
    for index in range(8):
        jpeg = make_lesion(77, index).jpegs["dermoscopy"]
        answer = pipeline.diagnose(Case(id="x", images=(ImageInput(modality="clinical", data=jpeg),)))
        found = {c.check.name: c for c in answer.checks}["other_modality"]
        assert (found.outcome == "refused") == (found.check.score > found.check.threshold)
        refused += found.outcome == "refused"
    assert refused >= 7


def test_the_tables_hold_every_kind_and_the_numbers_of_their_definitions(
    new: ModelSet, pipeline: Pipeline, images: list[LabelledImage]
) -> None:
    foreign = [f for f in foreign_images(drawn=6) if f.kind != "photograph"]
    rates, accuracies = judge(new, pipeline, images, foreign)
    kinds = {r.kind for r in rates if r.modality == "clinical"}
    assert kinds == {"own", "dermoscopy", "blur of 4 pixels", "noise", "blank", "text"}
    for r in rates:
        for told in (r.auroc, r.fpr95, r.refused):
            assert told is None or (0 <= told[1] <= told[0] <= told[2] <= 1)
        assert (r.auroc is None) == (r.kind == "own")
    own = next(r for r in rates if (r.modality, r.kind) == ("clinical", "own"))
    accuracy = next(a for a in accuracies if a.modality == "clinical")
    assert accuracy.accepted[0] == pytest.approx(1 - own.refused[0])
    blurred = next(r for r in rates if r.kind.startswith("blur") and r.modality == "clinical")
    assert blurred.auroc is not None and blurred.auroc[0] > 0.95


def test_foreign_images_are_the_same_for_a_seed_and_of_every_kind() -> None:
    first, again = list(foreign_images(drawn=2)), list(foreign_images(drawn=2))
    assert {f.kind for f in first} == {"photograph", "noise", "blank", "text"}
    assert all(isinstance(f, Foreign) and f.pixels.dtype == np.uint8 for f in first)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))


def test_the_command_line_takes_a_policy_and_refuses_an_unknown_check(new: ModelSet, tmp_path: Path) -> None:
    sharp = Image.fromarray(_pixels())
    sharp.filter(ImageFilter.GaussianBlur(9)).save(tmp_path / "soft.png")
    asked = ("diagnose", "--models", new.folder, "--image", f"clinical={tmp_path / 'soft.png'}", "--json")
    refused = json.loads(dxtree(*asked).stdout)
    assert refused["status"] == "abstained"
    assert {n["code"] for n in refused["notices"]} >= {"ImageLeftOut"}
    used = json.loads(dxtree(*asked, "--gate", "all=warn").stdout)
    assert used["used"] == ["clinical"]
    assert {n["code"] for n in used["notices"]} >= {"ImageWarning"}
    assert used["provenance"]["gate"] == {"all": "warn"}
    wrong = dxtree(*asked, "--gate", "blured=off")
    assert wrong.returncode == 2
    assert "did you mean 'blurred'" in wrong.stderr


def test_a_batch_is_another_one_under_another_policy() -> None:
    plain, loose = Recipe(), Recipe(gate=GatePolicy({"hair": "off"}))
    assert "gate" not in plain.to_dict()
    assert loose.to_dict()["gate"] == {"hair": "off"}
    assert loose.pipeline().gate == loose.gate


def _pixels() -> np.ndarray:
    import io

    return np.asarray(Image.open(io.BytesIO(make_lesion(5, 0).jpegs["clinical"])).convert("RGB"))
