"""The house rules that a linter does not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "plugins", "modalities", "fusion", "dxtree")
SOURCES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
DOORS = (
    "core", "plugins", "plugins.conformance", "modalities.compression", "modalities.dicom",
    "modalities.encoders", "modalities.engines", "modalities.gate", "modalities.images",
    "modalities.phone", "modalities.stages", "dxtree.audit", "dxtree.batch", "dxtree.binary",
    "dxtree.cohorts",
    "dxtree.compressing", "dxtree.dicomnet", "dxtree.drift", "dxtree.evaluation", "dxtree.exchange",
    "dxtree.figures", "dxtree.gating", "dxtree.page", "dxtree.service", "dxtree.simulating",
    "dxtree.splitting", "dxtree.taxonomies", "modalities.stacks",
)  # fmt: skip
HEAVY = ("torch", "torchvision", "sklearn", "xgboost", "onnxruntime", "scipy")


@pytest.mark.parametrize("name", DOORS)
def test_a_front_door_holds_a_sorted_list_of_what_exists(name: str) -> None:
    module = import_module(name)
    assert sorted(module.__all__, key=lambda n: (n.upper() != n, not n[0].isupper(), n)) == list(
        module.__all__
    )
    assert all(hasattr(module, n) for n in module.__all__)


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name == "__init__.py"], ids=str)
def test_an_init_holds_imports_and_nothing_else(path: Path) -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
    assert all(isinstance(node, allowed) for node in ast.parse(path.read_text("utf-8")).body)


@pytest.mark.parametrize(
    "module", ["core", "plugins", "plugins.assembly", "fusion.plugin", "dxtree.cohorts.plugin"]
)
def test_importing_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_every_built_in_plugin_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom plugins.assembly import load_registry\nload_registry()\n"
        f"print([m for m in {(*HEAVY, 'PIL')!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_reads_a_format_that_can_run_code(path: Path) -> None:
    banned = ("import pickle", "import joblib", "torch.load(", "torch.jit", "yaml.load(", "torchvision.io",
              "shell=True", "extractall(", "allow_pickle=True", ".verify(", "eval(", "exec(")  # fmt: skip
    text = path.read_text("utf-8").replace(".eval(", "").replace("exec_module(", "")
    assert [b for b in banned if b in text] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is_for_and_keeps_its_size(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 330


TREES_OF_SKIN = ("esteva_2017.json", "isic_diagnosis.json", "SOURCES.md")
"""Data that ship in `core`, and where they come from: trees like any other, which no line of code names."""


def test_core_says_nothing_of_skin() -> None:
    words = (
        "skin",
        "dermo",
        "dermat",
        "derma ",
        "cutane",
        "melano",
        "nevus",
        "naevus",
        "keratos",
        "lesional",
        "isic",
    )
    for path in sorted((ROOT / "core").rglob("*")):
        if path.suffix in (".py", ".json", ".md") and path.name not in TREES_OF_SKIN:
            assert [w for w in words if w in path.read_text("utf-8").lower()] == [], path.name
