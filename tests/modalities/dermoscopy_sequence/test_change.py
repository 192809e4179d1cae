"""Are dates laid on each other in one light, so that what is left is what changed?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.dermoscopy_sequence.preprocess import CHANNELS, MOST_VIEWS, SIDE, in_light_of, vary, views
from modalities.dermoscopy_sequence.recipe import RECIPE, read
from modalities.dermoscopy_sequence.registration import Motion, moved, register
from modalities.dermoscopy_sequence.simulate import KINDS, DrawnSequence, draw, draw_sequence
from modalities.stacks.stack import Channel, FloatArray, Stack

CHANGE, KNOWN, TIME, TIME_KNOWN = slice(3, 6), 6, 7, 8
RGB = (Channel("red"), Channel("green"), Channel("blue"))


def stack_of(drawn: DrawnSequence, days: tuple[float | None, ...] | None = None) -> Stack:
    values = np.stack(drawn.pages).astype(np.float32)
    return Stack(values, "time", drawn.days if days is None else days, channels=RGB)


@pytest.fixture(scope="module")
def skin() -> FloatArray:
    page = draw_sequence("nevus", np.random.default_rng(11), hair=False).pages[0]
    return page[32:224, 32:224].astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(st.floats(-35, 35), st.floats(-15, 15), st.floats(-15, 15))
def test_a_turn_and_a_shift_are_found(skin: FloatArray, degrees: float, down: float, right: float) -> None:
    grey = skin.mean(-1)
    there = moved(grey, Motion(degrees, down, right, 1), float(grey.mean()))
    found = register(grey, there)
    assert found is not None
    back = moved(there, found)
    again = moved(moved(grey, Motion(0, 0, 0, 1)), Motion(0, 0, 0, 1))
    inner = np.s_[56:136, 56:136]
    assert abs(found.degrees + degrees) < 0.6
    assert np.nanmean(np.abs(back - again)[inner]) < 0.5 * np.abs(there - grey)[inner].mean() + 1.5


def test_dates_of_drawn_lesions_are_laid_within_half_a_degree() -> None:
    off = []
    for seed in range(4):
        drawn = draw_sequence("nevus", np.random.default_rng(seed))
        first, *later = (page[32:224, 32:224].astype(np.float32).mean(-1) for page in drawn.pages)
        for page, truth in zip(later, drawn.motions[1:], strict=True):
            found = register(first, page)
            if found is not None:
                off.append(max(abs(found.degrees - truth.degrees), abs(found.down - truth.down) / 4))
    assert len(off) >= 8
    assert np.mean(np.array(off) < 0.5) >= 0.9


def test_another_lesion_is_not_laid_on_the_first(skin: FloatArray) -> None:
    other = draw_sequence("seborrheic keratosis", np.random.default_rng(77), hair=False).pages[0]
    assert register(skin.mean(-1), other[32:224, 32:224].astype(np.float32).mean(-1)) is None


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(0.75, 1.1)] * 3))
def test_light_is_undone_to_one_part_in_a_hundred(skin: FloatArray, lamp: tuple[float, float, float]) -> None:
    darker = np.minimum(skin, 220)
    again = in_light_of(darker, (darker * np.array(lamp)).astype(np.float32))
    np.testing.assert_allclose(again, darker, rtol=0.03)


def test_a_still_lesion_shows_less_change_than_a_growing_one() -> None:
    def changed(kind: str, seed: int) -> float:
        drawn = draw_sequence(kind, np.random.default_rng(seed), hair=False)
        values = np.stack([drawn.pages[0], drawn.pages[-1]]).astype(np.float32)
        seen = views(Stack(values, "time", (0.0, drawn.days[-1]), channels=RGB))
        last, known = seen[-1, CHANGE], seen[-1, KNOWN] > 0.99
        return float(np.abs(last[:, known]).mean()) if known.any() else float("nan")

    still = [changed("seborrheic keratosis", s) for s in range(5)]
    growing = [changed("melanoma", s) for s in range(5)]
    assert np.nanmedian(growing) > 1.5 * np.nanmedian(still)


def test_the_first_date_has_no_change_and_every_change_has_a_mask() -> None:
    seen = views(stack_of(draw_sequence("nevus", np.random.default_rng(4))))
    assert seen.shape[1:] == (len(CHANNELS), SIDE, SIDE)
    assert not seen[0, CHANGE].any()
    assert (seen[0, KNOWN] == 1).all()
    assert not seen[:, CHANGE][np.broadcast_to(seen[:, None, KNOWN] == 0, seen[:, CHANGE].shape)].any()


def test_pictures_that_cannot_be_laid_have_no_known_change() -> None:
    one = draw_sequence("nevus", np.random.default_rng(1), hair=False).pages[0]
    two = draw_sequence("seborrheic keratosis", np.random.default_rng(77), hair=False).pages[0]
    seen = views(Stack(np.stack([one, two]).astype(np.float32), "time", (0.0, 50.0), channels=RGB))
    assert not seen[1, KNOWN].any()
    assert not seen[1, CHANGE].any()
    assert seen[1, :3].std() > 0.1


def test_time_is_shown_only_where_both_dates_are_known() -> None:
    drawn = draw_sequence("nevus", np.random.default_rng(4))
    days = (0.0, None, *drawn.days[2:])
    seen = views(stack_of(drawn, days))
    assert seen[0, TIME].max() == 0
    assert seen[0, TIME_KNOWN].min() == 1
    assert not seen[1, [TIME, TIME_KNOWN]].any()
    expected = np.log2(1 + drawn.days[2] / 365.25)
    np.testing.assert_allclose(seen[2, TIME], expected, rtol=1e-5)
    assert not views(stack_of(drawn, (None, *drawn.days[1:])))[:, [TIME, TIME_KNOWN]].any()


def test_many_dates_are_thinned_evenly_and_keep_first_and_last() -> None:
    page = draw_sequence("nevus", np.random.default_rng(4), hair=False).pages[0]
    many = Stack(np.stack([page] * 11).astype(np.float32), "time", tuple(range(0, 1100, 100)), channels=RGB)
    seen = views(many)
    assert len(seen) == MOST_VIEWS
    np.testing.assert_allclose(seen[-1, TIME, 0, 0], np.log2(1 + 1000 / 365.25), rtol=1e-5)


def test_views_are_the_same_each_time_and_about_zero_and_one() -> None:
    files = [draw(kind, np.random.default_rng(s)) for kind in KINDS for s in (1,)]
    made = [views(read(data)) for data in files]
    np.testing.assert_array_equal(made[0], views(read(files[0])))
    colours = np.concatenate(made)[:, :6]
    assert np.abs(colours.mean((0, 2, 3))).max() < 1.5
    assert ((colours.std((0, 2, 3)) > 0.2) & (colours.std((0, 2, 3)) < 2)).all()
    assert RECIPE.channels == made[0].shape[1]


def test_melanomas_outgrow_nevi_to_one_side() -> None:
    def sides(kind: str) -> tuple[float, float]:
        angles = np.linspace(0, 2 * np.pi, 90, dtype=np.float32)
        grown = []
        for seed in range(40):
            lesion = KINDS[kind](np.random.default_rng(seed))
            grown.append(lesion.border(angles, 365.25) - lesion.border(angles, 0))
        return float(np.median([g.mean() for g in grown])), float(np.median([np.ptp(g) for g in grown]))

    (nevus, nevus_bias), (melanoma, melanoma_bias) = sides("nevus"), sides("melanoma")
    assert melanoma > 3 * max(nevus, 0.05)
    assert melanoma_bias > 3 * nevus_bias


def test_varied_dates_still_lie_on_each_other() -> None:
    seen = np.random.default_rng(0).normal(size=(1, 9, 8, 8)).astype(np.float32)
    for seed in range(8):
        varied = vary(np.concatenate([seen, 2 * seen]), np.random.default_rng(seed))
        np.testing.assert_array_equal(varied[1], 2 * varied[0])
        np.testing.assert_array_equal(np.sort(varied[0].reshape(9, -1)), np.sort(seen[0].reshape(9, -1)))
