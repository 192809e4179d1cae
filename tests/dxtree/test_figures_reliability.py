"""Does the figure of reliability show its bins, and nothing that they do not say?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ContractError
from dxtree.evaluation import Interval
from dxtree.evaluation.results import Bin

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from dxtree.figures.reliability import BARS, confidence_mass, reliability_figure
from dxtree.figures.style import png, svg

BINS = tuple(
    Bin(20.0, sure, Interval(right, right - 0.08, right + 0.05))
    for sure, right in ((0.35, 0.3), (0.55, 0.6), (0.72, 0.7), (0.9, 0.93))
)
EDGES = np.linspace(0, 1, BARS + 1)


def texts(figure: Any) -> str:
    return "\n".join(t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_a_panel_shows_its_bins_with_their_intervals() -> None:
    figure = reliability_figure({"level 1": BINS}, title="All")
    above = figure.axes[0]
    line = above.containers[0]
    assert np.allclose(line.lines[0].get_xydata(), [(b.confidence, b.accuracy.value) for b in BINS])
    segments = np.array(line.lines[2][0].get_segments())
    assert np.allclose(segments[:, :, 1], [(b.accuracy.low, b.accuracy.high) for b in BINS])
    assert figure.axes[0].get_title("left").startswith("level 1, n = 80")
    bars = [p.get_height() for p in figure.axes[1].patches]
    assert len(bars) == BARS
    assert sum(bars) == pytest.approx(80)


@pytest.mark.parametrize(("count", "axes"), [(1, 2), (2, 4), (3, 6), (4, 8), (7, 14)])
def test_there_is_a_curve_and_a_histogram_for_each_panel_and_no_empty_axes(count: int, axes: int) -> None:
    figure = reliability_figure({f"level {k}": BINS for k in range(count)}, title="t")
    assert len(figure.axes) == axes
    assert figure.get_figwidth() * 2.54 <= 17.01


def test_errors_and_chance_stand_beside_their_own_panel() -> None:
    panels = {"level 1": BINS, "level 2": BINS}
    figure = reliability_figure(
        panels, title="t", errors={"level 2": Interval(0.031, 0.01, 0.05)}, chance={"level 2": 0.017}
    )
    heads = [a.get_title("left") for a in figure.axes if a.get_title("left")]
    assert heads == ["level 1, n = 80", "level 2, n = 80\nECE .031 [.010, .050], chance .017"]


def test_the_bytes_are_the_same_each_time() -> None:
    one, other = (reliability_figure({"level 1": BINS, "level 2": BINS}, title="t") for _ in range(2))
    assert svg(one) == svg(other)
    assert png(one) == png(other)


def test_a_name_with_dollars_stays_a_name() -> None:
    assert "a $x$ b" in texts(reliability_figure({"a $x$ b": BINS}, title="t"))


def test_what_cannot_be_drawn_is_refused() -> None:
    hollow = replace(BINS[0], accuracy=Interval(None, None, None, "none"))
    for panels in ({}, {"level 1": ()}, {"level 1": (hollow,)}):
        with pytest.raises(ContractError):
            reliability_figure(panels, title="t")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=15), st.floats(0.5, 300))
def test_the_histogram_holds_every_lesion_and_lies_where_the_bins_lie(sure: list[float], n: float) -> None:
    bins = [Bin(n, c, Interval(0.5, 0.4, 0.6)) for c in sorted(sure)]
    mass = confidence_mass(bins, EDGES)
    assert (mass >= -1e-9).all()
    assert mass.sum() == pytest.approx(n * len(bins))
    middle = EDGES[:-1] + 0.5 / BARS
    reach = 1 / BARS + (max(sure) - min(sure)) / 2
    inside = (middle >= min(sure) - reach) & (middle <= max(sure) + reach)
    assert mass[inside].sum() == pytest.approx(n * len(bins))


def test_a_bin_is_spread_to_the_middles_of_its_neighbours() -> None:
    bins = [Bin(10.0, c, Interval(0.5, 0.4, 0.6)) for c in (0.25, 0.35, 0.55)]
    mass = confidence_mass(bins, np.array([0.2, 0.3, 0.45, 0.65]))
    assert mass == pytest.approx([10.0, 10.0, 10.0])
