"""Does the table of codes mean what it says, and nothing more?"""

from __future__ import annotations

import pydicom.sr._concepts_dict as standard
import pytest

from core.taxonomy import Taxonomy
from dxtree.exchange.codes import SYSTEMS, codes_of, own_code, rows, short_label

TREE = Taxonomy.shipped("isic_diagnosis")
SHAPES = {"SNOMED CT": r"\d{6,18}", "ICD-10": r"[A-Z]\d\d(\.\d)?", "ICD-11": r"[0-9A-Z]{4}(\.[0-9A-Z]+)?"}
_DIHEDRAL = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(code: str) -> int:
    """0 for a code whose check digit is right (SNOMED CT release file specification, 6.4)."""
    check = 0
    for place, digit in enumerate(map(int, reversed(code))):
        for _ in range(place % 8):
            digit = _TURN[digit]
        check = _DIHEDRAL[check][digit]
    return check


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r['system']}-{r['code']}")
def test_every_row_is_of_a_node_and_of_the_shape_of_its_system(row: dict[str, str]) -> None:
    import re

    assert row["node"] in Taxonomy.shipped(row["taxonomy"])
    assert re.fullmatch(SHAPES[row["system"]], row["code"])
    assert row["display"]
    assert row["source"]
    if row["system"] == "SNOMED CT":
        assert verhoeff(row["code"]) == 0


def test_the_check_digit_tells_a_wrong_code() -> None:
    assert verhoeff("254701007") == 0
    assert verhoeff("254701008") != 0
    assert verhoeff("254710007") != 0


def test_a_row_that_names_a_context_group_stands_there() -> None:
    named = [row for row in rows() if row["source"].startswith("DICOM")]
    assert named
    for row in named:
        group = int(row["source"].rpartition(" ")[2])
        found = [v for c in standard.concepts["SCT"].values() for k, v in c.items() if k == row["code"]]
        assert any(meaning == row["display"] and group in groups for meaning, groups in found)


def test_a_node_has_at_most_one_code_of_a_system() -> None:
    keys = [(row["taxonomy"], row["node"], row["system"]) for row in rows()]
    assert len(set(keys)) == len(keys)


def test_a_code_means_one_node_of_a_tree_alone() -> None:
    """A receiver that met two probabilities under one code could not tell which is which."""
    keys = [(row["taxonomy"], row["system"], row["code"]) for row in rows()]
    assert len(set(keys)) == len(keys)


def test_a_code_that_leaves_out_what_is_in_situ_stands_at_the_invasive_node() -> None:
    """C43, 2C30 and 2C31 exclude D03, 2E63 and 2E64; "NOS" does not say which it is."""
    found = {(row["system"], row["code"]): row["node"].rpartition(":")[2] for row in rows()}
    assert found["ICD-10", "C43"] == found["ICD-11", "2C30"] == "Melanoma Invasive"
    assert found["ICD-11", "2C31"] == "Squamous cell carcinoma, Invasive"
    assert found["SNOMED CT", "93655004"] == "Melanoma, NOS"
    assert found["SNOMED CT", "254651007"] == "Squamous cell carcinoma, NOS"


def test_a_node_of_another_tree_or_without_a_row_has_no_code() -> None:
    assert codes_of(TREE, "Benign") == ()
    nevus = "Benign:Benign melanocytic proliferations:Nevus"
    assert [c.code for c in codes_of(TREE, nevus)] == ["400010006", "D22", "2F20"]
    other = Taxonomy.from_paths("other", [tuple(nevus.split(":"))])
    assert codes_of(other, nevus) == ()


def test_our_own_codes_tell_all_nodes_apart_and_fit_into_dicom() -> None:
    codes = [own_code(TREE, node) for node in TREE.ids]
    assert len(set(codes)) == len(TREE.ids)
    assert all(len(code) <= 16 for code in codes)
    assert all(0 < len(short_label(TREE, node)) <= 64 for node in TREE.ids)
    assert set(SYSTEMS) == set(SHAPES)
