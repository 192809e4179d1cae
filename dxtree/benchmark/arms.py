"""Which way of answering is one row of the table?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.case import FIELDS
from fusion.fitted import restricted
from plugins.specs import FusionCase


@dataclass(frozen=True)
class Arm:
    """A fuser over one evidence set and some inputs, perhaps calibrated or with something withheld.

    `variant` says what was done beyond that: the name of a calibrator, or "metadata permuted".
    """

    evidence: str
    fuser: str
    inputs: str
    variant: str | None = None

    def title(self, several: bool) -> str:
        """`logistic: both + metadata`; with the evidence set's name where there are several."""
        where = f"{self.evidence}/" if several else ""
        return f"{where}{self.fuser}: {self.inputs}" + (f", {self.variant}" if self.variant else "")


def with_inputs(case: FusionCase, members: Sequence[str]) -> FusionCase | None:
    """The case with these modalities and fields alone; `None` where it lacks one of the modalities.

    A field that is not known stays so: it is an input of the arm all the same.
    """
    wanted = {m for m in members if m not in FIELDS}
    evidence = tuple(e for e in case.evidence if e.modality in wanted)
    if len(evidence) < len(wanted):
        return None
    patient = restricted(case.patient, [m for m in members if m in FIELDS])
    return FusionCase(case.lesion, case.cohort, case.fold, evidence, patient, case.truth)
