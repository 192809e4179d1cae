"""Is a model set that opens the one that was written, to the last byte?"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.case import Case
from core.errors import BundleError, ContractError, ManifestMismatch, UnsafeFormat
from core.manifest import read_bundle, write_bundle
from core.partition import Partition, partition_tree
from core.split import TRAINING, VALIDATION
from core.taxonomy import Taxonomy
from plugins.assembly import assemble
from plugins.model_set import FUSER_MANIFEST, MANIFEST, MODALITY_MANIFEST, ModelSet, write_model_set
from plugins.registry import Registry

Load = Callable[..., Registry]

FILES = (
    "pipeline.json",
    "taxonomy.json",
    "partition.json",
    "lesions.json",
    "card.md",
    "clinical/bundle.json",
    "clinical/model.onnx",
    "clinical/card.md",
    "dermoscopy/bundle.json",
    "dermoscopy/model.onnx",
    "dermoscopy/card.md",
    "fusers/bayes/fuser.json",
    "fusers/bayes/table.json",
)


@pytest.fixture
def copy(models: ModelSet, tmp_path: Path) -> Path:
    return shutil.copytree(models.folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def shared_copy(models: ModelSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for thousands of damages, each undone."""
    return shutil.copytree(models.folder, tmp_path_factory.mktemp("shared") / "set")


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every parser of a bundle's files a failure of the test."""

    def parsed(*_: object, **__: object) -> None:
        pytest.fail("a parser ran on a damaged file")

    monkeypatch.setattr(onnxruntime, "InferenceSession", parsed)
    monkeypatch.setattr(Taxonomy, "from_dict", parsed)
    monkeypatch.setattr(Partition, "from_dict", parsed)


def open_all(folder: Path) -> ModelSet:
    """Opens the set and every bundle of it, as the first diagnosis does, up to where parsers begin."""
    found = ModelSet.open(folder)
    for modality in found.modalities:
        assert found.modality_bundle(modality)
    for fuser in found.fusers:
        assert found.fuser_bundle(fuser)
    return found


def rewrite(folder: Path, name: str, **replaced: Any) -> None:
    """Another manifest, whole in itself: what somebody would make who knows the format."""
    bundle = read_bundle(folder, name)
    manifest = {k: v for k, v in bundle.manifest.items() if k not in ("files", "sha256", "format")}
    write_bundle(folder, name, {**manifest, **replaced}, bundle.files)


def test_what_is_written_is_read_back(models: ModelSet, cells: Partition) -> None:
    found = open_all(models.folder)
    assert found.partition.fingerprint == cells.fingerprint
    assert found.partition.classes == cells.classes
    assert found.partition.report == cells.report
    assert found.partition.taxonomy.ids == cells.taxonomy.ids
    assert sorted(found.modalities) == ["clinical", "dermoscopy"]
    assert sorted(found.fusers) == ["bayes"]
    assert found.default_fuser == "image_only"
    assert found.bundle.manifest["licence"] == "CC0-1.0"
    assert found.bundle.files["card.md"] == b"# Tiny\n"
    assert sorted(found.contents()) == sorted(FILES)


def test_the_set_knows_lesions_by_hash_alone(models: ModelSet) -> None:
    assert [models.part_of(f"L{k}") for k in range(1, 5)] == [TRAINING, TRAINING, VALIDATION, None]
    assert b"L1" not in models.bundle.files["lesions.json"]


def test_a_moved_set_answers_to_the_bit(
    copy: Path, registry_with: Load, case: Case, expected: dict[str, float], tmp_path: Path
) -> None:
    moved = copy.rename(tmp_path / "a folder elsewhere")
    answer = assemble(registry_with(), open_all(moved)).diagnose(case)
    assert answer.tree is not None
    assert answer.tree.to_dict() == expected


def test_a_set_written_over_itself_is_the_same_set(
    copy: Path, cells: Partition, tiny: SimpleNamespace
) -> None:
    before = open_all(copy)
    again = write_model_set(
        copy,
        cells,
        tiny.split,
        modalities={m: copy / m for m in tiny.modalities},
        fusers={"bayes": ({"kind": "fuser", "fuser": "bayes"}, {"table.json": b"[1, 2]"})},
        default_fuser="image_only",
        about={"name": "tiny", "licence": "CC0-1.0"},
        texts={"card.md": b"# Tiny\n"},
    )
    assert again.bundle.digest == before.bundle.digest
    open_all(copy)


def test_a_set_written_over_another_keeps_no_card_of_it(
    copy: Path, cells: Partition, tiny: SimpleNamespace
) -> None:
    again = write_model_set(
        copy,
        cells,
        tiny.split,
        modalities={m: copy / m for m in tiny.modalities},
        fusers={},
        default_fuser="image_only",
        about={"name": "tiny", "licence": "CC0-1.0"},
        texts={},
    )
    assert not (copy / "card.md").exists()
    assert "card.md" not in again.bundle.files


def test_a_modality_that_the_set_lacks_has_no_bundle(models: ModelSet) -> None:
    assert models.modality_bundle("colposcopy") is None
    assert models.fuser_bundle("logistic") is None


def test_an_exchanged_bundle_that_is_whole_in_itself_is_refused(copy: Path, tiny: SimpleNamespace) -> None:
    other = partition_tree(Taxonomy.from_paths("other", [("a",), ("b",)]), {"a": 1, "b": 1}, max_size=1)
    shutil.rmtree(copy / "clinical")
    tiny.bundle(copy / "clinical", other, "clinical")
    found = ModelSet.open(copy)
    with pytest.raises(ManifestMismatch, match="'clinical' is another bundle than the model set names"):
        found.modality_bundle("clinical")


def test_bundles_that_changed_places_are_refused(copy: Path) -> None:
    (copy / "clinical").rename(copy / "x")
    (copy / "dermoscopy").rename(copy / "clinical")
    (copy / "x").rename(copy / "dermoscopy")
    found = ModelSet.open(copy)
    for modality in ("clinical", "dermoscopy"):
        with pytest.raises(ManifestMismatch):
            found.modality_bundle(modality)


# calibrations


def calibrated(folder: Path, cells: Partition, tiny: SimpleNamespace, **replaced: Any) -> ModelSet:
    """The set at a folder, written over itself with two calibrations of `image_only`."""
    manifest = {"kind": "calibration", "calibrator": "identity"}
    given: dict[str, Any] = {
        "default_fuser": "image_only",
        "calibrations": {"image_only": {"all": (manifest, {}), "first": (manifest, {"a.json": b"{}"})}},
        "default_calibration": "all",
    }
    return write_model_set(
        folder,
        cells,
        tiny.split,
        modalities={m: folder / m for m in tiny.modalities},
        fusers={},
        about={"name": "tiny", "licence": "CC0-1.0"},
        texts={},
        **{**given, **replaced},
    )


def test_a_set_without_calibrations_has_none(models: ModelSet) -> None:
    assert models.calibrations == {}
    assert models.default_calibration is None
    assert models.calibration_bundle("image_only", "all") is None
    assert "calibrations" not in models.bundle.manifest


def test_calibrations_are_read_back_by_fuser_and_name(
    copy: Path, cells: Partition, tiny: SimpleNamespace
) -> None:
    found = calibrated(copy, cells, tiny)
    assert {f: sorted(names) for f, names in found.calibrations.items()} == {"image_only": ["all", "first"]}
    assert found.default_calibration == "all"
    bundle = found.calibration_bundle("image_only", "first")
    assert bundle is not None
    assert bundle.files == {"a.json": b"{}"}
    assert found.calibration_bundle("image_only", "second") is None
    assert found.calibration_bundle("bayes", "all") is None
    assert "calibrations/image_only/first/calibration.json" in found.contents()


def test_no_byte_of_a_calibration_can_change(copy: Path, cells: Partition, tiny: SimpleNamespace) -> None:
    found = calibrated(copy, cells, tiny)
    path = copy / "calibrations" / "image_only" / "first" / "a.json"
    path.write_bytes(b"[]")
    with pytest.raises(ManifestMismatch):
        found.calibration_bundle("image_only", "first")
    path.write_bytes(b"{}")
    shutil.copytree(
        copy / "calibrations/image_only/first", copy / "calibrations/image_only/all", dirs_exist_ok=True
    )
    with pytest.raises(ManifestMismatch, match="'all' is another bundle than the model set names"):
        found.calibration_bundle("image_only", "all")


def test_a_set_written_over_another_keeps_no_calibration_of_it(
    copy: Path, cells: Partition, tiny: SimpleNamespace
) -> None:
    before = calibrated(copy, cells, tiny, calibrations=None, default_calibration=None).bundle.digest
    calibrated(copy, cells, tiny)
    again = calibrated(copy, cells, tiny, calibrations=None, default_calibration=None)
    assert not (copy / "calibrations").exists()
    assert again.bundle.digest == before


@pytest.mark.parametrize("name", ["../out", "..", "a/b", "none", ""])
def test_a_calibration_bears_the_name_of_a_folder(
    name: str, copy: Path, cells: Partition, tiny: SimpleNamespace
) -> None:
    with pytest.raises(ContractError, match="cannot be called"):
        calibrated(copy, cells, tiny, calibrations={"image_only": {name: ({}, {})}}, default_calibration=None)
    assert open_all(copy)


def test_a_default_calibration_is_one_of_the_default_fuser(
    copy: Path, cells: Partition, tiny: SimpleNamespace
) -> None:
    with pytest.raises(ContractError, match="'image_only' has no calibration 'third'"):
        calibrated(copy, cells, tiny, default_calibration="third")
    with pytest.raises(ContractError, match="'bayes' has no calibration 'all'"):
        calibrated(copy, cells, tiny, default_fuser="bayes")


@pytest.mark.parametrize(
    ("key", "value"), [("calibrations", []), ("calibrations", {"bayes": "x"}), ("default_calibration", 3)]
)
def test_a_manifest_that_names_calibrations_wrongly_is_refused(key: str, value: object, copy: Path) -> None:
    rewrite(copy, MANIFEST, **{key: value})
    with pytest.raises(ContractError, match=f"needs {key!r}"):
        getattr(ModelSet.open(copy), key)


# damage


def damages(size: int, every: int) -> Iterator[Callable[[bytes], bytes]]:
    """Flipped bits every so many bytes, truncations, zeroed and blanked pages, doubled ends."""
    for at in range(0, size, every):
        yield lambda b, at=at: b[:at] + bytes([b[at] ^ 1 << (at * 7 // every) % 8]) + b[at + 1 :]
    for kept in sorted({0, 1, size // 4, size // 2, size - 2, size - 1}):
        yield lambda b, kept=kept: b[:kept]
    for start in range(0, size, 512):
        yield lambda b, start=start: b[:start] + bytes(len(b[start : start + 512])) + b[start + 512 :]
        yield lambda b, start=start: b[:start] + b" " * len(b[start : start + 512]) + b[start + 512 :]
    yield lambda b: b + b"\n"
    yield lambda b: b + b


@pytest.mark.usefixtures("no_parser")
@pytest.mark.parametrize("file", FILES)
def test_no_damage_to_any_file_gets_past_the_digests(file: str, shared_copy: Path) -> None:
    path = shared_copy / file
    whole = path.read_bytes()
    tried = 0
    try:
        for damage in damages(len(whole), max(1, len(whole) // 200)):
            damaged = damage(whole)
            if damaged == whole:
                continue
            path.write_bytes(damaged)
            with pytest.raises(BundleError):
                open_all(shared_copy)
            tried += 1
    finally:
        path.write_bytes(whole)
    assert tried >= min(len(whole), 150)
    open_all(shared_copy)


@pytest.mark.usefixtures("no_parser")
@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_no_single_byte_of_any_file_can_change(file: str, shared_copy: Path) -> None:
    path = shared_copy / file
    whole = path.read_bytes()
    try:
        for damage in damages(len(whole), 1):
            damaged = damage(whole)
            if damaged != whole:
                path.write_bytes(damaged)
                with pytest.raises(BundleError):
                    open_all(shared_copy)
    finally:
        path.write_bytes(whole)


@pytest.mark.usefixtures("no_parser")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_random_rewriting_of_a_file_gets_past_the_digests(shared_copy: Path, data: st.DataObject) -> None:
    path = shared_copy / data.draw(st.sampled_from(FILES))
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - start))
    damaged = whole[:start] + data.draw(st.binary(max_size=64)) + whole[start + length :]
    try:
        path.write_bytes(damaged)
        if damaged == whole:
            open_all(shared_copy)
        else:
            with pytest.raises(BundleError):
                open_all(shared_copy)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.usefixtures("no_parser")
def test_a_missing_file_is_a_typed_error_with_exit_code_3(file: str, copy: Path) -> None:
    (copy / file).unlink()
    with pytest.raises(BundleError) as caught:
        open_all(copy)
    assert caught.value.exit_code == 3
    assert str(copy.parent) not in caught.value.safe_message


@pytest.mark.parametrize("file", ["model.onnx", "bundle.json"])
def test_a_folder_in_a_file_s_place_is_a_typed_error(file: str, copy: Path) -> None:
    (copy / "clinical" / file).unlink()
    (copy / "clinical" / file).mkdir()
    with pytest.raises(BundleError):
        open_all(copy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_file_s_place_does_not_hang(copy: Path) -> None:
    (copy / "clinical" / "model.onnx").unlink()
    os.mkfifo(copy / "clinical" / "model.onnx")
    with pytest.raises(BundleError):
        open_all(copy)


# formats that run code


@pytest.mark.parametrize("folder", [".", "clinical", "fusers/bayes"])
@pytest.mark.parametrize("name", ["model.pkl", "x.PICKLE", "m.joblib", "w.pt", "w.pth", "w.bin", "a.npy"])
def test_a_file_that_can_run_code_is_refused_wherever_it_lies(folder: str, name: str, copy: Path) -> None:
    (copy / folder / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UnsafeFormat, match="can run code when read and are never opened"):
        open_all(copy)


@pytest.mark.parametrize("folder", [".", "clinical", "fusers/bayes"])
def test_a_file_that_no_manifest_lists_is_refused(folder: str, copy: Path) -> None:
    (copy / folder / "more.json").write_text("{}")
    with pytest.raises(ManifestMismatch, match=r"'more\.json', which its manifest does not list"):
        open_all(copy)


def test_a_manifest_that_lists_a_pickle_is_refused_although_its_digests_are_right(copy: Path) -> None:
    folder = copy / "clinical"
    (folder / "weights.pkl").write_bytes(b"x")
    text = (folder / "bundle.json").read_text()
    own = json.loads(text)["sha256"]
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of b"x"
    text = text.replace('"files": {', f'"files": {{\n  "weights.pkl": "{digest}",').replace(own, "0" * 64)
    (folder / "bundle.json").write_text(text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest()))
    with pytest.raises(UnsafeFormat):
        read_bundle(folder, MODALITY_MANIFEST)


@pytest.mark.parametrize("name", ["weights.pkl", "../out.json", "a/b.json", "run.py", "noending"])
def test_a_bundle_is_never_written_with_such_a_file(name: str, tmp_path: Path) -> None:
    with pytest.raises((UnsafeFormat, ContractError)):
        write_bundle(tmp_path / "made", "bundle.json", {}, {"good.json": b"{}", name: b"x"})
    assert not list((tmp_path / "made").iterdir())


# versions and contracts


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_format_version_is_refused(version: object, copy: Path) -> None:
    rewrite(copy, MANIFEST, format=version)
    with pytest.raises(ContractError, match=r"has bundle format .*; this version reads 1"):
        ModelSet.open(copy)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "{", '{"format": 1}', '{"format": 1, "files": 3}', "[" * 100_000]
)
def test_a_manifest_that_is_none_is_a_typed_error(text: str, copy: Path) -> None:
    (copy / MANIFEST).write_text(text)
    with pytest.raises(BundleError):
        ModelSet.open(copy)


@pytest.mark.parametrize("folder", ["clinical", "fusers/bayes"])
def test_a_bundle_is_no_model_set(folder: str, copy: Path) -> None:
    name = MODALITY_MANIFEST if folder == "clinical" else FUSER_MANIFEST
    (copy / folder / name).rename(copy / folder / MANIFEST)
    with pytest.raises(ContractError, match="is not a model set"):
        ModelSet.open(copy / folder)


@pytest.mark.parametrize(
    ("key", "value"), [("modalities", None), ("fusers", []), ("default_fuser", 3), ("modalities", "clinical")]
)
def test_a_manifest_with_an_entry_of_another_type_is_refused(key: str, value: object, copy: Path) -> None:
    rewrite(copy, MANIFEST, **{key: value})
    found = ModelSet.open(copy)
    with pytest.raises(ContractError, match=f"needs {key!r}"):
        getattr(found, key)


def test_a_partition_that_the_manifest_does_not_name_is_refused(copy: Path) -> None:
    rewrite(copy, MANIFEST, partition="0" * 64)
    with pytest.raises(ContractError, match="not the partition that the model set's manifest names"):
        assert ModelSet.open(copy).partition


FOREIGN = {
    "another taxonomy": {"taxonomy": "f" * 64},
    "another partition": {"partition": "f" * 64},
    "other classes": {"classes": ["a", "b"]},
    "the classes in another order": {
        "classes": ["malignant:carcinoma", "malignant:melanoma", "benign:keratosis", "benign:nevus"]
    },
    "another modality": {"modality": "colposcopy"},
    "another kind": {"kind": "fuser"},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_bundle_of_something_else_is_refused_before_its_graph_is_read(
    what: str,
    cells: Partition,
    tiny: SimpleNamespace,
    tmp_path: Path,
    registry_with: Load,
    monkeypatch: pytest.MonkeyPatch,
    case: Case,
) -> None:
    made = write_model_set(
        tmp_path / "set",
        cells,
        tiny.split,
        modalities={"clinical": tiny.bundle(tmp_path / "clinical", cells, "clinical", **FOREIGN[what])},
        fusers={},
        default_fuser="image_only",
        about={"name": "foreign"},
        texts={},
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("the graph was read"))
    pipeline = assemble(registry_with(), made)
    with pytest.raises(ContractError, match="differs from the pipeline's; they do not belong together"):
        pipeline.models["clinical"]()


FAULTY = {
    "no temperature": {"temperature": None},
    "a temperature of nothing": {"temperature": 0},
    "a temperature in words": {"temperature": "warm"},
    "no preprocessing": {"preprocessing": None},
    "preprocessing without a size": {"preprocessing": {"resize": 72}},
    "a prior without a class": {"prior": {"benign:nevus": 1.0}},
    "a prior in words": {"prior": dict.fromkeys(["benign:nevus", "benign:keratosis"], "often")},
    "a prior that sums to two": {
        "prior": dict.fromkeys(
            ["benign:nevus", "benign:keratosis", "malignant:melanoma", "malignant:carcinoma"], 0.5
        )
    },
    "an empty gate": {"checks": {}},
    "no architecture": {"architecture": None},
}


@pytest.mark.parametrize("what", FAULTY)
def test_a_bundle_with_a_faulty_manifest_is_a_contract_error_at_load(
    what: str, cells: Partition, tiny: SimpleNamespace, tmp_path: Path, registry_with: Load
) -> None:
    made = write_model_set(
        tmp_path / "set",
        cells,
        tiny.split,
        modalities={"clinical": tiny.bundle(tmp_path / "clinical", cells, "clinical", **FAULTY[what])},
        fusers={},
        default_fuser="image_only",
        about={"name": "faulty"},
        texts={},
    )
    with pytest.raises(ContractError):
        assemble(registry_with(), made).models["clinical"]()
