"""The command line as programs use it: real models, real processes, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from core.diagnosis import schema
from dxtree.cohorts import make_lesion

DATA = os.environ.get("DXTREE_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="DXTREE_DATA does not name a folder with real lesions")


def dxtree(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dxtree", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **more},
        check=False,
    )


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("views")
    found = {}
    for view, jpeg in make_lesion(7, 0).jpegs.items():
        found[view] = folder / f"{view}.jpg"
        found[view].write_bytes(jpeg)
    return found


def answer(*arguments: object) -> dict:
    done = dxtree("diagnose", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, schema())
    return found


def test_help_is_short_of_heavy_libraries() -> None:
    heavy = {"torch", "onnxruntime", "sklearn", "scipy", "xgboost", "numpy"}
    code = f"import sys, dxtree.cli.main; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_both_views_and_metadata_give_a_whole_answer(views: dict[str, Path]) -> None:
    found = answer(
        "--models", "demonstration",
        "--image", f"clinical={views['clinical']}", "--image", f"dermoscopy={views['dermoscopy']}",
        "--age", 62, "--sex", "female", "--site", "back",
    )  # fmt: skip
    assert set(found["used"]) == {"clinical", "dermoscopy", "age_years", "sex", "site"}
    assert found["missing"] == []
    assert sum(r["probability"] for r in found["ranked"]) == pytest.approx(1)
    assert {r["id"] for r in found["ranked"]} <= set(found["tree"])
    assert found["provenance"]["demonstration"] is True


def test_every_option_but_one_image_may_be_absent(views: dict[str, Path]) -> None:
    found = answer("--image", f"dermoscopy={views['dermoscopy']}")
    assert found["used"] == ["dermoscopy"]
    assert found["missing"] == ["clinical", "age_years", "sex", "site"]


def test_a_case_file_equals_the_options(views: dict[str, Path], tmp_path: Path) -> None:
    case = {
        "images": [{"modality": "dermoscopy", "path": str(views["dermoscopy"])}],
        "patient": {"age_years": 62, "sex": "female", "site": "back"},
    }
    (tmp_path / "case.json").write_text(json.dumps(case))
    by_file = answer("--case", tmp_path / "case.json")
    by_options = answer(
        "--image", f"dermoscopy={views['dermoscopy']}", "--age", 62, "--sex", "female", "--site", "back"
    )
    assert by_file == by_options


def test_no_metadata_and_one_image_is_the_same_under_every_fuser(views: dict[str, Path]) -> None:
    trees = [
        answer("--image", f"dermoscopy={views['dermoscopy']}", "--fuser", f)["tree"]
        for f in ("image_only", "bayes", "logistic", "boosted")
    ]
    assert trees[1:] == trees[:1] * 3


def test_the_torch_engine_agrees_with_onnx_runtime(views: dict[str, Path]) -> None:
    pytest.importorskip("torch")
    ours = answer("--image", f"dermoscopy={views['dermoscopy']}")["tree"]
    theirs = answer("--image", f"dermoscopy={views['dermoscopy']}", "--engine", "torch")["tree"]
    assert theirs == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--age", "400"], "age"),
        (["--age", "45 years"], "age"),
        (["--age", "nan"], "age"),
        (["--sex", "CANARY"], "sex"),
        (["--site", "CANARY"], "site"),
    ],
)
def test_bad_metadata_is_one_line_without_the_value(
    views: dict[str, Path], options: list[str], field: str
) -> None:
    done = dxtree("diagnose", "--image", f"dermoscopy={views['dermoscopy']}", *options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert field in done.stderr
    assert options[1] not in done.stderr.replace("0 to 120", "")
    assert done.stdout == ""


def test_a_file_that_is_no_image_names_no_path(tmp_path: Path) -> None:
    file = tmp_path / "Jane-Doe-1950.jpg"
    file.write_bytes(b"nothing")
    done = dxtree("diagnose", "--image", f"dermoscopy={file}")
    assert done.returncode == 2
    assert "Doe" not in done.stderr + done.stdout


def test_an_unknown_modality_is_told_the_near_one(views: dict[str, Path]) -> None:
    done = dxtree("diagnose", "--image", f"dermoscopi={views['dermoscopy']}")
    assert done.returncode == 2
    assert "dermoscopy" in done.stderr


def test_one_broken_view_is_a_partial_answer_and_strict_refuses_it(
    views: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(views["clinical"].read_bytes()[:2000])
    images = ("--image", f"dermoscopy={views['dermoscopy']}", "--image", f"clinical={broken}")
    found = answer(*images)
    assert found["status"] == "partial"
    assert found["modalities_failed"] == {"clinical": "CorruptImage"}
    alone = answer("--image", f"dermoscopy={views['dermoscopy']}")
    assert found["tree"] == alone["tree"]
    assert dxtree("diagnose", *images, "--strict").returncode == 2


def test_one_broken_image_among_several_is_left_out_and_the_others_answer(
    views: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(views["dermoscopy"].read_bytes()[:2000])
    images = ("--image", f"dermoscopy={broken}", "--image", f"dermoscopy={views['dermoscopy']}")
    found = answer(*images)
    assert (found["status"], found["modalities_failed"]) == ("partial", {})
    assert [n["code"] for n in found["notices"]] == ["ImageLeftOut"]
    assert found["tree"] == answer("--image", f"dermoscopy={views['dermoscopy']}")["tree"]


def test_a_blank_frame_is_not_judged(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (300, 300), (255, 255, 255)).save(tmp_path / "blank.png")
    found = answer("--image", f"dermoscopy={tmp_path / 'blank.png'}")
    assert (found["status"], found["ranked"], found["tree"]) == ("abstained", [], {})


def test_the_demo_prints_the_truth_and_says_what_it_is() -> None:
    done = dxtree("demo")
    assert done.returncode == 0, done.stderr
    for text in ("demonstration", "truth", "used", "missing", "research use"):
        assert text in done.stdout


def test_partition_prints_classes_and_lost_images(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("a,b,images\nx,p,5\nx,q,9\ny,,3\n")
    done = dxtree("partition", tmp_path / "c.csv", "--max-size", 6, "--preset", "published", "--json")
    found = json.loads(done.stdout)
    assert [c["node"] for c in found["classes"]] == ["x:p", "y"]
    assert found["lost_images"] == 9


def test_models_and_doctor_find_nothing_broken() -> None:
    models = json.loads(dxtree("models", "--json").stdout)
    assert {m["offered_as"] for m in models} == {"default", "demonstration"}
    assert not any("error" in m for m in models)
    assert next(m["megabytes"] for m in models if m["offered_as"] == "default") < 15
    doctor = dxtree("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout


def test_diagnosing_never_imports_torch(views: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import sys, core\n"
        f"image = core.ImageInput(modality='dermoscopy', path={str(views['dermoscopy'])!r})\n"
        "core.diagnose(core.Case(images=[image]))\n"
        "print(sorted({'torch', 'sklearn', 'xgboost', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@needs_data
def test_a_real_lesion_with_everything_with_one_image_and_without_metadata() -> None:
    from core.cohort import lesions
    from core.taxonomy import Taxonomy
    from dxtree.cohorts import MILK10K, read_isic

    images = read_isic(Path(str(DATA)) / "milk10k", Taxonomy.shipped("isic_diagnosis"), MILK10K)
    lesion = lesions(images)[0]
    both = [o for i in lesion.images for o in ("--image", f"{i.modality}={i.path}")]
    whole = answer(*both, "--age", lesion.patient.age_years, "--sex", lesion.patient.sex, "--site", "trunk")
    assert whole["missing"] == []
    assert answer(*both)["missing"] == ["age_years", "sex", "site"]
    assert "clinical" in answer(*both[:2])["used"]


@needs_data
@pytest.mark.slow
def test_evaluation_of_validation_lesions_holds_every_pipeline_and_label_set() -> None:
    done = dxtree("evaluate", "--cohort", "milk10k", "--data", f"{DATA}/milk10k", "--lesions", "validation",
                  "--resamples", 50, "--json")  # fmt: skip
    found = json.loads(done.stdout)
    wanted = {
        "image_only:clinical",
        "image_only:dermoscopy",
        "image_only:both",
        "bayes",
        "logistic",
        "boosted",
    }
    assert wanted <= set(found["pipelines"])
    for row in found["pipelines"].values():
        assert {"level1", "level2", "leaves", "official"} <= set(row)
        for metric in ("accuracy", "balanced_accuracy", "auc_malignant", "brier", "ece"):
            assert {"value", "low", "high"} <= set(row["official"][metric])


def test_training_refuses_an_environment_in_which_torch_may_run_code(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    arguments = ("train", "--modality", "clinical", "--cohort", "synthetic=x", "--out", tmp_path / "run")
    done = dxtree(*arguments, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
    assert done.returncode == 3
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_broken_plugin_is_left_out_aloud_and_stops_nothing_else(
    views: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("raise ValueError('no')\n")
    image = ("--image", f"dermoscopy={views['dermoscopy']}", "--json")
    done = dxtree("diagnose", "--plugin", tmp_path / "broken.py", *image)
    assert done.returncode == 0
    assert "broken" in done.stderr
    assert "ValueError" in done.stderr
    found, alone = json.loads(done.stdout), answer(*image[:2])
    assert found["tree"] == alone["tree"]
    assert found["provenance"]["plugins_failed"] == ["broken"]


def test_ctrl_c_ends_with_130_and_says_what_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dxtree", "synthesize", str(tmp_path / "drawn"), "--lesions", "100000"]
    # A job in the background ignores the signal, and so would its child.
    asked = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **asked
    ) as running:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "drawn").glob("images/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
