"""`dxtree partition`: training classes of a tree with image counts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import JsonOption, existing, print_json


def partition(
    counts: Annotated[Path, typer.Argument(help="CSV: one column per level, coarse to fine, `images` last.")],
    max_size: Annotated[int, typer.Option(help="Largest number of images a class should hold.")],
    preset: Annotated[
        str, typer.Option(help="reference (nothing is lost) or published (as printed in the paper).")
    ] = "reference",
    json: JsonOption = False,
) -> None:
    """Cut a disease tree into training classes (Esteva et al. 2017, PA)."""
    from core.counts import read_counts
    from core.partition import partition_tree

    taxonomy, images = read_counts(existing(counts, "the counts CSV"))
    result = partition_tree(taxonomy, images, max_size=max_size, preset=preset)  # type: ignore[arg-type]
    if json:
        print_json(result.to_dict())
        return
    from rich.console import Console
    from rich.table import Table

    report = result.report
    table = Table(
        title=f"{len(result.classes)} training classes of {taxonomy.name}, {preset}, at most {max_size}"
    )
    table.add_column("class")
    table.add_column("images", justify="right")
    for c in sorted(result.classes, key=lambda c: -c.images):
        mark = "  (over the maximum)" if c.id in report.oversize else ""
        table.add_row(c.node + (" (residual)" if c.residual else "") + mark, f"{c.images:,}")
    console = Console()
    console.print(table)
    console.print(f"images {report.total_images:,}, lost {report.lost_images:,} at {len(report.lost)} nodes")
    console.print(
        f"classes over the maximum: {len(report.oversize)}; untrained nodes: {len(result.untrained)}"
    )
