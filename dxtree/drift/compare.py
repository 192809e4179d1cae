"""Did answers or inputs change between a reference and a period, by how much, and more than by chance?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from core.errors import InputError
from dxtree.drift.chance import judged
from dxtree.drift.sample import FloatArray, Sample
from dxtree.drift.stability import BINS, MUCH, SOME, edges_of, placed, stability_index

LEAST = 20
"""Cases without which neither a reference nor a period says anything."""

Kind = Literal["node", "input"]
Reading = Literal["stable", "chance", "small", "some", "much"]
"""`stable`: an index below .1 that chance explains. `chance`: one of .1 and more that it explains as well, so
that more cases are needed. `small`, `some`, `much`: a change that it does not explain, below .1, below .25,
and from there on."""


@dataclass(frozen=True)
class Row:
    """One node, or one property of the input. Means are over the cases in which it is known."""

    kind: Kind
    name: str
    reference_mean: float | None
    period_mean: float | None
    index: float
    by_chance: float
    p: float
    reading: Reading


@dataclass(frozen=True)
class Drift:
    """Every row, nodes by name and then the inputs, with what a reader must know of them."""

    reference_cases: int
    period_cases: int
    level: float
    rows: tuple[Row, ...]
    notices: tuple[str, ...]

    @property
    def worst(self) -> float:
        """The largest index that chance does not explain; 0 where there is none."""
        return max((r.index for r in self.rows if r.p <= self.level), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "worst": self.worst}


def compare(
    reference: Sample,
    period: Sample,
    *,
    level: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
    bins: int = BINS,
) -> Drift:
    """Compares cases of a period with those of a reference.

    `level` is the chance of any false alarm over all rows together. Raises `InputError` for fewer than 20
    cases on a side, answers over two partitions, or options out of range.
    """
    if not 0 < level < 1 or permutations < 1 / level or bins < 2:
        raise InputError(
            "the level lies between 0 and 1, there are at least 1 / level permutations and at least 2 bins"
        )
    for name, sample in (("reference", reference), ("period", period)):
        if sample.cases < LEAST:
            raise InputError(f"the {name} has {sample.cases} cases; at least {LEAST} are needed")
    if reference.partitions != period.partitions:
        raise InputError(
            "reference and period were answered over different partitions of the tree; compare those of one"
        )
    columns = _columns(reference, period)
    together = [np.concatenate([before, now]) for _, _, before, now in columns]
    edges = [edges_of(every, every, bins) for every in together]
    table = np.stack([placed(every, ends) for every, ends in zip(together, edges, strict=True)], axis=1)
    found = judged(
        table[: reference.cases],
        table[reference.cases :],
        np.array([len(ends) + 1 for ends in edges], np.int64),
        permutations=permutations,
        seed=seed,
    )
    indices = [stability_index(before, now, bins) for _, _, before, now in columns]
    rows = tuple(
        Row(kind, name, _mean(before), _mean(now), index, chance, p, _reading(index, p, level))
        for (kind, name, before, now), index, chance, p in zip(
            columns, indices, found.by_chance.tolist(), found.p.tolist(), strict=True
        )
    )
    return Drift(reference.cases, period.cases, level, rows, _notices(reference, period))


def _columns(reference: Sample, period: Sample) -> list[tuple[Kind, str, FloatArray, FloatArray]]:
    def of(sample: Sample, name: str) -> FloatArray:
        return sample.inputs.get(name, np.zeros(sample.cases))

    nodes = sorted(reference.nodes or period.nodes)
    unknown = np.full(0, np.nan)
    found: list[tuple[Kind, str, FloatArray, FloatArray]] = []
    for node in nodes:
        before, now = reference.nodes.get(node, unknown), period.nodes.get(node, unknown)
        # A side in which no case was answered has no nodes at all.
        before = before if len(before) else np.full(reference.cases, np.nan)
        now = now if len(now) else np.full(period.cases, np.nan)
        found.append(("node", node, before, now))
    if reference.inputs and period.inputs:
        names = sorted(reference.inputs.keys() | period.inputs.keys())
        found += [("input", name, of(reference, name), of(period, name)) for name in names]
    if not found:
        raise InputError("neither reference nor period has an answer, and nothing is known of the inputs")
    return found


def _notices(reference: Sample, period: Sample) -> tuple[str, ...]:
    found = []
    if not (reference.inputs and period.inputs):
        found.append("one side has answers alone, so the inputs are not compared")
    models = {m for sample in (reference, period) for m in sample.models}
    if len(models) > 1:
        found.append(f"{len(models)} model sets gave the answers; a change may be theirs")
    fusers = sorted(reference.fusers | period.fusers)
    if len(fusers) > 1:
        found.append(f"several fusers gave the answers: {', '.join(fusers)}; a change may be theirs")
    return tuple(found)


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _reading(index: float, p: float, level: float) -> Reading:
    if p > level:
        return "stable" if index < SOME else "chance"
    return "small" if index < SOME else "some" if index < MUCH else "much"
