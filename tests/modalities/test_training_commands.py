"""From a folder of images to a diagnosis: train, bundle, fit fusers, diagnose, through the command line."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.split import VALIDATION
from dxtree.cli.main import run as command_line
from dxtree.cohorts.reading import read_cohorts
from dxtree.fitting import out_of_fold_evidence
from modalities.training import loop
from modalities.training.checkpoint import locked
from modalities.training.run import open_run, read_split
from plugins.assembly import load_registry
from plugins.model_set import ModelSet

Call = Callable[..., tuple[int, str, str]]

RECIPE = [
    *("--architecture", "shufflenet_v2_x0_5", "--size", "32", "--test-size", "40", "--epochs", "2"),
    *("--batch", "6", "--learning-rate", "0.002", "--max-size", "9", "--folds", "2", "--validation", "0.2"),
    *("--precision", "fp32", "--threads", "1"),
]


def call(
    capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Runs the command line; gives exit code, standard output and standard error."""
    patch.setattr(sys, "argv", ["dxtree", *arguments])
    with pytest.raises(SystemExit) as end:
        command_line()
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


@pytest.fixture
def dxtree(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


@pytest.fixture(scope="module")
def cohort(isic_folder: Callable[[Path, int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return isic_folder(tmp_path_factory.mktemp("cohort") / "isic", 10)


def train(cohort: Path, modality: str, out: Path, *more: str) -> list[str]:
    return ["train", "--modality", modality, "--cohort", f"isic={cohort}", "--out", str(out), *RECIPE, *more]


def fit(cohort: Path, runs: list[Path], out: Path, *more: str) -> list[str]:
    given = [part for run in runs for part in ("--run", str(run))]
    return ["fit-fusion", *given, "--cohort", f"isic={cohort}", "--out", str(out), *more]


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both modalities trained, and a model set of them with every fuser that is fast."""
    folder = tmp_path_factory.mktemp("trained")
    places = {m: folder / m for m in ("clinical", "dermoscopy")} | {"set": folder / "set"}
    commands = [train(cohort, m, places[m], "--licence", "CC0-1.0") for m in ("clinical", "dermoscopy")]
    fusers = ["--fuser", "bayes", "--fuser", "logistic", "--name", "drawn", "--demonstration"]
    commands.append(fit(cohort, [places["clinical"], places["dermoscopy"]], places["set"], *fusers))
    with pytest.MonkeyPatch.context() as patch:
        for command in commands:
            patch.setattr(sys, "argv", ["dxtree", *command])
            with pytest.raises(SystemExit) as end:
                command_line()
            assert not end.value.code
    return places


def case_of(cohort: Path, lesion: int = 3) -> list[str]:
    kinds = ("clinical", "dermoscopy")
    return [
        part
        for m, kind in enumerate(kinds)
        for part in ("--image", f"{kind}={cohort / 'images' / f'ISIC_{2 * lesion + m:07d}.png'}")
    ]


def test_a_lesion_is_diagnosed_with_both_images_and_metadata(
    trained: dict[str, Path], cohort: Path, dxtree: Call
) -> None:
    options = [*case_of(cohort), "--models", str(trained["set"]), "--age", "62", "--sex", "female", "--json"]
    code, out, err = dxtree("diagnose", *options)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["used"][:2] == ["clinical", "dermoscopy"]
    assert answer["missing"] == ["site"]
    assert answer["fuser"] == "logistic"
    assert answer["tree"]["root"] == pytest.approx(1)
    assert sum(r["probability"] for r in answer["ranked"]) == pytest.approx(1)
    assert answer["provenance"]["model_set"] == "drawn"
    assert answer["provenance"]["demonstration"] is True
    assert answer["provenance"]["models"]["clinical"]["licence"] == "CC0-1.0"


@pytest.mark.parametrize("fuser", ["image_only", "bayes", "logistic"])
@pytest.mark.parametrize(
    "images", [slice(0, 2), slice(2, 4), slice(0, 4)], ids=["clinical", "dermoscopy", "both"]
)
def test_every_subset_of_images_has_an_answer_of_every_fuser(
    fuser: str, images: slice, trained: dict[str, Path], cohort: Path, dxtree: Call
) -> None:
    given = [*case_of(cohort)[images], "--models", str(trained["set"]), "--fuser", fuser, "--json"]
    code, out, _ = dxtree("diagnose", *given)
    assert code == 0
    assert json.loads(out)["fuser"] == fuser


def test_both_engines_give_the_same_tree(trained: dict[str, Path], cohort: Path, dxtree: Call) -> None:
    trees = []
    for engine in ("onnxruntime", "torch"):
        given = [*case_of(cohort), "--models", str(trained["set"]), "--engine", engine, "--json"]
        trees.append(json.loads(dxtree("diagnose", *given)[1])["tree"])
    assert trees[0] == pytest.approx(trees[1], abs=1e-3)


@pytest.mark.parametrize("name", ["clinical", "dermoscopy"])
def test_the_trained_modality_keeps_every_promise(name: str, trained: dict[str, Path], dxtree: Call) -> None:
    code, out, _ = dxtree("plugins", "check", name, "--models", str(trained["set"]), "--json")
    assert [row for row in json.loads(out) if not row["passed"]] == []
    assert code == 0


def test_the_set_knows_the_part_of_each_lesion_and_both_runs_share_one_split(
    trained: dict[str, Path],
) -> None:
    split = read_split(trained["clinical"])
    assert split == read_split(trained["dermoscopy"])
    models = ModelSet.open(trained["set"])
    assert all(models.part_of(lesion) == part for lesion, part in split.part.items())
    assert VALIDATION in split.part.values()


def test_the_same_command_again_trains_nothing_and_leaves_the_same_bundle(
    trained: dict[str, Path], cohort: Path, dxtree: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop._Run, "_learn", lambda *_: pytest.fail("it trained again"))
    before = (trained["clinical"] / "bundle" / "bundle.json").read_bytes()
    code, _, err = dxtree(*train(cohort, "clinical", trained["clinical"], "--licence", "CC0-1.0"))
    assert code == 0, err
    assert (trained["clinical"] / "bundle" / "bundle.json").read_bytes() == before


def test_targets_can_be_trained_one_by_one_and_the_last_makes_the_same_bundle(
    trained: dict[str, Path], cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    for target in ("fold-1", "final", "fold-0"):
        assert not (tmp_path / "run" / "bundle").exists()
        more = ["--target", target, "--licence", "CC0-1.0"]
        assert dxtree(*train(cohort, "clinical", tmp_path / "run", *more))[0] == 0
    wanted = (trained["clinical"] / "bundle" / "bundle.json").read_bytes()
    assert (tmp_path / "run" / "bundle" / "bundle.json").read_bytes() == wanted


# faults, each with its exit code and one line


def one_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "Traceback" not in err
    return lines[0]


WRONG = {
    "architecture": (["--architecture", "mobilnet"], 4, "'mobilnet' is no torchvision classifier"),
    "weights": (["--weights", "nowhere.safetensors"], 2, "the file of starting weights does not exist"),
    "preset": (["--preset", "printed"], 2, "preset 'printed' is unknown"),
    "validation": (["--validation", "1.5"], 2, "validation must lie in"),
    "folds": (["--folds", "1"], 2, "folds must be at least 2"),
    "taxonomy": (["--taxonomy", "isic"], 3, "no taxonomy 'isic'"),
    "cohort": (["--cohort", "isic"], 2, "a cohort is given as NAME=FOLDER"),
    "target": (["--target", "fold-7"], 4, "target 'fold-7' is none of final, fold-0, fold-1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_option_is_one_line_and_leaves_no_run_behind(
    what: str, cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    more, wanted, text = WRONG[what]
    code, _, err = dxtree(*train(cohort, "clinical", tmp_path / "run", *more))
    assert code == wanted
    assert text in one_line(err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", "0"),
        ("--batch", "1"),
        ("--size", "5"),
        ("--learning-rate", "-1"),
        ("--precision", "fp8"),
        ("--seed", "-1"),
    ],
)
def test_a_recipe_that_cannot_be_names_the_option_and_ends_with_2(
    option: str, value: str, cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    code, _, err = dxtree(*train(cohort, "clinical", tmp_path / "run", option, value))
    assert code == 2
    assert f"{option}: " in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_misspelt_option_can_be_mended_in_the_same_folder(
    cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    wrong = ["--weights", "IMAGENET1K_V9", "--target", "final"]
    code, _, err = dxtree(*train(cohort, "clinical", tmp_path / "run", *wrong))
    assert code == 3
    assert "no weights 'IMAGENET1K_V9' for shufflenet_v2_x0_5, but" in one_line(err)
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_run_is_refused(trained: dict[str, Path], cohort: Path, dxtree: Call) -> None:
    code, _, err = dxtree(*train(cohort, "clinical", trained["dermoscopy"]))
    assert code == 4
    assert "holds a run of other data or another configuration" in one_line(err)


def test_a_folder_that_another_process_trains_in_ends_with_6(
    cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    with locked(tmp_path / "run" / "final"):
        code, _, err = dxtree(*train(cohort, "clinical", tmp_path / "run", "--target", "final"))
    assert code == 6
    assert "another process trains in final" in one_line(err)


def test_a_loss_that_is_no_number_ends_with_5(cohort: Path, dxtree: Call, tmp_path: Path) -> None:
    more = ["--learning-rate", "1e30", "--target", "final"]
    code, _, err = dxtree(*train(cohort, "clinical", tmp_path / "run", *more))
    assert code == 5
    assert "lower learning_rate" in one_line(err)


def test_one_class_ends_with_4_and_names_it(
    isic_folder: Callable[[Path, int], Path], dxtree: Call, tmp_path: Path
) -> None:
    folder = isic_folder(tmp_path / "isic", 3)
    table = (folder / "metadata.csv").read_text("utf-8").splitlines()
    kept = [table[0], *(line for line in table if "Nevus" in line)]
    (folder / "metadata.csv").write_text("\n".join(kept) + "\n", "utf-8")
    code, _, err = dxtree(*train(folder, "clinical", tmp_path / "run"))
    assert code == 4
    assert "holds 1 class(es), of labels Benign:" in one_line(err)


def test_a_full_disk_ends_with_4_and_says_what_is_whole(
    cohort: Path, dxtree: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = dxtree(*train(cohort, "clinical", tmp_path / "run"))
    assert code == 4
    assert "the disk is full" in one_line(err)


# fusers


def test_a_default_fuser_that_is_not_fitted_is_refused_before_anything_is_read(
    trained: dict[str, Path], cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    more = ["--fuser", "bayes", "--default", "boosted"]
    code, _, err = dxtree(*fit(cohort, [trained["clinical"]], tmp_path / "set", *more))
    assert code == 4
    assert "default fuser 'boosted' is not among those to fit: bayes" in one_line(err)
    assert not (tmp_path / "set").exists()


def test_a_fuser_that_learns_nothing_may_be_the_default(
    trained: dict[str, Path], cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    more = ["--fuser", "image_only", "--default", "image_only"]
    assert dxtree(*fit(cohort, [trained["clinical"]], tmp_path / "set", *more))[0] == 0
    given = [*case_of(cohort)[:2], "--models", str(tmp_path / "set"), "--json"]
    assert json.loads(dxtree("diagnose", *given)[1])["fuser"] == "image_only"


def test_two_runs_of_one_modality_are_refused(
    trained: dict[str, Path], cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    code, _, err = dxtree(*fit(cohort, [trained["clinical"]] * 2, tmp_path / "set"))
    assert code == 4
    assert "two runs are of one modality" in one_line(err)


def test_runs_of_other_splits_are_refused(
    trained: dict[str, Path], cohort: Path, dxtree: Call, tmp_path: Path
) -> None:
    assert dxtree(*train(cohort, "dermoscopy", tmp_path / "run", "--seed", "1", "--epochs", "1"))[0] == 0
    code, _, err = dxtree(*fit(cohort, [trained["clinical"], tmp_path / "run"], tmp_path / "set"))
    assert code == 4
    assert "differ in partition or split" in one_line(err)


def test_a_run_that_is_not_finished_is_refused(cohort: Path, dxtree: Call, tmp_path: Path) -> None:
    assert dxtree(*train(cohort, "clinical", tmp_path / "run", "--target", "fold-0"))[0] == 0
    code, _, err = dxtree(*fit(cohort, [tmp_path / "run"], tmp_path / "set"))
    assert code == 3
    assert "bundle" in one_line(err)


def test_fusers_are_fitted_on_lesions_of_the_training_part_alone(
    trained: dict[str, Path], cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = load_registry()
    tree = registry.taxonomies.get("isic_diagnosis").load()
    images = read_cohorts(registry, [f"isic={cohort}"], tree)
    runs = [open_run(trained[m], tree, images) for m in ("clinical", "dermoscopy")]
    cases = out_of_fold_evidence(runs)
    split = runs[0].split
    assert {c.lesion for c in cases} == {lesion for lesion, part in split.part.items() if part != VALIDATION}
    for case in cases:
        assert case.fold == split.fold[case.lesion]
        assert [e.modality for e in case.evidence] == ["clinical", "dermoscopy"]
        for run in runs:
            trained_on = {i.lesion for i in run.training_images(f"fold-{case.fold}")}
            assert case.lesion not in trained_on
