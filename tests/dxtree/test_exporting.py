"""An int8 graph and checked engines for a bundle: which lesions, what is judged, what lies on disk after."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.cohort import LabelledImage, lesions
from core.errors import BundleError, CohortError, ContractError, PathRejected
from core.manifest import read_bundle
from core.partition import Partition, partition_tree
from core.split import TRAINING, VALIDATION, Split
from core.taxonomy import Taxonomy
from dxtree.cli.main import run as command_line
from dxtree.cohorts import SyntheticConfig, write_synthetic
from dxtree.cohorts.reading import read_cohorts
from dxtree.exporting import choose, judge, open_source
from dxtree.exporting.bundles import check_target, write_exported
from dxtree.exporting.checking import Answers, answer, check_engines
from dxtree.exporting.truth import partition_of
from modalities.cnn.preprocess import Preprocessing
from modalities.engines import INT8, KINDS, load_engine
from modalities.sets import plugin as sets
from plugins.assembly import load_registry
from plugins.model_set import ModelSet

Call = Callable[..., tuple[int, str, str]]

SET = Path(sets.__file__).parent / "demonstration"
TREE = Taxonomy.from_paths("t", [["good", "a"], ["good", "b"], ["bad", "c"]])
CELLS: Partition = partition_tree(TREE, {"good:a": 8, "good:b": 8, "bad:c": 8}, max_size=7)


def image(
    k: int, lesion: str, label: str = "good:a", cohort: str = "x", modality: str = "m"
) -> LabelledImage:
    return LabelledImage(f"I{k}", lesion, modality, Path(f"I{k}.png"), label, PatientMetadata(), cohort)


def parity(image: LabelledImage) -> str:
    return TRAINING if int(image.lesion[1:]) % 2 else VALIDATION


# --- which lesions -----------------------------------------------------------------------------------------


@given(st.permutations([image(k, f"L{k // 3}") for k in range(36)]), st.integers(1, 9), st.integers(1, 20))
def test_training_lesions_calibrate_and_held_out_ones_check_in_whatever_order_they_come(
    images: list[LabelledImage], calibration: int, most: int
) -> None:
    found = choose(images, "m", parity, calibration=calibration, most=most)
    again = choose(sorted(images, key=lambda i: i.image), "m", parity, calibration=calibration, most=most)
    assert found == again
    assert {parity(i) for i in found.calibration} == {TRAINING}
    assert len(found.calibration) == calibration
    assert {parity(i) for lesion in found.validation for i in lesion.images} == {VALIDATION}
    assert all(len(lesion.images) == 3 for lesion in found.validation)
    assert found.images <= max(most, 3)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ([], "hold no m images, but no images at all"),
        ([image(0, "L0", modality="other")], "hold no m images, but other"),
        ([image(0, "L0")], "of a training lesion"),
        ([image(0, "L1")], "of a validation lesion"),
    ],
)
def test_a_part_without_images_says_which(images: list[LabelledImage], text: str) -> None:
    with pytest.raises(CohortError, match=text):
        choose(images, "m", parity, calibration=1)


def test_lesions_that_the_set_never_met_neither_calibrate_nor_check() -> None:
    images = [image(k, f"L{k}") for k in range(8)]
    found = choose(images, "m", lambda i: None if i.lesion > "L3" else parity(i), calibration=100)
    used = {i.lesion for i in found.calibration} | {x.lesion for x in found.validation}
    assert used == {"L0", "L1", "L2", "L3"}


# --- what is judged ----------------------------------------------------------------------------------------

LABELS = ["good:a", "good:b", "bad:c", "good", "bad:c", "good:a"]
HELD = lesions(
    [image(2 * k, f"L{k}", label) for k, label in enumerate(LABELS)]
    + [image(2 * k + 1, f"L{k}", label) for k, label in enumerate(LABELS)]
)
ROWS = [k for k in range(len(LABELS)) for _ in range(2)]


def sure_of(*columns: int) -> Any:
    """Two images of each lesion, .8 for a class."""
    return np.repeat(np.full((len(columns), 3), 0.1) + 0.7 * np.eye(3)[list(columns)], 2, axis=0)


def column(label: str) -> int:
    return CELLS.ids.index(label)


RIGHT = [column(x if x != "good" else "good:a") for x in LABELS]


def checked(values: Any, malignant: str | None = "bad", **more: Any) -> Any:
    answers = Answers({"torch": sure_of(*RIGHT), "openvino": values}, ROWS, **more)
    return check_engines(answers, "torch", judge(HELD, CELLS, malignant), HELD, resamples=50, seed=0)


def test_equal_answers_change_nothing() -> None:
    found = checked(sure_of(*RIGHT))["openvino"]
    assert found.findings.to_dict() == {
        "largest_difference": 0.0,
        "mean_difference": 0.0,
        "same_top_class": 1.0,
        "balanced_accuracy_change": 0.0,
        "auc_change": 0.0,
    }
    assert found.balanced_accuracy_interval == (0.0, 0.0)
    assert found.auc_interval == (0.0, 0.0)


def test_a_lesion_of_another_class_costs_its_class_recall_and_pairs_their_order() -> None:
    other = list(RIGHT)
    other[2] = column("good:a")  # one of the two malignant lesions
    found = checked(sure_of(*other))["openvino"].findings
    assert found.largest_difference == pytest.approx(0.7)
    assert found.mean_difference == pytest.approx(2 * 0.7 / 18)
    assert found.same_top_class == pytest.approx(5 / 6)
    # Recall of three classes: one falls from 1 to 1/2. The lesion only known as good has no class.
    assert found.balanced_accuracy_change == pytest.approx(-0.5 / 3)
    # Against four benign lesions: P(bad) .8 beats all, .1 ties with all.
    assert found.auc_change == pytest.approx((1 + 0.5) / 2 - 1)


def test_a_lesion_answers_with_the_mean_of_its_images() -> None:
    values = sure_of(*RIGHT)
    values[4] = 0.2
    values[4, column("good:a")] = 0.6  # one image of a malignant lesion is wrong, the mean is not
    found = checked(values)["openvino"].findings
    assert found.same_top_class == pytest.approx(11 / 12)
    assert found.balanced_accuracy_change == 0


@pytest.mark.parametrize("node", [None, "nowhere", "good:a:below"])
def test_without_a_malignant_node_the_macro_area_is_taken(node: str | None) -> None:
    judged = judge(HELD, CELLS, node)
    assert judged.area == "macro"
    other = list(RIGHT)
    other[2] = column("good:a")
    found = checked(sure_of(*other), node)["openvino"].findings
    assert found.auc_change is not None
    assert found.auc_change < 0


def test_lesions_of_one_kind_leave_the_malignant_area_undefined_and_the_macro_one_stands() -> None:
    benign = [x for x in HELD if x.label.startswith("good")]
    assert judge(benign, CELLS, "bad").area == "macro"
    assert judge(HELD, CELLS, "bad").area == "malignant"


def test_an_engine_that_raised_is_a_fault_and_the_source_that_raised_ends_the_check() -> None:
    found = checked(sure_of(*RIGHT), faults={"openvino-int8": "NonFiniteOutput"})
    assert found["openvino-int8"].findings.to_dict()["fault"] == "NonFiniteOutput"
    with pytest.raises(CohortError, match="torch did not answer"):
        check_engines(
            Answers({}, ROWS, faults={"torch": "ContractError"}), "torch", judge(HELD, CELLS, None), HELD,
            resamples=10, seed=0,
        )  # fmt: skip


class Broken:
    """An engine that answers NaN from its second image on."""

    name = "broken"

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, images: Any) -> Any:
        self.asked += 1
        return np.full((1, 3), np.nan if self.asked > 1 else 0.0, np.float32)


class Even:
    """An engine that knows nothing."""

    name = "even"

    def __call__(self, images: Any) -> Any:
        return np.zeros((1, 3), np.float32)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "cohort"
    write_synthetic(folder, SyntheticConfig(lesions=120, size=96))
    return folder


def test_an_engine_that_answers_nan_is_asked_no_more_and_the_others_go_on(drawn: Path) -> None:
    files = sorted((drawn / "images").iterdir())[:4]
    held = lesions([LabelledImage(f.name, f.name, "m", f, "good:a", PatientMetadata(), "x") for f in files])
    broken = Broken()
    seen = Preprocessing(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    found = answer(held, {"even": Even(), "broken": broken}, seen, ("a", "b", "c"), 1.0)
    assert found.faults == {"broken": "NonFiniteOutput"}
    assert broken.asked == 2
    assert found.values["even"].shape == (4, 3)


def test_a_cohort_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "I.png").write_bytes(b"no picture")
    bad = LabelledImage("I", "L", "m", tmp_path / "I.png", "good:a", PatientMetadata(), "x")
    seen = Preprocessing(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(CohortError, match="1 of 1 images cannot be read"):
        answer(lesions([bad]), {"even": Even()}, seen, ("a",), 1.0)


# --- which classes -----------------------------------------------------------------------------------------


def test_a_bundle_s_own_classes_are_its_partition_and_another_tree_is_refused() -> None:
    models = ModelSet.open(SET)
    bundle = models.modality_bundle("dermoscopy")
    assert bundle is not None
    found = partition_of(bundle, models.partition.taxonomy)
    assert found.ids == models.partition.ids
    assert [c.residual for c in found.classes] == [c.residual for c in models.partition.classes]
    with pytest.raises(ContractError, match="taxonomy differs"):
        partition_of(bundle, TREE)


# --- the folder that is written ----------------------------------------------------------------------------


def digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(p.as_posix().encode() + p.read_bytes() for p in files)).hexdigest()


def test_a_set_is_written_whole_and_opens_with_the_new_digest(tmp_path: Path) -> None:
    before = digest(SET)
    source = open_source(SET, "dermoscopy")
    written = write_exported(source, {"engines": {}}, {INT8: b"x"}, tmp_path / "out")
    models = ModelSet.open(tmp_path / "out")
    assert models.modalities["dermoscopy"] == written.digest != source.bundle.digest
    for name in models.modalities:
        assert models.modality_bundle(name) is not None
    assert models.default_fuser == ModelSet.open(SET).default_fuser
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert digest(SET) == before


def test_in_place_leaves_one_folder_and_a_fault_leaves_the_old_one(tmp_path: Path) -> None:
    here = tmp_path / "set"
    shutil.copytree(SET, here)
    source = open_source(here, "dermoscopy")
    with pytest.raises(ContractError, match="is no file of a bundle"):
        write_exported(source, {}, {"nets/model.onnx": b"x"}, here)
    assert ModelSet.open(here).bundle.digest == ModelSet.open(SET).bundle.digest
    write_exported(source, {"engines": {}}, {INT8: b"x"}, here)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert (here / "dermoscopy" / INT8).read_bytes() == b"x"


def test_a_target_that_holds_something_none_and_two_are_refused(tmp_path: Path) -> None:
    source = open_source(SET, "dermoscopy")
    for out, in_place in ((None, False), (tmp_path / "new", True)):
        with pytest.raises(PathRejected, match="say where to"):
            check_target(source, out, in_place=in_place)
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path, tmp_path / "file"):
        with pytest.raises(PathRejected, match="holds something"):
            check_target(source, out, in_place=False)


def test_a_folder_that_is_neither_bundle_nor_set_and_a_modality_that_is_not_there_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(BundleError, match="name a bundle or set"):
        open_source(tmp_path)
    for modality in (None, "mri"):
        with pytest.raises(BundleError, match="--modality names one of the set's: clinical, dermoscopy"):
            open_source(SET, modality)
    with pytest.raises(BundleError, match="is of dermoscopy, not of clinical"):
        open_source(SET / "dermoscopy", "clinical")


# --- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def dxtree(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dxtree", *arguments])
        with pytest.raises(SystemExit) as end:
            command_line()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call


SHORT = ["--calibration", "4", "--images", "12", "--resamples", "50"]


def test_a_set_is_exported_and_diagnoses_with_the_engines_that_passed(
    drawn: Path, dxtree: Call, tmp_path: Path
) -> None:
    options = ["--modality", "dermoscopy", "--cohort", f"synthetic={drawn}", "--out", str(tmp_path / "out")]
    code, out, err = dxtree("export", str(SET), *options, *SHORT, "--json")
    assert code == 0, err
    told = json.loads(out)
    models = ModelSet.open(tmp_path / "out")
    bundle = models.modality_bundle("dermoscopy")
    assert bundle is not None
    assert told["digest"] == bundle.digest
    assert told["against"] == "torch"
    assert set(told["engines"]) == set(KINDS) - {"torch", "torch-compile"}
    assert "torch-compile" in told["left_out"]
    records = bundle.manifest["engines"]
    for name, record in records.items():
        assert {k: v for k, v in told["engines"][name].items() if k != "megabytes"} == record
        assert record["images"] == 12 == record["lesions"]
        assert record["cohorts"] == ["synthetic"]
        source = "model.int8.onnx" if KINDS[name].precision == "int8" else "model.onnx"
        assert record["graph"] == hashlib.sha256(bundle.files[source]).hexdigest()
        if record["passed"]:
            assert load_engine(bundle, name).name == name
        else:
            with pytest.raises(ContractError, match="failed its check"):
                load_engine(bundle, name)
    assert all(records[n]["passed"] for n in ("onnxruntime", "openvino", "torch-channels-last"))
    assert len(bundle.manifest["quantisation"]["kept"]) in (0, 2)
    assert bundle.manifest["quantisation"]["images"] == 4

    picture = sorted((drawn / "images").iterdir())[1]
    asked = ["--models", str(tmp_path / "out"), "--image", f"dermoscopy={picture}", "--engine", "openvino"]
    code, out, err = dxtree("diagnose", *asked, "--json")
    assert code == 0, err
    assert json.loads(out)["provenance"]["models"]["dermoscopy"]["engine"] == "openvino"


def test_a_single_bundle_takes_the_split_of_its_run_and_one_engine_and_prints_a_table(
    drawn: Path, dxtree: Call, tmp_path: Path
) -> None:
    models = ModelSet.open(SET)
    images = read_cohorts(load_registry(), [f"synthetic={drawn}"], models.partition.taxonomy)
    part = {i.lesion: models.part_of(i.lesion) or TRAINING for i in images}
    fold = {lesion: 0 for lesion, p in part.items() if p == TRAINING}
    (tmp_path / "split.json").write_text(json.dumps(Split(part, fold, 2, 0).to_dict()))
    here = tmp_path / "bundle"
    shutil.copytree(SET / "clinical", here)
    options = ["--cohort", f"synthetic={drawn}", "--split", str(tmp_path / "split.json"), "--in-place"]
    code, out, err = dxtree("export", str(here), *options, *SHORT, "--engine", "openvino")
    assert code == 0, err
    assert "against torch on 12 images of 12 lesions held out of training" in out
    bundle = read_bundle(here, "bundle.json")
    assert set(bundle.manifest["engines"]) == {"openvino"}
    assert INT8 not in bundle.files
    # Another engine later keeps the record that is still true.
    code, out, err = dxtree("export", str(here), *options, *SHORT, "--engine", "openvino-bf16")
    assert code == 0, err
    assert set(read_bundle(here, "bundle.json").manifest["engines"]) == {"openvino", "openvino-bf16"}


NO_COHORT = [str(SET), "--modality", "dermoscopy", "--out", "new"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (NO_COHORT, 2, "give --cohort NAME=FOLDER"),
        ([*NO_COHORT, "--cohort", "synthetic=DRAWN", "--engine", "tensorrt"], 3, "'tensorrt' is unknown"),
        ([*NO_COHORT, "--cohort", "synthetic=DRAWN", "--engine", "auto"], 3, "stands for one of the others"),
        ([str(SET), "--cohort", "synthetic=DRAWN", "--out", "new"], 3, "--modality names one of the set's"),
        ([*NO_COHORT, "--cohort", "synthetic=DRAWN", "--split", "SPLIT"], 2, "leave --split out"),
        ([str(SET / "clinical"), "--cohort", "synthetic=DRAWN", "--out", "new"], 2, "Give --split"),
        ([str(SET), "--modality", "clinical", "--cohort", "synthetic=DRAWN"], 2, "say where to"),
        (["nowhere", "--cohort", "synthetic=DRAWN", "--out", "new"], 2, "the bundle does not exist"),
    ],
)
def test_a_wrong_command_is_one_line_and_writes_nothing(
    arguments: list[str], code: int, text: str, drawn: Path, dxtree: Call, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "split.json").write_text(json.dumps(Split({}, {}, 2, 0).to_dict()))
    filled = [a.replace("DRAWN", str(drawn)).replace("SPLIT", "split.json") for a in arguments]
    found, _, err = dxtree("export", *filled)
    assert found == code, err
    assert text in err
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]
