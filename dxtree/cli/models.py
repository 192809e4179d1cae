"""`dxtree models`: which model sets are there, and what do they hold?"""

from __future__ import annotations

from typing import Any

from dxtree.cli.options import JsonOption, ModelsOption, PluginOption, models_of, print_json, registry_of


def models(models: ModelsOption = None, plugin: PluginOption = None, json: JsonOption = False) -> None:
    """List model sets, or show one with --models. Every byte of them is checked."""
    from core.errors import DxtreeError

    registry = registry_of(plugin)
    if models is not None:
        rows = [_describe(models_of(registry, models))]
    else:
        rows = []
        for name in registry.model_sets.names():
            spec = registry.model_sets.get(name)
            try:
                rows.append(_describe(models_of(registry, name)) | {"offered_as": name, "title": spec.title})
            except DxtreeError as error:
                rows.append({"offered_as": name, "title": spec.title, "error": error.safe_message})
    if json:
        print_json(rows)
        return
    from rich.console import Console

    console = Console()
    for row in rows:
        console.print(f"[bold]{row.get('offered_as', row.get('name'))}[/bold]  {row.get('title', '')}")
        for key, value in row.items():
            if key not in ("offered_as", "title"):
                shown = ", ".join(map(str, value)) if isinstance(value, list) else value
                console.print(f"  {key:<18}{shown}", highlight=False, soft_wrap=True)


def _describe(found: Any) -> dict[str, Any]:
    manifest = found.bundle.manifest
    # Opening each bundle checks every byte of it.
    for modality in found.modalities:
        found.modality_bundle(modality)
    for fuser in found.fusers:
        found.fuser_bundle(fuser)
    return {
        "name": manifest.get("name"),
        "demonstration": manifest.get("demonstration", False),
        "licence": manifest.get("licence"),
        "taxonomy": manifest.get("taxonomy"),
        "training_classes": len(found.partition.classes),
        "modalities": sorted(found.modalities),
        "fusers": sorted(found.fusers),
        "default_fuser": found.default_fuser,
        "megabytes": round(sum(found.contents().values()) / 1e6, 2),
        "digest": found.bundle.digest,
    }
