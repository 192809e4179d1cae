"""`dxtree demo`: one drawn lesion, diagnosed beside its truth."""

from __future__ import annotations

from typing import Annotated

import typer

from dxtree.cli.options import JsonOption, print_json, registry_of

SEED_OF_DEMO = 2017
"""Lesions of this seed are in no training part: the demonstration set is trained on seed 0."""


def demo(
    lesion: Annotated[int, typer.Option(help="Which drawn lesion: any whole number >= 0.")] = 0,
    json: JsonOption = False,
) -> None:
    """Draw one synthetic lesion, both views with metadata, and diagnose it beside its known truth.

    The answer comes from a small demonstration bundle trained on such drawings: it knows nothing of real
    skin. For an image of yours see dxtree diagnose.
    """
    from core.case import Case, ImageInput
    from dxtree.cohorts.synthetic import make_lesion
    from plugins.assembly import assemble, find_model_set

    drawn = make_lesion(SEED_OF_DEMO, lesion)
    images = tuple(ImageInput(modality=view, data=jpeg) for view, jpeg in drawn.jpegs.items())
    case = Case(id=f"drawn-{lesion}", images=images, patient=drawn.patient)
    registry = registry_of(None)
    pipeline = assemble(registry, find_model_set(registry, "demonstration"))
    answer = pipeline.diagnose(case)
    if json:
        print_json({"truth": drawn.label, **answer.to_dict()})
        return
    from rich.console import Console

    from dxtree.cli.show import show_diagnosis

    console = Console(highlight=False)
    console.print(
        f"A drawn lesion (number {lesion}), both views and metadata, diagnosed by the [bold]demonstration "
        "bundle[/bold]:\na small net trained on drawings alone, to show how dxtree answers. "
        "It knows no real skin.\n"
    )
    show_diagnosis(answer, truth=drawn.label)
