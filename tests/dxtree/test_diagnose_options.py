"""Do `--explain` and `--prevalence` of `dxtree diagnose` say and do what they promise?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from core.diagnosis import RESEARCH_USE, schema
from core.errors import TaxonomyError
from dxtree.cli.diagnose import shares_of
from dxtree.cohorts import make_lesion


def diagnose(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dxtree", "diagnose", "--models", "demonstration", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, found = tmp_path_factory.mktemp("views"), []
    for view, jpeg in make_lesion(7, 0).jpegs.items():
        (folder / f"{view}.jpg").write_bytes(jpeg)
        found += ["--image", f"{view}={folder / view}.jpg"]
    return found


def test_json_explains_the_answer_for_the_clinic(images: list[str]) -> None:
    done = diagnose(
        *images, "--age", 62, "--explain", "Malignant", "--explain", "Benign", "--explain", "Benign",
        "--prevalence", "Malignant=0.05", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, schema())
    assert [c["node"] for c in found["contributions"]] == ["Malignant", "Benign"]
    assert [n["code"] for n in found["notices"]] == ["Prevalence"]
    assert found["provenance"]["adjustments"][-1]["shares"] == "Malignant=0.05"
    one = found["contributions"][0]
    moved = [*one["modalities"].values(), *one["fields"].values()]
    assert one["prior_log_odds"] + sum(moved) == pytest.approx(one["log_odds"], abs=1e-9)
    assert set(one["modalities"]) | set(one["fields"]) == set(found["used"])


def test_the_print_has_a_table_a_node_the_prevalence_and_what_it_is_for(images: list[str]) -> None:
    done = diagnose(*images, "--explain", "Malignant", "--prevalence", "Malignant=0.05")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    table = lines[lines.index("log-odds of Malignant") + 1 :]
    assert [line.split()[0] for line in table[:4]] == ["before", "clinical", "dermoscopy", "answer"]
    assert len({len(line) for line in table[:4]}) == 1
    assert "5 % Malignant" in done.stdout
    assert lines[-1] == RESEARCH_USE


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--explain", "Malignan"), "did you mean 'Malignant'"),
        (("--explain", "root"), "the root"),
        (("--prevalence", "Malignant=5"), "a number above 0 and below 1"),
        (("--prevalence", "Malignant"), "give NODE=SHARE"),
    ],
)
def test_a_wrong_option_ends_with_2_before_an_image_is_read(options: tuple[str, str], text: str) -> None:
    done = diagnose("--image", "clinical=no-such-file.jpg", *options)
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_share_stands_behind_the_last_equals_sign() -> None:
    assert shares_of(["a=b=0.5", "Malignant:Melanoma=1e-2"]) == {"a=b": 0.5, "Malignant:Melanoma": 0.01}
    assert shares_of([]) == {}


@pytest.mark.parametrize("given", [["=0.5"], ["0.5"], ["a="], ["a=half"], ["a=0.1", "a=0.1"]])
def test_a_prevalence_of_another_form_is_refused(given: list[str]) -> None:
    with pytest.raises(TaxonomyError, match=r"NODE=SHARE|given twice"):
        shares_of(given)


def test_a_case_without_a_judgeable_image_says_that_nothing_is_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from core.diagnosis import Diagnosis
    from dxtree.cli.show import show_diagnosis

    empty = Diagnosis("c", "abstained", None, None, (), "mean", (), ("photo",))
    show_diagnosis(empty, contributions=())
    assert "explain   nothing: no image could be judged" in capsys.readouterr().out
    show_diagnosis(empty)
    assert "explain" not in capsys.readouterr().out


def test_a_case_file_can_be_explained_too(images: list[str], tmp_path: Path) -> None:
    view, _, path = images[1].partition("=")
    case = {"id": "mine", "images": [{"modality": view, "path": path}], "patient": {"site": "back"}}
    (tmp_path / "case.json").write_text(json.dumps(case), "utf-8")
    done = diagnose("--case", tmp_path / "case.json", "--explain", "Malignant", "--json")
    found = json.loads(done.stdout)
    assert [i["modality"] for i in found["contributions"][0]["images"]] == [view]
