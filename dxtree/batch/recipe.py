"""How is the pipeline of a run built, here or in another process? From names alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.checks import GatePolicy
from core.errors import DxtreeError
from core.pipeline import Pipeline
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.config import Settings

UNUSABLE = 3
"""Exit code of the faults by which a model or plugin cannot be used at all."""


@dataclass(frozen=True)
class Recipe:
    """Everything about a run but its cases; what `dxtree diagnose` takes as options. Can be sent.

    `settings` names plugins and the model set, `prevalence` node to share.
    """

    settings: Settings = field(default_factory=Settings.from_environment)
    fuser: str | None = None
    calibration: str | None = None
    engine: str = "auto"
    prevalence: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False
    gate: GatePolicy = field(default_factory=GatePolicy)

    def absolute(self) -> Recipe:
        """The same for a process with another working directory."""
        return replace(self, settings=self.settings.absolute())

    def pipeline(self) -> Pipeline:
        """The pipeline; its models are not loaded yet. Raises what a plugin, set or option lacks."""
        registry = load_registry(self.settings)
        models = find_model_set(registry, self.settings.models)
        made = assemble(registry, models, fuser=self.fuser, engine=self.engine, calibration=self.calibration)
        return made.with_prevalence(self.prevalence).with_gate(self.gate)

    def to_dict(self) -> dict[str, Any]:
        """The options that change an answer, as JSON."""
        gate = {"gate": dict(sorted(self.gate.actions.items()))} if self.gate.actions else {}
        return {
            "fuser": self.fuser,
            "calibration": self.calibration,
            "engine": self.engine,
            "prevalence": dict(sorted(self.prevalence.items())),
            "strict": self.strict,
            **gate,
        }


def ready(pipeline: Pipeline, modalities: tuple[str, ...], *, many: bool) -> dict[str, dict[str, str]]:
    """Loads the models of these modalities, where there are any, and answers their provenance.

    Raises the error of a model that cannot be used: with 100,000 rows to come it is better said at once.
    """
    offered = [m for m in modalities if m in pipeline.models]
    for fault in pipeline.warm(offered, many=many).values():
        if isinstance(fault, DxtreeError) and fault.exit_code == UNUSABLE:
            raise fault
    return {m: dict(pipeline.models[m]().provenance) for m in offered}
