"""Does the table of sites hold what the standard and our tree hold?"""

from __future__ import annotations

import pydicom.sr._concepts_dict as standard
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.case import body_sites
from modalities.dicom.sites import exact_code, rows, site_of


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r['scheme']}-{r['code']}")
def test_every_code_is_the_standards_with_its_meaning_and_context_group(row: dict[str, str]) -> None:
    group = int(row["source"].removeprefix("CID "))
    found = [
        (meaning, groups)
        for concepts in standard.concepts[row["scheme"]].values()
        for code, (meaning, groups) in concepts.items()
        if code == row["code"]
    ]
    assert any(meaning == row["meaning"] and group in groups for meaning, groups in found)
    assert row["site"] in body_sites().ids[1:]
    assert site_of(row["code"], row["scheme"]) == row["site"]


def test_no_code_stands_twice() -> None:
    codes = [(row["scheme"], row["code"]) for row in rows()]
    assert len(set(codes)) == len(codes)


def test_a_site_has_at_most_one_exact_code_and_it_leads_back() -> None:
    exact = [row["site"] for row in rows() if row["exact"]]
    assert len(set(exact)) == len(exact)
    for site in exact:
        code = exact_code(site)
        assert code is not None
        assert site_of(code[0], "SCT") == site
    assert exact_code("lateral_torso") is None


@pytest.mark.parametrize(
    "meaning",
    [
        "Skin",
        "Skin of axilla",
        "Skin of inguinal region",
        "Skin of perineum",
        "Skin of anus",
        "Hair",
        "Tooth",
    ],
)
def test_a_region_that_no_site_surely_holds_is_not_in_the_table(meaning: str) -> None:
    assert meaning not in {row["meaning"] for row in rows()}


@given(st.text(max_size=80), st.text(max_size=20))
def test_any_other_code_is_no_site(code: str, scheme: str) -> None:
    known = {(row["code"], row["scheme"]) for row in rows()}
    if (code, scheme) not in known:
        assert site_of(code, scheme) is None
