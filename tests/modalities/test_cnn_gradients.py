"""Do maps by gradients find what an answer hangs on, in the file's own geometry, and hang on the weights?"""

from __future__ import annotations

import copy
import io
import math
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("captum")
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import spearmanr
from torch import nn

from core.case import ImageInput
from core.errors import (
    BelowTrainingClass,
    CorruptImage,
    ExplanationError,
    MissingExtra,
    TaxonomyError,
    UnknownNode,
)
from core.manifest import Bundle
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from dxtree.cohorts.synthetic import make_lesion
from dxtree.cohorts.synthetic.canvas import Outline
from dxtree.cohorts.synthetic.truth import DERMOSCOPY, stream, traits_of
from modalities.cnn.attribution import AUTO, METHODS, OCCLUSION, Attribution, available_methods
from modalities.cnn.deadline import Deadline
from modalities.cnn.explaining import explain
from modalities.cnn.feature_map import last_feature_map
from modalities.cnn.gradients import TOLERANCE
from modalities.cnn.model import CnnModel, load_model
from modalities.cnn.node_score import NodeScore
from modalities.cnn.occlusion import plain_square
from modalities.cnn.preprocess import Preprocessing
from modalities.cnn.torch_net import build
from modalities.compression import encode
from modalities.engines import COMPRESSED, GRAPH
from modalities.images import decode_square
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.specs import ModelRequest

GRADIENTS = tuple(m for m in METHODS if m != OCCLUSION)
SEED = 2017
"""Its lesions are in no training part of the demonstration set."""
SIDE = 192
MELANOMA = "Malignant:Melanoma"
UPRIGHT = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation to what was done to the upright picture before it was stored."""


class RedFinder(nn.Module):
    """The more red its picture holds beyond grey, the likelier the last of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.red = nn.Conv2d(3, 1, 1)
        self.red.weight.data = torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
        self.red.bias.data = torch.tensor([-0.2])
        self.map = nn.Sequential(self.red, nn.ReLU(inplace=True), nn.AvgPool2d(6))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = self.map(images).mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(red), torch.zeros_like(red), 40 * red], dim=1)


class TorchAsEngine:
    """The engine of a net that has no graph."""

    name = "drawn"

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, images: Any) -> Any:
        with torch.no_grad():
            return self.net(torch.from_numpy(np.ascontiguousarray(images))).numpy()


@pytest.fixture(scope="module")
def sums() -> TreeSums:
    paths = [("Benign",), ("Malignant", "Carcinoma"), ("Malignant", "Melanoma", "Nodular")]
    taxonomy = Taxonomy.from_paths("drawn", paths)
    counts = {"Benign": 9, "Malignant:Carcinoma": 9, "Malignant:Melanoma:Nodular": 9}
    return TreeSums(partition_tree(taxonomy, counts, max_size=10))


@pytest.fixture(scope="module")
def finder(sums: TreeSums) -> CnnModel:
    net = RedFinder().eval()
    engine: Any = TorchAsEngine(net)
    classes = sums.partition.ids
    prior = LeafProbabilities.from_weights(classes, [1, 1, 1])
    seen = Preprocessing(90, 96, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return CnnModel("drawn", classes, prior, seen, 1.0, engine, {}, lambda _: engine, make_net=lambda: net)


@pytest.fixture(scope="module")
def shipped() -> tuple[CnnModel, TreeSums]:
    registry = load_registry()
    pipeline = assemble(registry, find_model_set(registry, "demonstration"))
    model: Any = pipeline.models["dermoscopy"]()
    return model, pipeline.sums


def lesion(number: int) -> tuple[ImageInput, str]:
    """A drawn lesion's dermoscopic image, and the node above its class."""
    made = make_lesion(SEED, number, size=SIDE, views=("dermoscopy",))
    image = ImageInput(modality="dermoscopy", data=made.jpegs["dermoscopy"])
    return image, made.label.rpartition(":")[0]


def drawn(x: float, y: float, size: tuple[int, int], turn: int = 1, kind: str = "PNG") -> ImageInput:
    """A grey picture with a red spot, stored as a camera held otherwise stores it."""
    reach = min(size) // 20
    picture = Image.new("RGB", size, (150, 150, 150))
    picture.paste((200, 40, 40), (round(x) - reach, round(y) - reach, round(x) + reach, round(y) + reach))
    how = UPRIGHT[turn]
    picture = picture if how is None else picture.transpose(how)
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    picture.save(file, kind, exif=exif)
    return ImageInput(modality="drawn", data=file.getvalue())


def middle(found: Attribution) -> tuple[float, float]:
    """Where the weight of a map lies, as shares of the picture's width and height."""
    left, top, right, bottom = found.frame
    height, width = found.picture.shape[:2]
    rows, columns = found.values.shape
    mass = np.abs(found.values) / np.abs(found.values).sum()
    x = left + (right - left) * (mass.sum(axis=0) @ (np.arange(columns) + 0.5)) / columns
    y = top + (bottom - top) * (mass.sum(axis=1) @ (np.arange(rows) + 0.5)) / rows
    return x / width, y / height


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(METHODS),
    st.tuples(st.integers(120, 500), st.integers(120, 500)),
    st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)),
    st.sampled_from(sorted(UPRIGHT)),
)
def test_a_spot_is_found_in_the_upright_picture_whatever_its_shape_and_orientation(
    finder: CnnModel, sums: TreeSums, method: str, size: tuple[int, int], at: tuple[float, float], turn: int
) -> None:
    side = min(size) * 90 / 96  # what the net sees: a square in the middle
    x, y = ((whole - side) / 2 + share * side for whole, share in zip(size, at, strict=True))
    found = explain(finder, drawn(x, y, size, turn), sums, MELANOMA, method)
    assert found.picture.shape == (size[1], size[0], 3)
    near = side / 9 if method == OCCLUSION else side / 15 / 2 + 2
    if method == OCCLUSION:  # covering grey with the mean colour, which is a little red, counts as well
        found = replace(found, values=np.where(found.values > 0.3 * found.values.max(), found.values, 0))
    shown = middle(found)
    assert abs(shown[0] * size[0] - x) < near
    assert abs(shown[1] * size[1] - y) < near


@pytest.mark.parametrize("method", GRADIENTS)
def test_a_photograph_of_six_megapixels_is_mapped_to_the_same_place(
    finder: CnnModel, sums: TreeSums, method: str
) -> None:
    found = explain(finder, drawn(700, 300, (3000, 2000), 6, "JPEG"), sums, MELANOMA, method)
    height, width = found.picture.shape[:2]
    assert width / height == pytest.approx(1.5, rel=0.01)
    assert middle(found) == (pytest.approx(700 / 3000, abs=0.03), pytest.approx(300 / 2000, abs=0.03))


@pytest.mark.parametrize("method", GRADIENTS)
def test_a_spot_that_decides_is_where_nearly_all_of_a_map_lies(
    finder: CnnModel, sums: TreeSums, method: str
) -> None:
    found = explain(finder, drawn(150, 60, (300, 200)), sums, MELANOMA, method)
    rows, columns = found.values.shape
    left, top, right, _ = found.frame
    cell = (right - left) / columns
    x, y = left + (np.arange(columns) + 0.5) * cell, top + (np.arange(rows) + 0.5) * cell
    inside = (np.abs(y - 60) < 10 + cell)[:, None] & (np.abs(x - 150) < 10 + cell)[None, :]
    assert np.abs(found.values)[inside].sum() > 0.9 * np.abs(found.values).sum()
    assert inside.mean() < 0.1
    if found.is_signed:
        assert found.values.sum() > 0
        against = explain(finder, drawn(150, 60, (300, 200)), sums, "Benign", method)
        assert against.values.sum() < 0


def test_a_map_of_the_shipped_net_lies_in_the_lesion_more_than_beside_it(
    shipped: tuple[CnnModel, TreeSums],
) -> None:
    model, sums = shipped
    for method in METHODS:
        density = []
        for number in range(2 if method == "integrated-gradients" else 5):
            image, node = lesion(number)
            found = np.abs(explain(model, image, sums, node, method).values).astype(np.float32)
            fine = np.asarray(Image.fromarray(found).resize((SIDE, SIDE), Image.Resampling.NEAREST))
            place = Outline.drawn(
                traits_of(SEED, number), stream(SEED, number, DERMOSCOPY), 0.10, (0.56, 0.74)
            )
            inside = place.depth(SIDE) < 1.1
            density.append(fine[inside].mean() / fine[~inside].mean())
        assert np.exp(np.mean(np.log(density))) > 1.5, method


@pytest.mark.parametrize("method", GRADIENTS)
def test_another_set_of_weights_makes_another_map(shipped: tuple[CnnModel, TreeSums], method: str) -> None:
    """As Adebayo et al. 2018; a thousandth of noise on the weights shows that it is their loss that tells."""
    model, sums = shipped
    assert model.make_net is not None
    torch.manual_seed(0)
    lost, kept = copy.deepcopy(model.make_net()), copy.deepcopy(model.make_net())
    for module in lost.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    for weights in kept.parameters():
        weights.data += 1e-3 * weights.std(correction=0) * torch.randn_like(weights)
    nets = [model, replace(model, make_net=lambda: kept), replace(model, make_net=lambda: lost)]
    same, other = [], []
    for number in range(2 if method == "integrated-gradients" else 4):
        image, node = lesion(number)
        own, near, far = (np.abs(explain(m, image, sums, node, method).values).ravel() for m in nets)
        same.append(spearmanr(own, near)[0])
        other.append(spearmanr(own, far)[0])
    assert min(same) > 0.9
    assert np.mean(other) < 0.65
    assert max(other) < min(same)


def test_integrated_gradients_sum_to_what_the_engine_says_of_image_and_mean_colour(
    shipped: tuple[CnnModel, TreeSums],
) -> None:
    model, sums = shipped

    def log_p(square: Any, node: str) -> float:
        return math.log(TreeProbabilities(sums, model.probabilities(square))[node])

    for number in range(2):
        image, node = lesion(number)
        found = explain(model, image, sums, node, "integrated-gradients")
        square = plain_square(decode_square(image.source, model.preprocessing.seen))
        mean = np.broadcast_to(square.reshape(-1, 3).mean(axis=0).round().astype(np.uint8), square.shape)
        difference = log_p(square, node) - log_p(mean, node)
        assert found.total == pytest.approx(difference, abs=1e-3)
        assert abs(found.values.sum() - difference) <= TOLERANCE * max(1.0, abs(difference)) + 1e-3


def test_saliency_is_the_slope_that_the_engine_shows(finder: CnnModel, sums: TreeSums) -> None:
    image = drawn(150, 100, (300, 200))
    found = explain(finder, image, sums, MELANOMA, "saliency")
    square = plain_square(decode_square(image.source, finder.preprocessing.seen))
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)

    def log_p(red: int) -> float:
        changed = square.astype(np.int16)
        changed[row, column, 0] += red
        return math.log(TreeProbabilities(sums, finder.probabilities(changed.astype(np.uint8)))[MELANOMA])

    # Red and blue count alike and green does not: the sum over colours is twice the slope of red.
    assert found.values[row, column] == pytest.approx(2 * (log_p(10) - log_p(-10)) / (20 / 255), rel=0.02)


def test_the_torch_net_gives_every_node_the_probability_that_the_engine_gives(
    shipped: tuple[CnnModel, TreeSums],
) -> None:
    model, sums = shipped
    assert model.make_net is not None
    for number in range(2):
        image, _ = lesion(number)
        square = plain_square(decode_square(image.source, model.preprocessing.seen))
        tree = TreeProbabilities(sums, model.probabilities(square))
        given_ = torch.from_numpy(model.preprocessing.normalise(square)[None])
        for node in sums.nodes:
            score = NodeScore(model.make_net(), model.temperature, sums, node, Deadline())
            with torch.no_grad():
                assert math.exp(float(score(given_))) == pytest.approx(tree[node], abs=1e-5)


def test_a_compressed_bundle_has_the_same_maps(shipped: tuple[CnnModel, TreeSums]) -> None:
    model, sums = shipped
    registry = load_registry()
    bundle = find_model_set(registry, "demonstration").modality_bundle("dermoscopy")
    assert bundle is not None
    small = Bundle(bundle.manifest, {COMPRESSED: encode(bundle.files[GRAPH], {})}, bundle.digest)
    compressed = load_model(ModelRequest(sums.partition, small, "onnxruntime"), "dermoscopy")
    image, node = lesion(1)
    one, other = (explain(m, image, sums, node, "saliency").values for m in (model, compressed))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "architecture",
    ["densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5", "mobilenet_v3_small",
     "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t"],
)  # fmt: skip
def test_the_last_feature_map_is_found_by_watching(architecture: str) -> None:
    net = build(architecture, 3).eval()
    shapes = []
    layer = last_feature_map(net, torch.zeros(1, 3, 160, 160))
    assert not any(module._forward_hooks for module in net.modules())
    hook = layer.register_forward_hook(lambda _, given, out: shapes.append(tuple(out.shape)))
    with torch.no_grad():
        net(torch.zeros(1, 3, 160, 160))
    hook.remove()
    _, channels, rows, columns = shapes[-1]
    assert channels >= 3
    assert (rows, columns) == ((3, 3) if architecture == "inception_v3" else (9, 9)
                               if architecture == "squeezenet1_1" else (5, 5))  # fmt: skip


def test_a_net_of_tokens_has_no_grad_cam_and_says_what_to_ask_for(finder: CnnModel, sums: TreeSums) -> None:
    net = torchvision.models.VisionTransformer(
        image_size=90, patch_size=30, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3
    ).eval()
    tokens = replace(finder, make_net=lambda: net)
    image = drawn(150, 100, (300, 200))
    with pytest.raises(ExplanationError, match="ask for saliency"):
        explain(tokens, image, sums, MELANOMA, "grad-cam")
    found = explain(tokens, image, sums, MELANOMA, "saliency")
    assert found.values.shape == (90, 90)
    assert "the engine gave" in " ".join(found.notes)  # its engine is another net, and the map says so


@pytest.mark.parametrize("method", (AUTO, *METHODS))
def test_what_has_no_map_is_a_typed_error(finder: CnnModel, sums: TreeSums, method: str) -> None:
    image = drawn(150, 100, (300, 200))
    with pytest.raises(UnknownNode):
        explain(finder, image, sums, "nothing", method)
    with pytest.raises(TaxonomyError, match="always true"):
        explain(finder, image, sums, sums.partition.taxonomy.root, method)
    with pytest.raises(CorruptImage):
        explain(finder, ImageInput(modality="drawn", data=(image.data or b"")[:200]), sums, MELANOMA, method)
    with pytest.raises(ExplanationError, match="no map within"):
        explain(finder, image, sums, MELANOMA, method, seconds=0)
    with pytest.raises(ExplanationError, match="did you mean 'grad-cam'"):
        explain(finder, image, sums, MELANOMA, "gradcam")


def test_below_a_training_class_there_is_no_map(sums: TreeSums) -> None:
    taxonomy = Taxonomy.from_paths("drawn", [("a", "x"), ("a", "y"), ("b",)])
    coarse = TreeSums(partition_tree(taxonomy, {"a:x": 1, "a:y": 1, "b": 9}, max_size=9))
    with pytest.raises(BelowTrainingClass):
        explain(None, None, coarse, "a:x")  # type: ignore[arg-type]


def test_without_captum_occlusion_takes_over_and_says_so(
    finder: CnnModel, sums: TreeSums, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    image = drawn(150, 100, (300, 200))
    found = explain(finder, image, sums, MELANOMA)
    assert found.method == OCCLUSION
    assert "extra 'explain'" in found.notes[0]
    assert available_methods() == (AUTO, OCCLUSION)
    for method in GRADIENTS:
        with pytest.raises(MissingExtra, match=r"dxtree\[explain\]"):
            explain(finder, image, sums, MELANOMA, method)


def test_a_model_without_a_torch_net_has_occlusion_alone(finder: CnnModel, sums: TreeSums) -> None:
    bare, image = replace(finder, make_net=None), drawn(150, 100, (300, 200))
    found = explain(bare, image, sums, MELANOMA)
    assert found.method == OCCLUSION
    assert "no torch net" in found.notes[0]
    with pytest.raises(ExplanationError, match="ask for occlusion"):
        explain(bare, image, sums, MELANOMA, "saliency")


def test_auto_is_saliency_and_a_map_never_falls_below_zero_by_it(finder: CnnModel, sums: TreeSums) -> None:
    found = explain(finder, drawn(150, 100, (300, 200)), sums, MELANOMA)
    assert (found.method, found.is_signed, found.notes) == ("saliency", False, ())
    assert found.values.min() >= 0


def test_threads_that_ask_at_the_same_time_get_what_each_would_get_alone(
    shipped: tuple[CnnModel, TreeSums],
) -> None:
    model, sums = shipped
    asked = [(lesion(k), method) for k in range(2) for method in ("saliency", "grad-cam")]
    alone = [explain(model, image, sums, node, method).values for (image, node), method in asked]
    found: dict[int, Any] = {}

    def ask(k: int) -> None:
        (image, node), method = asked[k]
        found[k] = explain(model, image, sums, node, method).values

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[k], alone[k], rtol=1e-4, atol=1e-6) for k in range(len(asked)))
