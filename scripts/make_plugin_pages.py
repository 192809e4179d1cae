"""Writes `docs/reference/gallery.md` and `docs/reference/promises.md` from entry points, specs and the kit.

python scripts/make_plugin_pages.py
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plugins.assembly import load_registry
from plugins.config import Settings
from plugins.conformance import fuser, modality_rules, probe, stages
from plugins.registry import Registry

ROOT = Path(__file__).parent.parent
GALLERY = ROOT / "docs" / "reference" / "gallery.md"
PROMISES = ROOT / "docs" / "reference" / "promises.md"
HEAD = "Written by `python scripts/make_plugin_pages.py`; a test holds it current."


def gallery() -> str:
    """Every plugin of this repository: ours, the distributions under `examples/`, the one-file plugins."""
    lines = [
        "# Gallery of plugins",
        "",
        HEAD,
        "",
        "A plugin names itself by an entry point of the group `dxtree`.",
        "",
    ]
    projects = [ROOT / "pyproject.toml", *sorted((ROOT / "examples").glob("*/pyproject.toml"))]
    for file in projects:
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        lines += [f"## {project['name']} {project.get('version', '')}".rstrip(), ""]
        lines += [f"{project.get('description', '')}. Licence: {project.get('license', 'not stated')}.", ""]
        own = load_registry(Settings()) if file.parent == ROOT else None
        rows = list(_entries(project, own))
        offers = "offers" if own else "module"
        lines += [f"| plugin | {offers} |", "|---|---|", *rows, ""]
    lines += ["## Usable as one file", "", "| file | offers |", "|---|---|", *_files(), ""]
    return "\n".join(lines)


def promises() -> str:
    """Every promise that the conformance kit tests, with the key that expected failures call it by."""
    lines = [
        "# What the conformance kit tests",
        "",
        HEAD,
        "",
        "How to run it: [hooks](hooks.md#the-conformance-kit).",
        "",
    ]
    kinds: dict[str, tuple[Any, ...]] = {
        "Of every plugin": probe.PLUGIN_RULES,
        "Of every modality": (*modality_rules.RULES, *probe.MODALITY_RULES),
        "Of every fuser": fuser.RULES,
        "Of every preprocessing step, segmenter and feature": stages.RULES,
    }
    for kind, rules in kinds.items():
        lines += [f"## {kind}", "", "| key | promise |", "|---|---|"]
        lines += [f"| `{r.key}` | {r.text} |" for r in rules]
        lines.append("")
    return "\n".join(lines)


def _entries(project: dict[str, Any], registry: Registry | None) -> Iterator[str]:
    for name, module in sorted(project.get("entry-points", {}).get("dxtree", {}).items()):
        yield f"| `{name}` | {_offered(registry, name) if registry else f'`{module}`'} |"


def _files() -> Iterator[str]:
    for file in sorted((ROOT / "examples").glob("*/*_plugin.py")):
        registry = load_registry(Settings((str(file),)))
        link = f"[`{file.name}`](../../{file.relative_to(ROOT).as_posix()})"
        yield f"| {link} | {_offered(registry, file.stem)} |"


def _offered(registry: Registry, plugin: str) -> str:
    offers = registry.offered_by(plugin)
    found = [f"{kind}: {', '.join(f'`{n}`' for n in names)}" for kind, names in offers.items() if names]
    return "; ".join(found) or "watches diagnoses"


if __name__ == "__main__":
    GALLERY.write_text(gallery(), "utf-8")
    PROMISES.write_text(promises(), "utf-8")
