"""`dxtree stages`: one picture at every stage before its diagnosis, its outline, and what can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import (
    JsonOption,
    ModelsOption,
    PluginOption,
    existing,
    models_of,
    print_json,
    registry_of,
    writable_folder,
)

if TYPE_CHECKING:
    from dxtree.staging import Staged
    from plugins.registry import Registry


def stages(
    image: Annotated[Path, typer.Argument(help="An image file, upright as its EXIF says.")],
    modality: Annotated[str, typer.Option(help="What the image is, such as dermoscopy.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures, the mask and features.json.")],
    step: Annotated[
        list[str] | None, typer.Option(help="A preprocessing step, in order. Repeatable. Default: none.")
    ] = None,
    segmenter: Annotated[str, typer.Option(help="What outlines the lesion.")] = "two_means",
    mask: Annotated[
        Path | None, typer.Option(help="A black and white picture of the image's size, in place of it.")
    ] = None,
    mm_per_pixel: Annotated[
        float | None, typer.Option(help="Millimetres a pixel of the file, where known: sizes are then in mm.")
    ] = None,
    side: Annotated[int, typer.Option(min=64, max=2048, help="Short side that is worked at, pixels.")] = 288,
    node: Annotated[
        str | None, typer.Option(help="Also: how much of the map of this node lies inside the lesion.")
    ] = None,
    method: Annotated[str, typer.Option(help="Of that map, as in `dxtree explain`.")] = "auto",
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Write a picture after every stage, the lesion's outline, and its features. No diagnosis is made.

    Most steps cost a net accuracy: docs/concepts/preprocessing.md has the numbers. For research use only; not
    a medical device.
    """
    import json as codec

    from core.diagnosis import RESEARCH_USE
    from core.files import write_whole
    from dxtree.staging import stage

    existing(image, "the image")
    if mask is not None:
        existing(mask, "the mask")
    writable_folder(out)
    registry = registry_of(plugin)
    registry.modalities.get(modality)
    found = stage(
        image,
        [registry.preprocessors.get(name) for name in step or []],
        registry.segmenters.get(segmenter),
        [registry.features.get(name) for name in registry.features.names()],
        side=side,
        mask=mask,
        mm_per_pixel=mm_per_pixel,
    )
    document: dict[str, Any] = {
        "modality": modality,
        "width": found.mask.shape[1],
        "height": found.mask.shape[0],
        "scale": found.scale,
        "steps": [
            {"name": s.name, "version": s.version, "changed": share}
            for s, share in zip(found.steps, found.changed, strict=True)
        ],
        "mask": {"from": found.mask_from, "share": float(found.mask.mean())},
        "features": None if found.features is None else dict(found.features),
        "notes": list(found.notes),
        "research_use": RESEARCH_USE,
    }
    if node is not None:
        document["map"] = _map(registry, models, image, modality, node, method, found)
    _draw(found, out)
    write_whole(out / "features.json", codec.dumps(document, indent=1, allow_nan=False).encode())
    if json:
        print_json(document)
        return
    for row in document["steps"]:
        typer.echo(f"{row['name']:16} {100 * row['changed']:5.1f} % of pixels changed")
    typer.echo(
        f"lesion           {100 * document['mask']['share']:5.1f} % of the picture, by {found.mask_from}"
    )
    for name, value in (found.features or {}).items():
        typer.echo(f"  {name:32} {'not known' if value is None else f'{value:.3f}'}")
    if node is not None and document["map"]["share_inside"] is not None:
        told = document["map"]
        typer.echo(
            f"{100 * told['share_inside']:.0f} % of the map of {node} lies inside the lesion, which is "
            f"{100 * told['lesion_share_of_view']:.0f} % of what the net sees ({told['method']})"
        )
    for note in found.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"written: {out}\n{RESEARCH_USE}")


def _map(
    registry: Registry, models: str | None, image: Path, modality: str, node: str, method: str, found: Staged
) -> dict[str, Any]:
    """How much of a node's map lies inside the mask. Raises as `dxtree explain` does."""
    from core.case import ImageInput
    from core.errors import ExplanationError
    from modalities.cnn.explaining import explain
    from modalities.cnn.inside import inside
    from modalities.cnn.model import CnnModel
    from plugins.assembly import assemble

    pipeline = assemble(registry, models_of(registry, models))
    loader = pipeline.models.get(modality)
    model = None if loader is None else loader()
    if not isinstance(model, CnnModel):
        raise ExplanationError(f"the model of {modality!r} is no net that a map can be made of")
    made = explain(model, ImageInput(modality=modality, path=image), pipeline.sums, node, method)
    shares = inside(made, found.mask)
    return {
        "node": node,
        "method": made.method,
        "probability": made.probability,
        "share_inside": shares.share,
        "lesion_share_of_view": shares.area,
        "ratio": shares.ratio,
    }


def _draw(found: Staged, out: Path) -> None:
    import numpy as np
    from PIL import Image

    from core.errors import PathRejected
    from dxtree.staging import overlaid

    drawn = {f"{k}-{name}": pixels for k, (name, pixels) in enumerate(found.pictures)}
    drawn["mask"] = found.mask.astype(np.uint8) * 255
    drawn["outline"] = overlaid(found.pictures[-1][1], found.mask)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, pixels in drawn.items():
            Image.fromarray(pixels).save(out / f"{name}.png", "PNG")
    except OSError as error:
        raise PathRejected(f"--out cannot be written ({type(error).__name__})") from None
