"""From a trained run to a compressed bundle that diagnoses, through the command line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.manifest import read_bundle
from core.split import TRAINING, VALIDATION
from dxtree.cli.main import run as command_line
from dxtree.cohorts.reading import read_cohorts
from dxtree.compressing import find_source, from_set, page
from dxtree.compressing import rivals as ways
from modalities.compression import sections
from modalities.compression.retraining import PRUNED, compress_net
from modalities.compression.settings import CompressionConfig
from modalities.engines import load_engine
from modalities.engines.graphs import source_graph
from modalities.training.run import open_run
from plugins.assembly import load_registry
from plugins.model_set import ModelSet

Call = Callable[..., tuple[int, str, str]]

RECIPE = [
    *("--architecture", "shufflenet_v2_x0_5", "--size", "32", "--test-size", "40", "--epochs", "1"),
    *("--batch", "6", "--learning-rate", "0.002", "--max-size", "9", "--folds", "2", "--validation", "0.2"),
    *("--precision", "fp32", "--threads", "1"),
]
FIELDS = {"pruning_epochs": 1, "retraining_epochs": 0, "sharing_epochs": 1, "every": 2, "ema": 0.0}
QUICK = [
    *(part for k, v in FIELDS.items() for part in ("--set", f"{k}={v}")),
    *("--resamples", "20", "--threads", "1"),
]


def call(patch: pytest.MonkeyPatch, *arguments: str) -> int:
    patch.setattr(sys, "argv", ["dxtree", *arguments])
    with pytest.raises(SystemExit) as end:
        command_line()
    return int(end.value.code or 0)


@pytest.fixture
def dxtree(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = call(monkeypatch, *arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def cohort(isic_folder: Callable[[Path, int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return isic_folder(tmp_path_factory.mktemp("cohort") / "isic", 10)


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RUN, its bundle, and SET, a model set of it."""
    folder = tmp_path_factory.mktemp("trained")
    given = ["--cohort", f"isic={cohort}"]
    with pytest.MonkeyPatch.context() as patch:
        assert (
            call(patch, "train", "--modality", "dermoscopy", *given, "--out", str(folder / "run"), *RECIPE)
            == 0
        )
        fusers = ["--fuser", "bayes", "--fuser", "logistic", "--name", "drawn", "--demonstration"]
        runs = ["--run", str(folder / "run"), "--out", str(folder / "set")]
        assert call(patch, "fit-fusion", *runs, *given, *fusers) == 0
    return folder


@pytest.fixture(scope="module")
def made(trained: Path, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a compression of the run's bundle wrote."""
    out = tmp_path_factory.mktemp("made") / "out"
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, *of_run(trained, cohort, out, "--target-ratio", "12")) == 0
    return out


def of_run(trained: Path, cohort: Path, out: Path, *more: str) -> list[str]:
    run = str(trained / "run")
    given = [f"{run}/bundle", "--run", run, "--cohort", f"isic={cohort}", "--out", str(out)]
    return ["compress", *given, *QUICK, *more]


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text("utf-8")))


def test_the_bundle_keeps_the_old_manifest_and_holds_the_compressed_file(made: Path, trained: Path) -> None:
    old, new = (read_bundle(f, "bundle.json") for f in (trained / "run" / "bundle", made / "bundle"))
    assert set(new.files) == {*old.files, "model.dxc"} - {"model.onnx"}
    for key in (
        "classes",
        "temperature",
        "checks",
        "prior",
        "partition",
        "taxonomy",
        "preprocessing",
        "training",
    ):
        assert new.manifest[key] == old.manifest[key]
    told = new.manifest["compression"]
    assert told["source"] == old.digest
    assert told["dense"] == old.manifest["files"]["model.onnx"]
    assert told["bytes"] == (made / "bundle" / "model.dxc").stat().st_size
    assert told["ratio"] == pytest.approx(told["float32_bytes"] / told["bytes"])
    assert told["config"]["target_ratio"] == 12
    assert told["ratio"] >= 12


def test_the_bundle_diagnoses_as_its_graph_says(made: Path) -> None:
    bundle = read_bundle(made / "bundle", "bundle.json")
    image = np.random.default_rng(0).normal(0, 1, (1, 3, 40, 40)).astype(np.float32)
    answers = [load_engine(bundle, name)(image) for name in ("onnxruntime", "torch")]
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)


def test_the_report_adds_up(made: Path) -> None:
    told = report(made)
    one = told["compressed"][0]
    assert one["bytes"] == (made / "bundle" / "model.dxc").stat().st_size
    layers = sum(layer["bytes"] for layer in one["layers"])
    assert layers + sum(one["other_bytes"].values()) == one["bytes"]
    assert told["against"]["bytes"] > 4 * told["against"]["parameters"]
    rows = {r["method"]: r for r in told["rows"]}
    assert list(rows) == [
        "float32", "float16", "int8", "int8, zstd", "pruned, float16, zstd", "pruned, shared, float16, zstd",
        "Deep Compression",
    ]  # fmt: skip
    assert rows["float32"]["balanced_accuracy_change"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert rows["float32"]["ratio"] == 1
    sizes = [rows[n]["bytes"] for n in ("float32", "float16", "int8", "int8, zstd", "Deep Compression")]
    assert sizes == sorted(sizes, reverse=True)
    for row in rows.values():
        assert row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"]
    assert told["judged_on"]["lesions"] == 6
    assert (made / "report.md").read_text("utf-8") == page(told)


def test_validation_lesions_train_nothing_and_calibrate_nothing(trained: Path, cohort: Path) -> None:
    models = ModelSet.open(trained / "set")
    images = read_cohorts(load_registry(), [f"isic={cohort}"], models.partition.taxonomy)
    run = open_run(trained / "run", models.partition.taxonomy, images)
    of_set = from_set(find_source(trained / "set" / "dermoscopy", None), images, trained / "unused")
    for part in (TRAINING, VALIDATION):
        one, other = (sorted(i.image for i in r.split.select(r.images, part)) for r in (run, of_set.run))
        assert one == other
        assert one
    chosen = of_set.chosen(100, None)
    assert {i.lesion for i in chosen.calibration}.isdisjoint(x.lesion for x in chosen.validation)
    assert {i.image for i in of_set.run.training_images("final")} == {i.image for i in chosen.calibration}


def test_the_same_command_resumes_and_checkpoints_of_compress_net_are_taken_up(
    made: Path, trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    models = ModelSet.open(trained / "set")
    images = read_cohorts(load_registry(), [f"isic={cohort}"], models.partition.taxonomy)
    material = from_set(find_source(trained / "set", "dermoscopy"), images, tmp_path)
    config = CompressionConfig.model_validate({**FIELDS, "target_ratio": 12})
    data, _ = material.run.training_set("final")
    folder = tmp_path / "out" / "retraining"
    compress_net(material.dense(), data, material.run.config, config, folder, lambda row: None)
    (folder / PRUNED).unlink()  # as earlier versions wrote none
    code, _, _ = dxtree(*of_run(trained, cohort, tmp_path / "out", "--target-ratio", "12"))
    assert code == 0
    file = (tmp_path / "out" / "bundle" / "model.dxc").read_bytes()
    assert file == (made / "bundle" / "model.dxc").read_bytes()
    rows = {r["method"]: r for r in report(tmp_path / "out")["rows"]}
    assert "did not keep" in rows["pruned, float16, zstd"]["reason"]


def test_a_ratio_that_is_missed_is_said_and_the_bundle_is_there(
    trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    asked = ["--target-ratio", "20", "--set", "sparsity=0.1", "--json"]
    code, out, err = dxtree(*of_run(trained, cohort, tmp_path / "out", *asked))
    assert code == 4
    told = json.loads(out)
    assert told["compressed"][0]["reached"] is False
    assert f"1/{told['compressed'][0]['ratio']:.1f}" in err
    assert "not 1/20 as asked" in err
    assert (tmp_path / "out" / "bundle" / "model.dxc").is_file()


def test_a_curve_of_a_model_set_has_a_row_each_and_a_knee(
    trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    given = [str(trained / "set"), "--cohort", f"isic={cohort}", "--out", str(tmp_path)]
    code, _, _ = dxtree("compress", *given, *QUICK, "--curve", "20,10")
    assert code == 0
    told = report(tmp_path)
    assert [m["target_ratio"] for m in told["compressed"]] == [10, 20]
    assert told["compressed"][0]["bytes"] > told["compressed"][1]["bytes"]
    for ratio in ("10", "20"):
        file = (tmp_path / ratio / "bundle" / "model.dxc").read_bytes()
        assert sections(file)
    assert "knee" in told
    assert "Knee" in (tmp_path / "report.md").read_text("utf-8")


def test_a_run_whose_folds_are_not_trained_is_compressed_uncalibrated(
    trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(trained / "run", bare, ignore=shutil.ignore_patterns("bundle", "fold-*"))
    given = [str(bare), "--cohort", f"isic={cohort}", "--out", str(tmp_path / "out")]
    code, _, _ = dxtree("compress", *given, *QUICK, "--target-ratio", "10")
    assert code == 0
    assert read_bundle(tmp_path / "out" / "bundle", "bundle.json").manifest["temperature"] == 1.0
    assert "no folds" in report(tmp_path / "out")["temperature"]
    dense = read_bundle(tmp_path / "out" / "dense", "bundle.json")
    assert source_graph(dense) == source_graph(read_bundle(trained / "run" / "bundle", "bundle.json"))
    written = (tmp_path / "out" / "dense" / "bundle.json").stat().st_mtime_ns
    assert dxtree("compress", *given, *QUICK, "--target-ratio", "10")[0] == 0
    assert (tmp_path / "out" / "dense" / "bundle.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "bit=3"], "did you mean"),
        (["--set", "bits"], "FIELD=VALUE"),
        (["--bits", "12"], "bits"),
        (["--curve", "10,x"], "ratios such as"),
        (["--curve", "10,20", "--target-ratio", "5"], "leave target_ratio"),
        (["--curve", "10,20", "--set", "sparsity=0.5"], "leave target_ratio"),
        (["--target-ratio", "0.5"], "target_ratio"),
        (["--target-ratio", "900"], "cannot be reached"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(
    more: list[str], said: str, trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    code, _, err = dxtree(*of_run(trained, cohort, tmp_path / "out", *more))
    assert code in (2, 4)
    assert said in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_a_bundle_without_its_run_is_refused(
    trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    given = ["--cohort", f"isic={cohort}", "--out", str(tmp_path / "out")]
    code, _, err = dxtree("compress", str(trained / "run" / "bundle"), *given)
    assert code == 3
    assert "--run" in err
    code, _, err = dxtree("compress", str(trained / "set"), *given, "--run", str(trained / "run"))
    assert code == 2
    assert "leave --run out" in err


def test_another_run_than_the_bundles_own_is_refused(
    trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    other = tmp_path / "other"
    shutil.copytree(trained / "run", other)
    raw = json.loads((other / "run.json").read_text("utf-8"))
    raw["config"]["seed"] = 7
    (other / "run.json").write_text(json.dumps(raw), "utf-8")
    given = ["--run", str(other), "--cohort", f"isic={cohort}", "--out", str(tmp_path / "out")]
    code, _, err = dxtree("compress", str(trained / "run" / "bundle"), *given, *QUICK)
    assert code == 3
    assert "not the run that made this bundle" in err


def test_a_folder_of_another_bundles_compression_is_refused(
    made: Path, trained: Path, cohort: Path, tmp_path: Path, dxtree: Call
) -> None:
    shutil.copytree(made, tmp_path / "out")
    (tmp_path / "out" / "compression.json").write_text('{"dense": "another"}', "utf-8")
    code, _, err = dxtree(*of_run(trained, cohort, tmp_path / "out", "--target-ratio", "12"))
    assert code == 4
    assert "another bundle" in err


def test_rows_that_need_a_missing_package_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "find_spec", lambda name: None)
    row = ways._zipped("int8, zstd", b"graph", "int8")
    assert row.size is None
    assert row.reason is not None
    assert "zstandard" in row.reason
    assert replace(row, reason=None).answers is None
