"""Is the tree of exceptions what the top of its file draws, and does each say what it should?"""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

import core.errors
from core.errors import DxtreeError, MissingExtra, did_you_mean


def drawn():
    """Name, parent and remark of every node of the drawing in the docstring."""
    found, open_nodes = [], []
    lines = core.errors.__doc__.splitlines()
    first = next(k for k, line in enumerate(lines) if line.strip() == "DxtreeError")
    for line in lines[first:]:
        if not line.strip():
            break
        name, _, remark = line.lstrip(" │├└─").partition(" ")
        depth = (len(line) - len(line.lstrip(" │├└─")) - 4) // 4
        del open_nodes[depth:]
        found.append((name, open_nodes[-1] if open_nodes else None, remark.strip()))
        open_nodes.append(name)
    return found


def classes():
    found = [DxtreeError]
    for kind in found:
        found += kind.__subclasses__()
    return [k for k in found if k.__module__ == "core.errors"]


def make(kind):
    return kind("torch", "train") if kind is MissingExtra else kind("message")


def test_the_tree_that_is_drawn_equals_the_class_hierarchy():
    hierarchy = {k.__name__: (k.__base__.__name__ if k is not DxtreeError else None) for k in classes()}
    assert {name: above for name, above, _ in drawn()} == hierarchy
    assert len(drawn()) == len(hierarchy) > 30


def test_every_exception_of_the_file_is_drawn_and_explained():
    defined = {n for n, k in vars(core.errors).items() if inspect.isclass(k) and issubclass(k, BaseException)}
    assert defined == {name for name, _, _ in drawn()}
    assert all(remark for name, above, remark in drawn() if above and name != "DxtreeError")
    assert all(k.__doc__ for k in classes())


@pytest.mark.parametrize("kind", classes(), ids=lambda k: k.__name__)
def test_an_error_knows_its_code_its_status_and_its_exit_code(kind):
    error = make(kind)
    assert error.code == kind.__name__
    assert str(error) == error.safe_message
    assert error.status in {413, 415, 422, 500, 503}
    assert 1 <= error.exit_code <= 6
    assert len(kind.__bases__) == 1


@pytest.mark.parametrize("kind", classes(), ids=lambda k: k.__name__)
def test_an_error_crosses_a_process_boundary(kind):
    """A worker sends its errors pickled; one that cannot be rebuilt breaks the whole pool."""
    error = make(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):  # noqa: S301
        assert type(again) is kind
        assert again.safe_message == error.safe_message


def test_what_the_caller_can_mend_is_a_4xx():
    for kind in classes():
        mro = {k.__name__ for k in kind.__mro__}
        if mro & {"InputError", "TaxonomyError", "PartitionError", "CohortError"}:
            assert 400 <= kind.status < 500
        if mro & {"BundleError", "PluginError", "ModelError", "MissingExtra"}:
            assert (kind.status, kind.exit_code) == (503, 3)


def test_a_missing_extra_says_how_to_install_it():
    assert str(MissingExtra("training", "train")) == (
        "training needs the extra 'train': pip install 'dxtree[train]'"
    )


def test_a_near_term_is_suggested_and_a_far_one_is_not():
    assert did_you_mean("melanma", ["nevus", "melanoma"]) == "; did you mean 'melanoma'?"
    assert did_you_mean("zzz", ["nevus", "melanoma"]) == ""
    assert did_you_mean("zzz", []) == ""
