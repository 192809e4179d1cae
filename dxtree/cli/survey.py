"""`dxtree survey`: what does the folder of a data set hold, and what of it cannot be used?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import JsonOption, existing, print_json, registry_of


def survey(
    cohort: Annotated[str, typer.Argument(help="Name of the data set, such as pad_ufes_20.")],
    data: Annotated[Path, typer.Argument(help="Its folder.")],
    taxonomy: Annotated[str, typer.Option(help="Name of the tree.")] = "isic_diagnosis",
    json: JsonOption = False,
) -> None:
    """Read a data set and list labels without a node, images left out, unknown sites and traps."""
    from core.diagnosis import RESEARCH_USE
    from dxtree.cohorts import survey_cohort, traps

    tree = registry_of(None).taxonomies.get(taxonomy).load()
    found = survey_cohort(cohort, existing(data, "the data folder"), tree)
    if json:
        counts = {k: getattr(found, k) for k in ("unmapped", "left_out", "sites", "alone")}
        told = {"cohort": cohort, "images": len(found.images), **counts, "traps": list(traps([cohort]))}
        print_json({**told, "research_use": RESEARCH_USE})
        return
    typer.echo("\n".join([*found.lines(), "What misleads:"]))
    typer.echo("\n".join(f"  {line}" for line in traps([cohort])) or "  nothing is listed for this set")
    typer.echo(RESEARCH_USE)
