"""Is a fitted fuser the same after a journey over the disk, and refused where it is not what it says?"""

from __future__ import annotations

import builtins
import json
import subprocess
import sys

import numpy as np
import pytest

from core.case import PatientMetadata
from core.errors import BundleError, ContractError, ManifestMismatch, MissingExtra
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import partition_tree
from fusion.training import fit_fuser

LEARNERS = (
    "bayes",
    "boosted",
    "boosted_monotone",
    "joint_concat",
    "joint_metablock",
    "logistic",
    "pool",
    "stack",
)
LIGHT = ("bayes", "joint_concat", "joint_metablock", "logistic", "pool")
"""Fusers with one file of arrays, which answer with numpy alone."""

BOTH = ("clinical", "dermoscopy")
WEIGHTED = ("bayes", "boosted", "boosted_monotone", "joint_concat", "joint_metablock", "pool")


@pytest.mark.parametrize("name", LEARNERS)
def test_a_bundle_read_back_answers_with_the_same_bits(
    name, tmp_path, fitted, specs, fuser_of, clinic, cases
):
    manifest, files = fitted(name)
    write_bundle(tmp_path / "written", "fuser.json", manifest, files)
    (tmp_path / "written").rename(tmp_path / "moved")
    again = specs[name].load(clinic.cells, read_bundle(tmp_path / "moved", "fuser.json"))
    for case in cases[:60]:
        ours, theirs = (f.fuse(case.evidence, case.patient) for f in (fuser_of(name), again))
        assert ours.values.tobytes() == theirs.values.tobytes()


@pytest.mark.parametrize("name", LEARNERS)
def test_the_manifest_says_what_was_fitted_on_what(name, fitted, clinic, cases):
    manifest, _ = fitted(name)
    assert manifest["kind"] == "fuser"
    assert manifest["fuser"] == name
    assert manifest["classes"] == list(clinic.cells.ids)
    assert manifest["partition"] == clinic.cells.fingerprint
    assert manifest["modalities"] == ["clinical", "dermoscopy"]
    assert manifest["fields"] == ([] if name == "pool" else ["age_years", "sex", "site"])
    assert manifest["temperature"] > 0
    assert manifest["balance_power"] == 0.5
    assert manifest["seed"] == 0
    assert manifest["lesions"] == len(cases)
    assert "numpy" in manifest["library_versions"]
    assert "licence" not in manifest
    json.dumps(manifest, allow_nan=False)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_flipped_byte_is_refused_before_it_is_parsed(name, tmp_path, fitted):
    manifest, files = fitted(name)
    write_bundle(tmp_path, "fuser.json", manifest, files)
    for file in files:
        path = tmp_path / file
        whole = path.read_bytes()
        for at in (0, len(whole) // 2, len(whole) - 1):
            broken = bytearray(whole)
            broken[at] ^= 1
            path.write_bytes(broken)
            with pytest.raises(ManifestMismatch):
                read_bundle(tmp_path, "fuser.json")
        path.write_bytes(whole)


@pytest.mark.parametrize("name", LEARNERS)
def test_no_bundle_is_refused_with_the_remedy(name, specs, clinic):
    with pytest.raises(BundleError, match="fit-fusion"):
        specs[name].load(clinic.cells, None)


def test_image_only_takes_no_bundle(specs, clinic, bundle_of):
    with pytest.raises(BundleError, match="takes no bundle"):
        specs["image_only"].load(clinic.cells, bundle_of("bayes"))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_foreign_partition_is_refused(name, specs, clinic, bundle_of):
    other = partition_tree(clinic.cells.taxonomy, {"benign": 5, "malignant": 5}, max_size=6)
    with pytest.raises(ContractError, match="other training classes"):
        specs[name].load(other, bundle_of(name))


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "modality"},
        {"fuser": "another"},
        {"partition": "0" * 64},
        {"classes": ["a", "b"]},
        {"modalities": ["dermoscopy", "clinical"]},
        {"modalities": ["clinical", "clinical"]},
        {"modalities": []},
        {"modalities": [1]},
        {"modalities": ["clinical"]},
        {"fields": ["skin_tone"]},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"temperature": "1"},
        {"first_level_shift": {"benign:vessel": 0.0}},
        {"first_level_shift": None},
        {"own_weight": -0.1},
        {"own_weight": 1.5},
        {"own_weight": float("nan")},
        {"own_weight": "1"},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_is_refused(name, wrong, specs, clinic, bundle_of):
    with pytest.raises(ContractError):
        specs[name].load(clinic.cells, bundle_of(name, **wrong))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, {"weights": {"clinical": 1.0}}) for name in WEIGHTED),
        *((name, {"weights": {"clinical": 1.0, "dermoscopy": -1.0}}) for name in WEIGHTED),
        *((name, {"weights": {"clinical": 1.0, "dermoscopy": float("nan")}}) for name in WEIGHTED),
        ("bayes", {"weights": {"clinical": 1.0, "dermoscopy": True}}),
        ("bayes", {"weights": {m: {"alone": 1.0} for m in BOTH}}),
        ("bayes", {"weights": {m: {"alone": 1.0, "among": 3.5} for m in BOTH}}),
        ("bayes", {"weights": {m: {"alone": 1.0, "among": "1"} for m in BOTH}}),
        ("bayes", {"metadata_weight": float("nan")}),
        ("bayes", {"metadata_weight": 9.0}),
        ("bayes", {"sites": ["moon"]}),
        ("boosted", {"entries": ["age"]}),
        ("boosted_monotone", {"entries": ["age"]}),
        ("joint_concat", {"entries": ["age"]}),
        ("joint_metablock", {"entries": ["age"]}),
        ("logistic", {"entries": ["age"]}),
        ("stack", {"weights": {}}),
        ("stack", {"weights": {"image_only": 1.0}}),
        ("stack", {"weights": {"image_only": 0.7, "boosted": 0.3}}),
        ("stack", {"weights": {"image_only": 0.5}, "bases": {}}),
        ("stack", {"weights": {"image_only": float("nan")}, "bases": {}}),
        ("stack", {"weights": {"image_only": 2.0, "pool": -1.0}, "bases": {"pool": {}}}),
        ("stack", {"weights": {"pool": 1.0}, "bases": {"pool": {}}}),
        ("stack", {"weights": {"pool": 1.0}, "bases": {"pool": None}}),
        ("stack", {"weights": {"pool": 1.0}, "bases": {"pool": {"files": ["pool.safetensors"]}}}),
    ],
    ids=str,
)
def test_an_entry_of_ones_own_that_does_not_fit_is_refused(name, wrong, specs, clinic, bundle_of):
    with pytest.raises(ContractError):
        specs[name].load(clinic.cells, bundle_of(name, **wrong))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_bundle_without_its_arrays_is_refused(name, specs, clinic, bundle_of):
    bundle = bundle_of(name)
    for file in bundle.files:
        lacking = Bundle(bundle.manifest, {f: b for f, b in bundle.files.items() if f != file}, "digest")
        with pytest.raises(ContractError, match="lacks"):
            specs[name].load(clinic.cells, lacking)


def test_old_bundles_with_one_weight_a_modality_use_it_for_both(specs, clinic, bundle_of, cases):
    """And without an own weight the answer is the fuser's own."""
    case = next(c for c in cases if len(c.evidence) == 2 and c.patient.known())
    old, new = bundle_of("bayes"), bundle_of("bayes")
    plain = {k: v for k, v in old.manifest.items() if k != "own_weight"}
    old = Bundle({**plain, "weights": {"clinical": 0.5, "dermoscopy": 0.8}}, old.files, "d")
    both = {"clinical": {"alone": 0.5, "among": 0.5}, "dermoscopy": {"alone": 0.8, "among": 0.8}}
    new = Bundle({**plain, "weights": both, "own_weight": 1.0}, new.files, "d")
    for evidence in (case.evidence, case.evidence[:1]):
        ours, theirs = (specs["bayes"].load(clinic.cells, b).fuse(evidence, case.patient) for b in (old, new))
        assert ours.values.tobytes() == theirs.values.tobytes()


def test_a_stack_refuses_a_base_that_is_damaged_or_of_another_fit(specs, clinic, bundle_of, fitted):
    bundle = bundle_of("stack")
    name = sorted(bundle.manifest["bases"])[0]
    base = bundle.manifest["bases"][name]
    file = f"{name}.{base['files'][0]}"
    shorter = {**bundle.files, file: bundle.files[file][:30]}
    with pytest.raises(ContractError, match="cannot be read"):
        specs["stack"].load(clinic.cells, Bundle(bundle.manifest, shorter, "d"))
    for wrong in ({"fuser": "image_only"}, {"partition": "0" * 64}, {"temperature": -1.0}):
        bases = {**bundle.manifest["bases"], name: {**base, **wrong}}
        with pytest.raises(ContractError):
            specs["stack"].load(clinic.cells, bundle_of("stack", bases=bases))


def test_a_stack_holds_the_bases_that_have_a_weight_and_no_other(fitted):
    manifest, files = fitted("stack")
    assert sum(manifest["weights"].values()) == pytest.approx(1)
    assert min(manifest["weights"].values()) > 0
    learners = set(manifest["weights"]) - {"image_only"}
    assert set(manifest["bases"]) == {file.split(".")[0] for file in files} == learners
    for name in learners:
        assert manifest["bases"][name] == {**fitted(name)[0], "files": sorted(fitted(name)[1])}


@pytest.mark.parametrize("name", LIGHT)
def test_arrays_that_do_not_fit_are_refused(name, specs, clinic, bundle_of):
    from safetensors.numpy import load, save

    bundle = bundle_of(name)
    ((file, content),) = bundle.files.items()
    arrays = load(content)
    first = sorted(arrays)[0]
    for broken in (
        {**arrays, first: arrays[first][..., :-1].copy()},
        {**arrays, first: arrays[first].astype(np.float32)},
        {**arrays, first: np.full_like(arrays[first], np.nan)},
        {k: v for k, v in arrays.items() if k != first},
    ):
        with pytest.raises(ContractError):
            specs[name].load(clinic.cells, Bundle(bundle.manifest, {file: save(broken)}, "digest"))
    with pytest.raises(ContractError, match="cannot be read"):
        specs[name].load(clinic.cells, Bundle(bundle.manifest, {file: content[:20]}, "digest"))


def test_the_licence_is_stated_where_the_caller_gives_one(clinic, specs):
    manifest, files = fit_fuser(specs["bayes"], clinic.cases(60, 5), clinic.cells, 0, licence="CC BY-NC 4.0")
    assert manifest["licence"] == "CC BY-NC 4.0"
    fuser = specs["bayes"].load(clinic.cells, Bundle(manifest, files, "abc"))
    assert fuser.provenance["licence"] == "CC BY-NC 4.0"
    assert fuser.provenance["digest"] == "abc"


@pytest.fixture
def without(monkeypatch):
    """Makes a library impossible to import."""

    def of(library):
        whole = builtins.__import__

        def lacking(name, *rest, **more):
            if name.split(".")[0] == library:
                raise ImportError(name)
            return whole(name, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", lacking)

    return of


@pytest.mark.parametrize("name", ["boosted", "boosted_monotone"])
def test_without_xgboost_the_boosted_fusers_name_the_extra(name, without, specs, clinic, bundle_of, cases):
    bundle = bundle_of(name)
    without("xgboost")
    with pytest.raises(MissingExtra, match=r"dxtree\[boosted\]"):
        specs[name].load(clinic.cells, bundle)
    with pytest.raises(MissingExtra):
        specs[name].fit(cases, clinic.cells, 0)


@pytest.mark.parametrize("name", ["joint_concat", "joint_metablock", "stack"])
def test_without_torch_the_fit_of_a_net_names_the_extra(name, without, specs, clinic, cases):
    without("torch")
    with pytest.raises(MissingExtra, match=r"dxtree\[train\]"):
        specs[name].fit(cases[:60], clinic.cells, 0)


PROBE = """
import sys
from pathlib import Path
from core.case import PatientMetadata
from core.manifest import read_bundle
from core.partition import partition_tree
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from core.taxonomy import Taxonomy
from fusion.plugin import dxtree_fusers

HEAVY = {"sklearn", "scipy", "xgboost", "torch", "pandas"}
specs = {s.name: s for s in dxtree_fusers()}
assert not HEAVY & set(sys.modules), "the plugin imports a heavy library"
assert "fusion.training" not in sys.modules, "the plugin imports a fuser"
cells = partition_tree(Taxonomy.from_json(sys.argv[1]), {COUNTS}, max_size=60)
flat = LeafProbabilities.from_weights(cells.ids, [1.0] * len(cells.ids))
evidence = [Evidence(m, flat, flat, 1) for m in ("clinical", "dermoscopy")]
for name in ("image_only", *{NAMES}):
    bundle = read_bundle(Path(sys.argv[2]) / name, "fuser.json") if specs[name].fit else None
    specs[name].load(cells, bundle).fuse(evidence, PatientMetadata(age_years=50, sex="male", site="ear"))
found = sorted(HEAVY & set(sys.modules))
assert not found, found
print("light")
"""


def test_inference_imports_no_heavy_library(tmp_path, clinic, fitted):
    counts = {c.node: c.images for c in clinic.cells.classes}
    (tmp_path / "tree.json").write_text(clinic.cells.taxonomy.to_json())
    names = (*LIGHT, "stack")
    for name in names:
        write_bundle(tmp_path / name, "fuser.json", *fitted(name))
    code = PROBE.replace("{COUNTS}", repr(counts)).replace("{NAMES}", repr(names))
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tree.json"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout.strip() == "light", run.stderr


def test_the_bytes_that_were_checked_are_those_that_xgboost_parses(specs, clinic, bundle_of, fuser_of, cases):
    """A bundle lives in memory alone: nothing is read from a disk again."""
    fuser = specs["boosted"].load(clinic.cells, bundle_of("boosted"))
    patient = PatientMetadata(age_years=50)
    ours, theirs = (f.fuse(cases[0].evidence, patient) for f in (fuser, fuser_of("boosted")))
    assert ours == theirs
