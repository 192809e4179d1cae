"""Does a utilities file say one thing, and does an answer that abstained get no decision?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.decision import decide
from core.diagnosis import Diagnosis
from core.errors import InputError, PathRejected
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from dxtree.cli.decide import decided, read_utilities

EXAMPLES = Path(__file__).parents[2] / "examples/utilities"


def answer(status: str) -> Diagnosis:
    taxonomy = Taxonomy.from_paths("small", [("Malignant",), ("Benign",)])
    partition = partition_tree(taxonomy, {"Malignant": 1, "Benign": 1}, max_size=1)
    leaf = LeafProbabilities(partition.ids, np.array([0.3, 0.7]))
    tree = TreeProbabilities(TreeSums(partition), leaf)
    return Diagnosis("a", status, tree, leaf, (), "image_only", ("dermoscopy",), ())  # type: ignore[arg-type]


def test_an_answer_gets_its_decision_and_one_that_abstained_gets_none() -> None:
    utilities = read_utilities(EXAMPLES / "biopsy-or-reassure.yaml")
    found = decided(answer("partial"), utilities)
    assert found is not None
    assert found.action == "biopsy"
    assert found.expected == pytest.approx({"biopsy": -0.7, "reassure": -12})
    assert decided(answer("abstained"), utilities) is None
    assert decided(Diagnosis("a", "abstained", None, None, (), "none", (), ()), utilities) is None


def test_the_worked_examples_fit_the_shipped_tree() -> None:
    taxonomy = Taxonomy.shipped("isic_diagnosis")
    counts = dict.fromkeys(taxonomy.ids[1:], 1)
    partition = partition_tree(taxonomy, counts, max_size=30)
    flat = LeafProbabilities.from_weights(partition.ids, np.ones(len(partition.ids)))
    folder = EXAMPLES
    files = sorted(folder.glob("*.yaml"))
    assert len(files) >= 2
    for path in files:
        found = decide(TreeProbabilities(TreeSums(partition), flat), read_utilities(path))
        assert found.action in found.expected
    few_harms = read_utilities(folder / "biopsy-or-reassure.yaml").threshold()
    assert few_harms == "biopsy where P(malignant) is at least 0.02439, else reassure"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actions:\n  a: {x: 1}\n  a: {x: 2}\n", "'a' stands twice"),
        ("actions:\n  a: {x: 1, x: 2}\n", "'x' stands twice"),
        ("states: [1, {a: 1, a: 2}]", "'a' stands twice"),
        ("a: [", "no YAML"),
        ("", "utilities cannot be read"),
        ("!!python/object/apply:os.getcwd []", "no YAML"),
        ("title: \xff", "no YAML in UTF-8"),
    ],
)
def test_a_file_that_says_two_things_or_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_utilities(path)
    with pytest.raises(PathRejected, match="the utilities file does not exist"):
        read_utilities(tmp_path / "absent.yaml")
