"""Do figures show what they are given, with the same bytes each time, and does the page keep to itself?"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import BelowTrainingClass, ContractError, NonFiniteOutput, PathRejected, UnknownNode
from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy
from dxtree.binary import ReaderPoint, curve_of, esteva_readers, operating_points
from dxtree.binary.readers import OTHER_IMAGES
from dxtree.evaluation import Interval
from modalities.cnn.preprocess import Preprocessing

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text as MatplotlibText

from dxtree import figures
from dxtree.figures import (
    Command,
    FigureBlock,
    Section,
    Table,
    Text,
    class_size_figure,
    confusion_counts,
    confusion_figure,
    embed,
    embedding_figure,
    png,
    reliability_figure,
    save,
    sensitivity_specificity_figure,
    svg,
    training_figure,
    write_report,
)

TREE = Taxonomy.from_paths(
    "small",
    [("benign", "nevus", "blue"), ("benign", "cyst"), ("malignant", "melanoma"), ("malignant", "carcinoma")],
)
ROWS = [
    {"step": 5 * k, "steps": 100, "epoch": 5 * k // 20, "loss": 3 / k, "images_per_second": 18 + k % 3}
    for k in range(1, 21)
]


def scored(rows: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, rows)
    return np.round(rng.normal(truth, 1.0), 1), truth


def texts(figure: Figure) -> str:
    """Everything that is written on a figure."""
    found = [t.get_text() for t in figure.findobj(match=lambda a: hasattr(a, "get_text"))]  # type: ignore[attr-defined]
    return "\n".join(found)


def sensitivity_specificity() -> Figure:
    scores, truth = scored()
    curves = {"P(positive)": curve_of(scores, truth, resamples=50)}
    readers = [
        replace(esteva_readers()[0], sensitivity_sd=0.05, specificity_sd=0.1),
        ReaderPoint("t", "anna", 0.8, 0.7, None, None, "s", same_images=False),
    ]
    points = operating_points(scores, truth, resamples=20)
    return sensitivity_specificity_figure(curves, title="A against $B$", readers=readers, points=points)


def class_size() -> Figure:
    values = [Interval(0.5, 0.4, 0.6), Interval(0.6, None, None)]
    return class_size_figure(
        [100, 1000],
        {"level 1": {"accuracy": values, "balanced accuracy": values}, "level 2": {"accuracy": values}},
        title="Sizes",
        classes=[40, 9],
        bands={"level 1": {"accuracy": Interval(0.55, 0.5, 0.6)}},
    )


def confusion() -> Figure:
    nodes = TREE.level(2)
    return confusion_figure(np.arange(16).reshape(4, 4), nodes, TREE, title="Four-way")


def reliability() -> Figure:
    rng = np.random.default_rng(0)
    sure = rng.random(300)
    return reliability_figure(
        sure, rng.random(300) < sure, title="Top class", error=Interval(0.02, 0.01, 0.04)
    )


def training() -> Figure:
    return training_figure(ROWS, title="Run", validation=[{"epoch": 2, "validation_accuracy": 0.5}])


DRAWN = {f.__name__: f for f in (sensitivity_specificity, class_size, confusion, reliability, training)}


def test_the_front_door_is_sorted_and_holds_what_exists() -> None:
    names = list(figures.__all__)
    assert names == sorted(names, key=lambda n: (n.upper() != n, not n[0].isupper(), n))
    assert all(hasattr(figures, n) for n in names)


def test_drawing_never_imports_pyplot_and_leaves_the_settings_alone() -> None:
    code = (
        "import sys, matplotlib as m\n"
        "kept = lambda: {k: m.rcParams[k] for k in m.rcParams if k != 'backend'}\n"
        "before = kept()\n"
        "from dxtree.figures import svg, training_figure\n"
        "svg(training_figure([{'epoch': 0, 'loss': 1.0}, {'epoch': 1, 'loss': .5}], title='t'))\n"
        "print('matplotlib.pyplot' in sys.modules, before == kept())\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_figure_has_the_same_bytes_every_time_and_tells_nothing_else(
    draw: Callable[[], Figure],
) -> None:
    first, second = svg(draw()), svg(draw())
    assert first == second
    assert png(draw(), dpi=60) == png(draw(), dpi=60)
    text = first.decode("utf-8")
    addresses = set(re.findall(r"https?://[^\"'\s<]+", text))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<metadata|<dc:|Matplotlib|<script|<text", text)


def boxes(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Every text that is drawn, and its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    written: list[Any] = []
    original = MatplotlibText.draw

    def record(self: MatplotlibText, renderer: Any) -> None:
        written.append(self)
        original(self, renderer)

    with monkeypatch.context() as patch:
        patch.setattr(MatplotlibText, "draw", record)
        canvas.draw()
    return {t: t.get_window_extent(canvas.get_renderer()) for t in written if t.get_text().strip()}


LONG = {
    "long title": lambda: training_figure(ROWS, title="Several words in a title that is far too long " * 3)
}


@pytest.mark.parametrize("draw", [*DRAWN.values(), *LONG.values()], ids=[*DRAWN, *LONG])
def test_nothing_is_written_outside_a_figure_or_in_a_tiny_font(
    draw: Callable[[], Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = draw()
    found = boxes(figure, monkeypatch)
    assert len(found) > 10
    for text, box in found.items():
        assert min(box.x0, box.y0) >= -1, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 1, text.get_text()
        assert box.y1 <= figure.bbox.y1 + 1, text.get_text()
        assert text.get_size() >= 5.5, text.get_text()


def test_a_figure_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    figure = training()
    save(figure, tmp_path / "a.svg")
    save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<svg")
    assert Image.open(tmp_path / "a.png").info.keys() <= {"dpi"}
    with pytest.raises(ContractError, match=r"\.pdf"):
        save(figure, tmp_path / "a.pdf")
    with pytest.raises(PathRejected):
        save(figure, tmp_path / "none" / "a.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.svg"]


# What each figure shows


def test_the_curve_has_sensitivity_across_specificity_up_and_says_n_auc_and_other_images() -> None:
    figure = sensitivity_specificity()
    axes = figure.axes[0]
    scores, truth = scored()
    curve = curve_of(scores, truth, resamples=50)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("sensitivity", "specificity")
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), curve.sensitivity)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), curve.specificity)
    written = texts(figure)
    assert f"n = {curve.positives} positive + {curve.negatives} negative" in written
    assert f"AUC .{round(100 * (curve.auc.value or 0))} [." in written
    assert OTHER_IMAGES in written
    assert "1 SD" in written
    assert "A against $B$" in written


def test_readers_of_the_same_images_carry_no_disclaimer() -> None:
    scores, truth = scored()
    curves = {"c": curve_of(scores, truth, resamples=5)}
    same = [ReaderPoint("t", "anna", 0.8, 0.7, None, None, "s", same_images=True)]
    assert OTHER_IMAGES not in texts(sensitivity_specificity_figure(curves, title="t", readers=same))
    with pytest.raises(ContractError, match="no curve"):
        sensitivity_specificity_figure({}, title="t")


def test_training_shows_every_loss_passes_over_events_and_puts_validation_where_it_was_measured() -> None:
    rows = [{"event": "resumed", "step": 40}, *ROWS]
    figure = training_figure(rows, title="Run", validation=[{"epoch": 2, "validation_accuracy": 0.5}])
    loss, validation, speed = figure.axes
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [r["loss"] for r in ROWS])
    assert validation.lines[0].get_xdata().tolist() == [55.0]  # type: ignore[union-attr]
    assert validation.lines[0].get_ydata().tolist() == [0.5]  # type: ignore[union-attr]
    assert len(speed.lines[0].get_ydata()) == len(ROWS)  # type: ignore[arg-type]
    assert len(training_figure(ROWS, title="Run").axes) == 2
    with pytest.raises(ContractError, match="no row has a loss"):
        training_figure([{"event": "resumed"}], title="Run")


def test_reliability_bars_are_those_of_wilson_and_few_lesions_get_few_bins() -> None:
    sure = np.full(40, 0.7)
    figure = reliability_figure(sure, np.arange(40) < 28, title="t", bins=1)
    line, bars = figure.axes[0].containers[0][0], figure.axes[0].containers[0][2][0]
    assert float(line.get_ydata()[0]) == pytest.approx(0.7)
    low, high = bars.get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.5457, 0.8193), abs=1e-3)  # statsmodels, method="wilson"
    assert "2 bins of 6 lesions" in texts(reliability_figure(sure[:12], sure[:12] > 0, title="t"))
    with pytest.raises(ContractError, match="not empty"):
        reliability_figure(np.zeros(0), np.zeros(0, bool), title="t")


def test_class_sizes_stand_on_a_logarithmic_axis_with_bands_and_numbers_of_classes() -> None:
    figure = class_size()
    top: Axes = figure.axes[0]
    assert top.get_xscale() == "log"
    assert [t.get_text() for t in figure.axes[1].get_xticklabels()] == ["100", "1,000"]
    assert "40" in texts(figure)
    assert "coarse labels" in texts(figure)
    band = next(line for line in top.lines if len(set(line.get_ydata())) == 1 and len(line.get_ydata()) == 2)  # type: ignore[arg-type]
    assert band.get_ydata()[0] == 0.55  # type: ignore[index]
    with pytest.raises(ContractError, match="1 values for 2 sizes"):
        class_size_figure([1, 2], {"a": {"b": [Interval(1, 1, 1)]}}, title="t")
    with pytest.raises(ContractError, match=">= 1"):
        class_size_figure([0], {}, title="t")


def test_the_confusion_matrix_stands_in_the_order_of_the_tree_whatever_order_comes_in() -> None:
    nodes = list(TREE.level(2))
    counts = np.array([[8, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 5, 5]])
    order = [3, 1, 0, 2]
    one = confusion_figure(counts, nodes, TREE, title="t")
    two = confusion_figure(counts[np.ix_(order, order)], [nodes[k] for k in order], TREE, title="t")
    assert svg(one) == svg(two)
    shares = one.axes[0].collections[0].get_array()
    assert shares is not None
    np.testing.assert_allclose(np.ma.filled(shares[0], np.nan), [0.8, 0.2, 0, 0])
    assert np.ma.getmaskarray(shares)[2].all()
    written = texts(one)
    assert "n = 24, 16 on the diagonal" in written
    assert [t.get_text() for t in one.axes[0].get_yticklabels()] == [
        "nevus  1", "cyst  2", "melanoma  3", "carcinoma  4"
    ]  # fmt: skip
    for name in ("benign", "malignant"):
        assert name in written


def test_a_residual_is_drawn_as_the_rest_of_its_node() -> None:
    figure = confusion_figure(
        np.eye(2, dtype=np.int64), ["benign:nevus:blue", "benign:nevus~"], TREE, title="t"
    )
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["nevus (rest)  1", "blue  2"]


def test_forty_eight_classes_keep_rows_that_can_be_read() -> None:
    folder = Path(__file__).parents[2] / "modalities/sets/default"
    tree = Taxonomy.from_json(folder / "taxonomy.json")
    partition = Partition.from_dict(tree, json.loads((folder / "partition.json").read_text("utf-8")))
    size = len(partition.ids)
    figure = confusion_figure(np.eye(size, dtype=np.int64) * 3, partition.ids, tree, title="t")
    svg(figure)
    labels = figure.axes[0].get_yticklabels()
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [t.get_window_extent(renderer) for t in labels]
    assert size == 48
    assert min(t.get_size() for t in labels) >= 5.5
    middles = [(b.y0 + b.y1) / 2 for b in boxes]
    height = min(b.height for b in boxes)
    assert min(abs(a - b) for a, b in pairwise(middles)) >= 0.85 * height


@pytest.mark.parametrize(
    ("counts", "nodes", "said"),
    [
        (np.eye(2, dtype=np.int64), ["benign", "benign"], "twice"),
        (np.eye(3, dtype=np.int64), ["benign", "malignant"], "2 x 2"),
        (np.zeros((0, 0), np.int64), [], "0 x 0"),
    ],
)
def test_counts_that_fit_no_classes_are_refused(counts: np.ndarray, nodes: list[str], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        confusion_figure(counts, nodes, TREE, title="t")


def test_counts_are_truth_by_prediction() -> None:
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    assert confusion_counts(truth, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    for wrong in (np.array([0, 0, 1, 3]), np.array([0, 0, 1, -1]), np.array([0])):
        with pytest.raises(ContractError, match="indices below 3"):
            confusion_counts(wrong, predicted, 3)
    with pytest.raises(UnknownNode):
        confusion_figure(np.eye(1, dtype=np.int64), ["nothing"], TREE, title="t")


# Embedding


def test_the_embedding_is_seeded_keeps_clusters_apart_and_says_what_it_drew() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1], 40)
    features = rng.normal(size=(80, 6)) + 12 * kinds[:, None]
    found = embed(features, seed=1, most=60, perplexity=10)
    again = embed(features, seed=1, most=60, perplexity=10)
    np.testing.assert_array_equal(found.points, again.points)
    assert len(found.rows) == 60
    assert (np.diff(found.rows) > 0).all()
    assert embed(features, seed=2, most=60, perplexity=10).rows.tolist() != found.rows.tolist()
    one, two = (found.points[kinds[found.rows] == k] for k in (0, 1))
    spread = max(np.linalg.norm(p - p.mean(axis=0), axis=1).max() for p in (one, two))
    assert np.linalg.norm(one.mean(axis=0) - two.mean(axis=0)) > 1.5 * spread
    labels = ["benign:nevus:blue" if k == 0 else "malignant:melanoma" for k in kinds]
    figure = embedding_figure(found, labels, TREE, title="t", depth=2)
    written = texts(figure)
    assert "n = 60 drawn of 80 images, seed 1" in written
    assert f"nevus ({len(one)})" in written
    assert f"melanoma ({len(two)})" in written
    with pytest.raises(ContractError, match="3 labels"):
        embedding_figure(found, ["benign"] * 3, TREE, title="t")


@pytest.mark.parametrize(
    "features", [np.zeros((9, 3)), np.zeros(20), np.full((20, 3), np.nan), np.zeros((20, 0))]
)
def test_features_that_cannot_be_laid_out_are_refused(features: np.ndarray) -> None:
    with pytest.raises(ContractError):
        embed(features)


def test_labels_above_the_level_are_drawn_as_other() -> None:
    rng = np.random.default_rng(0)
    found = embed(rng.normal(size=(12, 3)), perplexity=3)
    figure = embedding_figure(found, ["benign"] * 4 + ["benign:nevus"] * 8, TREE, title="t", depth=2)
    assert "other (4)" in texts(figure)


# Saliency

PARTITION = partition_tree(
    TREE,
    {"benign:nevus": 9, "benign:cyst": 9, "malignant:melanoma": 9, "malignant:carcinoma": 9},
    max_size=10,
)
PREPROCESSING = Preprocessing(32, 32)


def planted_net(seed: int = 0):  # type: ignore[no-untyped-def]
    """A net that reads melanoma off the brightness of one corner of 8 pixels and nothing else."""
    torch = pytest.importorskip("torch")

    class Corner(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(seed)
            self.head = torch.nn.Parameter(torch.rand(len(PARTITION.ids), generator=generator))

        def forward(self, images):  # type: ignore[no-untyped-def]
            return images[:, :, :8, :8].mean(dim=(1, 2, 3))[:, None] * self.head

    return Corner().eval()


def picture(side: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)


def test_saliency_finds_the_pixels_that_a_net_looks_at_and_no_others() -> None:
    net = planted_net()
    found = figures.saliency_of(net, PREPROCESSING, picture(), PARTITION, "malignant:melanoma")
    assert found.heat.shape == (32, 32)
    assert (found.heat[:8, :8] > 0).all()
    assert found.heat[8:].max() == found.heat[:, 8:].max() == 0
    assert net.head.grad is None


def test_saliency_is_the_gradient_of_the_log_probability_of_an_inner_node() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, len(PARTITION.ids))).eval()
    found = figures.saliency_of(net, PREPROCESSING, picture(), PARTITION, "malignant", temperature=2.0)
    members = [PARTITION.ids.index(n) for n in ("malignant:melanoma", "malignant:carcinoma")]

    def log_p(square: np.ndarray) -> float:
        mean, std = np.array(PREPROCESSING.mean), np.array(PREPROCESSING.std)
        scaled = ((square - mean) / std).transpose(2, 0, 1).reshape(-1)
        weight, bias = (p.detach().numpy().astype(np.float64) for p in net[1].parameters())
        logits = (weight @ scaled + bias) / 2.0
        p = np.exp(logits - logits.max())
        return float(np.log(p[members].sum() / p.sum()))

    square = found.picture / 255
    assert found.probability == pytest.approx(np.exp(log_p(square)), rel=1e-4)
    for row, column in ((0, 0), (7, 20), (31, 31)):
        slopes = []
        for channel in range(3):
            step = np.zeros_like(square)
            step[row, column, channel] = 1e-4
            slopes.append((log_p(square + step) - log_p(square - step)) / 2e-4)
        assert found.heat[row, column] == pytest.approx(np.abs(slopes).sum(), rel=1e-3)


def test_other_weights_give_another_map() -> None:
    """The sanity check of Adebayo et al. (2018): a map that weights do not change explains no net."""
    one, two = (
        figures.saliency_of(planted_net(s), PREPROCESSING, picture(), PARTITION, "malignant:melanoma").heat
        for s in (0, 1)
    )
    assert not np.allclose(one, two)


def test_the_root_has_no_saliency_for_its_probability_never_moves() -> None:
    found = figures.saliency_of(planted_net(), PREPROCESSING, picture(), PARTITION, "root")
    assert found.heat.max() == pytest.approx(0, abs=1e-9)
    assert found.probability == pytest.approx(1)


def test_saliency_refuses_a_net_in_training_a_foreign_net_and_a_node_below_a_class() -> None:
    torch = pytest.importorskip("torch")
    net = planted_net()
    with pytest.raises(BelowTrainingClass, match="'benign:nevus'"):
        figures.saliency_of(net, PREPROCESSING, picture(), PARTITION, "benign:nevus:blue")
    with pytest.raises(ContractError, match="training mode"):
        figures.saliency_of(net.train(), PREPROCESSING, picture(), PARTITION, "malignant")
    small = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2)).eval()
    with pytest.raises(ContractError, match="4 classes"):
        figures.saliency_of(small, PREPROCESSING, picture(), PARTITION, "malignant")
    broken = planted_net()
    broken.head.data[0] = float("nan")
    with pytest.raises(NonFiniteOutput):
        figures.saliency_of(broken, PREPROCESSING, picture(), PARTITION, "malignant")


def test_nothing_of_a_file_but_its_pixels_reaches_the_figure(tmp_path: Path) -> None:
    from modalities.images import decode_here

    exif = Image.Exif()
    exif[0x010E] = "SECRET-OWNER"
    Image.fromarray(picture(96)).save(tmp_path / "lesion.jpg", exif=exif, comment=b"SECRET-OWNER")
    assert b"SECRET-OWNER" in (tmp_path / "lesion.jpg").read_bytes()
    pixels = decode_here(tmp_path / "lesion.jpg").pixels
    found = figures.saliency_of(planted_net(), PREPROCESSING, pixels, PARTITION, "malignant")
    figure = figures.saliency_figure([("malignant", [found, found])], title="t")
    data = re.findall(r"base64,([A-Za-z0-9+/=\s]+)", svg(figure).decode("utf-8"))
    pictures = [png(figure), *map(base64.b64decode, data)]
    assert len(pictures) > 2
    for content in pictures:
        opened = Image.open(io.BytesIO(content))
        opened.load()
        assert not opened.getexif()
        assert set(opened.info) <= {"dpi"}
        assert b"SECRET" not in content
    with pytest.raises(ContractError, match="no example"):
        figures.saliency_figure([("malignant", [])], title="t")


# The page

HOSTILE = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"


class Page(HTMLParser):
    """Tags with their attributes, and the words between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag]


def report(path: Path, title: str = "A report") -> str:
    write_report(
        path,
        title,
        [
            Section(
                HOSTILE,
                Text(HOSTILE, "second"),
                Command("dxtree evaluate --cohort <NAME>"),
                Table(HOSTILE, ("arm", "accuracy"), (("a", "0.72 [0.70, 0.74]"), (HOSTILE, "-"))),
            ),
            Section(
                "Figures",
                FigureBlock(training(), HOSTILE, HOSTILE),
                FigureBlock(confusion(), "b", "c", "png"),
            ),
        ],
        lead=HOSTILE,
    )
    return path.read_text("utf-8")


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    text = report(tmp_path / "r.html")
    shown = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<iframe|<form|srcset|onload", shown)
    page = Page(text)
    for image in page.all("img"):
        assert str(image["src"]).startswith(("data:image/svg+xml;base64,", "data:image/png;base64,"))
        inner = base64.b64decode(str(image["src"]).partition(",")[2])
        if b"<svg" in inner[:10]:
            assert set(re.findall(rb"https?://[^\"'\s<]+", inner)) == {
                b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xlink"
            }  # fmt: skip
    assert [a["href"] for a in page.all("a")] == ["#content", "#section-1", "#section-2"]


def test_the_policy_forbids_scripts_and_all_requests_and_names_the_style_it_allows(tmp_path: Path) -> None:
    text = report(tmp_path / "r.html")
    page = Page(text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode("utf-8")).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules
    assert not any("style" in attributes for _, attributes in page.tags)


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    page = Page(report(tmp_path / "r.html", HOSTILE))
    assert not page.all("script")
    assert "".join(page.words).count(HOSTILE) >= 6
    assert page.all("img")[0]["alt"] == HOSTILE


def test_the_page_can_be_used_without_seeing_it(tmp_path: Path) -> None:
    page = Page(report(tmp_path / "r.html"))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == 3
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("figcaption")) == len(page.all("figure")) == 2
    assert len(page.all("caption")) == 1
    assert {th["scope"] for th in page.all("th")} == {"col", "row"}
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in page.all("a")} <= set(ids)
    assert any(m.get("name") == "viewport" for m in page.all("meta"))
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert text.count("Not a medical device") == 2


def test_two_pages_of_the_same_are_the_same_bytes(tmp_path: Path) -> None:
    assert report(tmp_path / "a.html") == report(tmp_path / "b.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_numbers_are_set_flush_right_and_words_are_not() -> None:
    table = Table(
        "t",
        ("arm", "accuracy", "remark", "change"),
        (("9", "0.7 ± .1", "none", "+.02"), ("8", "-", "x", "−.1")),
    )
    assert [table.numeric(k) for k in range(4)] == [False, True, False, True]


def test_blocks_that_a_reader_could_not_use_are_refused(tmp_path: Path) -> None:
    figure = training()
    with pytest.raises(ContractError, match="alt"):
        FigureBlock(figure, " ", "caption")
    with pytest.raises(ContractError, match="caption"):
        FigureBlock(figure, "alt", "")
    with pytest.raises(ContractError, match="svg or png"):
        FigureBlock(figure, "alt", "caption", "gif")  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="a row has 1 cells"):
        Table("t", ("a", "b"), (("x",),))
    with pytest.raises(ContractError, match="at least one section"):
        write_report(tmp_path / "r.html", "t", [])
    with pytest.raises(ContractError, match="title"):
        write_report(tmp_path / "r.html", " ", [Section("a")])
    with pytest.raises(PathRejected):
        write_report(tmp_path / "none" / "r.html", "t", [Section("a")])


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra_its_name_is_said(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from core.errors import MissingExtra\n"
        "try:\n    import dxtree.figures\nexcept MissingExtra as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dxtree[report]" in done.stdout


def test_steps_are_drawn_with_their_names_values_and_sizes() -> None:
    pictures = {"a": np.zeros((20, 30, 3), np.uint8), "b": np.full((10, 10, 3), 255, np.uint8)}
    drawing = figures.pictures_figure(pictures, title="Two")
    assert [axes.get_xlabel() for axes in drawing.axes] == ["a\n30 x 20", "b\n10 x 10"]
    bars = figures.bars_figure([("x", 0.5), ("y", 1.5)], title="Bars", axis="share", limit=1, mark="y")
    (axes,) = bars.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y"]
    assert [patch.get_hatch() for patch in axes.patches] == [None, "////"]
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["normal", "bold"]
    assert figures.svg(bars) == figures.svg(
        figures.bars_figure([("x", 0.5), ("y", 1.5)], title="Bars", axis="share", limit=1, mark="y")
    )


@pytest.mark.parametrize("rows", [[], [("a", 1.0), ("a", 2.0)], [("a", float("nan"))]])
def test_bars_of_nothing_of_one_name_twice_and_of_no_number_are_refused(
    rows: list[tuple[str, float]],
) -> None:
    with pytest.raises(ContractError, match="a name of its own and a finite value"):
        figures.bars_figure(rows, title="Bars", axis="share")


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_a_picture_of_another_shape_or_type_is_refused(pixels: Any) -> None:
    with pytest.raises(ContractError, match="uint8, H x W x 3"):
        figures.pictures_figure({"a": pixels}, title="One")
    with pytest.raises(ContractError, match="no picture"):
        figures.pictures_figure({}, title="None")
