"""Is every tree a tree, whatever is read, and every subtree a range?"""

from __future__ import annotations

import json
import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.counts import read_counts
from core.errors import TaxonomyError, UnknownNode
from core.taxonomy import Taxonomy, shipped_taxonomies

few = settings(max_examples=80, deadline=None)

# A tree whose branches end at different depths, given in no order of its own.
MIXED = {"b1": "b", "a": "root", "root": None, "a2": "a", "b": "root", "a11": "a1", "a1": "a", "c": "root"}


@pytest.fixture
def mixed():
    return Taxonomy("mixed", MIXED)


@pytest.fixture
def write(tmp_path):
    def _write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


# --- the tree -----------------------------------------------------------------------------------------


def test_branches_may_end_at_any_depth(mixed):
    assert mixed.max_depth == 3
    assert {n: mixed.node(n).depth for n in mixed} == {
        "root": 0, "a": 1, "a2": 2, "a1": 2, "a11": 3, "b": 1, "b1": 2, "c": 1,
    }  # fmt: skip


def test_children_keep_the_order_in_which_they_are_given(mixed):
    assert mixed.ids == ("root", "a", "a2", "a1", "a11", "b", "b1", "c")
    assert mixed.children("root") == ("a", "b", "c")


def test_the_root_alone_is_a_tree():
    alone = Taxonomy("alone", {"r": None})
    assert (len(alone), alone.root, alone.max_depth, alone.level(0)) == (1, "r", 0, ("r",))
    assert alone.children("r") == ()
    assert alone.is_leaf("r")


def test_a_node_tells_its_name_parent_and_path(mixed):
    named = Taxonomy("mixed", MIXED, {"a11": "Eleven"})
    node = named.node("a11")
    assert (node.id, node.name, node.parent, node.depth) == ("a11", "Eleven", "a1", 3)
    assert named.label("a") == "a"
    assert mixed.node("root").parent is None
    assert mixed.path("a11") == ("root", "a", "a1", "a11")
    assert [mixed.ancestor_at("a11", d) for d in (0, 1, 3, 4, -1)] == ["root", "a", "a11", None, None]


def test_membership_length_and_levels_agree(mixed):
    assert "a11" in mixed
    assert "zz" not in mixed
    assert list(mixed) == list(mixed.ids)
    assert mixed.level(1) == ("a", "b", "c")
    assert sum(len(mixed.level(d)) for d in range(4)) == len(mixed) == 8
    assert "8 nodes" in repr(mixed)


@pytest.mark.parametrize("depth", [-1, 4])
def test_a_level_that_does_not_exist_is_an_error_that_names_the_levels(mixed, depth):
    with pytest.raises(TaxonomyError, match=r"levels are 0 \(root\) to 3"):
        mixed.level(depth)


def test_an_unknown_node_is_an_error_that_suggests_a_near_one():
    tree = Taxonomy("t", {"root": None, "melanoma": "root"})
    with pytest.raises(UnknownNode, match="'melanomaa' is no node of taxonomy 't'; did you mean 'melanoma'"):
        tree.position("melanomaa")
    with pytest.raises(UnknownNode, match="'x' is no node"):
        tree.positions(["root", "x"])


def test_arrays_of_a_tree_cannot_be_written(mixed):
    for array in (mixed.parent, mixed.depth, mixed.end):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_tree_survives_pickling(mixed):
    again = pickle.loads(pickle.dumps(mixed))  # noqa: S301
    assert (again.ids, again.fingerprint) == (mixed.ids, mixed.fingerprint)


# --- what is refused, and who is named ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parents", "says"),
    [
        ({"r": None, "a": "b", "b": "a"}, r"'[ab]' lies on or below a cycle"),
        ({"r": None, "a": "a"}, "'a' lies on or below a cycle"),
        ({"r": None, "ok": "r", "x": "y", "y": "x", "below": "x"}, r"'(x|y|below)' lies on or below a cycle"),
        ({"r": None, "s": None}, "two roots: 'r' and 's'"),
        ({"a": "b", "b": "a"}, "no root.*'a'"),
        ({}, "no root"),
        ({"r": None, "a": "gone"}, "'a' names the parent 'gone', which does not exist"),
        ({"r": None, "a": ["r"]}, "'a' names the parent .'r'., which does not exist"),
        ({"r": None, "a": 5}, "'a' names the parent 5, which does not exist"),
        ({"r": None, "": "r"}, "must be a text that is not empty: ''"),
        ({"r": None, 3: "r"}, "must be a text that is not empty: 3"),
        ({"r": None, "a\ud800": "r"}, r"a node id must be a text that UTF-8 can hold: 'a\\ud800'"),
    ],
)
def test_what_is_no_tree_is_refused_and_the_culprit_named(parents, says):
    with pytest.raises(TaxonomyError, match=says):
        Taxonomy("t", parents)


def test_names_are_texts_and_belong_to_nodes():
    with pytest.raises(TaxonomyError, match=r"'zz'.*no node of 't'"):
        Taxonomy("t", {"r": None}, {"zz": "Name"})
    with pytest.raises(TaxonomyError, match=r"a display name must be a text.*: 5"):
        Taxonomy("t", {"r": None}, {"r": 5})  # type: ignore[dict-item]
    with pytest.raises(TaxonomyError, match=r"the name of a taxonomy must be a text.*: None"):
        Taxonomy(None, {"r": None})  # type: ignore[arg-type]


# --- hypothesis: preorder ------------------------------------------------------------------------------


def _climb(taxonomy, node):
    while node is not None:
        yield node
        node = taxonomy.node(node).parent


@few
@given(data=st.data())
def test_in_preorder_a_parent_stands_before_its_child_and_a_subtree_is_a_range(counted_trees, data):
    taxonomy, _ = data.draw(counted_trees)
    assert taxonomy.parent[0] == -1
    assert (taxonomy.parent[1:] < np.arange(1, len(taxonomy))).all()
    for node in taxonomy:
        i = taxonomy.position(node)
        below = {n for n in taxonomy if node in _climb(taxonomy, n)}
        assert set(taxonomy.ids[i : taxonomy.end[i]]) == below
        assert below == {n for n in taxonomy if taxonomy.covers(node, n)}
        assert taxonomy.children(node) == tuple(n for n in taxonomy if taxonomy.node(n).parent == node)
        assert taxonomy.is_leaf(node) == (below == {node})
        assert taxonomy.path(node) == tuple(_climb(taxonomy, node))[::-1]
        assert taxonomy.node(node).depth == len(taxonomy.path(node)) - 1
        assert node in taxonomy.level(taxonomy.node(node).depth)


@few
@given(data=st.data())
def test_the_order_of_input_does_not_change_what_lies_under_what(counted_trees, data):
    taxonomy, _ = data.draw(counted_trees)
    parents = {n: taxonomy.node(n).parent for n in taxonomy}
    shuffled = Taxonomy("again", {n: parents[n] for n in data.draw(st.permutations(list(parents)))})
    assert {n: shuffled.node(n).parent for n in shuffled} == parents
    for node in taxonomy:
        assert set(shuffled.children(node)) == set(taxonomy.children(node))
        assert shuffled.path(node) == taxonomy.path(node)


@few
@given(data=st.data())
def test_json_gives_the_same_tree_back(counted_trees, data):
    taxonomy, _ = data.draw(counted_trees)
    again = Taxonomy.from_dict(json.loads(taxonomy.to_json()))
    assert (again.ids, again.name, again.fingerprint) == (taxonomy.ids, taxonomy.name, taxonomy.fingerprint)


# --- the fingerprint ----------------------------------------------------------------------------------


def test_the_fingerprint_changes_with_ids_parents_and_order_and_not_with_display_names(mixed):
    renamed = {("z" if k == "c" else k): v for k, v in MIXED.items()}
    moved = {**MIXED, "a11": "b"}
    turned = dict(reversed(MIXED.items()))
    prints = [Taxonomy("t", p).fingerprint for p in (MIXED, renamed, moved, turned)]
    assert len(set(prints)) == 4
    assert Taxonomy("other", MIXED, {"c": "See"}).fingerprint == mixed.fingerprint
    assert len(mixed.fingerprint) == 64


def test_the_fingerprint_tells_a_child_from_a_sibling():
    one = Taxonomy("t", {"r": None, "a": "r", "b": "a"})
    other = Taxonomy("t", {"r": None, "a": "r", "b": "r"})
    assert one.ids == other.ids
    assert one.fingerprint != other.fingerprint


# --- a chain, deeper than any recursion ---------------------------------------------------------------


def test_a_chain_of_100000_nodes_is_a_tree(chain):
    assert chain.max_depth == len(chain) - 1 == 99_999
    assert chain.path("n99999")[:3] == ("n0", "n1", "n2")
    assert chain.children("n5") == ("n6",)
    assert chain.covers("n1", "n99999")
    assert (chain.end == len(chain)).all()
    assert len(chain.fingerprint) == 64


def test_a_chain_of_100000_nodes_survives_json(chain, write):
    again = Taxonomy.from_json(write("chain.json", chain.to_json()))
    assert again.ids == chain.ids
    assert again.fingerprint == chain.fingerprint


def test_a_cycle_at_the_foot_of_a_deep_chain_is_found():
    parents = {f"n{k}": f"n{k - 1}" if k else None for k in range(50_000)}
    with pytest.raises(TaxonomyError, match=r"'[pq]' lies on or below a cycle"):
        Taxonomy("t", {**parents, "p": "q", "q": "p"})


def test_building_is_linear_in_the_number_of_nodes():
    def seconds(size):
        parents = {f"n{k}": f"n{k // 2}" if k else None for k in range(size)}
        start = time.process_time()
        Taxonomy("t", parents)
        return time.process_time() - start

    small = min(seconds(10_000) for _ in range(3))
    assert min(seconds(40_000) for _ in range(2)) < 16 * small


# --- paths --------------------------------------------------------------------------------------------


def test_paths_add_the_ancestors_that_are_not_listed():
    tree = Taxonomy.from_paths("t", [("a", "b", "c"), ("a",), ("a", "b", "c"), ("d",)])
    assert tree.ids == ("root", "a", "a:b", "a:b:c", "d")
    assert tree.label("a:b:c") == "c"


def test_equal_names_on_different_ways_are_different_nodes():
    tree = Taxonomy.from_paths("t", [("a", "melanocytic"), ("b", "melanocytic")])
    assert tree.level(2) == ("a:melanocytic", "b:melanocytic")


@pytest.mark.parametrize("path", [("a", ""), ("a:b",), ("",)])
def test_a_name_in_a_path_is_not_empty_and_holds_no_colon(path):
    with pytest.raises(TaxonomyError, match="must not be empty or contain ':'"):
        Taxonomy.from_paths("t", [path])


@pytest.mark.parametrize("path", [("root",), ("root", "x")])
def test_a_first_level_named_root_is_refused(path):
    """Its id would be that of the node above it, and what lies below would slip one level up."""
    with pytest.raises(TaxonomyError, match="'root' is the id of the node above the first level"):
        Taxonomy.from_paths("t", [path])


def test_no_path_at_all_leaves_the_root():
    assert Taxonomy.from_paths("t", []).ids == ("root",)


# --- JSON ---------------------------------------------------------------------------------------------

GOOD = '{"name": "t", "nodes": [{"id": "r", "name": "Räte", "parent": null}, {"id": "a", "parent": "r"}]}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_is_read_with_and_without_a_byte_order_mark(write, encoding):
    tree = Taxonomy.from_json(write("t.json", GOOD.encode(encoding)))
    assert tree.ids == ("r", "a")
    assert (tree.label("r"), tree.label("a")) == ("Räte", "a")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (GOOD.encode("utf-16"), "no JSON in UTF-8"),
        (GOOD.encode("utf-16-le"), "no JSON in UTF-8"),
        (GOOD.encode("latin-1"), "no JSON in UTF-8"),
        (b"", "no JSON"),
        (b"[1, 2", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"9" * 5000, "no JSON"),
        (b"[]", "one cannot be read"),
        (b"null", "one cannot be read"),
        (b'{"name": "t"}', "KeyError: 'nodes'"),
        (b'{"nodes": []}', "KeyError: 'name'"),
        (b'{"name": "t", "nodes": null}', "cannot be read"),
        (b'{"name": "t", "nodes": 3}', "cannot be read"),
        (b'{"name": "t", "nodes": ["a"]}', "cannot be read"),
        (b'{"name": "t", "nodes": {"id": "r"}}', "cannot be read"),
        (b'{"name": "t", "nodes": [{"id": ["r"], "parent": null}]}', "cannot be read"),
        (b'{"name": "t", "nodes": [{"id": "r"}]}', "KeyError: 'parent'"),
        (b'{"name": "t", "nodes": []}', "no root"),
        (b'{"name": 7, "nodes": [{"id": "r", "parent": null}]}', "the name of a taxonomy must be a text"),
        (b'{"name": "t", "nodes": [{"id": "r", "parent": null, "name": null}]}', "a display name must be"),
        (b'{"name": "t", "nodes": [{"id": "", "parent": null}]}', "not empty: ''"),
        (b'{"name": "t", "nodes": [{"id": "r", "parent": null}, {"id": "\\ud800", "parent": "r"}]}', "UTF-8"),
    ],
)
def test_json_that_holds_no_tree_is_a_typed_error(write, content, says):
    with pytest.raises(TaxonomyError, match=says):
        Taxonomy.from_json(write("t.json", content))


def test_a_repeated_id_in_json_is_named(write):
    nodes = [{"id": i, "parent": p} for i, p in [("r", None), ("a", "r"), ("b", "r"), ("a", "b")]]
    with pytest.raises(TaxonomyError, match="node id 'a' stands twice"):
        Taxonomy.from_json(write("t.json", json.dumps({"name": "t", "nodes": nodes})))


@pytest.mark.parametrize("read", [Taxonomy.from_json, read_counts])
def test_a_file_that_is_absent_or_a_folder_is_a_typed_error(tmp_path, read):
    with pytest.raises(TaxonomyError, match=r"absent.* cannot be read .FileNotFoundError"):
        read(tmp_path / "absent")
    with pytest.raises(TaxonomyError, match="cannot be read"):
        read(tmp_path)


# --- CSV ----------------------------------------------------------------------------------------------


def test_counts_are_read_at_leaves_and_at_inner_nodes(write):
    source = write("c.csv", "top,mid,images\na,,3\na,x,4\nb, y ,5\n\na,x,1\n,,2\nb,z,0\n")
    tree, counts = read_counts(source)
    assert tree.name == "c"
    assert set(tree) == {"root", "a", "a:x", "b", "b:y", "b:z"}
    assert counts == {"a": 3, "a:x": 5, "b:y": 5, "root": 2, "b:z": 0}


def test_quoted_commas_and_quotes_belong_to_the_name(write):
    tree, counts = read_counts(write("c.csv", 'top,images\n"a, ""b""",2\n'))
    assert counts == {'a, "b"': 2}
    assert 'a, "b"' in tree


@pytest.mark.parametrize("text", ["top,images\r\nä,2\r\n", "top,images\nä,2", "top,images \nä, 2 \n"])
def test_a_byte_order_mark_and_any_line_ending_are_read(write, text):
    assert read_counts(write("c.csv", text.encode("utf-8-sig")))[1] == {"ä": 2}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("top,images\na,1\n".encode("utf-16"), "c.csv: a counts CSV is UTF-8"),
        ("top,images\nä,1\n".encode("latin-1"), "c.csv: a counts CSV is UTF-8"),
        ("top,images\na,1\n".encode("utf-16-le"), "needs one column per level"),
        ("", "needs one column per level"),
        ("images\n3\n", "needs one column per level"),
        ("top,count\na,3\n", "a last column named 'images'"),
        ("top,mid,images\na,3\n", "line 2: has 2 fields, the header has 3"),
        ("top,mid,images\na,x,3\na,x,3,9\n", "line 3: has 4 fields, the header has 3"),
        ("top,images\na,-1\n", "line 2: images is '-1'; a whole number >= 0 is needed"),
        ("top,images\na,1.5\n", "line 2: images is '1.5'"),
        ("top,images\na,1e3\n", "line 2: images is '1e3'"),
        ("top,images\na,nan\n", "line 2: images is 'nan'"),
        ("top,images\na,²\n", "line 2: images is '²'"),
        ("top,images\na,\n", "line 2: images is ''"),
        ("top,images\na,=1+1\n", "line 2: images is '=1.1'"),
        ("top,images\na," + "9" * 5000, "line 2: images is '9{40}'; a whole"),
        ("top,images\na," + "9" * 30, "line 2: images is '9{30}'; a whole"),
        ("top,mid,images\n,x,3\n", "line 2: a level is empty although a finer one is filled"),
        ("top,mid,images\na,x,1\n ,x,3\n", "line 3: a level is empty"),
        ("top,images\na:b,3\n", "contain ':'"),
        ("top,images\nroot,3\n", "'root' is the id"),
        ('top,images\n"' + "x" * 200_000 + '",1\n', "c.csv cannot be read"),
        ('top,images\n"a,1\nb,2\n', "line 2: has 1 fields"),
    ],
)
def test_a_bad_counts_table_is_a_typed_error_that_names_the_line(write, content, says):
    with pytest.raises(TaxonomyError, match=says) as caught:
        read_counts(write("c.csv", content))
    assert len(caught.value.safe_message) < 300


# --- what ships ---------------------------------------------------------------------------------------


def test_three_taxonomies_ship():
    assert shipped_taxonomies() == ("body_sites", "esteva_2017", "isic_diagnosis")
    for name in shipped_taxonomies():
        assert Taxonomy.shipped(name).name == name


def test_a_taxonomy_that_does_not_ship_is_an_error_that_suggests_one():
    with pytest.raises(TaxonomyError, match=r"no taxonomy 'isic_diagnoses' ships.*mean 'isic_diagnosis'"):
        Taxonomy.shipped("isic_diagnoses")
    with pytest.raises(TaxonomyError, match="ships"):
        Taxonomy.shipped("../errors")


def test_the_isic_tree_has_418_nodes_326_leaves_and_92_inner_nodes():
    tree = Taxonomy.shipped("isic_diagnosis")
    below = [n for n in tree if n != tree.root]
    leaves = [n for n in below if tree.is_leaf(n)]
    assert (len(below), len(leaves), len(below) - len(leaves)) == (418, 326, 92)
    assert tree.level(1) == ("Benign", "Indeterminate", "Malignant")


def test_the_isic_tree_equals_the_vocabulary_of_the_isic_archive():
    hierarchy = pytest.importorskip("isic_metadata.diagnosis_hierarchical", reason="isic-metadata is absent")
    tree = Taxonomy.shipped("isic_diagnosis")
    assert set(tree) - {tree.root} == {d.value for d in hierarchy.DiagnosisEnum}
    for node in tree.ids[1:]:
        above, _, name = node.rpartition(":")
        assert tree.node(node).parent == (above or tree.root)
        assert tree.label(node) == name


def test_the_tree_of_the_paper_has_3_and_9_nodes():
    tree = Taxonomy.shipped("esteva_2017")
    assert tree.level(1) == ("benign", "malignant", "non-neoplastic")
    assert [len(tree.children(n)) for n in tree.level(1)] == [3, 4, 2]
    assert (len(tree.level(2)), tree.max_depth) == (9, 2)


def test_the_sites_of_the_body_are_one_tree_with_plain_ids():
    sites = Taxonomy.shipped("body_sites")
    assert sites.path("back") == ("root", "trunk", "posterior_torso", "back")
    assert sites.path("sole")[-2:] == ("foot", "sole")
    assert "head_neck" in sites.level(1)
    assert not any(":" in site for site in sites)
