"""Are lesions judged against the right classes, on a small tree where every answer is known by hand?

root ─ benign ─ nevus ─ blue, plain       nevus~ (residual), nevus:blue, nevus:plain
     │        └ cyst ─ deep               cyst, whole: nothing is read at deep
     ├ malignant ─ melanoma               melanoma, whole
     │           └ carcinoma              never trained
     └ unsure                             unsure, whole
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.case import PatientMetadata
from core.cohort import Lesion
from core.errors import CohortError, UnknownNode
from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy
from dxtree.evaluation.labels import LabelSet, LabelSets, label_sets, malignancy
from plugins.specs import CohortSpec

TREE = Taxonomy.from_paths(
    "small",
    [
        ("benign", "nevus", "blue"),
        ("benign", "nevus", "plain"),
        ("benign", "cyst", "deep"),
        ("malignant", "melanoma"),
        ("malignant", "carcinoma"),
        ("unsure",),
    ],
)
PARTITION = partition_tree(
    TREE,
    {
        "benign:nevus": 4,
        "benign:nevus:blue": 9,
        "benign:nevus:plain": 9,
        "benign:cyst": 2,
        "benign:cyst:deep": 3,
        "malignant:melanoma": 9,
        "unsure": 5,
    },
    max_size=10,
    preset="reference",
)
OFFICIAL = {
    "NV": ("benign:nevus",),
    "DEEP": ("benign:cyst:deep",),
    "CA": ("malignant:carcinoma",),
    "MAL": ("malignant",),
}
COHORT = CohortSpec("small", "Small", lambda folder, taxonomy: [], OFFICIAL, "malignant")
# One probability a class, all different, so that every sum names its members.
VALUES = np.array([[0.01, 0.02, 0.04, 0.08, 0.35, 0.50]])


def lesion(label: str, official: str | None = None, name: str = "") -> Lesion:
    return Lesion(name or label, "small", label, official, PatientMetadata(), (), {})


LESIONS = [
    lesion("benign:nevus", "NV"),
    lesion("benign:nevus:blue", "NV"),
    lesion("benign:cyst:deep", "DEEP"),
    lesion("malignant:melanoma", "MAL"),
    lesion("malignant:carcinoma", "CA"),
    lesion("unsure"),
    lesion("benign"),
    lesion("benign:cyst", "NV", "odd"),
    lesion("malignant", "OTHER"),
]


def built(
    partition: Partition = PARTITION, cohort: CohortSpec = COHORT
) -> tuple[LabelSets, dict[str, LabelSet]]:
    found = label_sets(LESIONS, partition, cohort)
    return found, {s.name: s for s in found.sets}


def truths(label_set: LabelSet) -> list[str | None]:
    return [label_set.classes[t] if t >= 0 else None for t in label_set.truth.tolist()]


def test_the_partition_is_the_one_drawn_above() -> None:
    # Preorder: benign ─ nevus ─ ..., with the residual before its children.
    assert PARTITION.ids == (
        "benign:nevus~",
        "benign:nevus:blue",
        "benign:nevus:plain",
        "benign:cyst",
        "malignant",
        "unsure",
    )


def test_first_level_sums_every_class_below_it() -> None:
    _, sets = built()
    one = sets["level1"]
    assert one.classes == ("benign", "malignant", "unsure")
    assert one.scores(VALUES)[0] == pytest.approx([0.15, 0.35, 0.50])
    assert one.unmapped(VALUES)[0] == 0
    assert truths(one) == [
        "benign",
        "benign",
        "benign",
        "malignant",
        "malignant",
        "unsure",
        "benign",
        "benign",
        "malignant",
    ]
    assert one.excluded == ()


def test_second_level_leaves_out_labels_above_it_and_nodes_inside_a_class() -> None:
    _, sets = built()
    two = sets["level2"]
    assert two.classes == ("benign:nevus", "benign:cyst")
    assert two.scores(VALUES)[0] == pytest.approx([0.07, 0.08])
    assert two.unmapped(VALUES)[0] == pytest.approx(0.85)
    nevus, cyst = "benign:nevus", "benign:cyst"
    assert truths(two) == [nevus, nevus, cyst, None, None, None, None, cyst, None]
    reasons = {e.label: (e.lesions, e.reason) for e in two.excluded}
    assert reasons["unsure"] == (1, "the label lies above level 2")
    assert reasons["benign"] == (1, "the label lies above level 2")
    assert "inside the training class 'malignant'" in reasons["malignant:melanoma"][1]
    assert set(reasons) == {"unsure", "benign", "malignant", "malignant:melanoma", "malignant:carcinoma"}


def test_leaves_are_the_training_classes_with_residuals() -> None:
    _, sets = built()
    leaves = sets["leaves"]
    assert leaves.classes == PARTITION.ids
    assert (leaves.scores(VALUES) == VALUES).all()
    assert truths(leaves)[:3] == ["benign:nevus~", "benign:nevus:blue", "benign:cyst"]
    assert [(e.label, e.lesions) for e in leaves.excluded] == [("benign", 1)]


def test_official_classes_own_the_training_classes_below_their_nearest_node() -> None:
    _, sets = built()
    official = sets["official"]
    assert official.classes == ("NV", "DEEP", "CA", "MAL")
    # Residual, blue and plain are NV; the cyst and unsure belong to nobody; deep and carcinoma lie inside.
    assert official.scores(VALUES)[0] == pytest.approx([0.07, 0, 0, 0.35])
    assert official.unmapped(VALUES)[0] == pytest.approx(0.58)
    assert truths(official) == ["NV", "NV", "DEEP", "MAL", "CA", None, None, "NV", None]


def test_what_the_official_classes_cannot_map_is_listed_with_counts() -> None:
    found, _ = built()
    assert [(e.label, e.lesions) for e in found.unmapped_labels] == [
        ("benign", 1),
        ("malignant", 1),
        ("unsure", 1),
    ]
    assert "'OTHER' is none of the cohort's" in found.unmapped_labels[1].reason
    assert [(u.official, u.node, u.lesions) for u in found.unreadable] == [
        ("DEEP", "benign:cyst:deep", 1),
        ("CA", "malignant:carcinoma", 1),
    ]
    assert all("inside the training class" in u.reason for u in found.unreadable)
    assert found.unscored == ("DEEP", "CA")
    assert found.disagreeing == {("benign:cyst", "NV", "none"): 1, ("malignant", "OTHER", "MAL"): 1}


def test_an_untrained_node_is_unreadable_and_its_label_has_no_leaf() -> None:
    counts = {"benign:nevus": 4, "benign:cyst:deep": 3, "malignant:melanoma": 9}
    finer = partition_tree(TREE, counts, max_size=3, preset="reference")
    found, sets = built(finer)
    assert [u.node for u in found.unreadable] == ["benign:cyst:deep", "malignant:carcinoma"]
    assert "no training class lies at or below" in found.unreadable[1].reason
    assert truths(sets["level1"])[4] == "malignant"
    assert truths(sets["leaves"])[4] is None
    lost = {e.label: e.reason for e in sets["leaves"].excluded}
    assert lost["malignant:carcinoma"].startswith("no training class holds this label")


def test_a_cohort_without_official_classes_has_no_official_set() -> None:
    found, sets = built(cohort=replace(COHORT, official_nodes={}))
    assert "official" not in sets
    assert found.unavailable == {"official": "cohort 'small' has no official classes"}


def test_a_tree_of_one_level_has_no_second() -> None:
    flat = Taxonomy.from_paths("flat", [("a",), ("b",)])
    partition = partition_tree(flat, {"a": 3, "b": 3}, max_size=5, preset="reference")
    found = label_sets([lesion("a")], partition, replace(COHORT, official_nodes={}))
    assert [s.name for s in found.sets] == ["level1", "leaves"]
    assert "level 2" in found.unavailable["level2"]


def test_a_node_of_two_official_classes_is_refused() -> None:
    with pytest.raises(CohortError, match="claimed by 'A' and 'B'"):
        built(cohort=replace(COHORT, official_nodes={"A": ("benign",), "B": ("benign",)}))


def test_a_foreign_official_node_or_label_is_refused() -> None:
    with pytest.raises(UnknownNode, match="nevvus"):
        built(cohort=replace(COHORT, official_nodes={"A": ("benign:nevvus",)}))
    with pytest.raises(UnknownNode, match="elsewhere"):
        label_sets([lesion("elsewhere")], PARTITION, COHORT)


def test_malignancy_of_a_label_above_the_node_is_not_known() -> None:
    labels = [lesion("malignant"), lesion("malignant:melanoma"), lesion("benign"), lesion("root")]
    assert malignancy(labels, TREE, "malignant").tolist() == [1, 1, 0, -1]
    assert malignancy(labels, TREE, "malignant:melanoma").tolist() == [-1, 1, 0, -1]
