"""Does occlusion find what an answer hangs on, where it stands in the file's own picture?"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.case import ImageInput
from core.errors import ContractError, CorruptImage, TaxonomyError, UnknownNode
from core.partition import partition_tree
from core.probabilities import LeafProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from modalities.cnn.model import CnnModel
from modalities.cnn.occlusion import frame_of, occlusion_of
from modalities.cnn.preprocess import Preprocessing
from modalities.images import Square

ORIENTATION = 0x0112
PREPROCESSING = Preprocessing(90, 96, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class RedFinder:
    """An engine whose answer is the more `Malignant:Melanoma` the more red it sees."""

    name = "drawn"

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def __call__(self, batch: Any) -> Any:
        red = np.clip(batch[:, 0] - batch[:, 2], 0, 1).mean(axis=(1, 2))
        return np.stack([np.zeros_like(red), np.zeros_like(red), self.sign * 40 * red], axis=1)


@pytest.fixture(scope="module")
def sums() -> TreeSums:
    paths = [("Benign",), ("Malignant", "Carcinoma"), ("Malignant", "Melanoma")]
    taxonomy = Taxonomy.from_paths("drawn", paths)
    counts = {"Benign": 9, "Malignant:Carcinoma": 9, "Malignant:Melanoma": 9}
    return TreeSums(partition_tree(taxonomy, counts, max_size=9))


def model_of(sums: TreeSums, sign: float = 1.0) -> CnnModel:
    classes = sums.partition.ids
    assert [c.split(":")[-1] for c in classes] == ["Benign", "Carcinoma", "Melanoma"]
    engine: Any = RedFinder(sign)
    prior = LeafProbabilities.from_weights(classes, [1, 1, 1])
    return CnnModel("drawn", classes, prior, PREPROCESSING, 1.0, engine, {}, lambda _: engine)


def drawn(box: tuple[int, int, int, int], size: tuple[int, int] = (300, 200), turn: int = 1) -> ImageInput:
    """A grey PNG with a red spot; stored turned, as its EXIF says, and upright once it is decoded."""
    picture = Image.new("RGB", size, (150, 150, 150))
    picture.paste((200, 40, 40), box)
    if turn == 6:  # the stored picture must be turned clockwise by 90 degrees
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    return ImageInput(modality="drawn", data=file.getvalue())


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize(("x", "y"), [(80, 150), (190, 30), (150, 100)])
def test_a_planted_cue_is_found_where_it_stands_in_the_upright_picture(
    sums: TreeSums, x: int, y: int, turn: int
) -> None:
    found = occlusion_of(
        model_of(sums), drawn((x - 9, y - 9, x + 9, y + 9), turn=turn), sums, "Malignant:Melanoma"
    )
    assert found.picture.shape == (200, 300, 3)
    left, top, right, bottom = found.frame
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    cell_x, cell_y = (right - left) / 9, (bottom - top) / 9
    assert abs(left + (column + 0.5) * cell_x - x) < cell_x
    assert abs(top + (row + 0.5) * cell_y - y) < cell_y


def test_any_node_above_a_class_has_a_map_and_what_speaks_against_it_is_below_zero(sums: TreeSums) -> None:
    image = drawn((140, 90, 160, 110))
    above = occlusion_of(model_of(sums), image, sums, "Malignant")
    against = occlusion_of(model_of(sums), image, sums, "Benign")
    assert above.values.max() > 1e-3
    assert against.values.min() < -1e-3
    assert above.probability + against.probability == pytest.approx(1)


def test_another_net_gives_another_map(sums: TreeSums) -> None:
    image = drawn((140, 90, 160, 110))
    maps = [occlusion_of(model_of(sums, s), image, sums, "Malignant:Melanoma").values for s in (1.0, -1.0)]
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] < 0


def test_a_picture_of_one_colour_hangs_on_nothing(sums: TreeSums) -> None:
    found = occlusion_of(model_of(sums), drawn((0, 0, 0, 0)), sums, "Malignant", grid=3)
    assert found.values.shape == (3, 3)
    assert not found.values.any()


def test_what_cannot_be_covered_is_a_typed_error(sums: TreeSums) -> None:
    model, image = model_of(sums), drawn((140, 90, 160, 110))
    with pytest.raises(UnknownNode):
        occlusion_of(model, image, sums, "nothing")
    with pytest.raises(TaxonomyError, match="always true"):
        occlusion_of(model, image, sums, sums.partition.taxonomy.root)
    for grid in (1, 46):
        with pytest.raises(ContractError, match="grid"):
            occlusion_of(model, image, sums, "Malignant", grid=grid)
    cut = ImageInput(modality="drawn", data=(image.data or b"")[:200])
    with pytest.raises(CorruptImage):
        occlusion_of(model, cut, sums, "Malignant")


@given(st.integers(64, 3000), st.integers(64, 3000), st.integers(32, 400), st.integers(0, 100))
def test_the_frame_lies_in_the_picture_and_is_nearly_square(w: int, h: int, size: int, more: int) -> None:
    left, top, right, bottom = frame_of(Square(size + more, size), w, h)
    assert 0 <= left < right <= w + 1e-9
    assert 0 <= top < bottom <= h + 1e-9
    # The longer side is rounded to whole pixels of the resized picture.
    assert abs((right - left) - (bottom - top)) <= max(w, h) / size + 1
