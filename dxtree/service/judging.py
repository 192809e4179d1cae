"""Who judges a case that came over the network? One warmed pipeline, on a thread for every core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.beside import side_by_side
from core.contributions import check_node
from core.cores import usable_cores
from core.pipeline import Pipeline
from core.set_rule import SetRule
from dxtree.audit import AuditTrail
from dxtree.service.intake import Asked
from dxtree.set_of import set_of
from plugins.model_set import ModelSet
from plugins.registry import Registry


class Judge:
    """The models of one model set. `answer` may be called by `workers` threads at the same time."""

    def __init__(
        self,
        registry: Registry,
        models: ModelSet,
        pipeline: Pipeline,
        trail: AuditTrail | None = None,
        sets: SetRule | None = None,
    ) -> None:
        self.registry, self.models, self.trail, self.sets = registry, models, trail, sets
        self.workers = usable_cores()
        self.pipeline = replace(pipeline, models=side_by_side(pipeline.models, self.workers))
        self.faults: Mapping[str, str] = {}
        """By modality whose model could not be loaded: the error's code."""
        self.warmed = False

    def warm(self) -> None:
        """Loads every model and starts the decoders, so that the first case costs what the next ones do."""
        found = self.pipeline.warm(many=True)
        self.faults = {name: error.code for name, error in found.items() if error is not None}
        self.warmed = True

    @property
    def able(self) -> bool:
        """Whether it is warm and any modality can be judged."""
        return self.warmed and len(self.faults) < len(self.pipeline.models)

    def check(self, asked: Asked) -> None:
        """Raises the typed error of a node that is asked for and cannot be read, before any model runs."""
        for node in asked.options.explain:
            check_node(node, self.pipeline.sums)

    def answer(self, asked: Asked, actor: str | None = None) -> dict[str, Any]:
        """`Diagnosis.to_dict()`, with contributions where asked for. Raises what `diagnose` raises.

        With a rule the answer has a `prediction_set` too, or null there and a notice of the reason. With a
        trail every answer is on the disk before it is given, under the name of `actor`; raises what
        `AuditTrail.record` raises where it cannot be recorded.
        """
        options = asked.options
        pipeline = self.pipeline.with_prevalence(options.prevalence) if options.prevalence else self.pipeline
        found = pipeline.diagnose(asked.case, strict=options.strict)
        possible, why = (None, ()) if self.sets is None else set_of(self.sets, found)
        found = replace(found, notices=(*found.notices, *asked.notices, *why))
        if self.trail is not None:
            self.trail.record(asked.case, found, actor=actor, prediction_set=possible)
        answer = found.to_dict()
        if self.sets is not None:
            answer["prediction_set"] = None if possible is None else possible.to_dict()
        if options.explain:
            nodes = dict.fromkeys(options.explain) if found.evidence else ()
            told = [pipeline.contributions(asked.case, found, node) for node in nodes]
            answer["contributions"] = [c.to_dict() for c in told]
        return answer

    def modalities(self) -> list[dict[str, Any]]:
        """What images may be sent as."""
        titles = {n: self.registry.modalities.get(n).title for n in self.registry.modalities.names()}
        return [
            {"name": name, "title": titles.get(name, name), "state": self.faults.get(name, "ok")}
            for name in sorted(self.pipeline.models)
        ]

    def describe(self) -> dict[str, Any]:
        """Which models answer, down to their digests."""
        manifest = self.models.bundle.manifest
        return {
            "name": manifest.get("name"),
            "digest": self.models.bundle.digest,
            "licence": manifest.get("licence"),
            "demonstration": bool(manifest.get("demonstration", False)),
            "taxonomy": self.pipeline.partition.taxonomy.name,
            "partition": self.pipeline.partition.fingerprint,
            "training_classes": list(self.pipeline.partition.ids),
            "modalities": dict(self.models.modalities),
            "fuser": self.pipeline.fuser.name,
            "prediction_sets": None if self.sets is None else _told(self.sets),
        }


def _told(rule: SetRule) -> dict[str, Any]:
    """A rule without its thresholds."""
    kept = ("level", "coverage", "score", "per_class", "lesions", "provenance")
    return {k: v for k, v in rule.to_dict().items() if k in kept}
