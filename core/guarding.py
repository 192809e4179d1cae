"""How is a plugin called, so that whatever it raises or answers becomes a typed error?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from core.case import PatientMetadata
from core.errors import DxtreeError, PluginContractError
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Adjustment, Evidence, Fuser

T = TypeVar("T")


def guarded(who: str, function: Callable[[], T]) -> T:
    """Calls into a plugin. What it raises becomes a typed error, whose text repeats nothing of it."""
    try:
        return function()
    except (DxtreeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        raise PluginContractError(f"{who} failed with {type(error).__name__}") from error


def texts(provenance: Mapping[str, str]) -> dict[str, str]:
    """Provenance as texts, whatever the plugin put into it, so that it cannot break the JSON."""
    return {str(k): str(v) for k, v in provenance.items()}


def has_classes(probabilities: object, partition: Partition) -> bool:
    """Whether these are probabilities over the training classes of the partition, in order."""
    return isinstance(probabilities, LeafProbabilities) and probabilities.classes == partition.ids


@dataclass(frozen=True)
class GuardedFuser:
    """A fuser whose every answer is checked. Raises `PluginContractError` where it breaks its protocol."""

    fuser: Fuser
    partition: Partition

    @property
    def name(self) -> str:
        """Name of the fuser."""
        return self.fuser.name

    @property
    def provenance(self) -> Mapping[str, str]:
        """What the fuser says about itself, as texts."""
        return guarded(self._who, lambda: texts(self.fuser.provenance))

    @property
    def _who(self) -> str:
        return f"fuser {self.fuser.name!r}"

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        """Probabilities of the training classes."""
        return self._checked(guarded(self._who, lambda: self.fuser.fuse(evidence, patient)))

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        """Names of the metadata fields that enter the answer; each is known."""
        fields = guarded(self._who, lambda: tuple(self.fuser.used(patient)))
        if not set(fields) <= set(patient.known()):
            raise PluginContractError(f"{self._who} says that it used a field that is not known")
        return fields

    def prior(self, patient: PatientMetadata) -> LeafProbabilities | None:
        """What the fuser says without any image; `None` where it has no such method or no answer."""
        ask = getattr(self.fuser, "prior", None)
        found = guarded(self._who, lambda: ask(patient)) if ask is not None else None
        return None if found is None else self._checked(found)

    def _checked(self, leaf: object) -> LeafProbabilities:
        if not isinstance(leaf, LeafProbabilities) or not has_classes(leaf, self.partition):
            raise PluginContractError(f"{self._who} did not answer with the training classes")
        return leaf


def adjusted(
    leaf: LeafProbabilities, adjustments: Sequence[Adjustment], partition: Partition
) -> LeafProbabilities:
    """The probabilities after every adjustment in order.

    Raises `PluginContractError` where one breaks its protocol.
    """
    for one in adjustments:
        who = _called(one)
        leaf = guarded(who, partial(one.apply, leaf))
        if not has_classes(leaf, partition):
            raise PluginContractError(f"{who} did not answer with the training classes")
    return leaf


def adjustment_provenance(one: Adjustment) -> dict[str, str]:
    """The name of an adjustment and what it says about itself, as texts."""
    name = {"name": str(one.name)}
    return name | guarded(_called(one), lambda: texts(one.provenance))


def _called(one: Adjustment) -> str:
    return f"adjustment {one.name!r}"
