"""How much does every image and every metadata field move the log-odds of a node?

Shapley values (Shapley 1953) over the modalities and the known fields that the fuser uses; within a
modality, Owen values (Owen 1977) of its images. The fuser answers for every subset of what is
known. They sum exactly from the log-odds without any image or field to those of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from typing import Any

from core.case import PatientMetadata
from core.coalitions import added, shapley, weights
from core.diagnosis import RESEARCH_USE
from core.errors import CaseError, ContractError, TaxonomyError
from core.guarding import adjusted
from core.probabilities import LeafProbabilities, TreeProbabilities, mean
from core.protocols import Adjustment, Evidence, Fuser
from core.tree import TreeSums

FLOOR = 1e-12
"""Least probability of a node and of its opposite: log-odds lie within 27.7, and a change of rounding in
the last digits of a probability cannot look like evidence."""


@dataclass(frozen=True)
class Contributions:
    """What moves the log-odds of `node` from `prior_log_odds` to `log_odds`; all in natural logarithms.

    `by_modality` and `by_field` sum to the difference, within 1e-9. `by_image` maps modality and the number
    of the image among those of the modality, from 1, to its part; the parts sum to the modality's. A
    modality of several images whose single answers were not kept has none. `prior_from` says what answered
    without images: "fuser", or "training priors", where fields add nothing without an image. `exact` is
    false where there were too many images or modalities for every order; then random orders were drawn.
    """

    node: str
    prior_log_odds: float
    log_odds: float
    by_modality: Mapping[str, float]
    by_field: Mapping[str, float]
    by_image: Mapping[tuple[str, int], float]
    prior_from: str
    exact: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "node": self.node,
            "prior_log_odds": self.prior_log_odds,
            "log_odds": self.log_odds,
            "modalities": dict(self.by_modality),
            "fields": dict(self.by_field),
            "images": [
                {"modality": modality, "image": number, "log_odds": value}
                for (modality, number), value in self.by_image.items()
            ],
            "prior_from": self.prior_from,
            "exact": self.exact,
        }

    def rows(self) -> list[tuple[str, float]]:
        """What a table shows: a label and log-odds, images indented below a modality that has several."""
        found = [(f"before any image ({self.prior_from})", self.prior_log_odds)]
        for modality, value in self.by_modality.items():
            found.append((modality, value))
            images = [(k, v) for (m, k), v in self.by_image.items() if m == modality]
            found += [(f"  image {k}", v) for k, v in images if len(images) > 1]
        return [*found, *self.by_field.items(), ("answer", self.log_odds)]

    def lines(self) -> list[str]:
        """An aligned table as text, one line a row, below a heading."""
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        how = "" if self.exact else ", from random orders"
        table = [f"  {label:<{width}}  {value:+7.2f}" for label, value in rows]
        return [f"log-odds of {self.node}{how}", *table]

    def __str__(self) -> str:
        return "\n".join([*self.lines(), RESEARCH_USE])


def check_node(node: str, sums: TreeSums) -> None:
    """Raises `UnknownNode`, `BelowTrainingClass`, or `TaxonomyError` for the root, which is always true."""
    sums.column(node)
    if node == sums.partition.taxonomy.root:
        raise TaxonomyError(f"{node!r} is the root, which is always true; name a node below it")


def contributions(
    fuser: Fuser,
    evidence: Sequence[Evidence],
    patient: PatientMetadata,
    node: str,
    sums: TreeSums,
    *,
    adjustments: Sequence[Adjustment] = (),
    seed: int = 0,
) -> Contributions:
    """Contributions to the log-odds of a node, for any fuser, which is asked for subsets of what is known.

    Without any image the answer is what the fuser's `prior` says, and where it has none the mean of the
    modalities' training priors. `adjustments` follow every answer. Probabilities are floored at 1e-12.
    Above 10 images of a modality, or 10 modalities and fields, orders are drawn from `seed`, each with its
    reverse. Raises what `check_node` raises, `CaseError` without evidence, `ContractError` for a modality
    that stands twice or evidence that kept the answers of other images than it counts.
    """
    check_node(node, sums)
    game = _Game(fuser, evidence, patient, node, sums, adjustments)
    outer = weights(len(game.full), seed)

    def moved(union: int, inside: int) -> float:
        """What the images `inside` a modality, or a field, add to the modalities and fields before it."""
        return added(outer.before[union], lambda c: game.value(c, union, inside) - game.value(c, union, 0))

    by_image: dict[tuple[str, int], float] = {}
    exact = outer.exact
    for union, one in enumerate(game.evidence):
        if game.each[union]:
            orders = weights(len(game.each[union]), seed)
            parts = shapley(orders, cache(partial(moved, union)))
            by_image |= {(one.modality, n): p for n, p in zip(_numbers(one), parts, strict=True)}
            exact = exact and orders.exact
    whole = [moved(union, inside) for union, inside in enumerate(game.full)]
    return Contributions(
        node=node,
        prior_log_odds=game.log_odds((0,) * len(game.full)),
        log_odds=game.log_odds(game.full),
        by_modality={e.modality: v for e, v in zip(game.evidence, whole, strict=False)},
        by_field=dict(zip(game.fields, whole[len(game.evidence) :], strict=True)),
        by_image=by_image,
        prior_from="fuser" if game.has_prior else "training priors",
        exact=exact,
    )


class _Game:
    """Log-odds for any part of what is known. The unions are the modalities, then the fields.

    A state holds one whole number a union: the coalition of its images, or 0 and 1 for one without parts.
    """

    def __init__(
        self,
        fuser: Fuser,
        evidence: Sequence[Evidence],
        patient: PatientMetadata,
        node: str,
        sums: TreeSums,
        adjustments: Sequence[Adjustment],
    ) -> None:
        self.evidence = tuple(sorted(evidence, key=lambda e: e.modality))
        _check(self.evidence)
        self.each = [_each(e) for e in self.evidence]
        self.fields = fuser.used(patient)
        self.full = (*((1 << max(len(e), 1)) - 1 for e in self.each), *(1 for _ in self.fields))
        self._fuser, self._patient, self._adjustments = fuser, patient, adjustments
        self._node, self._sums = node, sums
        self._training = mean(e.prior for e in self.evidence)
        self._known: dict[tuple[int, ...], float] = {}
        self.has_prior = self._prior(self._restricted((0,) * len(self.fields))) is not None

    def value(self, before: int, union: int, inside: int) -> float:
        """Log-odds where the unions `before` are known as a whole and of one more what is `inside`."""
        state = [whole if before >> u & 1 else 0 for u, whole in enumerate(self.full)]
        state[union] = inside
        return self.log_odds(tuple(state))

    def log_odds(self, state: tuple[int, ...]) -> float:
        """Log-odds of the node from what a state knows."""
        if state not in self._known:
            leaf = adjusted(self._answer(state), self._adjustments, self._sums.partition)
            p = TreeProbabilities(self._sums, leaf)[self._node]
            self._known[state] = math.log(max(p, FLOOR)) - math.log(max(1 - p, FLOOR))
        return self._known[state]

    def _answer(self, state: tuple[int, ...]) -> LeafProbabilities:
        seen = [
            self._part(union, inside) for union, inside in enumerate(state[: len(self.evidence)]) if inside
        ]
        patient = self._restricted(state[len(self.evidence) :])
        if seen:
            return self._fuser.fuse(seen, patient)
        found = self._prior(patient) if self.has_prior else None
        return self._training if found is None else found

    def _part(self, union: int, inside: int) -> Evidence:
        one = self.evidence[union]
        if inside == self.full[union]:
            return one
        kept = tuple(p for k, p in enumerate(self.each[union]) if inside >> k & 1)
        return replace(one, probabilities=mean(kept), images=len(kept), each=kept, numbers=())

    def _restricted(self, known: Sequence[int]) -> PatientMetadata:
        dropped = [f for f, there in zip(self.fields, known, strict=True) if not there]
        return self._patient.model_copy(update=dict.fromkeys(dropped)) if dropped else self._patient

    def _prior(self, patient: PatientMetadata) -> LeafProbabilities | None:
        ask: Callable[[PatientMetadata], LeafProbabilities | None] | None
        ask = getattr(self._fuser, "prior", None)
        return None if ask is None else ask(patient)


def _each(one: Evidence) -> tuple[LeafProbabilities, ...]:
    """What every image said; empty where it was not kept and cannot be known."""
    return one.each or ((one.probabilities,) if one.images == 1 else ())


def _numbers(one: Evidence) -> tuple[int, ...]:
    return one.numbers or tuple(range(1, one.images + 1))


def _check(evidence: Sequence[Evidence]) -> None:
    if not evidence:
        raise CaseError("no image of the case could be judged, so nothing moved a probability")
    for one, other in pairwise(evidence):
        if one.modality == other.modality:
            raise ContractError(f"modality {one.modality!r} gives evidence twice")
    for one in evidence:
        if len(one.each) not in (0, one.images) or len(_numbers(one)) != one.images:
            raise ContractError(
                f"the evidence of {one.modality!r} counts {one.images} images and keeps {len(one.each)} "
                f"answers and {len(one.numbers)} numbers; keep one an image, or none"
            )
