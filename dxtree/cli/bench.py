"""`dxtree bench`: how fast is this machine, and which engine should it use?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import JsonOption, ModelsOption, PluginOption, models_of, print_json, registry_of

if TYPE_CHECKING:
    from dxtree.speed import EngineSpeed, Rates


def bench(
    modality: Annotated[
        str | None, typer.Option(help="Whose net is measured. Default: the first of the model set.")
    ] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(help="A folder of JPEGs, of which up to 32 are read. Default: drawn lesions."),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Engine to measure. Repeatable. Default: every one.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Interleaved rounds; more is steadier.")] = 20,
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Measure engines, decoding and the whole way on this machine. Only ratios carry over to another."""
    from rich.console import Console
    from rich.progress import Progress

    from core.diagnosis import RESEARCH_USE
    from core.errors import CaseError
    from dxtree.speed import Machine, measure_engines, measure_whole, recommended
    from dxtree.speed.whole import drawn_jpegs
    from modalities.engines import engine_names
    from plugins.assembly import assemble

    registry = registry_of(plugin)
    found = models_of(registry, models)
    chosen = modality or min(found.modalities)
    bundle = found.modality_bundle(chosen)
    if bundle is None:
        raise CaseError(f"the model set has no bundle for {chosen!r}; it has {', '.join(found.modalities)}")
    jpegs = drawn_jpegs(chosen) if photographs is None else read_jpegs(photographs)
    names = engine or [name for name in engine_names() if name != "auto"]
    resize = int(bundle.require("preprocessing", dict)["resize"])
    with Progress(console=Console(stderr=True), transient=True) as bar:

        def told(what: str) -> Any:
            task = bar.add_task(what, total=rounds)
            return lambda done, total: bar.update(task, completed=done, total=total)

        speeds = measure_engines(
            found.folder / chosen, bundle, names, rounds=rounds, progress=told("engines")
        )
        best = recommended(speeds)
        pipeline = assemble(registry, found, engine=best.engine if best else "auto")
        rates = measure_whole(
            pipeline, chosen, jpegs, resize, rounds=max(3, rounds // 4), progress=told("the whole way")
        )
    machine = Machine.here()
    if json:
        print_json(
            {
                "machine": machine.to_dict(),
                "model_set": found.bundle.manifest.get("name"),
                "modality": chosen,
                "architecture": bundle.manifest.get("architecture"),
                "photographs": photographs is not None,
                "rounds": rounds,
                "engines": [s.to_dict() for s in speeds],
                "recommended": best.engine if best else None,
                "whole": rates.to_dict(),
                "notice": RESEARCH_USE,
            }
        )
        return
    _show(Console(highlight=False), speeds, rates, drawn=photographs is None)
    typer.echo(f"machine      {machine}")
    if best is not None:
        typer.echo(f"recommended  --engine {best.engine}")
    typer.echo(RESEARCH_USE)


def read_jpegs(folder: Path, most: int = 32) -> list[bytes]:
    """Up to `most` JPEGs of a folder, by name. Raises `PathRejected` where it holds none."""
    from core.errors import PathRejected

    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg"))[:most]
    if not files:
        raise PathRejected(f"the folder {folder.name!r} holds no .jpg file; name one with photographs")
    return [file.read_bytes() for file in files]


def _show(console: Any, speeds: list[EngineSpeed], rates: Rates, *, drawn: bool) -> None:
    from rich.table import Table

    table = Table("engine", *("images/s", "to torch", "p50 ms", "p99 ms", "memory MB"), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    refused = [s for s in speeds if s.refused]
    for speed in (s for s in speeds if not s.refused):
        cells = (speed.images_per_second, speed.ratio, speed.p50_ms, speed.p99_ms)
        memory = "" if speed.memory_mb is None else f"{speed.memory_mb:.0f}"
        table.add_row(
            speed.engine, *(f"{c:.2f}" if c is not None and c < 10 else f"{c:.1f}" for c in cells), memory
        )
    console.print(table)
    for speed in refused:
        console.print(f"  {speed.engine}: {speed.refused}", soft_wrap=True)
    kind = "drawn lesions" if drawn else "photographs"
    console.print(
        f"\nof {rates.images} {kind}, {rates.pixels}, in one process:\n"
        f"decoding       {rates.decode_per_second:8.1f} images/s through one isolated decoder\n"
        f"diagnose       {rates.diagnose_ms:8.1f} ms a case of one image\n"
        f"diagnose_many  {rates.many_per_second:8.1f} images/s, {rates.gain:.2f} times one after another\n"
    )
