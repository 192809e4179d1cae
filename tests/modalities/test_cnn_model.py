"""Is a net behind its bundle the same model everywhere, alone or among others?"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.case import Case, ImageInput
from core.errors import ContractError, CorruptImage, ImageTooSmall, NonFiniteOutput
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import Partition
from core.pipeline import Pipeline
from core.protocols import ModalityModel
from fusion.image_only import ImageOnly
from modalities.cnn.graph import export
from modalities.cnn.model import CnnModel, load_model
from modalities.cnn.preprocess import Preprocessing
from modalities.gate import fit, look
from modalities.images import decode_here
from modalities.training.data import read_all
from plugins.specs import ModelRequest

LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")
PREPROCESSING = Preprocessing(64, 72)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    cells: Partition,
    lively: Callable[..., torch.nn.Module],
    drawn: Callable[..., Any],
) -> Path:
    """A bundle of a tiny net, with a gate fitted on drawn lesions."""
    graph, shared = export(lively("mobilenet_v3_small", 3, 64), 64)
    looks = np.stack([look(PREPROCESSING.square(drawn(LABELS[s % 3], s))) for s in range(240)])
    manifest = {
        "kind": "modality",
        "modality": "dermoscopy",
        "name": "tiny",
        "architecture": "mobilenet_v3_small",
        "taxonomy": cells.taxonomy.fingerprint,
        "partition": cells.fingerprint,
        "classes": list(cells.ids),
        "prior": dict(zip(cells.ids, [0.25, 0.25, 0.5], strict=True)),
        "preprocessing": PREPROCESSING.to_dict(),
        "temperature": 1.5,
        "checks": fit(looks, [f"L{s}" for s in range(240)]).to_dict(),
        "shared_parameters": shared,
    }
    path = tmp_path_factory.mktemp("bundle")
    write_bundle(path, "bundle.json", manifest, {"model.onnx": graph})
    return path


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return read_bundle(folder, "bundle.json")


@pytest.fixture(scope="module")
def model(bundle: Bundle, cells: Partition) -> CnnModel:
    return load_model(ModelRequest(cells, bundle), "dermoscopy")


@pytest.fixture(scope="module")
def images(drawn: Callable[..., Any], as_png: Callable[..., bytes]) -> list[ImageInput]:
    return [
        ImageInput(modality="dermoscopy", data=as_png(drawn(LABELS[k % 3], k, 96 + 8 * k, 128)))
        for k in range(6)
    ]


def test_it_satisfies_the_protocol_and_says_what_it_is(
    model: CnnModel, bundle: Bundle, cells: Partition
) -> None:
    assert isinstance(model, ModalityModel)
    assert model.classes == cells.ids
    assert model.prior.to_dict() == dict(zip(cells.ids, [0.25, 0.25, 0.5], strict=True))
    assert model.provenance == {
        "model": "tiny",
        "architecture": "mobilenet_v3_small",
        "engine": "onnxruntime",
        "digest": bundle.digest,
        "licence": "not stated",
    }


def test_answers_differ_between_images(model: CnnModel, images: list[ImageInput]) -> None:
    answers = {r.probabilities.values.tobytes() for r in model.predict(images)}
    assert len(answers) == len(images)


def test_an_answer_is_the_same_bits_alone_and_among_others_in_any_order(
    model: CnnModel, images: list[ImageInput]
) -> None:
    together = [r.probabilities for r in model.predict(images)]
    assert [model.predict([i])[0].probabilities for i in images] == together
    assert [r.probabilities for r in model.predict(images[::-1])][::-1] == together
    assert model.predict([]) == []


def test_eight_threads_get_the_bits_of_one(model: CnnModel, images: list[ImageInput]) -> None:
    alone = [r.probabilities for r in model.predict(images)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda k: model.predict([images[k % 6]])[0].probabilities, range(48)))
    assert all(answer == alone[k % 6] for k, answer in enumerate(answers))


def test_two_loads_of_one_bundle_give_the_same_bits(
    model: CnnModel, bundle: Bundle, cells: Partition, images: list[ImageInput]
) -> None:
    other = load_model(ModelRequest(cells, bundle), "dermoscopy")
    assert [r.probabilities for r in other.predict(images)] == [
        r.probabilities for r in model.predict(images)
    ]


def test_the_torch_engine_gives_the_same_probabilities(
    model: CnnModel, bundle: Bundle, cells: Partition, images: list[ImageInput]
) -> None:
    other = load_model(ModelRequest(cells, bundle, engine="torch"), "dermoscopy")
    for one, two in zip(model.predict(images), other.predict(images), strict=True):
        assert np.abs(one.probabilities.values - two.probabilities.values).max() < 1e-4


def test_auto_is_onnx_runtime(model: CnnModel) -> None:
    assert model.engine.name == "onnxruntime"


def test_logits_are_divided_by_the_temperature(model: CnnModel, images: list[ImageInput]) -> None:
    square = PREPROCESSING.square(decode_here(images[0].data or b"").pixels)
    logits = model.engine(PREPROCESSING.normalise(square)[None])[0].astype(float) / 1.5
    wanted = np.exp(logits - logits.max())
    assert model.probabilities(square).values == pytest.approx(wanted / wanted.sum(), abs=1e-12)


# the same picture in other clothes


TURNS = {
    1: lambda i: i,
    2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
    4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
    6: lambda i: i.transpose(Image.Transpose.ROTATE_90),
    7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
    8: lambda i: i.transpose(Image.Transpose.ROTATE_270),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_an_image_stored_turned_answers_like_its_upright_copy(
    orientation: int, model: CnnModel, drawn: Callable[..., Any], as_png: Callable[..., bytes]
) -> None:
    upright = drawn("malignant:melanoma", 3, 96, 130)
    stored = np.asarray(TURNS[orientation](Image.fromarray(upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = ImageInput(modality="dermoscopy", data=as_png(stored, exif=exif))
    plain = ImageInput(modality="dermoscopy", data=as_png(upright))
    assert model.predict([turned])[0].probabilities == model.predict([plain])[0].probabilities
    if orientation != 1:
        unmarked = ImageInput(modality="dermoscopy", data=as_png(stored))
        assert model.predict([unmarked])[0].probabilities != model.predict([plain])[0].probabilities


def test_a_path_and_its_bytes_give_the_same_answer(
    model: CnnModel, images: list[ImageInput], tmp_path: Path
) -> None:
    path = tmp_path / "lesion.png"
    path.write_bytes(images[0].data or b"")
    by_path = model.predict([ImageInput(modality="dermoscopy", path=path)])
    assert by_path[0].probabilities == model.predict(images[:1])[0].probabilities


def test_what_the_decoder_did_to_an_image_is_a_note(
    model: CnnModel, drawn: Callable[..., Any], as_png: Callable[..., bytes]
) -> None:
    pixels = drawn("benign:nevus", 1)
    see_through = np.dstack([pixels, np.full(pixels.shape[:2], 200, np.uint8)])
    (result,) = model.predict([ImageInput(modality="dermoscopy", data=as_png(see_through))])
    assert "transparent pixels were laid on white" in result.notes


def test_training_and_inference_show_the_net_the_same_pixels(
    drawn: Callable[..., Any], lesions: Callable[..., Any]
) -> None:
    made = lesions(2, side=200)
    kept, _, _ = read_all(made, PREPROCESSING.resize)
    for pixels, image in zip(kept, made, strict=True):
        decoded = decode_here(image.path, target_side=2 * PREPROCESSING.resize).pixels
        assert np.array_equal(PREPROCESSING.square(pixels), PREPROCESSING.square(decoded))


# images at fault


def test_an_image_like_those_of_the_training_is_not_flagged(
    model: CnnModel, drawn: Callable[..., Any], as_png: Callable[..., bytes]
) -> None:
    new = [ImageInput(modality="dermoscopy", data=as_png(drawn(LABELS[k % 3], 500 + k))) for k in range(9)]
    assert not any(check.flagged for r in model.predict(new) for check in r.checks)


def test_a_blank_image_alone_is_no_answer_and_says_why(
    model: CnnModel, cells: Partition, as_png: Callable[..., bytes]
) -> None:
    blank = ImageInput(modality="dermoscopy", data=as_png(np.full((96, 96, 3), 255, np.uint8)))
    pipeline = Pipeline(cells, {"dermoscopy": lambda: model}, ImageOnly(cells))
    answer = pipeline.diagnose(Case(images=[blank]))
    assert (answer.status, answer.tree, answer.evidence) == ("abstained", None, ())
    assert answer.to_dict()["ranked"] == []
    assert "ImageLeftOut" in {n.code for n in answer.notices}


def test_a_blank_image_among_good_ones_is_left_out_and_changes_no_bit(
    model: CnnModel, cells: Partition, drawn: Callable[..., Any], as_png: Callable[..., bytes]
) -> None:
    blank = ImageInput(modality="dermoscopy", data=as_png(np.zeros((96, 96, 3), np.uint8)))
    some = [ImageInput(modality="dermoscopy", data=as_png(drawn(LABELS[k], 500 + k))) for k in range(3)]
    pipeline = Pipeline(cells, {"dermoscopy": lambda: model}, ImageOnly(cells), abstain_below=0)
    good = pipeline.diagnose(Case(images=some))
    mixed = pipeline.diagnose(Case(images=[some[0], blank, *some[1:]]))
    assert good.status == "complete"
    assert mixed.status == "partial"
    assert mixed.leaf == good.leaf
    assert any(n.text.startswith("dermoscopy image 2 was left out") for n in mixed.notices)


@pytest.mark.parametrize(("data", "error"), [("cut", CorruptImage), ("small", ImageTooSmall)])
def test_an_image_that_cannot_be_read_is_a_typed_error(
    data: str, error: type[Exception], model: CnnModel, images: list[ImageInput], as_png: Callable[..., bytes]
) -> None:
    whole = images[0].data or b""
    given = {"cut": whole[: len(whole) // 2], "small": as_png(np.zeros((32, 32, 3), np.uint8))}
    with pytest.raises(error):
        model.predict([images[1], ImageInput(modality="dermoscopy", data=given[data])])


# nets at fault


def broken(folder: Path, bundle: Bundle, net: torch.nn.Module) -> Bundle:
    graph, shared = export(net, 64)
    manifest = {k: v for k, v in bundle.manifest.items() if k not in ("files", "sha256", "format")}
    write_bundle(folder, "bundle.json", manifest | {"shared_parameters": shared}, {"model.onnx": graph})
    return read_bundle(folder, "bundle.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_a_net_with_a_weight_that_is_no_number_is_never_an_answer(
    value: float,
    engine: str,
    bundle: Bundle,
    cells: Partition,
    images: list[ImageInput],
    tmp_path: Path,
    lively: Callable[..., torch.nn.Module],
) -> None:
    net = lively("mobilenet_v3_small", 3, 64)
    with torch.no_grad():
        net.classifier[3].bias[1] = value  # type: ignore[index,union-attr]
    model = load_model(ModelRequest(cells, broken(tmp_path, bundle, net), engine), "dermoscopy")
    with pytest.raises(NonFiniteOutput, match="a number that is not finite"):
        model.predict(images[:1])


def test_a_net_with_another_number_of_outputs_is_a_contract_error(
    bundle: Bundle,
    cells: Partition,
    images: list[ImageInput],
    tmp_path: Path,
    lively: Callable[..., torch.nn.Module],
) -> None:
    net = lively("mobilenet_v3_small", 4, 64)
    model = load_model(ModelRequest(cells, broken(tmp_path, bundle, net)), "dermoscopy")
    with pytest.raises(ContractError, match=r"shape \(1, 4\), not \(1, 3\)"):
        model.predict(images[:1])


def test_without_a_bundle_the_error_says_how_to_make_one(cells: Partition) -> None:
    with pytest.raises(ContractError, match="no bundle for dermoscopy; train one with: dxtree train"):
        load_model(ModelRequest(cells), "dermoscopy")


def test_a_bundle_without_a_graph_is_a_contract_error(bundle: Bundle, cells: Partition) -> None:
    with pytest.raises(ContractError, match=r"has no model\.onnx"):
        load_model(ModelRequest(cells, Bundle(bundle.manifest, {}, "x")), "dermoscopy")


def test_the_manifest_is_json_without_numbers_that_are_not_finite(folder: Path) -> None:
    def refuse(text: str) -> None:
        pytest.fail(f"{text} stands in the manifest")

    json.loads((folder / "bundle.json").read_text(), parse_constant=refuse)
