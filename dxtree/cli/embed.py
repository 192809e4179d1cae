"""`dxtree embed`: what a net knows of images before it names classes, as rows of numbers."""

from __future__ import annotations

from collections.abc import Callable
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
)

if TYPE_CHECKING:
    from core.case import ImageInput
    from plugins.model_set import ModelSet
    from plugins.registry import Registry


def embed(
    images: Annotated[list[Path], typer.Argument(help="Image files, upright as their EXIF says.")],
    modality: Annotated[str, typer.Option(help="What the images are, such as dermoscopy.")],
    out: Annotated[Path, typer.Option(help="The .npy file to write: float32, a row for each image.")],
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Write the deep features of images, in order: what the net's last linear layer is given.

    Of an encoder's modality, the encoder's own vectors. Rows of two models, or of two versions of one, cannot
    be compared: the digest that is printed says which model it was. Needs the extra train for a net.
    """
    import io

    import numpy as np

    from core.case import ImageInput
    from core.diagnosis import RESEARCH_USE
    from core.errors import PathRejected
    from core.files import write_whole

    if out.suffix.lower() != ".npy":
        raise PathRejected("--out must end in .npy")
    existing(out.parent, "the folder of --out")
    for k, image in enumerate(images, start=1):
        existing(image, f"image {k}")
    registry = registry_of(plugin)
    found = models_of(registry, models)
    row, digest = embedder(registry, found, modality)
    rows = np.stack([row(ImageInput(modality=modality, path=image)) for image in images])
    buffer = io.BytesIO()
    np.save(buffer, rows)
    write_whole(out, buffer.getvalue())
    if json:
        told = {"modality": modality, "images": len(rows), "features": rows.shape[1], "model": digest}
        print_json({**told, "research_use": RESEARCH_USE})
    else:
        typer.echo(
            f"{len(rows)} x {rows.shape[1]} in {out.name}, by {modality} {digest[:12]}\n{RESEARCH_USE}"
        )


def embedder(registry: Registry, models: ModelSet, modality: str) -> tuple[Callable[[ImageInput], Any], str]:
    """A function of an image to its float32 row, and the digest of the model that it comes from.

    Raises `UnknownModality`, `ContractError` for a model that has no embedding, `MissingExtra`.
    """
    from core.errors import ContractError
    from core.gathering import loader_of
    from modalities.cnn.model import CnnModel
    from modalities.cnn.penultimate import Penultimate
    from modalities.encoders.encoder import embed as by_encoder
    from modalities.encoders.model import EncoderModel
    from plugins.assembly import assemble

    pipeline = assemble(registry, models)
    model = loader_of(modality, pipeline.models)()
    bundle = models.modality_bundle(modality)
    if isinstance(model, EncoderModel):
        return lambda image: by_encoder(model.encoder, model.square(image)[0][None])[0], model.encoder.digest
    if isinstance(model, CnnModel) and bundle is not None:
        return Penultimate.of(bundle, model.preprocessing).embed, bundle.digest
    raise ContractError(f"the model of {modality!r} is neither a net nor an encoder, so it has no embedding")
