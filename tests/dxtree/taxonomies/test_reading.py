"""Is every layout read for what it says, and everything that is wrong told at once, with its lines?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.counts import read_counts
from core.errors import PathRejected, PluginError, TaxonomyError
from core.taxonomy import Taxonomy
from dxtree.taxonomies import difference, judge, open_tree
from dxtree.taxonomies.source import Tree
from plugins.assembly import load_registry
from plugins.config import Settings

REGISTRY = load_registry(Settings())
DATA = os.environ.get("DXTREE_DATA")
TREES = Path(DATA or ".") / "taxonomies"
needs_data = pytest.mark.skipif(DATA is None, reason="DXTREE_DATA names no folder")

LAYOUTS = {
    "counts": "group,fine,images\neye,glaucoma,3\neye,cataract,2\near,,1\neye,glaucoma,4\n",
    "path": "path,depth,parent,leaf\neye,1,,False\near,1,,True\n"
    "eye:glaucoma,2,eye,True\neye:cataract,2,eye,True\n",
    "levels": "image,diagnosis_1,diagnosis_2\na,eye,glaucoma\nb,eye,cataract\nc,ear,\nd,eye,glaucoma\n",
    "nodes": "code,description,parent,leaf\n0,all,,False\nH,eye,0,False\nJ,ear,0,True\n"
    "H4,glaucoma,H,True\nH2,cataract,H,True\n",
    "edges": "parent,child\nall,eye\nall,ear\neye,glaucoma\neye,cataract\n",
}
DOID = (
    "id,label,parent,parent_id\n1,glaucoma,eye disease,9\n2,cataract,eye disease,9\n3,keratitis,infection,8\n"
    "3,keratitis,eye disease,9\n"
)


def write(folder: Path, text: str, name: str = "tree.csv") -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def labels(tree: Tree) -> list[tuple[str, str | None]]:
    """(name, name of the parent) below the root."""
    nodes = [tree.taxonomy.node(n) for n in tree.taxonomy.ids[1:]]
    return [(n.name, tree.taxonomy.label(n.parent or "")) for n in nodes]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_gives_the_same_tree(layout: str, tmp_path: Path) -> None:
    tree = open_tree(write(tmp_path, LAYOUTS[layout]), REGISTRY)
    assert tree.layout == layout
    below = tree.taxonomy.label(tree.taxonomy.root)
    assert sorted(labels(tree)) == [("cataract", "eye"), ("ear", below), ("eye", below), ("glaucoma", "eye")]
    assert tree.dropped == ()


def test_counts_are_those_of_core_and_add_up(tmp_path: Path) -> None:
    path = write(tmp_path, LAYOUTS["counts"])
    taxonomy, counts = read_counts(path)
    tree = open_tree(path, REGISTRY)
    assert tree.taxonomy.fingerprint == taxonomy.fingerprint
    assert tree.images == counts == {"eye:glaucoma": 7, "eye:cataract": 2, "ear": 1}


def test_json_of_ours_is_read_with_synonyms(tmp_path: Path) -> None:
    nodes = [
        {"id": "all", "parent": None},
        {"id": "1", "name": "glaucoma", "parent": "all", "synonyms": ["GON"]},
    ]
    tree = open_tree(write(tmp_path, json.dumps({"name": "eyes", "nodes": nodes}), "t.json"), REGISTRY)
    assert tree.taxonomy.name == "eyes"
    assert tree.synonyms == {"1": ("GON",)}


def test_a_synonyms_column_is_read(tmp_path: Path) -> None:
    text = "id,name,parent,synonyms\n0,all,,\n1,AMD,0,ARMD | macular degeneration\n"
    assert open_tree(write(tmp_path, text), REGISTRY).synonyms == {"1": ("ARMD", "macular degeneration")}


def test_an_offered_tree_is_had_by_name() -> None:
    assert (
        open_tree("isic_diagnosis", REGISTRY).taxonomy.fingerprint
        == Taxonomy.shipped("isic_diagnosis").fingerprint
    )
    with pytest.raises(PluginError, match="did you mean 'isic_diagnosis'"):
        open_tree("isic_diagnoses", REGISTRY)


class TestTwoParents:
    def test_are_refused_with_node_both_parents_lines_and_the_remedy(self, tmp_path: Path) -> None:
        judged = judge(write(tmp_path, DOID), REGISTRY)
        (fault,) = judged.faults
        assert fault.rule == "two parents"
        assert fault.lines == (4, 5)
        assert all(part in fault.text for part in ("'3'", "'8'", "'9'", "--parents 3=8", "--parents first"))

    @pytest.mark.parametrize(("choice", "parent", "dropped"), [("first", "8", "9"), ("3=9", "9", "8")])
    def test_are_settled_by_a_choice_and_the_dropped_edge_is_told(
        self, choice: str, parent: str, dropped: str, tmp_path: Path
    ) -> None:
        tree = open_tree(write(tmp_path, DOID), REGISTRY, [choice])
        assert tree.taxonomy.node("3").parent == parent
        assert [(e.node, e.parent) for e in tree.dropped] == [("3", dropped)]
        assert any(line.startswith(f"dropped: 3 under {dropped} (line ") for line in tree.remarks())

    def test_a_parent_that_is_neither_and_a_node_without_two_are_faults(self, tmp_path: Path) -> None:
        path = write(tmp_path, DOID)
        told = [f.text for f in judge(path, REGISTRY, ["3=7", "1=9", "x=9"]).faults]
        assert any("names '7', which is neither" in t for t in told)
        assert any("'1', which has one parent" in t for t in told)
        assert any("'x', which is no node" in t for t in told)

    def test_a_choice_for_an_offered_tree_is_refused(self) -> None:
        with pytest.raises(TaxonomyError, match="for files"):
            open_tree("isic_diagnosis", REGISTRY, ["first"])

    def test_named_parents_without_a_line_are_first_level_and_told(self, tmp_path: Path) -> None:
        tree = open_tree(write(tmp_path, DOID), REGISTRY, ["first"])
        assert sorted(tree.taxonomy.label(n) for n in tree.taxonomy.level(1)) == ["eye disease", "infection"]
        assert "8 (infection)" in tree.remarks()[0]


ICD = (
    "code,description,parent\n12,skin,\nL76,complications,L76\nL76.0,haemorrhage,L76\nC43,melanoma,C43-C44\n"
)


def test_a_node_under_itself_and_a_parent_that_is_not_there_are_faults_with_remedies(tmp_path: Path) -> None:
    path = write(tmp_path, ICD)
    told = {f.lines: f.text for f in judge(path, REGISTRY).faults}
    assert "'L76' lies under itself; give it a parent with --parents L76=PARENT" in told[3,]
    assert "'C43-C44', which is not in the file" in told[5,]
    tree = open_tree(path, REGISTRY, ["L76=12"], add_absent=True)
    assert tree.taxonomy.path("L76.0") == ("root", "12", "L76", "L76.0")
    assert tree.taxonomy.path("C43") == ("root", "C43-C44", "C43")
    assert any("C43-C44" in line for line in tree.remarks())
    assert "dropped: L76 under L76 (line 3)" in tree.remarks()


WRONG = {
    "ragged": ("id,parent\na,\nb\n", "ragged", (3,)),
    "empty id": ("id,parent\na,\n,a\n", "empty", (3,)),
    "twice": ("id,parent\na,\nb,a\nb,a\n", "twice", (3, 4)),
    "two names": ("id,name,parent\na,x,\nb,y,a\nb,z,a\n", "two names", (3, 4)),
    "cycle": ("id,parent\na,\nb,c\nc,b\nd,c\n", "cycle", (3, 4)),
    "leaf": ("id,parent,leaf\na,,True\nb,a,True\n", "leaf", (2,)),
    "no root": ("id,parent\na,b\nb,a\n", "root", ()),
    "count": ("level,images\na,1.5\n", "count", (2,)),
    "gap": ("l1,l2,images\n,b,1\n", "path", (2,)),
    "colon": ("level,images\na:b,1\n", "path", (2,)),
    "parent of a path": ("path,parent\na:b,c\n", "parent", (2,)),
    "control": ("level,images\na\x1b[31m,1\n", "text", (2,)),
    "nothing": ("id,parent\n", "root", ()),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_fault_has_its_rule_and_lines(case: str, tmp_path: Path) -> None:
    text, rule, lines = WRONG[case]
    faults = judge(write(tmp_path, text), REGISTRY).faults
    assert (rule, lines) in [(f.rule, f.lines) for f in faults]


def test_everything_that_is_wrong_is_told_at_once_and_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "id,name,parent\na,x,\nb,y,zz\n,z,a\nc,v,d\nd,w,c\nb,y,yy\ne\n")
    judged = judge(path, REGISTRY)
    assert judged.tree is None
    assert {f.rule for f in judged.faults} == {"parent", "empty", "cycle", "two parents", "ragged"}
    assert [f.lines for f in judged.faults] == sorted(f.lines for f in judged.faults)
    with pytest.raises(TaxonomyError, match=r"tree.csv, line 3: .*4 more: dxtree taxonomy validate"):
        open_tree(path, REGISTRY)


def test_a_terminal_escape_in_a_name_is_not_repeated(tmp_path: Path) -> None:
    (fault,) = judge(write(tmp_path, WRONG["control"][0]), REGISTRY).faults
    assert "\x1b" not in fault.text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"id,id\n1,2\n", "stands twice"),
        (b"a,b\n1,2\n", "no layout"),
        (b"id,parent\n\xff,\n", "UTF-8"),
        (b'id,parent\n"a', "line 2: no CSV"),
    ],
)
def test_a_table_that_is_none_is_a_typed_error(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TaxonomyError, match=told):
        judge(str(tmp_path / "t.csv"), REGISTRY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[]", "a tree in JSON"),
        ('{"nodes": 3}', "a tree in JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_json_that_is_no_tree_is_a_typed_error(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match=told):
        judge(write(tmp_path, text, "t.json"), REGISTRY)


def test_faults_of_json_count_nodes(tmp_path: Path) -> None:
    nodes = [{"id": "a", "parent": None}, {"id": "b", "parent": None}, {"id": 3, "parent": "a"}, 5]
    judged = judge(write(tmp_path, json.dumps({"name": "t", "nodes": nodes}), "t.json"), REGISTRY)
    assert judged.unit == "node"
    assert {(f.rule, f.lines) for f in judged.faults} == {("root", (1, 2)), ("empty", (3,)), ("node", (4,))}


def test_a_file_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(PathRejected):
        judge(str(tmp_path / "none.csv"), REGISTRY)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_tree_faults_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_bytes(b"id,parent\n" + text.encode("utf-8", "replace"))
    try:
        judged = judge(str(path), REGISTRY)
    except TaxonomyError:
        return
    assert (judged.tree is None) == bool(judged.faults)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 9))), max_size=14))
def test_without_a_fault_any_rows_are_a_tree_and_with_one_there_is_none(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int | None]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    path.write_text(
        "id,parent\n" + "".join(f"n{a},{'' if b is None else f'n{b}'}\n" for a, b in rows), "utf-8"
    )
    judged = judge(str(path), REGISTRY)  # `Taxonomy` itself would raise for anything that check() let pass
    assert (judged.tree is None) == bool(judged.faults)


class TestRealTrees:
    pytestmark = needs_data

    def test_isic_is_the_shipped_tree(self) -> None:
        tree = open_tree(str(TREES / "isic_diagnosis_hierarchy.csv"), REGISTRY)
        assert difference(tree.taxonomy, Taxonomy.shipped("isic_diagnosis")).none
        assert len(tree.taxonomy) == 419

    def test_milk10k_metadata_hold_a_part_of_it(self) -> None:
        path = Path(DATA or "") / "milk10k" / "metadata.csv"
        tree = open_tree(str(path), REGISTRY)
        assert tree.layout == "levels"
        assert set(tree.taxonomy) <= set(Taxonomy.shipped("isic_diagnosis"))

    def test_fitzpatrick17k_has_3_9_114_and_its_images(self) -> None:
        tree = open_tree(str(TREES / "fitzpatrick17k_tree_counts.csv"), REGISTRY)
        assert [len(tree.taxonomy.level(k)) for k in (1, 2, 3)] == [3, 9, 114]
        assert sum((tree.images or {}).values()) == 16_577

    def test_icd_10_cm_needs_a_parent_for_a_section_of_one_code_and_for_other_chapters(self) -> None:
        path = str(TREES / "icd10cm_skin.csv")
        judged = judge(path, REGISTRY)
        assert {f.rule for f in judged.faults} == {"cycle", "parent"}
        tree = open_tree(path, REGISTRY, ["L76=12"], add_absent=True)
        assert tree.taxonomy.path("L76.01") == ("root", "12", "L76", "L76.0", "L76.01")
        assert len(tree.taxonomy) == 1812 + 10 + 1

    def test_the_disease_ontology_has_one_term_of_two_parents(self) -> None:
        path = str(TREES / "doid_skin_edges.csv")
        (fault,) = judge(path, REGISTRY).faults
        assert "DOID:6943" in fault.text
        tree = open_tree(path, REGISTRY, ["DOID:6943=DOID:6944"])
        assert tree.taxonomy.node("DOID:6943").parent == "DOID:6944"
        assert [(e.node, e.parent) for e in tree.dropped] == [("DOID:6943", "DOID:6945")]
        assert len(tree.taxonomy) == 549 + 4 + 1 - 0
