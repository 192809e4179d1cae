"""Do the Chinese pages say the same commands, links and numbers as the English ones that they translate?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAIRS = [
    (page, page.with_name(page.name.removesuffix(".zh.md") + ".md"))
    for page in [ROOT / "README.zh.md", *sorted((ROOT / "docs").rglob("*.zh.md"))]
]
BLOCK = re.compile(r"^```.*?^```$|(?:^    [^\n]*\n)+", re.MULTILINE | re.DOTALL)
ids = [str(page.relative_to(ROOT)) for page, _ in PAIRS]


def blocks(text: str) -> list[list[str]]:
    """Code as it stands, without what a comment says in either language."""
    return [[re.sub(r"\s+#.*", "", line) for line in block.splitlines()] for block in BLOCK.findall(text)]


def links(text: str) -> set[str]:
    """What the page leads to, but for the way to its own translation."""
    found = re.findall(r"\]\(([^)]+)\)", text)
    return {link.replace(".zh.md", ".md") for link in found} - {"README.md", "first-diagnosis.md"}


@pytest.mark.parametrize(("chinese", "english"), PAIRS, ids=ids)
def test_a_translation_has_the_same_commands_in_the_same_order(chinese: Path, english: Path) -> None:
    assert blocks(chinese.read_text("utf-8")) == blocks(english.read_text("utf-8"))


@pytest.mark.parametrize(("chinese", "english"), PAIRS, ids=ids)
def test_a_translation_names_the_same_options_files_and_commands(chinese: Path, english: Path) -> None:
    spans = [
        set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", page.read_text("utf-8")))) for page in (chinese, english)
    ]
    assert spans[0] == spans[1]


@pytest.mark.parametrize(("chinese", "english"), PAIRS, ids=ids)
def test_a_translation_leads_where_the_original_leads(chinese: Path, english: Path) -> None:
    assert links(english.read_text("utf-8")) <= links(chinese.read_text("utf-8"))


@pytest.mark.parametrize(("chinese", "english"), PAIRS, ids=ids)
def test_a_translation_has_the_same_numbers_in_its_tables(chinese: Path, english: Path) -> None:
    rows = [
        re.findall(r"^\|.*\d\.\d.*\|$", page.read_text("utf-8"), re.MULTILINE) for page in (chinese, english)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("chinese", "english"), PAIRS, ids=ids)
def test_each_page_leads_to_its_translation(chinese: Path, english: Path) -> None:
    assert f"]({english.name})" in chinese.read_text("utf-8")
    assert f"]({chinese.name})" in english.read_text("utf-8")
