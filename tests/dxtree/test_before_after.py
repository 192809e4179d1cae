"""Does the figure keep the proportions of skin, whole titles, and every channel that tells something?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from dxtree.simulating import draw_before_after
from modalities.stacks import Channel, FloatArray, Stack, StackRecipe

pytest.importorskip("matplotlib", reason="the extra report is not installed")


def recipe_of(stack: Stack, views: FloatArray, title: str = "Stripes") -> StackRecipe:
    channels, side = views.shape[1:3]
    return StackRecipe(
        name="stripes",
        title=title,
        read=lambda _: stack,
        views=lambda _: views,
        channels=channels,
        side=side,
        most_views=len(views),
        pooling="mean",
        draw=lambda kind, rng: b"",
        kinds=(("a", ("A",)), ("b", ("B",))),
    )


def drawn(recipe: StackRecipe, path: Path) -> npt.NDArray[np.uint8]:
    draw_before_after(recipe, b"", path)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def dark(*shape: int) -> FloatArray:
    """Black but for one white pixel."""
    values = np.zeros(shape, np.float32)
    values.reshape(-1)[-1] = 1
    return values


def blocks(pixels: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Height and width of every black rectangle of more than 15 rows, from above."""
    wide = (pixels.max(axis=2) < 10).sum(axis=1)
    rows = np.flatnonzero(wide > 40)
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return [(len(g), int(wide[g].max())) for g in groups if len(g) > 15]


@pytest.mark.parametrize(("spacing", "ratio"), [((8.0, 16.0), 0.5), ((10.0, 10.0), 1.0), (None, 1.0)])
def test_a_plane_has_the_proportions_of_the_skin_where_they_are_known(
    spacing: tuple[float, float] | None, ratio: float, tmp_path: Path
) -> None:
    stack = Stack(dark(1, 60, 60, 1), spacing_um=spacing)
    above, below = blocks(drawn(recipe_of(stack, dark(1, 1, 8, 8)), tmp_path / "f.png"))
    assert above[0] / above[1] == pytest.approx(ratio, abs=0.03)
    assert below[0] / below[1] == pytest.approx(1, abs=0.03)


def test_a_low_wide_plane_is_not_drawn_smaller_than_can_be_seen(tmp_path: Path) -> None:
    stack = Stack(dark(8, 20, 100, 1), "slice", (None,) * 8)
    above = blocks(drawn(recipe_of(stack, dark(4, 1, 8, 8)), tmp_path / "f.png"))[0]
    assert above[0] > 60


def test_a_long_title_is_whole(tmp_path: Path) -> None:
    title = "High-frequency ultrasound of the skin, B-mode"
    recipe = recipe_of(Stack(dark(1, 60, 60, 1)), dark(1, 1, 8, 8), title)
    pixels = drawn(recipe, tmp_path / "f.png")
    inked = np.flatnonzero((pixels[:40] < 200).any(axis=(0, 2)))
    assert inked[0] > 0 and inked[-1] < pixels.shape[1] - 1


def test_channels_of_the_net_are_not_mixed_and_one_that_is_even_is_left_out(tmp_path: Path) -> None:
    views = dark(2, 3, 8, 8)
    views[:, 0, 0, 0] = 1
    views[:, 1] = 5
    views[:, 2, 0, 0] = 1
    stack = Stack(dark(2, 60, 60, 1), "slice", (None, None))
    assert len(blocks(drawn(recipe_of(stack, views), tmp_path / "f.png"))) == 3


def test_colour_stays_colour(tmp_path: Path) -> None:
    values = np.zeros((2, 60, 60, 3), np.float32)
    values[..., 0] = 255
    channels = tuple(Channel(name) for name in ("red", "green", "blue"))
    stack = Stack(values, "time", (0.0, 9.0), channels=channels, bits=8)
    pixels = drawn(recipe_of(stack, dark(2, 1, 8, 8)), tmp_path / "f.png")
    assert (pixels == (255, 0, 0)).all(axis=2).sum() > 5000
