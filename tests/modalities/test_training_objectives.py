"""Does each loss say of a label, inner node or class, what its formula says?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.errors import TrainingError
from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from modalities.training.config import Loss
from modalities.training.objectives import Objective, make_objective, plain, targets_of

TREE = Taxonomy(
    "t",
    {
        "root": None,
        "a": "root",
        "a1": "a",
        "a1x": "a1",
        "a1y": "a1",
        "a2": "a",
        "b": "root",
        "b1": "b",
        "c": "root",
    },
)
COUNTS = {"a": 3, "a1x": 5, "a1y": 5, "a2": 5, "b1": 5, "c": 4}
CELLS = partition_tree(TREE, COUNTS, max_size=5)
"""Classes a~, a1x, a1y, a2, b and c."""
TREE_LOSSES: tuple[Loss, ...] = ("coarse_likelihood", "hierarchical")
LOSSES: tuple[Loss, ...] = get_args(Loss)


def objective(
    loss: Loss, *targets: str, decay: float = 0.5, smoothing: float = 0.0, partition: Partition = CELLS
) -> Objective:
    return make_objective(partition, targets, loss, decay=decay, smoothing=smoothing)


def drawn_logits(rows: int, classes: int, scale: float = 3.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def each(made: Objective, logits: torch.Tensor) -> list[float]:
    """The loss of every target of an objective on one row of logits."""
    return [float(made(logits, torch.tensor([k]))) for k in range(len(made.weights))]


def probabilities(logits: torch.Tensor, partition: Partition = CELLS) -> dict[str, float]:
    """Of each class by id, in float64."""
    values = logits.double().softmax(1)[0].tolist()
    return dict(zip(partition.ids, values, strict=True))


# the cross-entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("loss", ["cross_entropy", "coarse_likelihood"])
def test_over_classes_alone_it_is_torchs_cross_entropy(loss: Loss, smoothing: float) -> None:
    logits, targets = drawn_logits(40, 6), torch.arange(40) % 6
    wanted = nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    made = objective(loss, *CELLS.ids, smoothing=smoothing)
    assert float(made(logits, targets)) == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_a_tree_it_is_torchs_cross_entropy(smoothing: float) -> None:
    logits, targets = drawn_logits(40, 7), torch.arange(40) % 7
    wanted = nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    assert float(plain(7, smoothing)(logits, targets)) == pytest.approx(float(wanted), abs=1e-6)


def test_logits_of_half_precision_are_summed_in_full() -> None:
    logits, targets = drawn_logits(16, 6).bfloat16(), torch.arange(16) % 6
    found = objective("cross_entropy", *CELLS.ids)(logits, targets)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(
        float(nn.functional.cross_entropy(logits.float(), targets)), abs=1e-6
    )


# coarse labels


INSIDE = {
    "root": CELLS.ids,
    "a": ("a~", "a1x", "a1y", "a2"),
    "a1": ("a1x", "a1y"),
    "b": ("b",),
    "a~": ("a~",),
    "c": ("c",),
}


@pytest.mark.parametrize("target", INSIDE)
def test_the_likelihood_of_a_label_is_the_sum_over_its_classes(target: str) -> None:
    for seed in range(5):
        logits = drawn_logits(1, 6, seed=seed)
        p = probabilities(logits)
        wanted = -math.log(sum(p[c] for c in INSIDE[target]))
        assert each(objective("coarse_likelihood", target), logits) == pytest.approx([wanted], abs=1e-5)


def test_a_label_of_everything_teaches_nothing() -> None:
    logits = drawn_logits(1, 6).requires_grad_()
    for loss in TREE_LOSSES:
        objective(loss, "root")(logits, torch.tensor([0])).backward()
        assert logits.grad is not None
        assert logits.grad.abs().max() < 1e-6


# the hierarchical cross-entropy


def by_hand(p: Mapping[str, float], decay: float) -> dict[str, float]:
    """Sum over the path of exp(-decay d) times -log P(node | parent), written out."""
    a1 = p["a1x"] + p["a1y"]
    a = p["a~"] + a1 + p["a2"]
    one, two = math.exp(-decay), math.exp(-2 * decay)
    return {
        "root": 0.0,
        "a": -math.log(a),
        "a~": -math.log(a) - one * math.log(p["a~"] / a),
        "a1": -math.log(a) - one * math.log(a1 / a),
        "a1x": -math.log(a) - one * math.log(a1 / a) - two * math.log(p["a1x"] / a1),
        "a1y": -math.log(a) - one * math.log(a1 / a) - two * math.log(p["a1y"] / a1),
        "a2": -math.log(a) - one * math.log(p["a2"] / a),
        "b": -math.log(p["b"]),
        "c": -math.log(p["c"]),
    }


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0, 3.0])
def test_the_hierarchical_loss_is_the_sum_over_the_path(decay: float) -> None:
    for seed in range(5):
        logits = drawn_logits(1, 6, seed=seed)
        wanted = by_hand(probabilities(logits), decay)
        found = each(objective("hierarchical", *wanted, decay=decay), logits)
        assert found == pytest.approx(list(wanted.values()), abs=1e-5)


def test_without_decay_the_hierarchical_loss_of_classes_is_the_cross_entropy() -> None:
    logits, targets = drawn_logits(40, 6), torch.arange(40) % 6
    made = objective("hierarchical", *CELLS.ids, decay=0.0, smoothing=0.1)
    wanted = nn.functional.cross_entropy(logits, targets, label_smoothing=0.1)
    assert float(made(logits, targets)) == pytest.approx(float(wanted), abs=1e-6)


def test_a_larger_decay_weighs_a_mistake_within_a_group_less() -> None:
    """Certain of the wrong sibling, and certain of the wrong first-level node."""
    sibling, stranger = torch.zeros(1, 6), torch.zeros(1, 6)
    sibling[0, CELLS.ids.index("a1y")] = stranger[0, CELLS.ids.index("c")] = 8.0
    near, far = (
        [each(objective("hierarchical", "a1x", decay=d), logits)[0] for d in (0.0, 1.0)]
        for logits in (sibling, stranger)
    )
    assert near[1] < 0.2 * near[0]
    assert far[1] > 0.8 * far[0]


# any target and any tree


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradient_are_finite_where_the_net_is_certain(loss: Loss, smoothing: float) -> None:
    targets = CELLS.ids if loss == "cross_entropy" else (*CELLS.ids, "root", "a", "a1")
    made = objective(loss, *targets, smoothing=smoothing)
    for certain in range(6):
        logits = torch.full((len(targets), 6), -100.0)
        logits[:, certain] = 100.0
        logits.requires_grad_()
        found = made(logits, torch.arange(len(targets)))
        found.backward()
        assert logits.grad is not None
        assert found.isfinite()
        assert logits.grad.isfinite().all()
        assert logits.grad.sum(1).abs().max() < 1e-5, "a shift of all logits changes nothing"


def test_a_certain_mistake_costs_what_the_logits_say() -> None:
    logits = torch.full((1, 6), -100.0)
    logits[0, CELLS.ids.index("c")] = 100.0
    assert each(objective("coarse_likelihood", "a2"), logits) == pytest.approx([200.0])
    assert each(objective("coarse_likelihood", "a1"), logits) == pytest.approx([200.0 - math.log(2)])


@st.composite
def partitions(draw: Any) -> Partition:
    size = draw(st.integers(2, 14))
    names = [f"n{k}" for k in range(size)]
    above = {n: names[draw(st.integers(0, k - 1))] if k else None for k, n in enumerate(names)}
    counts = draw(st.dictionaries(st.sampled_from(names), st.integers(1, 9), min_size=1))
    preset = draw(st.sampled_from(["reference", "coarse_labels"]))
    return partition_tree(Taxonomy("random", above), counts, max_size=draw(st.integers(1, 20)), preset=preset)


@settings(deadline=None, max_examples=150)
@given(partition=partitions(), seed=st.integers(0, 1000), decay=st.floats(0, 3))
def test_a_coarse_label_costs_no_more_than_any_class_of_it(
    partition: Partition, seed: int, decay: float
) -> None:
    inner = [n for n in TreeSums(partition).nodes if n not in partition.ids]
    logits = drawn_logits(1, len(partition.classes), seed=seed)
    for loss in TREE_LOSSES:
        made = objective(loss, *inner, *partition.ids, decay=decay, partition=partition)
        costs = dict(zip([*inner, *partition.ids], each(made, logits), strict=True))
        for node in inner:
            below = [costs[c.id] for c in partition.classes if partition.taxonomy.covers(node, c.node)]
            assert costs[node] <= min(below) + 1e-5
            if loss == "coarse_likelihood":
                assert math.exp(-costs[node]) == pytest.approx(sum(math.exp(-v) for v in below), abs=1e-5)


@settings(deadline=None, max_examples=100)
@given(partition=partitions(), seed=st.integers(0, 1000), smoothing=st.floats(0, 0.9))
def test_on_any_tree_the_loss_of_a_class_is_torchs_cross_entropy(
    partition: Partition, seed: int, smoothing: float
) -> None:
    classes = len(partition.classes)
    logits, targets = drawn_logits(2 * classes, classes, seed=seed), torch.arange(2 * classes) % classes
    wanted = float(nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing))
    for loss in LOSSES:
        made = objective(loss, *partition.ids, decay=0.0, smoothing=smoothing, partition=partition)
        assert float(made(logits, targets)) == pytest.approx(wanted, abs=2e-5)


# which labels are coarse


LABELS = ("root", "a", "a1", "a1x", "b", "b1", "c")
OWN = {"a1x": "a1x", "b": "b", "b1": "b", "c": "c"}
TARGETS: dict[tuple[str, Loss], dict[str, str | None]] = {
    ("reference", "cross_entropy"): {"root": "root~", "a": "a~", "a1": "a1~", **OWN},
    ("reference", "coarse_likelihood"): {"root": "root", "a": "a", "a1": "a1", **OWN},
    ("reference", "hierarchical"): {"root": "root", "a": "a", "a1": "a1", **OWN},
    ("coarse_labels", "cross_entropy"): {"root": None, "a": None, "a1": None, **OWN},
    ("coarse_labels", "coarse_likelihood"): {"root": "root", "a": "a", "a1": "a1", **OWN},
    ("coarse_labels", "hierarchical"): {"root": "root", "a": "a", "a1": "a1", **OWN},
    ("published", "cross_entropy"): {"root": None, "a": None, "a1": None, "a2": None, **OWN},
    ("published", "coarse_likelihood"): {"root": "root", "a": "a", "a1": "a1", "a2": None, **OWN},
    ("published", "hierarchical"): {"root": "root", "a": "a", "a1": "a1", "a2": None, **OWN},
}


@pytest.mark.parametrize(("preset", "loss"), TARGETS)
def test_a_label_at_a_split_node_is_coarse_for_a_loss_over_the_tree_alone(preset: Any, loss: Loss) -> None:
    """a2 is a leaf above the maximum, which the published preset drops whole."""
    counts = {"root": 2, "a": 3, "a1": 2, "a1x": 5, "a1y": 5, "a2": 9, "b1": 5, "c": 4}
    partition = partition_tree(TREE, counts, max_size=6, preset=preset)
    for label, wanted in TARGETS[preset, loss].items():
        if wanted is not None:
            assert targets_of(partition, [label, label], loss) == [wanted, wanted]
            continue
        with pytest.raises(TrainingError, match=f"^'{label}' lies in no training class; ") as caught:
            targets_of(partition, ["c", label], loss)
        assert "use preset reference" in caught.value.safe_message
        helps = loss == "cross_entropy"
        assert caught.value.safe_message.endswith(", or a loss over the tree") is helps


@pytest.mark.parametrize("loss", LOSSES)
def test_a_node_without_any_image_is_no_target(loss: Loss) -> None:
    partition = partition_tree(TREE, {"a1x": 5, "b1": 5}, max_size=5)
    with pytest.raises(TrainingError, match="'c' lies in no training class"):
        targets_of(partition, ["c"], loss)
