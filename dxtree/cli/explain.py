"""`dxtree explain`: where in one image the probability of a node comes from, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import (
    JsonOption,
    ModelsOption,
    PluginOption,
    existing,
    models_of,
    print_json,
    registry_of,
)

if TYPE_CHECKING:
    from core.case import ImageInput
    from core.diagnosis import Notice


def explain(
    image: Annotated[Path, typer.Argument(help="An image file, upright as its EXIF says, or a DICOM file.")],
    modality: Annotated[str, typer.Option(help="What the image is, such as dermoscopy.")],
    node: Annotated[str, typer.Option(help="A node of the tree, such as Malignant.")],
    out: Annotated[Path, typer.Option(help="The PNG to write: the picture with the map over it.")],
    method: Annotated[
        str,
        typer.Option(
            help="saliency, grad-cam, integrated-gradients (all need the extra explain), occlusion, or auto: "
            "saliency where it is installed, else occlusion."
        ),
    ] = "auto",
    engine: Annotated[str, typer.Option(help="auto, or an engine of `dxtree bench`.")] = "auto",
    frame: Annotated[
        int | None, typer.Option(min=1, help="Of a multi-frame DICOM file: the frame's number, from 1.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Give up after so long.")] = None,
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Draw where in an image a node's probability comes from, by this image's net alone, before fusion.

    Yellow speaks for the node, blue against it; grey is not seen by the net. A map tells what the net hangs
    on: it is no outline of a lesion and no proof. For research use only; not a medical device.
    """
    from core.errors import ExplanationError, PathRejected
    from core.gathering import loader_of
    from modalities.cnn.attribution import choose_method
    from modalities.cnn.explaining import explain as explained
    from modalities.cnn.model import CnnModel
    from plugins.assembly import assemble

    if out.suffix.lower() != ".png":
        raise PathRejected("--out must end in .png")
    existing(out.parent, "the folder of --out")
    existing(image, "the image")
    choose_method(method)
    registry = registry_of(plugin)
    pipeline = assemble(registry, models_of(registry, models), engine=engine)
    model = loader_of(modality, pipeline.models)()
    if not isinstance(model, CnnModel):
        raise ExplanationError(f"the model of {modality!r} is no net that a map can be made of")
    given, notices = _read(image, modality, frame)
    found = explained(model, given, pipeline.sums, node, method, seconds=seconds)
    from dxtree.heat import draw

    heat = draw(found).flat()
    try:
        heat.save(out, "PNG")
    except OSError as error:
        raise PathRejected(f"--out cannot be written ({type(error).__name__})") from None
    if json:
        print_json(
            {
                "node": node,
                "modality": modality,
                "probability": found.probability,
                "method": found.method,
                "cells": list(found.values.shape),
                "total": found.total,
                "notes": [*found.notes, *(n.text for n in notices)],
                "width": heat.width,
                "height": heat.height,
            }
        )
        return
    label = pipeline.partition.taxonomy.label(node)
    typer.echo(f"{label}: {100 * found.probability:.1f} % by this image alone, before fusion")
    typer.echo(f"{found.method}, {' x '.join(map(str, found.values.shape))} cells, drawn in {out.name}")
    for note in (*found.notes, *(n.text for n in notices)):
        typer.echo(f"note: {note}")


def _read(path: Path, modality: str, frame: int | None) -> tuple[ImageInput, tuple[Notice, ...]]:
    """The image, of a DICOM file its frame, and what is to be said about the reading of that.

    Raises `CaseError` for a frame of another file, and what `case_from_dicom` raises.
    """
    from core.case import ImageInput
    from core.errors import CaseError
    from modalities.dicom import case_from_dicom, is_dicom

    if is_dicom(path):
        found = case_from_dicom([(modality, path)], frame=frame)
        return found.case.images[0], found.notices
    if frame is not None:
        raise CaseError("--frame goes with a DICOM file; this is none")
    return ImageInput(modality=modality, path=path), ()
