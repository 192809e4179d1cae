"""How likely are this age, sex and site given each class? Tables that shrink towards the tree above.

A class with two lesions knows nothing of ages, its group in the tree knows a little, all lesions together a
lot: each node's shares are its own counts plus `strength` pseudo-counts spread like its parent's shares
(Dirichlet smoothing, from the root down).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.case import PatientMetadata, body_sites
from core.partition import Partition
from core.tree import FloatArray
from fusion.features import site_nodes, site_path
from fusion.ratio import lineage
from plugins.specs import FusionCase

DECADES = 10
"""Bins of age: 0-9, 10-19, ..., 90 and above."""

SEXES = ("female", "male")

_BLUR = (0.25, 0.5, 0.25)
"""A lesion's count reaches the neighbouring decades: 59 and 61 are one age, and ages are rounded."""


def decade(age: float) -> int:
    """Bin of an age in years."""
    return min(int(age // 10), DECADES - 1)


class MetadataTables:
    """Log likelihoods relative to all lesions, classes in the order of the partition.

    `age` is decades x classes, `sex` sexes x classes, `site` sites x classes in the order of
    `site_nodes()`. A site's entry is the sum over its path: the first level given the class, then the
    second given the first, so that a lesion whose site is known coarsely says nothing about finer ones.
    """

    def __init__(self, age: FloatArray, sex: FloatArray, site: FloatArray) -> None:
        self.age, self.sex, self.site = age, sex, site
        place = {node: i for i, node in enumerate(site_nodes())}
        self._site_row = {node: place[site_path(node)[-1]] for node in body_sites().ids[1:]}

    def log(self, patient: PatientMetadata) -> FloatArray:
        """Sum over the fields that are known; zeros where none is."""
        total = np.zeros(self.age.shape[1])
        if patient.age_years is not None:
            total += self.age[decade(patient.age_years)]
        if patient.sex is not None:
            total += self.sex[SEXES.index(patient.sex)]
        if patient.site is not None:
            total += self.site[self._site_row[patient.site]]
        return total

    def arrays(self) -> dict[str, FloatArray]:
        """The tables by name."""
        return {"age": self.age, "sex": self.sex, "site": self.site}

    @classmethod
    def fit(cls, cases: Sequence[FusionCase], partition: Partition, strength: float) -> MetadataTables:
        """Tables of these cases; what is not known counts nowhere."""
        index = {name: k for k, name in enumerate(partition.ids)}
        width = len(index)
        age, sex = np.zeros((width, DECADES)), np.zeros((width, len(SEXES)))
        sites = {node: k for k, node in enumerate(site_nodes())}
        site = np.zeros((width, len(sites)))
        for case in cases:
            k, patient = index[case.truth], case.patient
            if patient.age_years is not None:
                _add_blurred(age[k], decade(patient.age_years))
            if patient.sex is not None:
                sex[k, SEXES.index(patient.sex)] += 1
            if patient.site is not None:
                for node in site_path(patient.site):
                    site[k, sites[node]] += 1
        tree = _Smoothing(partition, strength)
        return cls(tree(age).T, tree(sex).T, _site_table(site, sites, tree).T)


def _add_blurred(counts: FloatArray, at: int) -> None:
    for step, share in zip((-1, 0, 1), _BLUR, strict=True):
        counts[min(max(at + step, 0), DECADES - 1)] += share


def _site_table(counts: FloatArray, sites: Mapping[str, int], smooth: _Smoothing) -> FloatArray:
    """Classes x sites: log ratios of the first level, plus those of the second given the first."""
    taxonomy = body_sites()
    first = [sites[n] for n in taxonomy.children(taxonomy.root)]
    table = np.zeros_like(counts)
    table[:, first] = smooth(counts[:, first])
    for above in taxonomy.children(taxonomy.root):
        below = [sites[n] for n in taxonomy.children(above)]
        if below:
            table[:, below] = table[:, [sites[above]]] + smooth(counts[:, below])
    return table


class _Smoothing:
    """Class counts to log ratios of smoothed shares, class against all."""

    def __init__(self, partition: Partition, strength: float) -> None:
        nodes, self.chains = lineage(partition)
        self.strength = strength
        taxonomy = partition.taxonomy
        place = {node: i for i, node in enumerate(nodes)}
        ups = (taxonomy.node(n).parent for n in nodes)
        self.parents = [-1 if up is None else place[up] for up in ups]

    def __call__(self, counts: FloatArray) -> FloatArray:
        """Classes x bins counts to classes x bins log ratios; all finite."""
        totals = np.zeros((len(self.parents), counts.shape[1]))
        for row, chain in zip(counts, self.chains, strict=True):
            totals[list(chain)] += row
        shares = np.empty_like(totals)
        for i, up in enumerate(self.parents):
            above = shares[up] if up >= 0 else np.full(counts.shape[1], 1 / counts.shape[1])
            shares[i] = self._mixed(totals[i], above)
        own = np.array([self._mixed(r, shares[c[0]]) for r, c in zip(counts, self.chains, strict=True)])
        return np.asarray(np.log(own / shares[0]))

    def _mixed(self, counts: FloatArray, above: FloatArray) -> FloatArray:
        return np.asarray((counts + self.strength * above) / (counts.sum() + self.strength))
