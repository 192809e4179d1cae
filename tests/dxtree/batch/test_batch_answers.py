"""Does a whole file of cases get what each case alone would get?"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import pytest

from core.case import Case, ImageInput, PatientMetadata
from core.diagnosis import RESEARCH_USE, schema
from core.pipeline import Pipeline
from tests.dxtree.batch.conftest import HEADER, Told, batch, expected, invoke, lines, write_csv


def cases_of(folder: Path) -> dict[str, Case]:
    """The sound rows of cases.csv, read by hand."""
    found = {}
    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["age_years"] == "300" or row["site"] == "bak" or not row["dermoscopy"]:
                continue
            images = [
                ImageInput(modality=m, path=folder / name)
                for m in ("dermoscopy", "clinical")
                for name in row[m].split(";")
                if name
            ]
            patient = PatientMetadata(
                age_years=float(row["age_years"]) if row["age_years"] else None,
                sex=row["sex"] or None,  # type: ignore[arg-type]
                site=row["site"] or None,
            )
            found[row["id"]] = Case(id=row["id"], images=tuple(images), patient=patient)
    return found


def test_every_row_is_told_once_in_order_as_the_case_alone_is_diagnosed(
    folder: Path, whole: Path, pipeline: Pipeline
) -> None:
    told = lines(whole)
    assert [line["row"] for line in told] == list(range(1, 41))
    cases = cases_of(folder)
    assert len(cases) == 37
    for line in told:
        if line["id"] in cases:
            assert {k: v for k, v in line.items() if k not in ("row", "id")} == expected(
                pipeline, cases[line["id"]]
            )
    for line in told[:3]:
        jsonschema.validate(line["diagnosis"], schema())


def test_faults_stand_in_a_table_that_a_spreadsheet_may_open(whole: Path) -> None:
    with (whole / "faults.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["row"], r["id"], r["code"]) for r in rows] == [
        ("8", "case 7", "MetadataError"),
        ("9", "'=cmd()", "CorruptImage"),
        ("22", "case 21", "MetadataError"),
        ("31", "case 30", "CaseError"),
    ]
    assert "did you mean 'back'" in rows[2]["message"]
    assert "300" not in rows[0]["message"]
    told = json.loads((whole / "summary.json").read_text("utf-8"))
    assert (told["rows"], told["diagnosed"], told["faults"]) == (40, 36, 4)
    assert told["codes"] == {"CaseError": 1, "CorruptImage": 1, "MetadataError": 2}
    assert told["research_use"] == RESEARCH_USE


def test_json_lines_and_parquet_give_the_same_answers_as_csv(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    documents = []
    for row in rows:
        images = [
            {"modality": m, "path": name}
            for m in ("dermoscopy", "clinical")
            for name in row[m].split(";")
            if name
        ]
        patient = {k: row[k] for k in ("sex", "site") if row[k]}
        if row["age_years"]:
            patient |= {"age_years": int(row["age_years"])}  # type: ignore[dict-item]
        documents.append({"id": row["id"], "images": images, "patient": patient})
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(d) + "\n" for d in documents), "utf-8")
    columns = {n: [r[n] or None for r in rows] for n in HEADER}
    columns["age_years"] = [float(a) if a else None for a in columns["age_years"]]  # type: ignore[misc]
    columns["dermoscopy"] = [t and t.split(";") for t in columns["dermoscopy"]]  # type: ignore[misc]
    parquet.write_table(pyarrow.table(columns), tmp_path / "c.parquet", row_group_size=9)
    for name in ("c.jsonl", "c.parquet"):
        batch(tmp_path / name, tmp_path / f"out-{name}", shard_rows=11, root=folder).run()
        found, wanted = lines(tmp_path / f"out-{name}"), lines(whole)
        # What is wrong with a row without images is said in the words of its kind of file.
        assert [f["fault"]["code"] for f in found if f["row"] == 31] == ["CaseError"]
        assert [f for f in found if f["row"] != 31] == [w for w in wanted if w["row"] != 31]


def test_the_command_ends_with_1_and_the_count_after_all_rows_or_with_0_when_told_to_keep_going(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    done = invoke(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7)
    assert done.returncode == 1
    assert "4 of 40 cases have a fault; see faults.csv" in done.stderr
    assert RESEARCH_USE in done.stdout
    assert "case 7" not in done.stderr + done.stdout
    assert lines(tmp_path / "out") == lines(whole)
    again = invoke(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7, "--keep-going", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["last_command"]["rows"] == 0


def test_what_a_set_or_a_clinic_is_asked_for_enters_every_answer(folder: Path, tmp_path: Path) -> None:
    few = write_csv(
        folder / "few.csv", [[f"f{k}", "50", "", "", f"{k}-dermoscopy.jpg", ""] for k in range(2)]
    )
    done = invoke(few, tmp_path / "out", "--prevalence", "Malignant=0.05", "--fuser", "bayes")
    assert done.returncode == 0, done.stderr
    for line in lines(tmp_path / "out"):
        assert line["diagnosis"]["fuser"] == "bayes"
        assert [n["code"] for n in line["diagnosis"]["notices"]] == ["Prevalence"]


def test_a_missing_view_leaves_the_case_with_the_other_one(folder: Path, tmp_path: Path) -> None:
    path = write_csv(
        folder / "absent.csv",
        [["a", "", "", "", "0-dermoscopy.jpg", "absent.jpg"], ["b", "", "", "", "absent.jpg", ""]],
    )
    found = batch(path, tmp_path / "out").run()
    first, second = lines(tmp_path / "out")
    assert first["diagnosis"]["status"] == "partial"
    assert second["fault"]["code"] == "PathRejected"
    assert (found.diagnosed, found.codes) == (1, {"PathRejected": 1})


def test_progress_hears_numbers_alone(folder: Path, tmp_path: Path) -> None:
    told = Told()
    batch(folder / "cases.csv", tmp_path / "out", shard_rows=30).run(progress=told)
    assert (told.begun, told.rows, told.faults) == ([(40, 0)], 40, 4)
