"""Does the gate flag what it should, and let its stated share of training-like images pass?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from core.errors import ContractError, TrainingError
from modalities.cnn.preprocess import Preprocessing, planes_of
from modalities.gate import LOOKS, NAMES, SafetyGate, fit, look, threshold_of
from modalities.gate.lines import line_share
from modalities.gate.looks import CELLS, cells_of, fine_of, ink_share, log_sharpness

Pixels = npt.NDArray[np.uint8]

LABELS = ("benign:nevus", "benign:keratosis")
"""Not the drawn melanoma, which is as blue as a marker."""
PREPROCESSING = Preprocessing(112, 112)
RATE = 0.02
FITTED, FRESH = 300, 60


def lens(pixels: Pixels, seed: int) -> Pixels:
    """The other modality of these tests: a round field in a dark frame, sharper and bluer."""
    y, x = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    seen = np.random.default_rng(seed).uniform(1.05, 1.2) > np.hypot(x, y)
    found = pixels.astype(np.float64) * [0.85, 0.9, 1.05] * seen[..., None]
    return np.clip(found, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def squares(drawn: Callable[..., Any]) -> Callable[[range], list[Pixels]]:
    def make(seeds: range) -> list[Pixels]:
        return [PREPROCESSING.square(drawn(LABELS[s % 2], s, 120, 120)) for s in seeds]

    return make


@pytest.fixture(scope="module")
def gate(squares: Callable[[range], list[Pixels]]) -> SafetyGate:
    own = squares(range(FITTED))
    others = [lens(p, k) for k, p in enumerate(squares(range(FITTED, FITTED + 100)))]
    return fit(np.stack([look(p) for p in own]), [f"L{k}" for k in range(FITTED)],
               np.stack([look(p) for p in others]), rate=RATE)  # fmt: skip


@pytest.fixture(scope="module")
def fresh(squares: Callable[[range], list[Pixels]]) -> list[Pixels]:
    return squares(range(5000, 5000 + FRESH))


def flagged(gate: SafetyGate, pixels: Pixels) -> set[str]:
    return {check.name for check in gate.checks(pixels) if check.flagged}


def share(gate: SafetyGate, name: str, images: list[Pixels]) -> float:
    return float(np.mean([name in flagged(gate, p) for p in images]))


def test_every_check_is_made_in_order_with_its_threshold_and_reason(
    gate: SafetyGate, fresh: list[Pixels]
) -> None:
    checks = gate.checks(fresh[0])
    assert tuple(c.name for c in checks) == NAMES
    assert [c.threshold for c in checks] == [gate.limits[n].threshold for n in NAMES]
    assert {c.action for c in checks} == {"refuse", "warn"}
    assert all(gate.limits[n].rate == RATE and gate.limits[n].images > 150 for n in NAMES)


def test_images_like_those_of_the_training_pass_but_for_the_stated_share(
    gate: SafetyGate, fresh: list[Pixels]
) -> None:
    # Seven checks at 2 % in 60 images: more than five flags of one check has a chance below 1 in 700.
    assert all(share(gate, name, fresh) * FRESH <= 5 for name in NAMES)


def test_blur_of_four_pixels_is_flagged(gate: SafetyGate, fresh: list[Pixels]) -> None:
    soft = [np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(4))) for p in fresh[:20]]
    assert share(gate, "blurred", soft) == 1


def test_a_third_of_the_light_is_flagged_and_so_is_twice_the_light(
    gate: SafetyGate, fresh: list[Pixels]
) -> None:
    dark = [(p * 0.33).astype(np.uint8) for p in fresh[:20]]
    bright = [np.clip(p * 2.0, 0, 255).astype(np.uint8) for p in fresh[:20]]
    assert share(gate, "under_exposed", dark) == 1
    assert share(gate, "over_exposed", bright) >= 0.9
    assert share(gate, "over_exposed", dark) == share(gate, "under_exposed", bright) == 0


def hairs(pixels: Pixels, seed: int, count: int = 25) -> Pixels:
    rng = np.random.default_rng(seed)
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for _ in range(count):
        x, y = rng.uniform(0, 112, 2)
        turn = rng.uniform(0, 2 * np.pi)
        points = []
        for _ in range(30):
            points.append((float(x), float(y)))
            x, y, turn = x + 3 * np.cos(turn), y + 3 * np.sin(turn), turn + rng.normal(0, 0.08)
        pen.line(points, fill=(35, 25, 20), width=2)
    return np.asarray(image)


def test_drawn_hair_is_flagged_as_hair(gate: SafetyGate, fresh: list[Pixels]) -> None:
    assert share(gate, "hair", [hairs(p, k) for k, p in enumerate(fresh[:20])]) == 1


@pytest.mark.parametrize("colour", [(70, 50, 170), (40, 60, 150), (30, 130, 60)])
def test_a_markers_ring_is_flagged_as_ink(
    colour: tuple[int, int, int], gate: SafetyGate, fresh: list[Pixels]
) -> None:
    marked = []
    for p in fresh[:20]:
        image = Image.fromarray(p)
        ImageDraw.Draw(image).ellipse((20, 20, 92, 92), outline=colour, width=7)
        marked.append(np.asarray(image))
    assert share(gate, "ink", marked) == 1


def test_the_other_modality_is_flagged_as_such(gate: SafetyGate, fresh: list[Pixels]) -> None:
    assert share(gate, "other_modality", [lens(p, 900 + k) for k, p in enumerate(fresh)]) >= 0.95


@pytest.mark.parametrize("kind", ["noise", "blank", "text"])
def test_what_is_no_skin_is_refused(kind: str, gate: SafetyGate) -> None:
    rng = np.random.default_rng(1)
    page = np.full((112, 112, 3), 250, np.uint8)
    page[::7, 5:100:2] = 10
    found = {
        "noise": rng.integers(0, 256, (112, 112, 3), np.uint8),
        "blank": np.full((112, 112, 3), (205, 170, 150), np.uint8),
        "text": page,
    }[kind]
    assert any(check.flagged and check.action == "refuse" for check in gate.checks(found))


def test_without_images_of_another_modality_there_is_no_check_of_it(
    squares: Callable[[range], list[Pixels]],
) -> None:
    rows = np.stack([look(p) for p in squares(range(220))])
    alone = fit(rows, [f"L{k}" for k in range(220)], rate=RATE)
    assert tuple(alone.limits) == tuple(n for n in NAMES if n != "other_modality")
    assert SafetyGate.from_dict(alone.to_dict()).to_dict() == alone.to_dict()


@given(st.sampled_from([0.01, 0.02, 0.05, 0.1]), st.integers(100, 600), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_mean_share_above_a_threshold_is_its_rate_at_most(rate: float, images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    draws = np.sort(rng.exponential(size=(400, images)), axis=1)
    above = np.exp(-np.array([threshold_of(row, rate) for row in draws]))
    assert above.mean() <= rate + 4 * above.std() / 20


def test_a_threshold_is_the_kth_smallest_score() -> None:
    assert threshold_of(np.arange(99.0), 0.01) == 98
    assert threshold_of(np.arange(199.0), 0.01) == 197
    with pytest.raises(TrainingError, match="99 or more"):
        threshold_of(np.arange(98.0), 0.01)


def test_too_few_images_and_a_rate_that_is_none_are_training_errors() -> None:
    rows = np.zeros((20, len(LOOKS)))
    with pytest.raises(TrainingError, match="too few"):
        fit(rows, [str(k) for k in range(20)])
    with pytest.raises(TrainingError, match="false-alarm rate"):
        fit(rows, [str(k) for k in range(20)], rate=0.0)


def test_the_order_of_the_images_changes_no_threshold(squares: Callable[[range], list[Pixels]]) -> None:
    rows = np.stack([look(p) for p in squares(range(200))])
    names = [f"L{k}" for k in range(200)]
    there, back = fit(rows, names, rate=RATE), fit(rows[::-1], names[::-1], rate=RATE)
    for name in there.limits:
        assert back.limits[name].threshold == pytest.approx(there.limits[name].threshold, rel=1e-6)


def test_a_gate_is_the_same_after_a_walk_through_json(gate: SafetyGate, fresh: list[Pixels]) -> None:
    again = SafetyGate.from_dict(json.loads(json.dumps(gate.to_dict(), allow_nan=False)))
    assert again.to_dict() == gate.to_dict()
    assert again.checks(fresh[0]) == gate.checks(fresh[0])


def test_planes_and_pixels_give_the_same_numbers_to_the_bit(gate: SafetyGate, fresh: list[Pixels]) -> None:
    assert gate.checks(planes_of(fresh[0])) == gate.checks(fresh[0])


HOSTILE: dict[str, dict[str, Any]] = {
    "newer": {"format": 2},
    "other statistics": {"looks": list(LOOKS[::-1])},
    "no centre": {"centre": None},
    "short mean": {"mean": [0.0]},
    "spread of nothing": {"spread": [0.0] * len(LOOKS)},
    "infinite": {"precision": [[float("inf")] * len(LOOKS)] * len(LOOKS)},
    "words": {"weights": ["a"] * len(LOOKS)},
    "bias": {"bias": float("nan")},
    "no limits": {"limits": {}},
    "limits of no shape": {"limits": []},
    "unknown check": {"limits": {"wet": {"threshold": 1, "false_alarm_rate": 1, "images": 9,
                                           "action": "off"}}},
}  # fmt: skip


@pytest.mark.parametrize("replaced", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_gate_is_a_contract_error(replaced: dict[str, Any], gate: SafetyGate) -> None:
    with pytest.raises(ContractError):
        SafetyGate.from_dict({**gate.to_dict(), **replaced})


@pytest.mark.parametrize("entry", ["format", "looks", "centre", "spread", "mean", "precision", "weights",
                                   "bias", "limits", "fitted_on"])  # fmt: skip
def test_a_gate_without_an_entry_is_a_contract_error(entry: str, gate: SafetyGate) -> None:
    with pytest.raises(ContractError):
        SafetyGate.from_dict({k: v for k, v in gate.to_dict().items() if k != entry})


@pytest.mark.parametrize(
    "changed", [{"threshold": float("nan")}, {"action": "stop"}, {"threshold": "far"}], ids=repr
)
def test_a_limit_that_is_none_is_a_contract_error(changed: dict[str, Any], gate: SafetyGate) -> None:
    raw = gate.to_dict()
    raw["limits"]["hair"] = {**raw["limits"]["hair"], **changed}
    with pytest.raises(ContractError):
        SafetyGate.from_dict(raw)


def plainly(planes: Pixels) -> dict[str, float]:
    """Some of the statistics by their definitions, in float64, one square and cell at a time."""
    _, height, width = planes.shape
    step = max(1, min(height, width) // 112)
    high, wide = height // step, width // step
    whole = planes[:, : high * step, : wide * step].astype(np.float64) / 255
    fine = whole.reshape(3, high, step, wide, step).mean(axis=(2, 4))
    a, b = high // CELLS, wide // CELLS
    top, left = (high - a * CELLS) // 2, (wide - b * CELLS) // 2
    inside = fine[:, top : top + a * CELLS, left : left + b * CELLS]
    cells = inside.reshape(3, CELLS, a, CELLS, b).mean(axis=(2, 4))
    grey = np.einsum("c,chw->hw", [0.299, 0.587, 0.114], fine)
    green = planes[1].astype(np.float64) / 255
    edges = green[:-2, 1:-1] + green[2:, 1:-1] + green[1:-1, :-2] + green[1:-1, 2:] - 4 * green[1:-1, 1:-1]
    return {
        "red": cells[0].mean(),
        "green": cells[1].mean(),
        "blue": cells[2].mean(),
        "contrast": grey.std(),
        "log_sharpness": np.log(edges[::2].var() + 1e-8),
        "saturation": (cells.max(axis=0) - cells.min(axis=0)).mean(),
        "cell_red_spread": cells[0].std(),
        "red_less_green_spread": (cells[0] - cells[1]).std(),
        "centre_blue": cells[2, 7:-7, 7:-7].mean() - cells[2].mean(),
        "lit": (cells.min(axis=0) > 0.9).mean(),
    }


@pytest.mark.parametrize("side", [28, 64, 112, 224, 299, 448])
@pytest.mark.parametrize("more", [0, 1, 37])
def test_the_statistics_are_their_definitions(side: int, more: int) -> None:
    random = np.random.default_rng(side + more)
    coarse = Image.fromarray(random.integers(40, 250, (9, 9, 3), np.uint8))
    square = np.asarray(coarse.resize((side + more, side)))
    planes = planes_of(square)
    found = dict(zip(LOOKS, look(square), strict=True))
    for name, value in plainly(planes).items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    np.testing.assert_array_equal(look(planes), look(square))


@given(st.integers(28, 90), st.integers(28, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_every_statistic_of_noise_is_finite(height: int, width: int, seed: int) -> None:
    planes = np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)
    assert cells_of(fine_of(planes)).shape == (3, CELLS, CELLS)
    assert np.isfinite(look(planes)).all()


def test_dark_and_bright_squares_are_counted() -> None:
    square = np.zeros((40, 40, 3), np.uint8)
    square[:10] = 255
    found = dict(zip(LOOKS, look(square), strict=True))
    assert (found["dark"], found["bright"]) == (0.75, 0.25)


def test_a_plane_without_any_detail_has_the_least_sharpness() -> None:
    flat = np.full((50, 60), 140, np.uint8)
    assert log_sharpness(flat) == pytest.approx(np.log(1e-8))
    noisy = np.random.default_rng(0).integers(0, 255, (50, 60), np.uint8)
    blurred = np.asarray(Image.fromarray(noisy).filter(ImageFilter.GaussianBlur(2)))
    assert log_sharpness(flat) < log_sharpness(blurred) < log_sharpness(noisy)


@pytest.mark.parametrize("value", [0, 255])
def test_a_frame_of_one_value_has_finite_statistics(value: int) -> None:
    assert np.isfinite(look(np.full((64, 64, 3), value, np.uint8))).all()


def test_a_line_is_counted_and_a_disc_a_dot_and_an_edge_are_not() -> None:
    y, x = np.mgrid[:112, :112]
    plain = np.full((112, 112), 200, np.uint8)
    line = np.where(np.abs(y - 56) < 1, 60, plain).astype(np.uint8)
    assert line_share(line) == pytest.approx(1 / 84, rel=0.05)
    assert line_share(np.ascontiguousarray(line.T)) == pytest.approx(line_share(line))
    assert line_share(np.where(np.abs(y - x) < 2, 60, plain).astype(np.uint8)) > 0.02
    assert line_share(np.where(x < 56, 60, plain).astype(np.uint8)) == 0
    disc = np.hypot(y - 56, x - 56) < 20
    assert line_share(np.where(disc, 60, plain).astype(np.uint8)) < disc.mean() / 20
    dots = (y % 20 < 3) & (x % 20 < 3)
    assert dots.mean() > 4 * line_share(np.where(dots, 60, plain).astype(np.uint8))


def test_a_bright_line_is_no_hair() -> None:
    picture = np.full((112, 112), 100, np.uint8)
    picture[50:52] = 250
    assert line_share(picture) == 0


def test_a_bluish_light_over_the_whole_image_is_no_ink() -> None:
    blue = np.ones((3, CELLS, CELLS), np.float32) * np.array([0.4, 0.5, 0.8], np.float32)[:, None, None]
    assert ink_share(blue.reshape(3, -1)) == 0
    blue[:, :2] = np.array([0.2, 0.3, 0.95], np.float32)[:, None, None]
    assert ink_share(blue.reshape(3, -1)) == pytest.approx(2 / CELLS)


def test_the_fine_picture_has_112_squares_along_its_short_side_or_all_pixels() -> None:
    for side in (28, 64, 112, 224, 299, 600):
        fine = fine_of(np.full((3, side, side + 9), 77, np.uint8))
        assert min(side, 112) <= fine.shape[1] < 224
        np.testing.assert_allclose(fine, 77 / 255, rtol=1e-6)


def test_an_action_of_the_bundle_is_what_the_check_proposes(gate: SafetyGate, fresh: list[Pixels]) -> None:
    limits = {name: replace(limit, action="off") for name, limit in gate.limits.items()}
    assert {c.action for c in replace(gate, limits=limits).checks(fresh[0])} == {"off"}
