"""Does a mapping use only what is known, and a difference tell every change?"""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import TaxonomyError
from core.taxonomy import Taxonomy
from dxtree.taxonomies import difference, draw, level_sizes, map_trees, mapping_csv, open_tree, read_reviewed
from dxtree.taxonomies.drawing import View
from dxtree.taxonomies.names import NearNames, normalised
from dxtree.taxonomies.source import Tree
from plugins.assembly import load_registry
from plugins.config import Settings

REGISTRY = load_registry(Settings())
DATA = os.environ.get("DXTREE_DATA")
TREES = Path(DATA or ".") / "taxonomies"
SEBORRHEIC = "Benign:Benign epidermal proliferations:Seborrheic keratosis"


def tree(
    name: str, parents: dict[str, str | None], names: dict[str, str] | None = None, **more: object
) -> Tree:
    return Tree(Taxonomy(name, parents, names), **more)  # type: ignore[arg-type]


A = tree(
    "a",
    {"r": None, "a1": "r", "a2": "a1", "a3": "a1", "same": "r", "a4": "r", "a5": "a4"},
    {"a1": "Eye disease", "a2": "Glaucoma", "a3": "Cataract, senile", "a4": "Naevus", "a5": "Zoster"},
)
B = tree(
    "b",
    {"r": None, "b1": "r", "b2": "b1", "b3": "b1", "same": "b1", "b4": "r"},
    {"b1": "EYE-DISEASE", "b2": "optic neuropathy", "b3": "Lens opacity", "same": "other", "b4": "Nevus"},
    synonyms={"b2": ("glaucoma",), "b3": ("glaucoma ",)},
)


def test_id_name_and_synonym_match_and_two_candidates_decide_nothing() -> None:
    found = {c.node: c for c in map_trees(A, B).nodes}
    assert (found["a1"].status, found["a1"].to, found["a1"].by) == ("matched", "b1", "name")
    assert (found["same"].status, found["same"].to, found["same"].by) == ("matched", "same", "id")
    assert (found["a2"].status, found["a2"].also, found["a2"].to) == ("ambiguous", ("b2", "b3"), "b1")
    assert (found["a3"].status, found["a3"].to) == ("ancestor only", "b1")


def test_a_near_name_is_proposed_and_never_used() -> None:
    found = {c.node: c for c in map_trees(A, B).nodes}
    assert (found["a4"].status, found["a4"].to, found["a4"].near) == ("no counterpart", None, ("b4",))
    assert all(not c.near for c in map_trees(A, B, propose=False).nodes)


def test_roots_map_to_nothing_and_every_other_node_is_listed_once() -> None:
    mapped = map_trees(A, B)
    assert [c.node for c in mapped.nodes] == list(A.taxonomy.ids[1:])
    assert sum(mapped.counts.values()) == len(A.taxonomy) - 1


def test_a_reviewed_table_goes_before_all_else_and_may_say_none(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("from,to,who\na2,b2,me\nsame,,me\na4,b4,me\n", "utf-8")
    reviewed = read_reviewed(path, A.taxonomy, B.taxonomy)
    found = {c.node: c for c in map_trees(A, B, reviewed).nodes}
    assert (found["a2"].to, found["a2"].by) == ("b2", "reviewed")
    assert (found["same"].status, found["same"].by) == ("no counterpart", "reviewed")
    assert (found["a5"].status, found["a5"].to) == ("ancestor only", "b4")


def test_a_reviewed_table_tells_every_line_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("from,to\na2,b9\nx,b1\na1,b1\na1,b2\n", "utf-8")
    with pytest.raises(TaxonomyError, match=r"line 2: 'b9'.*line 3: 'x'.*line 5: 'a1' has another"):
        read_reviewed(path, A.taxonomy, B.taxonomy)


def test_the_written_table_counts_only_where_somebody_reviewed_it(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    text = mapping_csv(map_trees(A, B))
    path.write_text(text, "utf-8")
    assert read_reviewed(path, A.taxonomy, B.taxonomy) == {}
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        if row["from"] == "a2":
            row |= {"to": "b3", "reviewed": "yes"}
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue(), "utf-8")
    assert read_reviewed(path, A.taxonomy, B.taxonomy) == {"a2": "b3"}


def test_a_formula_in_a_name_is_inert_in_the_written_table_and_read_back(tmp_path: Path) -> None:
    odd = tree("odd", {"r": None, "=1+1": "r"})
    path = tmp_path / "m.csv"
    path.write_text(mapping_csv(map_trees(odd, odd)).replace(",,matched", ",yes,matched"), "utf-8")
    assert "'=1+1" in path.read_text("utf-8")
    assert read_reviewed(path, odd.taxonomy, odd.taxonomy) == {"=1+1": "=1+1"}


def test_shared_codes_match_and_ids_are_codes_only_where_the_user_says_so() -> None:
    isic = open_tree("isic_diagnosis", REGISTRY)
    icd = tree("icd", {"0": None, "L82": "0"}, {"L82": "Verruca senilis"})
    told = {c.node: c for c in map_trees(isic, icd, codes=(None, "ICD-10"), propose=False).nodes}
    assert (told[SEBORRHEIC].to, told[SEBORRHEIC].by) == ("L82", "code")
    untold = {c.node: c for c in map_trees(isic, icd, propose=False).nodes}
    assert untold[SEBORRHEIC].status == "no counterpart"


def test_a_tree_maps_to_itself_entirely_by_id() -> None:
    isic = open_tree("isic_diagnosis", REGISTRY)
    mapped = map_trees(isic, isic)
    assert {(c.status, c.by) for c in mapped.nodes} == {("matched", "id")}
    assert all(c.to == c.node for c in mapped.nodes)
    assert mapped.shared == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Bowen’s disease", "bowen s DISEASE", True),
        ("Café-au-lait", "cafe au lait", True),
        ("Nevus_blue", "nevus blue", True),
        ("nevi", "nevus", False),
        ("keratosis actinic", "actinic keratosis", False),
    ],
)  # fmt: skip
def test_names_are_one_but_for_case_accents_and_signs(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)


def test_near_names_are_the_same_in_every_order() -> None:
    names = {f"n{k}": [f"nevus of kind {k}"] for k in range(40)}
    turned = dict(reversed(names.items()))
    assert NearNames(names).near(["nevus kind 7"]) == NearNames(turned).near(["nevus kind 7"])


class TestDifference:
    def test_added_removed_renamed_moved_and_reordered_are_told(self) -> None:
        before = Taxonomy("t", {"r": None, "a": "r", "b": "r", "c": "a", "d": "a", "gone": "r"}, {"b": "B"})
        after = Taxonomy("t", {"r": None, "a": "r", "b": "r", "d": "a", "c": "b", "new": "b"}, {"b": "BB"})
        found = difference(before, after)
        assert (found.added, found.removed) == (("new",), ("gone",))
        assert [(c.node, c.before, c.after) for c in found.renamed] == [("b", "B", "BB")]
        assert [(c.node, c.before, c.after) for c in found.moved] == [("c", "a", "b")]
        assert found.reordered == ()
        assert not found.none

    def test_another_order_of_children_is_a_difference(self) -> None:
        one = Taxonomy("t", {"r": None, "a": "r", "b": "r"})
        other = Taxonomy("t", {"r": None, "b": "r", "a": "r"})
        assert difference(one, other).reordered == ("r",)

    def test_a_move_of_a_path_id_shows_as_removed_and_added_with_a_hint(self) -> None:
        one = Taxonomy.from_paths("t", [("a", "x"), ("b",)])
        other = Taxonomy.from_paths("t", [("a",), ("b", "x")])
        found = difference(one, other)
        assert (found.removed, found.added) == (("a:x",), ("b:x",))
        assert [(c.before, c.after) for c in found.perhaps] == [("a:x", "b:x")]

    @settings(max_examples=50)
    @given(
        st.lists(st.integers(0, 5), min_size=1, max_size=12),
        st.lists(st.integers(0, 5), min_size=1, max_size=12),
    )
    def test_there_is_none_exactly_where_fingerprint_and_names_agree(
        self, one: list[int], other: list[int]
    ) -> None:
        made = [
            Taxonomy("t", {"n0": None, **{f"n{k}": f"n{up % k}" for k, up in enumerate(ups, start=1)}})
            for ups in (one, other)
        ]
        assert difference(*made).none == (made[0].fingerprint == made[1].fingerprint)


class TestDrawing:
    def test_a_tree_is_drawn_with_guides(self) -> None:
        assert list(draw(A, View())) == [
            "r",
            "├─ Eye disease",
            "│  ├─ Glaucoma",
            "│  └─ Cataract, senile",
            "├─ same",
            "└─ Naevus",
            "   └─ Zoster",
        ]

    def test_a_limit_says_what_it_left_out(self) -> None:
        assert list(draw(A, View(depth=1)))[1] == "├─ Eye disease  (2 below)"
        assert list(draw(A, View(most=2)))[-1] == "... 5 more lines; see --most"

    def test_a_search_shows_what_it_found_and_what_is_above(self) -> None:
        assert list(draw(A, View(find="CATARACT"))) == ["r", "└─ Eye disease", "   └─ Cataract, senile"]
        with pytest.raises(TaxonomyError, match="nothing in 'a' holds"):
            list(draw(A, View(find="ear")))

    def test_images_are_summed_up_and_codes_stand_beside_nodes(self) -> None:
        counted = tree("t", {"r": None, "a": "r", "b": "a"}, images={"a": 2, "b": 3})
        assert list(draw(counted, View())) == ["r  5 images", "└─ a  5 images", "   └─ b  3 images"]
        isic = open_tree("isic_diagnosis", REGISTRY)
        (line,) = draw(isic, View(under=SEBORRHEIC, depth=0, codes=True))
        assert line.startswith("Seborrheic keratosis  SNOMED CT 25499005  ICD-10 L82")

    def test_levels_count_nodes_and_leaves(self) -> None:
        assert level_sizes(A.taxonomy) == [(0, 1, 0), (1, 3, 1), (2, 3, 3)]


@pytest.mark.parametrize("nodes", [2_000, 100_000])
def test_large_trees_are_read_mapped_compared_and_drawn(nodes: int, tmp_path: Path) -> None:
    ups = (np.arange(1, nodes) - 1) // 7
    path = tmp_path / "large.csv"
    lines = (f"n{k},disease number {k},n{up}\n" for k, up in enumerate(ups.tolist(), start=1))
    path.write_text("id,name,parent\nn0,all,\n" + "".join(lines), "utf-8")
    start = time.process_time()
    large = open_tree(str(path), REGISTRY)
    other = Tree(Taxonomy("other", {f"m{k}": f"m{ups[k - 1]}" if k else None for k in range(nodes)},
                          {f"m{k}": f"Disease, number {k}" for k in range(nodes)}))  # fmt: skip
    mapped = map_trees(large, other, propose=False)
    assert mapped.counts["matched"] == nodes - 1
    assert len(difference(large.taxonomy, other.taxonomy).added) == nodes
    assert len(list(draw(large, View(most=nodes)))) == nodes
    assert time.process_time() - start < 60  # 100,000 take some seconds; a square law would take hours


@pytest.mark.skipif(DATA is None, reason="DXTREE_DATA names no folder")
def test_the_real_trees_map_to_each_other_with_a_remainder() -> None:
    isic = open_tree("isic_diagnosis", REGISTRY)
    doid = open_tree(str(TREES / "doid_skin_edges.csv"), REGISTRY, ["first"])
    fitzpatrick = open_tree(str(TREES / "fitzpatrick17k_tree_counts.csv"), REGISTRY)
    icd = open_tree(str(TREES / "icd10cm_skin.csv"), REGISTRY, ["L76=12"], add_absent=True)
    for source, target, codes in ((isic, doid, None), (fitzpatrick, isic, None), (isic, icd, "ICD-10")):
        mapped = map_trees(source, target, codes=(None, codes))
        assert mapped.counts["matched"] > 10
        assert mapped.counts["no counterpart"] > 50
        for c in mapped.nodes:
            assert c.to is None or c.to in target.taxonomy
            assert (c.status in ("matched", "ancestor only")) <= (c.to is not None)
