"""Do the pages about plugins say what the code says?"""

from __future__ import annotations

import inspect
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import plugins
from plugins import hookspecs, specs
from plugins.api_version import API_VERSION

ROOT = Path(__file__).parents[2]
HOOKS = (ROOT / "docs/reference/hooks.md").read_text("utf-8")
ROW = re.compile(r"^\| `(dxtree_\w+)\(([\w, ]*)\)` \| (?:`(\w+)\(([\w, ]+)\)`|nothing) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = spec_from_file_location("make_plugin_pages", ROOT / "scripts/make_plugin_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hooks_page_has_every_hook_with_its_arguments_and_no_other() -> None:
    on_page = {name: arguments for name, arguments, _, _ in ROW.findall(HOOKS)}
    hooks = {n: v for n, v in vars(hookspecs).items() if n.startswith("dxtree_")}
    assert on_page == {name: ", ".join(inspect.signature(hook).parameters) for name, hook in hooks.items()}


@pytest.mark.parametrize(("hook", "spec", "fields"), [(h, s, f) for h, _, s, f in ROW.findall(HOOKS) if s])
def test_the_hooks_page_has_every_field_of_what_a_hook_returns(hook: str, spec: str, fields: str) -> None:
    assert spec in str(inspect.signature(getattr(hookspecs, hook)).return_annotation)
    assert fields == ", ".join(inspect.signature(getattr(specs, spec)).parameters)


def test_the_page_of_the_plugin_api_names_the_version_and_what_is_exported() -> None:
    page = (ROOT / "docs/reference/plugin-api.md").read_text("utf-8")
    assert f"MAJOR.MINOR, {API_VERSION} now" in page
    assert f"| {API_VERSION} | " in page
    assert plugins.API_VERSION == API_VERSION


@pytest.mark.parametrize("name", ["gallery", "promises"])
def test_a_page_made_by_the_script_is_current(name: str, pages: ModuleType) -> None:
    written = getattr(pages, name.upper()).read_text("utf-8")
    assert written == getattr(pages, name)(), "run python scripts/make_plugin_pages.py"
