"""How do evidence and metadata become numbers for a learner? One vector whose every entry has a name.

Missing is a value of its own: the entries of an absent modality or an unknown field are `absent` (0 for a
linear model, NaN for trees), and an indicator says so. It is never a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from core.case import PatientMetadata, body_sites
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.ratio import Ratios

AGE_CENTRE, AGE_SCALE = 50.0, 20.0
"""Years; they only put age on the scale of the other entries."""

AGE_KNOTS = (20.0, 35.0, 50.0, 65.0, 80.0)
"""Years at the peaks of five hats that sum to 1: incidence bends with age, and no square follows it."""
_HATS = np.eye(len(AGE_KNOTS))

RATIO_SCALE = 0.3
"""Log ratios are this much smaller than they are, so that one penalty suits them beside indicators: they
vary by 1 to 3, and the pool already holds most of what they say."""

SITE_DEPTH = 2
"""Levels of `body_sites` with an indicator a node; a finer site counts as the node above it."""


def site_path(site: str) -> tuple[str, ...]:
    """Nodes of `body_sites` from the first level down to the site, at most `SITE_DEPTH` of them."""
    return body_sites().path(site)[1 : SITE_DEPTH + 1]


def site_nodes() -> tuple[str, ...]:
    """The sites that have a name of their own in features and tables, in preorder."""
    sites = body_sites()
    return tuple(n for n in sites.ids[1:] if sites.node(n).depth <= SITE_DEPTH)


def _age(age: float) -> FloatArray:
    scaled = (age - AGE_CENTRE) / AGE_SCALE
    hats = [float(np.interp(age, AGE_KNOTS, row)) for row in _HATS]
    return np.array([scaled, scaled * scaled, *hats])


def _sex(sex: str) -> FloatArray:
    return np.array([float(sex == "female"), float(sex == "male")])


def _site(site: str) -> FloatArray:
    path = site_path(site)
    return np.array([float(node in path) for node in site_nodes()])


_AGE_NAMES = ("scaled", "squared", *(f"near {knot:.0f}" for knot in AGE_KNOTS))


class Features:
    """The vector of one case for given modalities and metadata fields.

    Entries, in order: for each modality the scaled log ratio of every class (see `fusion.ratio`), centred
    unless `centred` is false, and `present`; for each field its own entries and `known`. Evidence of other
    modalities is left out, so the caller refuses it first.
    """

    def __init__(
        self,
        partition: Partition,
        modalities: Sequence[str],
        fields: Sequence[str],
        absent: float = 0.0,
        *,
        centred: bool = True,
    ) -> None:
        self.partition = partition
        self.modalities = tuple(modalities)
        self.fields = tuple(fields)
        self.absent = absent
        self._centred = centred
        self.ratios = Ratios(partition)
        self._site = {node: _site(node) for node in body_sites().ids[1:]}
        self._encode: Mapping[str, Callable[[PatientMetadata], FloatArray | None]] = {
            "age_years": lambda p: None if p.age_years is None else _age(p.age_years),
            "sex": lambda p: None if p.sex is None else _sex(p.sex),
            "site": lambda p: None if p.site is None else self._site[p.site],
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of every entry, for example ``clinical: present`` or ``site: trunk``."""
        entries = {"age_years": _AGE_NAMES, "sex": ("female", "male"), "site": site_nodes()}
        found: list[str] = []
        for modality in self.modalities:
            found += [f"{modality}: {name}" for name in (*self.partition.ids, "present")]
        for field in self.fields:
            found += [f"{field}: {name}" for name in (*entries[field], "known")]
        return tuple(found)

    @property
    def images(self) -> int:
        """How many entries, the first ones, stand for images; the rest stand for metadata."""
        return len(self.modalities) * (len(self.partition.ids) + 1)

    @cached_property
    def _widths(self) -> Mapping[str, int]:
        return {"age_years": len(_AGE_NAMES), "sex": 2, "site": len(site_nodes())}

    def vector(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """float64, one entry a name; finite where `absent` is."""
        ratios = {e.modality: self.ratios.log(e) for e in evidence}
        return self.from_ratios(ratios, patient)

    def from_ratios(self, ratios: Mapping[str, FloatArray], patient: PatientMetadata) -> FloatArray:
        """The same from log ratios that are already there, by modality."""
        parts = []
        for modality in self.modalities:
            found = ratios.get(modality)
            if found is None:
                parts += [np.full(len(self.partition.ids), self.absent), np.zeros(1)]
            else:
                centre = found.mean() if self._centred else 0.0
                parts += [RATIO_SCALE * (found - centre), np.ones(1)]
        for field in self.fields:
            entry = self._encode[field](patient)
            if entry is None:
                parts += [np.full(self._widths[field], self.absent), np.zeros(1)]
            else:
                parts += [entry, np.ones(1)]
        return np.concatenate(parts)
