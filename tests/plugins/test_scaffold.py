"""What does `dxtree plugins new` write?"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from core.errors import PathRejected, PluginError
from dxtree.scaffold import new
from plugins import API_VERSION
from plugins.assembly import find_model_set, load_registry
from plugins.config import Settings
from plugins.conformance import check


def test_a_distribution_has_entry_point_test_card_and_licence(tmp_path: Path) -> None:
    made = new("woods_lamp", tmp_path, title="Wood's lamp", author="A. Author")
    files = sorted(p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file())
    assert files == [
        "LICENSE",
        "README.md",
        "dxtree_woods_lamp/__init__.py",
        "dxtree_woods_lamp/card.md",
        "dxtree_woods_lamp/plugin.py",
        "pyproject.toml",
        "tests/test_contract.py",
    ]
    project = tomllib.loads((made / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["dxtree"] == {"woods_lamp": "dxtree_woods_lamp.plugin"}
    assert project["authors"] == [{"name": "A. Author"}]
    assert f'DXTREE_API_VERSION = "{API_VERSION}"' in (made / "dxtree_woods_lamp/plugin.py").read_text(
        "utf-8"
    )


def test_one_file_refuses_to_answer_until_it_is_edited_and_says_what_to_edit(tmp_path: Path) -> None:
    made = new("colposcopy", tmp_path, one_file=True)
    assert [p.name for p in tmp_path.iterdir()] == ["colposcopy_plugin.py"]
    registry = load_registry(Settings((str(made),)))
    findings = check("colposcopy_plugin", registry, find_model_set(registry, "demonstration"), quick=True)
    wrong = {f.key: f.detail for f in findings if not f.passed}
    assert set(wrong) == {"answers", "garbage"} or set(wrong) == {"answers"}
    assert "edit `describe`" in wrong["answers"]


@pytest.mark.parametrize(
    "name", ["", "Confocal", "a-b", "a b", "../a", "1a", "class", "a__b", "_a", "a" * 41, "ü"]
)
def test_a_name_that_is_no_modules_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="small letters"):
        new(name, tmp_path)


@pytest.mark.parametrize("text", ['say "x"', "two\nlines", "back\\slash", "x" * 81])
def test_a_title_that_would_break_the_code_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="title"):
        new("colposcopy", tmp_path, title=text)
    with pytest.raises(PluginError, match="author"):
        new("colposcopy", tmp_path, author=text)


@pytest.mark.parametrize("one_file", [True, False])
def test_what_is_there_already_is_never_written_over(one_file: bool, tmp_path: Path) -> None:
    new("colposcopy", tmp_path, one_file=one_file)
    with pytest.raises(PathRejected, match="is there already"):
        new("colposcopy", tmp_path, one_file=one_file)
