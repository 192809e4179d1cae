"""Does the partition cut where the paper cuts, and does the reference variant lose nothing?"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.counts import read_counts
from core.errors import PartitionError, UnknownNode
from core.partition import Partition, partition_at_level, partition_tree
from core.taxonomy import Taxonomy

few = settings(max_examples=150, deadline=None)
sizes = st.integers(1, 30)
PRESETS = ("published", "reference")
ALL = (*PRESETS, "coarse_labels")

# Computed from public counts: maximum -> published classes, published images lost, reference classes.
GOLDEN = {
    100: (54, 12_609, 114),
    200: (94, 7_066, 114),
    300: (99, 5_416, 112),
    500: (110, 1_234, 112),
    653: (108, 653, 109),
    1000: (101, 0, 101),
    1352: (81, 0, 77),
    2000: (77, 0, 77),
}


@pytest.fixture(scope="module")
def data_folder():
    folder = os.environ.get("DXTREE_DATA")
    if not folder:
        pytest.skip("DXTREE_DATA is unset: the folder that holds taxonomies/ with the public counts")
    return Path(folder)


@pytest.fixture(scope="module")
def fitzpatrick(data_folder):
    return read_counts(data_folder / "taxonomies" / "fitzpatrick17k_tree_counts.csv")


@pytest.fixture
def tree():
    return Taxonomy("t", {"r": None, "a": "r", "a1": "a", "a2": "a", "b": "r", "c": "r", "c1": "c"})


# --- golden numbers -----------------------------------------------------------------------------------


def test_the_public_stand_in_for_the_papers_tree_has_3_9_and_114_nodes(fitzpatrick):
    tree, counts = fitzpatrick
    assert [len(tree.level(d)) for d in (1, 2, 3)] == [3, 9, 114]
    assert sum(counts.values()) == 16_577


@pytest.mark.parametrize("max_size", GOLDEN)
def test_the_golden_table_holds(fitzpatrick, max_size):
    published, reference = (partition_tree(*fitzpatrick, max_size=max_size, preset=p) for p in PRESETS)
    found = (len(published.classes), published.report.lost_images, len(reference.classes))
    assert found == GOLDEN[max_size]
    assert reference.report.lost_images == 0
    assert sum(c.images for c in reference.classes) == 16_577


def test_a_real_run_of_the_authors_keeps_13_classes_over_the_maximum(data_folder):
    """740 classes of one run at 1000, laid below their nine groups: all of them come back as classes."""
    file = data_folder / "taxonomies" / "esteva_library_partition_class_sizes.json"
    groups = json.loads(file.read_text("utf-8"))["sizes_by_clinical_class"]
    counts = {f"{g}:{k}": size for g, found in groups.items() for k, size in enumerate(found)}
    tree = Taxonomy.from_paths("run", [tuple(name.split(":")) for name in counts])
    reference, published = (
        partition_tree(tree, counts, max_size=1000, preset=p) for p in ("reference", "published")
    )
    assert len(reference.classes) == len(counts) == 740
    assert (len(reference.report.oversize), max(reference.report.oversize.values())) == (13, 4273)
    assert reference.report.lost_images == 0
    assert published.report.lost == {n: size for n, size in counts.items() if size >= 1000}


# --- strict against not strict ------------------------------------------------------------------------


def test_a_node_of_exactly_the_maximum_is_split_as_published_and_whole_in_the_reference(tree):
    counts = {"a1": 3, "a2": 2, "b": 4}
    published, reference = (partition_tree(tree, counts, max_size=5, preset=p) for p in PRESETS)
    assert published.ids == ("a1", "a2", "b")
    assert reference.ids == ("a", "b")


def test_a_leaf_of_exactly_the_maximum_is_lost_as_published_and_kept_in_the_reference(tree):
    published, reference = (partition_tree(tree, {"b": 5, "c1": 9}, max_size=5, preset=p) for p in PRESETS)
    assert published.ids == ()
    assert published.report.lost == {"b": 5, "c1": 9}
    assert published.report.oversize == {}
    assert reference.ids == ("b", "c1")
    assert reference.report.oversize == {"c1": 9}


def test_images_of_a_split_node_are_lost_as_published_and_a_residual_class_in_the_reference(tree):
    counts = {"a": 7, "a1": 3, "a2": 2, "r": 1}
    published, reference = (partition_tree(tree, counts, max_size=5, preset=p) for p in PRESETS)
    assert published.ids == ("a1", "a2")
    assert published.report.lost == {"r": 1, "a": 7}
    assert published.report.lost_images == 8
    assert reference.ids == ("r~", "a~", "a1", "a2")
    assert [(c.residual, c.images) for c in reference.classes] == [
        (True, 1),
        (True, 7),
        (False, 3),
        (False, 2),
    ]
    assert reference.report.oversize == {"a~": 7}


def test_leaf_larger_than_the_maximum_stays_a_class(tree):
    assert partition_tree(tree, {"b": 50}, max_size=5).ids == ("b",)


def test_a_tree_below_the_maximum_is_one_class(tree):
    whole = partition_tree(tree, {"a1": 2, "b": 1}, max_size=100)
    assert whole.ids == ("r",)
    assert whole.classes[0].images == 3


def test_the_reference_is_the_default(tree):
    assert partition_tree(tree, {"b": 5}, max_size=1).report.preset == "reference"


# --- against a literal recursive implementation -------------------------------------------------------


def literal(taxonomy, counts, max_size, preset):
    """PA as it is printed, or with the three repairs of the reference: (classes, lost)."""
    classes, lost = [], {}

    def images(node):
        return counts.get(node, 0) + sum(images(child) for child in taxonomy.children(node))

    def split(node):
        own, children = counts.get(node, 0), taxonomy.children(node)
        if preset == "published" and own:
            lost[node] = own
        elif preset == "reference" and own:
            classes.append((node, bool(children), own))
        for child in children:
            walk(child)

    def walk(node):
        size = images(node)
        if size < max_size or (preset == "reference" and size == max_size):
            if size:
                classes.append((node, False, size))
        else:
            split(node)

    walk(taxonomy.root)
    return classes, lost


@few
@given(data=st.data(), max_size=sizes, preset=st.sampled_from(PRESETS))
def test_the_partition_equals_the_recursion(counted_trees, data, max_size, preset):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_tree(taxonomy, counts, max_size=max_size, preset=preset)
    classes, lost = literal(taxonomy, counts, max_size, preset)
    assert [(c.node, c.residual, c.images) for c in found.classes] == classes
    assert found.report.lost == lost
    assert found.report.lost_images == sum(lost.values())
    assert found.report.total_images == sum(counts.values())
    assert found.report.oversize == {c.id: c.images for c in found.classes if c.images > max_size}


@few
@given(data=st.data(), max_size=sizes)
def test_the_reference_loses_no_image(counted_trees, data, max_size):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_tree(taxonomy, counts, max_size=max_size)
    assert sum(c.images for c in found.classes) == sum(counts.values())
    assert (found.report.lost_images, found.report.lost) == (0, {})


@few
@given(data=st.data(), max_size=sizes)
def test_what_the_published_preset_reports_lost_is_what_its_classes_lack(counted_trees, data, max_size):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_tree(taxonomy, counts, max_size=max_size, preset="published")
    assert sum(c.images for c in found.classes) + found.report.lost_images == sum(counts.values())
    assert all(c.images < max_size for c in found.classes)
    assert found.report.oversize == {}


@few
@given(data=st.data(), max_size=sizes, preset=st.sampled_from(ALL))
def test_classes_are_disjoint_and_hold_the_images_that_class_of_sends_to_them(
    counted_trees, data, max_size, preset
):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_tree(taxonomy, counts, max_size=max_size, preset=preset)
    cells = [
        {c.node} if c.residual else {n for n in taxonomy if taxonomy.covers(c.node, n)} for c in found.classes
    ]
    assert sum(len(cell) for cell in cells) == len(set().union(*cells))
    for node in taxonomy:
        inside = [c.id for c, cell in zip(found.classes, cells, strict=True) if node in cell]
        assert found.class_of(node) == (inside[0] if inside else None)
        if counts.get(node):
            assert (found.class_of(node) is None) == (node in {**found.report.lost, **found.report.coarse})
    for c in found.classes:
        assert c.images == sum(k for n, k in counts.items() if found.class_of(n) == c.id)


@few
@given(data=st.data(), max_size=sizes, preset=st.sampled_from(ALL))
def test_untrained_are_the_topmost_nodes_without_an_image(counted_trees, data, max_size, preset):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_tree(taxonomy, counts, max_size=max_size, preset=preset)

    def empty(node):
        return not any(counts.get(n) for n in taxonomy if taxonomy.covers(node, n))

    topmost = (n for n in taxonomy if empty(n) and (n == taxonomy.root or not empty(taxonomy.node(n).parent)))
    assert found.untrained == tuple(topmost)
    assert not {c.node for c in found.classes} & set(found.untrained)


@few
@given(data=st.data(), max_size=sizes)
def test_the_order_of_siblings_does_not_change_the_classes(counted_trees, data, max_size):
    taxonomy, counts = data.draw(counted_trees)
    parents = {n: taxonomy.node(n).parent for n in data.draw(st.permutations(taxonomy.ids))}
    found = partition_tree(taxonomy, counts, max_size=max_size)
    again = partition_tree(Taxonomy("again", parents), counts, max_size=max_size)
    assert set(again.classes) == set(found.classes)


@few
@given(data=st.data(), max_size=sizes, preset=st.sampled_from(ALL))
def test_an_array_of_counts_gives_what_a_mapping_gives(counted_trees, data, max_size, preset):
    taxonomy, counts = data.draw(counted_trees)
    array = np.array([counts.get(n, 0) for n in taxonomy], data.draw(st.sampled_from(["i8", "u4", "i2"])))
    before = array.copy()
    one, other = (partition_tree(taxonomy, c, max_size=max_size, preset=preset) for c in (counts, array))
    assert (one.classes, one.report, one.untrained) == (other.classes, other.report, other.untrained)
    assert (array == before).all()


# --- coarse labels -------------------------------------------------------------------------------------


def test_images_of_a_split_node_are_coarse_labels_and_no_class(tree):
    counts = {"r": 1, "a": 7, "a1": 3, "a2": 2, "c": 4}
    found = partition_tree(tree, counts, max_size=5, preset="coarse_labels")
    assert found.ids == ("a1", "a2", "c")
    assert not any(c.residual for c in found.classes)
    assert found.report.coarse == {"r": 1, "a": 7}
    assert (found.report.lost, found.report.lost_images, found.report.total_images) == ({}, 0, 17)
    assert (found.class_of("r"), found.class_of("a")) == (None, None)
    assert (found.class_of("a1"), found.class_of("c1")) == ("a1", "c")
    assert found.report.oversize == {}


def test_a_split_node_below_which_nothing_has_an_image_is_kept_whole(tree):
    """A node above a coarse one, too: its only class is further down."""
    found = partition_tree(tree, {"a": 7, "b": 9, "r": 2}, max_size=5, preset="coarse_labels")
    assert found.ids == ("a", "b")
    assert [(c.residual, c.images) for c in found.classes] == [(False, 7), (False, 9)]
    assert found.report.coarse == {"r": 2}
    assert found.report.oversize == {"a": 7, "b": 9}
    assert found.class_of("a") == found.class_of("a1") == "a"
    assert found.untrained == ("a1", "a2", "c")
    alone = partition_tree(tree, {"r": 9}, max_size=5, preset="coarse_labels")
    assert (alone.ids, alone.report.coarse, alone.class_of("c1")) == (("r",), {}, "r")


@few
@given(data=st.data(), max_size=sizes)
def test_coarse_labels_and_classes_hold_every_image_once(counted_trees, data, max_size):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_tree(taxonomy, counts, max_size=max_size, preset="coarse_labels")
    coarse = found.report.coarse
    assert sum(c.images for c in found.classes) + sum(coarse.values()) == sum(counts.values())
    assert coarse == {n: counts[n] for n in coarse}
    assert not any(c.residual for c in found.classes)
    assert (found.report.lost_images, found.report.lost) == (0, {})
    for node in coarse:
        assert found.class_of(node) is None
        assert any(c.node != node and taxonomy.covers(node, c.node) for c in found.classes)
    labelled = [n for n, images in counts.items() if images and n not in coarse]
    assert all(found.class_of(n) is not None for n in labelled)


@few
@given(data=st.data(), max_size=sizes)
def test_beside_residuals_coarse_labels_leave_the_classes_of_the_reference(counted_trees, data, max_size):
    taxonomy, counts = data.draw(counted_trees)
    coarse, reference = (
        partition_tree(taxonomy, counts, max_size=max_size, preset=p) for p in ("coarse_labels", "reference")
    )
    residual = {c.node: c.images for c in reference.classes if c.residual}
    whole = {c.node: c.images for c in reference.classes if not c.residual}
    kept = {n: images for n, images in residual.items() if n not in coarse.report.coarse}
    assert {c.node: c.images for c in coarse.classes} == whole | kept
    assert coarse.report.coarse == {n: images for n, images in residual.items() if n not in kept}


# --- the nodes of one level ---------------------------------------------------------------------------


DEEP = Taxonomy(
    "deep",
    {
        "r": None,
        "a": "r",
        "a1": "a",
        "a1x": "a1",
        "a1y": "a1",
        "a2": "a",
        "b": "r",
        "c": "r",
        "c1": "c",
        "d": "r",
        "d1": "d",
    },
)
DEEP_COUNTS = {"r": 1, "a": 2, "a1": 3, "a1x": 4, "a1y": 5, "a2": 6, "b": 7, "c1": 8, "d": 9}
LEVELS = {
    1: {"r~": 1, "a": 20, "b": 7, "c": 8, "d": 9},
    2: {"r~": 1, "a~": 2, "a1": 12, "a2": 6, "b": 7, "c1": 8, "d~": 9},
    3: {"r~": 1, "a~": 2, "a1~": 3, "a1x": 4, "a1y": 5, "a2": 6, "b": 7, "c1": 8, "d~": 9},
}


@pytest.mark.parametrize("level", [1, 2, 3, 4, 99])
def test_the_nodes_of_a_level_are_the_classes_with_leaves_above_it_and_residuals(level):
    found = partition_at_level(DEEP, DEEP_COUNTS, level)
    assert {c.id: c.images for c in found.classes} == LEVELS[min(level, 3)]
    assert (found.report.preset, found.report.total_images) == (f"level {level}", 45)
    assert (found.report.lost, found.report.oversize, found.report.coarse) == ({}, {}, {})
    assert found.untrained == ("d1",)


def test_a_level_whose_tree_has_no_image_above_it_has_its_nodes_alone(tree):
    assert partition_at_level(tree, {"a1": 3, "a2": 1, "b": 2, "c": 9}, 1).ids == ("a", "b", "c")
    assert partition_at_level(tree, {"a1": 3, "b": 2, "c1": 9}, 2).ids == ("a1", "b", "c1")
    assert partition_at_level(tree, {}, 1).ids == ()


@pytest.mark.parametrize("level", [0, -1, True, 1.0, "1", None])
def test_a_level_is_a_whole_number_from_1_on(tree, level):
    with pytest.raises(PartitionError, match=r"level is .*; a whole number >= 1 is needed"):
        partition_at_level(tree, {"a": 1}, level)


def test_counts_of_a_level_are_checked_like_others(tree):
    with pytest.raises(PartitionError, match="images at 'b'"):
        partition_at_level(tree, {"b": -1}, 1)
    with pytest.raises(UnknownNode, match="'zz'"):
        partition_at_level(tree, {"zz": 1}, 1)


@few
@given(data=st.data(), level=st.integers(1, 8))
def test_at_any_level_every_labelled_node_has_the_class_of_its_ancestor_there(counted_trees, data, level):
    taxonomy, counts = data.draw(counted_trees)
    found = partition_at_level(taxonomy, counts, level)
    assert sum(c.images for c in found.classes) == sum(counts.values())
    assert (found.report.lost_images, found.report.lost) == (0, {})
    for node, images in counts.items():
        if not images:
            continue
        path = taxonomy.path(node)
        deep = len(path) > level
        own = node if not taxonomy.children(node) else f"{node}~"
        assert found.class_of(node) == (path[level] if deep else own)
    array = np.array([counts.get(n, 0) for n in taxonomy])
    assert partition_at_level(taxonomy, array, level) == found


@few
@given(data=st.data(), size=sizes, level=st.integers(1, 6))
def test_partitions_of_every_kind_survive_json(counted_trees, data, size, level):
    taxonomy, counts = data.draw(counted_trees)
    made = [partition_tree(taxonomy, counts, max_size=size, preset=p) for p in ALL]
    for found in [*made, partition_at_level(taxonomy, counts, level)]:
        if not found.classes:
            continue
        again = Partition.from_dict(taxonomy, json.loads(json.dumps(found.to_dict(), allow_nan=False)))
        assert again == found
        assert again.report.coarse == found.report.coarse
        assert all(again.class_of(n) == found.class_of(n) for n in taxonomy)


# --- asking a partition -------------------------------------------------------------------------------


def test_class_of_an_image_at_a_split_node_is_its_residual_and_of_its_empty_child_none(tree):
    found = partition_tree(tree, {"a": 7, "a1": 3, "c1": 4}, max_size=5)
    assert found.class_of("a") == "a~"
    assert found.class_of("a1") == "a1"
    assert found.class_of("a2") is None
    assert found.class_of("r") is None
    assert (found.class_of("c"), found.class_of("c1")) == ("c", "c")
    with pytest.raises(UnknownNode, match="'zz'"):
        found.class_of("zz")


def test_an_empty_node_inside_a_class_is_untrained_too(tree):
    found = partition_tree(tree, {"a1": 2, "b": 9}, max_size=5)
    assert found.ids == ("a", "b")
    assert found.untrained == ("a2", "c")


def test_classes_stand_in_depth_first_order(fitzpatrick):
    found = partition_tree(*fitzpatrick, max_size=500)
    places = [found.taxonomy.position(c.node) for c in found.classes]
    assert places == sorted(places)


def test_a_partition_survives_json(tree):
    found = partition_tree(tree, {"a": 7, "a1": 3, "b": 9}, max_size=5)
    again = Partition.from_dict(tree, json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    assert again.fingerprint == found.fingerprint == found.to_dict()["fingerprint"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"classes": None}, PartitionError),
        ({"classes": []}, PartitionError),
        ({"classes": [{"node": "b"}]}, PartitionError),
        ({"classes": [{"node": ["b"], "residual": False, "images": 1}]}, PartitionError),
        ({"classes": [{"node": "b", "residual": False, "images": "x"}]}, PartitionError),
        ({"classes": [{"node": n, "residual": False, "images": 1} for n in ("b", "a")]}, PartitionError),
        ({"classes": [{"node": n, "residual": False, "images": 1} for n in ("b", "b")]}, PartitionError),
        ({"classes": [{"node": "zz", "residual": False, "images": 1}]}, UnknownNode),
        ({"untrained": None}, PartitionError),
    ],
)
def test_a_stored_partition_that_does_not_fit_is_a_typed_error(tree, change, error):
    raw = partition_tree(tree, {"a": 7, "b": 9}, max_size=5).to_dict()
    with pytest.raises(error):
        Partition.from_dict(tree, {**raw, **change})
    with pytest.raises(PartitionError, match="cannot be read"):
        Partition.from_dict(tree, {k: v for k, v in raw.items() if k not in change})


def test_the_fingerprint_changes_with_the_tree_and_with_the_classes(tree):
    def fingerprint(taxonomy, counts, size):
        return partition_tree(taxonomy, counts, max_size=size).fingerprint

    other = Taxonomy("t", {"r": None, "a": "r", "a1": "a", "a2": "a", "b": "r", "c": "r", "c1": "r"})
    base = fingerprint(tree, {"a1": 3, "a2": 3, "b": 2}, 5)
    assert base == fingerprint(tree, {"a1": 9, "a2": 1, "b": 1}, 5)
    assert base != fingerprint(tree, {"a1": 3, "a2": 3, "b": 2}, 6)
    assert base != fingerprint(other, {"a1": 3, "a2": 3, "b": 2}, 5)


def test_a_partition_says_what_it_is(tree):
    assert repr(partition_tree(tree, {"b": 9}, max_size=5)) == "Partition('t', 1 classes, reference)"


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [True, -1, 1.0, 1.5, float("nan"), "3", None, np.int64(3)])
def test_a_count_is_a_whole_number_of_images_and_its_node_is_named(tree, count):
    with pytest.raises(PartitionError, match="images at 'b'; a whole number >= 0 is needed"):
        partition_tree(tree, {"a": 1, "b": count}, max_size=5)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(7),
        np.zeros(7, bool),
        np.zeros(6, int),
        np.zeros((7, 1), int),
        np.array([0, 0, 0, 0, 0, 0, -1]),
        np.array(["1"] * 7),
    ],
)
def test_an_array_of_counts_holds_one_whole_number_a_node(tree, array):
    with pytest.raises(PartitionError, match="one whole number >= 0 a node"):
        partition_tree(tree, array, max_size=5)


@pytest.mark.parametrize(
    "counts",
    [
        {"b": 10**400},
        {"a": 2**62, "b": 2**62},
        np.full(7, 2**61),
        np.array([0, 0, 0, 0, 0, 0, 2**63 + 5], np.uint64),
    ],
)
def test_counts_that_would_overflow_are_refused(tree, counts):
    with pytest.raises(PartitionError, match=r"2\*\*62 images"):
        partition_tree(tree, counts, max_size=5)


def test_a_count_at_an_unknown_node_is_refused_and_the_node_named(tree):
    with pytest.raises(UnknownNode, match="'zz'"):
        partition_tree(tree, {"a": 1, "zz": 0}, max_size=5)


@pytest.mark.parametrize("max_size", [0, -5, True, 2.0, "9", None, float("inf")])
def test_the_maximum_is_a_whole_number_of_at_least_1(tree, max_size):
    with pytest.raises(PartitionError, match=r"max_size is .*; a whole number >= 1 is needed"):
        partition_tree(tree, {"a": 1}, max_size=max_size)


@pytest.mark.parametrize("preset", ["referense", "", None, 3])
def test_another_preset_is_an_error_naming_those_there_are(tree, preset):
    with pytest.raises(PartitionError, match="there are reference, published"):
        partition_tree(tree, {"a": 1}, max_size=5, preset=preset)


def test_two_classes_of_one_name_are_refused():
    """A node that is called like the residual of another one."""
    clash = Taxonomy("t", {"r": None, "a": "r", "a~": "a"})
    with pytest.raises(PartitionError, match="both called 'a~'; rename the node"):
        partition_tree(clash, {"a": 5, "a~": 5}, max_size=6)
    assert partition_tree(clash, {"a": 1, "a~": 5}, max_size=6).ids == ("r",)


def test_no_image_at_all_gives_no_class_and_says_so(tree):
    found = partition_tree(tree, {}, max_size=5)
    assert (found.classes, found.untrained, found.report.total_images) == ((), ("r",), 0)


# --- speed and depth ----------------------------------------------------------------------------------


def test_a_chain_of_100000_nodes_is_partitioned(chain):
    ones = np.ones(len(chain), np.int64)
    found = partition_tree(chain, ones, max_size=1000)
    assert len(found.classes) == 99_001
    assert found.classes[-1].images == 1000
    assert found.classes[0].id == "n0~"
    published = partition_tree(chain, ones, max_size=1000, preset="published")
    assert (published.ids, published.report.lost_images) == (("n99001",), 99_001)


def _seconds(taxonomy, counts, repeats=3):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        partition_tree(taxonomy, counts, max_size=1000)
        times.append(time.process_time() - start)
    return min(times)


def _bushy(size):
    return Taxonomy("bushy", {f"n{k}": f"n{k // 3}" if k else None for k in range(size)})


def test_the_partition_is_linear_in_the_number_of_nodes():
    """Ten times the nodes, at most thirty times the time: quadratic would be a hundred."""
    small, large = _bushy(10_000), _bushy(100_000)
    assert _seconds(large, np.ones(100_000, int)) < 30 * _seconds(small, np.ones(10_000, int), 20)


@pytest.mark.slow
def test_the_partition_of_two_million_nodes_costs_less_than_a_tenth_of_building_the_tree():
    start = time.process_time()
    taxonomy = _bushy(2_000_000)
    built = time.process_time() - start
    counts = np.ones(2_000_000, np.int64)
    assert _seconds(taxonomy, counts) < built / 10
    assert sum(c.images for c in partition_tree(taxonomy, counts, max_size=1000).classes) == 2_000_000
