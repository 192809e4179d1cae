"""Does an answer read the same in a file as on a terminal, and does showing it import nothing large?"""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.diagnosis import RESEARCH_USE, Diagnosis, Notice
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from dxtree.cli.show import show_diagnosis

LONG = "A disease whose name is so long that it would not fit on one line of any terminal of eighty columns"


@pytest.fixture
def answer() -> Diagnosis:
    above = {"root": None, "good": "root", "bad": "root", "bad1": "bad", "bad2": "bad", "rare": "root"}
    taxonomy = Taxonomy("small", above, {"bad1": LONG})
    partition = partition_tree(taxonomy, {"good": 9, "bad1": 9, "bad2": 9, "rare": 9}, max_size=9)
    leaf = LeafProbabilities.from_weights(partition.ids, [30, 50, 19, 1])
    notice = Notice("N", "it was turned")
    tree = TreeProbabilities(TreeSums(partition), leaf)
    return Diagnosis("c", "complete", tree, leaf, (), "mean", ("photo",), (), (notice,))


def test_branches_are_drawn_with_the_likeliest_first_and_none_is_broken(
    answer: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    show_diagnosis(answer)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "diagnosis",
        "├── ████████░░░░  69.0% bad",
        f"│   ├── ██████░░░░░░  50.0% {LONG}  ◀ most specific at 50 %",
        "│   └── ██░░░░░░░░░░  19.0% bad2",
        "└── ████░░░░░░░░  30.0% good",
        "branches below 2% are not shown; --json has every node",
    ]
    assert "notice    it was turned" in lines
    assert lines[-1] == RESEARCH_USE


def test_the_truth_is_marked_and_shown_however_unlikely_it_is(
    answer: Diagnosis, capsys: pytest.CaptureFixture[str]
) -> None:
    show_diagnosis(answer, truth="rare")
    assert "└── ░░░░░░░░░░░░   1.0% rare  ✔ truth" in capsys.readouterr().out


def test_a_file_gets_no_colours(answer: Diagnosis, capsys: pytest.CaptureFixture[str]) -> None:
    show_diagnosis(answer)
    assert "\x1b" not in capsys.readouterr().out


def test_showing_and_asking_import_neither_rich_nor_what_only_training_needs() -> None:
    script = "import sys, dxtree.cli.show, dxtree.cli.diagnose, modalities.cnn.model; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
    heavy = {"rich.console", "numpy.ma", "torch", "sklearn", "scipy", "xgboost", "onnxruntime", "openvino"}
    assert not heavy & set(loaded)
