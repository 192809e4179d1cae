"""What do the words of a data set for age, sex and site mean?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from core.case import PatientMetadata, Sex
from core.errors import CohortError, DxtreeError

_T = TypeVar("_T")

SEXES: Mapping[str, Sex | None] = {"female": "female", "male": "male", "unknown": None, "": None}
"""The words of the ISIC archive; what is neither is not known to a model trained with two terms."""

CAPITAL_SEXES: Mapping[str, Sex | None] = {
    "FEMALE": "female",
    "MALE": "male",
    "OTHER_OR_UNSPECIFIED": None,
    "": None,
}
"""The words of PAD-UFES-20 (column `gender`) and SCIN (column `sex_at_birth`)."""

HAM10000_SITES: Mapping[str, str | None] = {
    "abdomen": "abdomen",
    # acral skin may be of a hand or of a foot, and the vocabulary has no node above both alone
    "acral": None,
    "back": "back",
    "chest": "chest",
    "ear": "ear",
    "face": "face",
    "foot": "foot",
    "genital": "genital",
    "hand": "hand",
    "lower extremity": "lower_extremity",
    "neck": "neck",
    "scalp": "scalp",
    "trunk": "trunk",
    "upper extremity": "upper_extremity",
    "unknown": None,
    "": None,
}
"""Column `localization` of HAM10000 on the Harvard Dataverse."""

PAD_UFES_20_SITES: Mapping[str, str | None] = {
    **{
        term.upper(): term
        for term in (
            "abdomen", "arm", "back", "chest", "ear", "face", "foot", "forearm", "hand", "lip", "neck",
            "nose", "scalp", "thigh",
        )
    },
    "": None,
}  # fmt: skip
"""Column `region` of PAD-UFES-20."""

DERM7PT_SITES: Mapping[str, str | None] = {
    "abdomen": "abdomen",
    "acral": None,
    "back": "back",
    "buttocks": "buttock",
    "chest": "chest",
    "genital areas": "genital",
    "head neck": "head_neck",
    "lower limbs": "lower_extremity",
    "upper limbs": "upper_extremity",
    "": None,
}
"""Column `location` of Derm7pt."""

NOT_KNOWN = frozenset({"", "unknown"})
"""Words that say nothing; any other word without a node is listed by the survey."""


@dataclass(frozen=True)
class PatientColumns:
    """Where a table holds age, sex and site, and the meaning of each word there.

    A column that is `None` is not in the set: its field stays not known.
    """

    age: str | None = None
    sex: str | None = None
    site: str | None = None
    sexes: Mapping[str, Sex | None] = field(default_factory=lambda: SEXES)
    sites: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that a table must have."""
        return tuple(c for c in (self.age, self.sex, self.site) if c)

    def read(self, row: Mapping[str, str], where: str) -> PatientMetadata:
        """What a line says of the patient; the age exactly as given, what is empty not known.

        Raises `CohortError` naming place and column for a word outside the vocabulary, and for an age that is
        no number from 0 to 120 years. It repeats no value.
        """
        site = meaning(row, where, self.site, self.sites)
        sex = meaning(row, where, self.sex, self.sexes)
        text = row[self.age] if self.age else ""
        try:
            return PatientMetadata(age_years=float(text) if text else None, sex=sex, site=site)
        except (ValueError, DxtreeError) as error:
            said = error.safe_message if isinstance(error, DxtreeError) else "age_years is no number"
            raise CohortError(f"{where}: {said.replace('age_years', self.age or '')}") from None

    def unplaced(self, row: Mapping[str, str]) -> str:
        """The site's word where it says something that the vocabulary of sites has no node for, else ""."""
        term = row[self.site] if self.site else ""
        return term if term not in NOT_KNOWN and self.sites.get(term) is None else ""


def meaning(row: Mapping[str, str], where: str, column: str | None, words: Mapping[str, _T]) -> _T | None:
    """What the word in a column means. Raises `CohortError` for a word that is not among them."""
    if column is None:
        return None
    if row[column] not in words:
        raise CohortError(f"{where}: {column} must be one of {', '.join(w for w in words if w)}, or empty")
    return words[row[column]]
