"""`dxtree split`: a split that nothing leaks through, or who leaks through a given one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import CohortOption, JsonOption, PluginOption, existing, print_json, registry_of

if TYPE_CHECKING:
    from core.cohort import LabelledImage
    from core.taxonomy import Taxonomy
    from dxtree.splitting import Straddle, Summary
    from dxtree.splitting.look import Progress


def split(
    cohort: CohortOption,
    out: Annotated[Path | None, typer.Option(help="Write the split to this JSON file.")] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            help="Check a split in place of making one: JSON of dxtree split, a run's split.json, or a CSV "
            "with the columns lesion (or image), part and, where there are folds, fold."
        ),
    ] = None,
    validation: Annotated[float, typer.Option(help="Fraction of each diagnosis held out.")] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds of the training part.")] = 3,
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    quality_filter: Annotated[
        bool,
        typer.Option(
            "--quality-filter",
            help="Leave blurred and far-away images out of results; they still train.",
        ),
    ] = False,
    near_distance: Annotated[
        int, typer.Option(min=0, max=64, help="Bits, of 256, in which hashes of one picture may differ.")
    ] = 12,
    taxonomy: Annotated[str, typer.Option(help="Name of the disease tree.")] = "isic_diagnosis",
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Make a split over components of linked lesions, or check a given one. Ends with 2 where one leaks."""
    if (out is None) == (check is None):
        raise typer.BadParameter("give --out to make a split, or --check to check one")
    if out is not None:
        existing(out.parent, "the folder of --out")
    if check is not None:
        existing(check, "the split to check")
    from dxtree.cohorts.reading import read_cohorts

    registry = registry_of(plugin)
    tree = registry.taxonomies.get(taxonomy).load()
    images = read_cohorts(registry, cohort, tree)
    if out is not None:
        shape = {"validation": validation, "folds": folds, "seed": seed, "quality": quality_filter}
        _make(images, tree, out, near_distance, shape, json=json)
    elif check is not None:
        _check(images, check, near_distance, json=json)


def _make(
    images: Sequence[LabelledImage],
    tree: Taxonomy,
    out: Path,
    distance: int,
    shape: dict[str, Any],
    *,
    json: bool,
) -> None:
    from json import dumps

    from core.files import write_whole
    from dxtree.splitting import guarded_split, summarise

    with _progress(len(images)) as progress:
        made, links = guarded_split(images, distance=distance, progress=progress, **shape)
    text = dumps({**made.to_dict(), "links": [link.to_dict() for link in links]}, indent=1)
    write_whole(out, text.encode())
    summary = summarise(images, made, links, tree)
    if json:
        print_json(summary.to_dict())
        return
    _print_summary(summary)
    typer.echo(f"split written to {out.name}", err=True)


def _check(images: Sequence[LabelledImage], given: Path, distance: int, *, json: bool) -> None:
    from dxtree.splitting import find_links, look, notes_on, read_places, refuse, straddling

    places = read_places(given, images)
    with _progress(len(images)) as progress:
        looks = look(images, progress=progress)
    found = straddling(images, places, find_links(images, looks, distance=distance))
    notes = notes_on(images, looks)
    if json:
        print_json({"straddling": [s.to_dict() for s in found], "notes": notes})
    else:
        _print_straddling(found)
        for note in notes:
            typer.echo(f"note: {note}")
    refuse(found)


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking at images", total=total)
        yield lambda done, _: bar.update(task, completed=done)


def _print_summary(summary: Summary) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    links = Table("links between lesions, by", "number")
    for kind, number in summary.links.items():
        links.add_row(kind, f"{number:,}")
    places = Table("part", "components", "lesions", "images", "of them judged")
    for name, size in summary.places.items():
        places.add_row(name, *(f"{n:,}" for n in (size.components, size.lesions, size.images, size.judged)))
    held = Table("diagnosis", "lesions", "held out", "share")
    for node, (total, out) in summary.held_out.items():
        held.add_row(node, f"{total:,}", f"{out:,}", f"{out / total:.1%}")
    for table in (links, places, held):
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
    for note in summary.notes:
        typer.echo(f"note: {note}")


def _print_straddling(found: Sequence[Straddle]) -> None:
    for s in found:
        apart = "" if s.distance is None else f", {s.distance} bits apart"
        who = f"lesion {' and '.join(s.lesions)}, images {' and '.join(s.images)}"
        typer.echo(f"{s.kind}: {who}, in {' | '.join(s.places)}{apart}")
    if not found:
        typer.echo("nothing stands on both sides")
