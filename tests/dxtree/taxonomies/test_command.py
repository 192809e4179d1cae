"""Do the commands print, end and write as they say?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.taxonomy import Taxonomy
from dxtree.cli.main import run

EYES = "code,description,parent\n0,all,\nH,eye,0\nH4,glaucoma,H\nH2,cataract,H\n"


def dxtree(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["dxtree", "taxonomy", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    path = tmp_path / "eyes.csv"
    path.write_text(EYES, "utf-8")
    return path


def test_show_prints_json_that_is_read_again(
    eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dxtree(monkeypatch, "show", eyes, "--json") == 0
    written = tmp_path / "eyes.json"
    written.write_text(capsys.readouterr().out, "utf-8")
    assert Taxonomy.from_json(written).label("H4") == "glaucoma"
    assert dxtree(monkeypatch, "diff", eyes, written, "--same") == 0


def test_validate_ends_with_2_and_lists_lines(
    eyes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dxtree(monkeypatch, "validate", eyes) == 0
    eyes.write_text(EYES + "X,x,nowhere\nH4,glaucoma,0\n", "utf-8")
    capsys.readouterr()
    assert dxtree(monkeypatch, "validate", eyes) == 2
    out = capsys.readouterr().out
    assert "line 6: 'X' names the parent 'nowhere'" in out
    assert "line 4, 7: 'H4' (glaucoma) has 2 parents" in out
    assert dxtree(monkeypatch, "validate", eyes, "--json") == 2
    document = json.loads(capsys.readouterr().out)
    assert [f["rule"] for f in document["faults"]] == ["two parents", "parent"]


def test_map_writes_a_table_to_review_and_takes_it_back(
    eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("parent,child\nall,Eye\nEye,Glaucomas\n", "utf-8")
    table = tmp_path / "map.csv"
    assert dxtree(monkeypatch, "map", eyes, other, "--out", table) == 0
    assert "perhaps Glaucomas" in capsys.readouterr().out
    table.write_text(table.read_text("utf-8").replace("H4,glaucoma,,,", "H4,glaucoma,Glaucomas,me,"), "utf-8")
    assert dxtree(monkeypatch, "map", eyes, other, "--with", table, "--json") == 0
    found = {n["node"]: n for n in json.loads(capsys.readouterr().out)["nodes"]}
    assert (found["H4"]["to"], found["H4"]["by"]) == ("Glaucomas", "reviewed")
    assert (found["H"]["to"], found["H"]["by"]) == ("Eye", "name")
    assert found["H2"]["status"] == "ancestor only"


def test_an_unknown_code_system_names_those_there_are(
    eyes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dxtree(monkeypatch, "map", eyes, eyes, "--codes", "ICD10") == 2
    assert "there are SNOMED CT, ICD-10, ICD-11; did you mean 'ICD-10'?" in capsys.readouterr().err


def test_diff_ends_with_2_where_same_was_asked_for(
    eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    later = tmp_path / "later.csv"
    later.write_text(EYES.replace("H2,cataract,H", "H2,Cataract,0") + "H9,other,H\n", "utf-8")
    assert dxtree(monkeypatch, "diff", eyes, later) == 0
    out = capsys.readouterr().out
    assert "added (1)\n  H9" in out
    assert "H2: cataract -> Cataract" in out
    assert "H2: H -> 0" in out
    assert dxtree(monkeypatch, "diff", eyes, later, "--same") == 2
