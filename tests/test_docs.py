"""What the pages claim."""

from __future__ import annotations

import inspect
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from core import errors
from plugins import hookspecs

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_hook_is_documented() -> None:
    page = (ROOT / "docs/reference/hooks.md").read_text("utf-8")
    hooks = [n for n in vars(hookspecs) if n.startswith("dxtree_")]
    assert hooks
    assert all(f"`{h}(" in page for h in hooks)


def test_every_error_is_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text("utf-8")
    named = [n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, errors.DxtreeError)]
    assert [n for n in named if n not in page] == []


def test_every_command_is_in_the_readme() -> None:
    from dxtree.cli.commands import COMMANDS

    page = (ROOT / "README.md").read_text("utf-8")
    assert all(f"dxtree {name}" in page or f"`{name}" in page for name in COMMANDS)


def test_no_page_names_a_path_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"\.\./shared|/work/|/home/|/root/", page.read_text("utf-8")), page.name


def test_the_page_of_the_command_line_is_current() -> None:
    script = ROOT / "scripts/make_command_line_page.py"
    spec = spec_from_file_location("make_command_line_page", script)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8") == module.page()
