"""An encoder of a stranger behind checks, its embeddings on disk, and the head that is fitted on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cohort import LabelledImage
from core.errors import ContractError, NonFiniteOutput, PluginContractError, PluginError, TrainingError
from modalities.encoders import ByteArray, EncoderModality, FloatArray, modality_from_encoder
from modalities.encoders.embeddings import CHUNK, embed_all
from modalities.encoders.encoder import embed, identity
from modalities.encoders.head import PENALTIES, UNSEEN, Head, cross_entropy, fit_head, temperature_of

Lesions = Callable[..., list[LabelledImage]]


class Colours:
    """Mean and spread of each channel; counts what it is shown."""

    name, digest, side, dimension = "colours", "colours-1", 64, 6

    def __init__(self, **replaced: Any) -> None:
        self.shown = 0
        self.__dict__.update(replaced)

    def embed(self, images: ByteArray) -> FloatArray:
        self.shown += len(images)
        flat = images.reshape(len(images), -1, 3).astype(np.float32)
        return np.concatenate([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def answering(value: object) -> Colours:
    return Colours(embed=lambda images: value)


SQUARES = np.zeros((2, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("library", ["torch", "torchvision", "timm", "sklearn", "scipy", "onnxruntime"])
def test_importing_the_package_loads_no_heavy_library(library: str) -> None:
    code = f"import sys, modalities.encoders; print({library!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_line_makes_a_modality_that_waits_for_its_encoder() -> None:
    def factory() -> Colours:
        raise AssertionError("asked too early")

    spec = modality_from_encoder("colposcopy", "Confocal", factory)
    assert isinstance(spec, EncoderModality)
    assert (spec.name, spec.reads, spec.needs_bundle) == ("colposcopy", "colposcopy", True)
    assert modality_from_encoder("a", "A", factory, reads="dermoscopy").reads == "dermoscopy"


@pytest.mark.parametrize(
    "answer",
    [
        *(np.zeros(shape, np.float32) for shape in ((2, 5), (1, 6), (6,))),
        *(np.zeros((2, 6)), [[0.0] * 6] * 2, None),
    ],
    ids=["width", "number", "rank", "float64", "list", "nothing"],
)
def test_an_answer_of_another_shape_or_type_is_refused_by_name(answer: object) -> None:
    with pytest.raises(PluginContractError, match=r"'colours' answered .*, not float32 \(2, 6\)"):
        embed(answering(answer), SQUARES)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    rows = np.zeros((2, 6), np.float32)
    rows[1, 3] = value
    with pytest.raises(NonFiniteOutput, match="colours"):
        embed(answering(rows), SQUARES)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), MemoryError()])
def test_whatever_an_encoder_raises_is_a_plugin_error_that_names_it(error: BaseException) -> None:
    def raises(images: ByteArray) -> FloatArray:
        raise error

    with pytest.raises(PluginError, match=f"'colours' raised {type(error).__name__}"):
        embed(Colours(embed=raises), SQUARES)


def test_an_encoder_cannot_change_the_pictures() -> None:
    def paints(images: ByteArray) -> FloatArray:
        images[:] = 1
        return np.zeros((len(images), 6), np.float32)

    with pytest.raises(PluginError, match="read-only"):
        embed(Colours(embed=paints), SQUARES.copy())


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("digest", None), ("side", 16), ("side", 4096), ("side", 64.0), ("dimension", 0)],
)
def test_an_encoder_without_a_usable_identity_is_refused(field: str, value: object) -> None:
    with pytest.raises(PluginContractError, match=field):
        identity(Colours(**{field: value}))


def test_something_that_is_no_encoder_is_refused() -> None:
    with pytest.raises(PluginContractError, match="an encoder has"):
        identity(lambda images: images)  # type: ignore[arg-type]


def test_embeddings_are_those_of_the_squares_in_order(lesions: Lesions, tmp_path: Path) -> None:
    images = lesions(2)
    found = embed_all(Colours(), images, tmp_path / "store")
    alone = [embed_all(Colours(), [i], tmp_path / "alone").rows[0] for i in images]
    assert found.images == tuple(images)
    assert np.array_equal(found.rows, np.stack(alone))
    assert len({row.tobytes() for row in found.rows}) == len(images)


def test_an_interrupted_pass_goes_on_where_it_stopped(lesions: Lesions, tmp_path: Path) -> None:
    images = lesions(30)
    assert CHUNK < len(images) < 2 * CHUNK
    good, calls = Colours(), []

    def fails_later(pixels: ByteArray) -> FloatArray:
        calls.append(len(pixels))
        if sum(calls) > CHUNK:
            raise KeyboardInterrupt
        return good.embed(pixels)

    with pytest.raises(KeyboardInterrupt):
        embed_all(Colours(embed=fails_later), images, tmp_path)
    rest, told = Colours(), []
    whole = embed_all(rest, images, tmp_path, lambda done, total: told.append((done, total)))
    assert rest.shown == len(images) - CHUNK
    assert told == [(CHUNK, 90), (90, 90)]
    again = Colours()
    assert np.array_equal(embed_all(again, images[::-1], tmp_path).rows[::-1], whole.rows)
    assert again.shown == 0


def test_another_encoder_or_another_file_is_embedded_anew(
    lesions: Lesions, drawn: Callable[..., Any], as_png: Callable[..., bytes], tmp_path: Path
) -> None:
    images = lesions(1)
    embed_all(Colours(), images, tmp_path / "store")
    for other in (Colours(digest="colours-2"), Colours(side=65), Colours(name="tints")):
        embed_all(other, images, tmp_path / "store")
        assert other.shown == len(images)
    images[0].path.write_bytes(as_png(drawn("benign:nevus", 9)))
    again = Colours()
    embed_all(again, images, tmp_path / "store")
    assert again.shown == 1


def test_a_damaged_file_of_embeddings_is_refused_by_name(lesions: Lesions, tmp_path: Path) -> None:
    images = lesions(1)
    embed_all(Colours(), images, tmp_path / "store")
    (file,) = (tmp_path / "store").rglob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(TrainingError, match="damaged; delete it"):
        embed_all(Colours(), images, tmp_path / "store")


def test_one_unreadable_image_in_a_hundred_is_named_and_more_stop_the_run(
    lesions: Lesions, tmp_path: Path
) -> None:
    images = lesions(34)
    images[5].path.write_bytes(b"no image")
    found = embed_all(Colours(), images, tmp_path / "store")
    assert found.bad == (images[5].image,)
    assert images[5] not in found.images
    assert len(found.rows) == 101
    images[7].path.unlink()
    with pytest.raises(TrainingError, match=f"2 of 102 images cannot be read, {images[5].image}"):
        embed_all(Colours(), images, tmp_path / "store")


def blobs(
    classes: int, each: int, seed: int = 0
) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.float64], list[str]]:
    """Overlapping classes in five numbers of very different scale, one of which never varies."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(classes), each)
    rows = rng.normal(size=(len(targets), 5)) + 1.5 * np.eye(classes, 5)[targets]
    rows = rows * [1, 100, 1e-3, 1, 0] + [0, 1e3, 0, 5, 7]
    weights = rng.uniform(0.5, 1.5, len(targets))
    return rows.astype(np.float32), targets, weights, [f"L{k // 2}" for k in range(len(targets))]


@pytest.mark.parametrize("classes", [2, 4])
def test_a_head_is_the_regression_of_scikit_learn_on_standardised_rows(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, targets, weights, names = blobs(classes, 30)
    head, c = fit_head(rows, targets, weights, names, classes)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-8, max_iter=5000))
    table = rows.astype(np.float64)
    model.fit(table, targets, logisticregression__sample_weight=weights / weights.mean())
    logits = head.logits(rows)
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    assert np.abs(found - model.predict_proba(table)).max() < 2e-3


def test_a_class_that_was_never_shown_has_the_stated_logit_and_takes_nothing() -> None:
    rows, targets, weights, names = blobs(3, 30)
    head, _ = fit_head(rows, np.where(targets == 2, 3, targets), weights, names, 5)
    without, _ = fit_head(rows, targets, weights, names, 3)
    assert (head.logits(rows)[:, [2, 4]] == UNSEEN).all()
    assert np.allclose(head.logits(rows)[:, [0, 1, 3]], without.logits(rows))


def test_the_scale_of_the_weights_and_the_order_of_images_do_not_matter() -> None:
    rows, targets, weights, names = blobs(3, 30)
    head, c = fit_head(rows, targets, weights, names, 3)
    order = np.random.default_rng(1).permutation(len(rows))
    shuffled = fit_head(rows[order], targets[order], 9 * weights[order], [names[k] for k in order], 3)
    assert shuffled[1] == c
    assert np.allclose(shuffled[0].logits(rows), head.logits(rows), atol=0.05)


def test_a_strong_penalty_is_chosen_for_noise_and_a_weak_one_for_a_clear_signal() -> None:
    rows, targets, weights, names = blobs(3, 60)
    noise = np.random.default_rng(4).normal(size=(len(rows), 200)).astype(np.float32)
    clear = np.eye(3, dtype=np.float32)[targets]
    assert fit_head(noise, targets, weights, names, 3)[1] <= 1e-3
    assert fit_head(clear, targets, weights, names, 3)[1] == 1.0


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 3.0), st.integers(0, 100))
def test_the_temperature_undoes_a_scale(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (rng.random((4000, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    weights = np.ones(4000)
    assert temperature_of(scale * logits, targets, weights) == pytest.approx(scale, rel=0.15)
    assert cross_entropy(logits, targets, weights) < np.log(3)


def test_a_head_survives_its_file_and_a_foreign_file_is_refused() -> None:
    head = Head(np.arange(12.0).reshape(3, 4), np.arange(3.0))
    again = Head.from_bytes(head.to_bytes(), 3, 4)
    assert np.array_equal(again.weight, head.weight)
    assert np.array_equal(again.bias, head.bias)
    for content, classes, width in (
        (b"none", 3, 4),
        (head.to_bytes(), 4, 4),
        (head.to_bytes(), 3, 5),
        (Head(np.full((3, 4), np.nan), np.zeros(3)).to_bytes(), 3, 4),
        (Head(np.zeros((3, 4), np.float32), np.zeros(3)).to_bytes(), 3, 4),  # type: ignore[arg-type]
    ):
        with pytest.raises(ContractError):
            Head.from_bytes(content, classes, width)


def test_the_strongest_penalty_is_taken_where_nothing_can_judge() -> None:
    rows, targets, weights, _ = blobs(2, 2)
    assert fit_head(rows, targets, weights, ["A", "B", "C", "D"], 2)[1] == PENALTIES[0]
    # Every lesion bears both labels, so that what is left for the fit may hold one class alone.
    head, _ = fit_head(rows, targets, weights, ["A", "B", "A", "B"], 2)
    assert np.isfinite(head.logits(rows)).all()
