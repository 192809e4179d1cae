"""How does a case become a diagnosis? The algorithm, against protocols alone.

    Case -> images by modality -> model -> mean per modality with its prior -> fuser -> adjustments
    -> tree sums -> answer

Fusion comes before the tree. No order of images, modalities or plugins changes a bit of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from core.case import FIELDS, Case
from core.checks import GatePolicy
from core.contributions import Contributions, contributions
from core.diagnosis import Diagnosis, Notice, Status
from core.errors import CaseError, ContractError, DxtreeError
from core.gathering import LEFT_OUT, Gathered, Models, gather, loader_of
from core.guarding import GuardedFuser, adjusted, adjustment_provenance
from core.partition import Partition
from core.prevalence import Prevalence, source_mixture
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.protocols import Adjustment, Fuser
from core.tree import TreeSums

Observer = Callable[[Case, Diagnosis], None]


@dataclass(frozen=True)
class Pipeline:
    """Models by modality, a fuser and the partition they share.

    `abstain_below`: where no first-level node reaches this probability the status is "abstained"; the
    numbers stay in the answer. `observers` are told every diagnosis and cannot change it. `fallback`
    answers, with a notice, where a modality is none that `fuser` was fitted for. `adjustments` are applied
    in order between fuser and tree; `calibrated` says that the first of them is the calibration, and the
    shift of `with_prevalence` is the last. Raises `ContractError` where they stand otherwise. `gate` says
    what is done about images that a check of their model flags.
    """

    partition: Partition
    models: Models
    fuser: Fuser
    abstain_below: float = 0.4
    observers: tuple[Observer, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    fallback: Fuser | None = None
    adjustments: tuple[Adjustment, ...] = ()
    calibrated: bool = False
    gate: GatePolicy = field(default_factory=GatePolicy)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sums", TreeSums(self.partition))
        if self.calibrated and (not self.adjustments or isinstance(self.adjustments[0], Prevalence)):
            raise ContractError("a calibrated pipeline needs the calibration as its first adjustment")
        if any(isinstance(a, Prevalence) for a in self.adjustments[:-1]):
            raise ContractError("a prevalence stands once among the adjustments, as the last one")

    @property
    def sums(self) -> TreeSums:
        """The sums over this pipeline's partition."""
        sums: TreeSums = self._sums  # type: ignore[attr-defined]
        return sums

    @property
    def prevalence(self) -> Prevalence | None:
        """The shift that `with_prevalence` made, if any."""
        last = self.adjustments[-1] if self.adjustments else None
        return last if isinstance(last, Prevalence) else None

    def with_fuser(self, fuser: Fuser) -> Pipeline:
        """The same models under another fuser: compare on one `gather` without a CNN running twice.

        A calibration is fitted for one fuser and stays behind; so does nothing else. A prevalence is built
        anew from the mixture of the new fuser unless its source was given.
        """
        if fuser is self.fuser:
            return self
        other = replace(self, fuser=fuser, adjustments=self._uncalibrated(), calibrated=False)
        return other._with_prevalence_anew()

    def with_calibration(self, calibration: Adjustment | None) -> Pipeline:
        """The same with this calibration in place of any other, always the first adjustment."""
        first = () if calibration is None else (calibration,)
        kept = (*first, *self._uncalibrated())
        return replace(self, adjustments=kept, calibrated=calibration is not None)._with_prevalence_anew()

    def with_prevalence(
        self, shares: Mapping[str, float] | None, source: LeafProbabilities | None = None
    ) -> Pipeline:
        """The same for a clinic where nodes of the tree have these shares; `None` or none takes it back.

        `source` is the mixture of training classes in which this pipeline's answers are right; without it
        an adjustment or the fuser says it. Errors are those of `Prevalence` and `source_mixture`.
        """
        rest = self.adjustments[:-1] if self.prevalence else self.adjustments
        if not shares:
            return replace(self, adjustments=rest)
        told = source is not None
        mixture = source if source is not None else source_mixture(self._guarded_fuser, rest)
        shift = Prevalence(self.sums, mixture, shares, source_given=told)
        return replace(self, adjustments=(*rest, shift))

    def with_gate(self, policy: GatePolicy) -> Pipeline:
        """The same where `policy` says what is done about a flagged image."""
        return replace(self, gate=policy)

    def diagnose(self, case: Case, *, strict: bool = False) -> Diagnosis:
        """One case to one answer.

        Raises `UnknownModality` for a modality without a model and `AllModalitiesFailed`, or the only
        fault where it is the input's, when nothing is left to fuse. With `strict` the first modality
        that fails raises its own error instead of a partial answer.
        """
        return self.conclude(case, self.gather(case, strict=strict))

    def gather(self, case: Case, *, strict: bool = False) -> Gathered:
        """Runs the models: the part of a diagnosis that costs time. Errors are those of `diagnose`."""
        return gather(case, self.models, self.partition, strict=strict, gate=self.gate)

    def fuse(self, case: Case, gathered: Gathered) -> Diagnosis:
        """Fuses what was gathered, adjusts it and sums it up the tree."""
        pipeline, notices = self._answering(gathered)
        return pipeline._fuse(case, replace(gathered, notices=(*gathered.notices, *notices)))

    def conclude(self, case: Case, gathered: Gathered) -> Diagnosis:
        """What follows `gather` in a diagnosis: `fuse`, and the observers are told."""
        answer = self.fuse(case, gathered)
        notices = [n for n in (_observe(o, case, answer) for o in self.observers) if n is not None]
        return replace(answer, notices=(*answer.notices, *notices)) if notices else answer

    def warm(
        self, modalities: Iterable[str] | None = None, *, many: bool = False
    ) -> dict[str, DxtreeError | None]:
        """Loads every model, or those of the named modalities, and puts a drawn picture through each.

        Afterwards the first case costs what the next ones do; a second call finds everything loaded. Without
        `many` that holds for `diagnose`, with it for `diagnose_many` too, whose engines are others and whose
        decoders are as many as the cores. Answers, by modality, `None` or what stood in the way. No observer
        is told. Raises `UnknownModality` for a name without a model, before anything is loaded.
        """
        from core.warming import warm  # it stands above this module

        names = sorted(self.models) if modalities is None else list(modalities)
        for name in names:
            loader_of(name, self.models)
        return {name: warm(self, name, many=many) for name in names}

    def contributions(self, case: Case, gathered: Gathered | Diagnosis, node: str) -> Contributions:
        """What every image and metadata field adds to the log-odds of a node, after all adjustments.

        `gathered` is what `gather` found for the case, or the answer that `diagnose` gave to it; no model
        runs. Raises `CaseError` for the answer to another case and where no image could be judged, and what
        `core.contributions.contributions` raises.
        """
        if isinstance(gathered, Diagnosis) and gathered.case_id != case.id:
            raise CaseError("the answer belongs to another case; give the case that was diagnosed")
        pipeline, _ = self._answering(gathered)
        return contributions(
            pipeline._guarded_fuser,
            gathered.evidence,
            case.patient,
            node,
            pipeline.sums,
            adjustments=pipeline.adjustments,
        )

    def _uncalibrated(self) -> tuple[Adjustment, ...]:
        return self.adjustments[1:] if self.calibrated else self.adjustments

    def _with_prevalence_anew(self) -> Pipeline:
        asked = self.prevalence
        return self if asked is None or asked.source_given else self.with_prevalence(asked.shares)

    def _fuse(self, case: Case, gathered: Gathered) -> Diagnosis:
        patient, evidence = case.patient, gathered.evidence
        missing = [m for m in sorted(self.models) if m not in {e.modality for e in evidence}]
        missing += [f for f in FIELDS if getattr(patient, f) is None]
        tree: TreeProbabilities | None = None
        status: Status = "abstained"
        doubt: tuple[Notice, ...] = ()
        used: tuple[str, ...] = ()
        fuser = self._guarded_fuser
        if evidence:
            leaf, fields = fuser.fuse(evidence, patient), fuser.used(patient)
            tree = TreeProbabilities(self.sums, adjusted(leaf, self.adjustments, self.partition))
            status, doubt = self._status(tree, gathered)
            used = (*(e.modality for e in evidence), *fields)
        told = () if self.prevalence is None else (Notice("Prevalence", self.prevalence.text),)
        return Diagnosis(
            case_id=case.id,
            status=status,
            tree=tree,
            leaf=tree.leaf if tree else None,
            evidence=evidence,
            fuser=self.fuser.name,
            used=used,
            missing=tuple(missing),
            notices=(*gathered.notices, *told, *doubt),
            modalities_failed={m: e.code for m, e in gathered.failed.items()},
            provenance=self._provenance(gathered),
            checks=gathered.checks,
        )

    def _provenance(self, gathered: Gathered) -> dict[str, object]:
        found: dict[str, object] = {
            **self.provenance,
            "models": dict(gathered.models),
            "fuser": self._guarded_fuser.provenance,
        }
        if self.gate.actions:
            found["gate"] = dict(sorted(self.gate.actions.items()))
        if self.adjustments:
            found["adjustments"] = [adjustment_provenance(a) for a in self.adjustments]
        return found

    def _answering(self, gathered: Gathered | Diagnosis) -> tuple[Pipeline, tuple[Notice, ...]]:
        """The pipeline itself, or one with the fallback and a notice where the fuser was not fitted so."""
        fitted = getattr(self.fuser, "modalities", None)
        foreign = [e.modality for e in gathered.evidence if fitted is not None and e.modality not in fitted]
        if not foreign or self.fallback is None:
            return self, ()
        text = f"{self.fuser.name} was not fitted with {foreign[0]}; {self.fallback.name} fused in its place"
        text += ", without calibration" if self.calibrated else ""
        return replace(self.with_fuser(self.fallback), fallback=None), (Notice("OtherFuser", text),)

    @property
    def _guarded_fuser(self) -> GuardedFuser:
        return GuardedFuser(self.fuser, self.partition)

    def _status(self, tree: TreeProbabilities, gathered: Gathered) -> tuple[Status, tuple[Notice, ...]]:
        taxonomy = self.partition.taxonomy
        best = max((tree[n] for n in taxonomy.children(taxonomy.root) if n in tree), default=0.0)
        if best < self.abstain_below:
            text = (
                f"no first-level group reaches {self.abstain_below:.0%}; the numbers are shown for study only"
            )
            return "abstained", (Notice("LowConfidence", text),)
        left_out = gathered.failed or any(n.code == LEFT_OUT for n in gathered.notices)
        return ("partial" if left_out else "complete"), ()


def _observe(observer: Observer, case: Case, diagnosis: Diagnosis) -> Notice | None:
    # Each observer gets mappings of its own: what it writes into them is not in the answer.
    own = replace(
        diagnosis,
        modalities_failed=dict(diagnosis.modalities_failed),
        provenance=deepcopy(dict(diagnosis.provenance)),
    )
    try:
        observer(case, own)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an observer may raise anything; it must not change an answer
        return Notice("ObserverFailed", f"an observer failed with {type(error).__name__}")
    return None
