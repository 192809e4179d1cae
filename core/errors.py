"""Which faults can a caller meet, and what does each ask of them?

Every exception that dxtree raises on purpose is a node of this tree::

    DxtreeError
    ├── InputError                      the caller's case or file is at fault
    │   ├── EmptyInput                  zero bytes, no image
    │   ├── UnsupportedFormat           not one of the listed image formats
    │   ├── ImageTooLarge               bytes, pixels, side or aspect over the limit
    │   ├── ImageTooSmall               a side under 64 pixels
    │   ├── CorruptImage                truncated or damaged
    │   ├── MultiFrame                  several frames or pages
    │   ├── UnsupportedPixels           a colour mode that cannot be read without guessing
    │   ├── DecodeTimeout               the decoder was stopped
    │   ├── PathRejected                not a regular file, or outside the allowed root
    │   ├── MetadataError               age, sex, site or another field of the patient
    │   ├── CaseError                   the case as a whole
    │   ├── DuplicateId                 two cases of one id
    │   └── UnknownModality             no model answers for this modality
    ├── TaxonomyError                   the tree is not a tree
    │   ├── UnknownNode                 no node of this id
    │   └── BelowTrainingClass          the node cannot be read from these classes
    ├── PartitionError                  counts or maximum class size
    ├── BundleError                     a model on disk
    │   ├── ManifestMismatch            a byte differs from the manifest
    │   ├── UnsafeFormat                pickle, TorchScript and their kin
    │   └── ContractError               labels, taxonomy, shapes or version do not fit
    ├── PluginError                     a plugin is broken, duplicate or misspelt
    │   ├── PluginContractError         a plugin answered with the wrong thing
    │   ├── PluginNotAllowed            the allow-list does not hold this plugin, or other files of it
    │   └── PluginVersionError          it was written for another version of the hooks
    ├── ModelError                      a model failed while it ran
    │   ├── NonFiniteOutput             NaN, infinite or all-zero probabilities
    │   ├── IncoherentOutput            the tree does not sum up
    │   └── AllModalitiesFailed         nothing is left to fuse
    ├── CohortError                     a data set's folder or table
    │   └── LeakageError                one lesion on both sides of a split, or an input that tells
    ├── TrainingError                   a training run cannot go on
    │   ├── NonFiniteLoss               the loss became NaN or infinite
    │   ├── RunLocked                   another process works in this folder
    │   └── OutOfSpace                  the disk is full
    ├── AuditError                      an audit trail does not hold or cannot be written
    ├── ExplanationError                no map of where an answer hangs: method, net or time
    └── MissingExtra                    an optional dependency is not installed

A message names the field, the rule and the remedy. It never repeats a value that came with a
patient; values of taxonomies, bundles and options may be repeated. `status` is the HTTP status that a
service answers with, `exit_code` what the command line ends with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class DxtreeError(Exception):
    """Root of every fault raised on purpose; `safe_message` may be shown to anybody."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, safe_message: str) -> None:
        super().__init__(safe_message)
        self.safe_message = safe_message

    @property
    def code(self) -> str:
        """A stable name for programs: the class name."""
        return type(self).__name__


class InputError(DxtreeError):
    """The caller's case or file is at fault."""

    status = 422
    exit_code = 2


class EmptyInput(InputError):
    """Zero bytes, or no image at all."""


class UnsupportedFormat(InputError):
    """Not one of the listed image formats."""

    status = 415


class ImageTooLarge(InputError):
    """Bytes, pixels, side or aspect over the limit."""

    status = 413


class ImageTooSmall(InputError):
    """A side under the minimum."""


class CorruptImage(InputError):
    """Truncated or damaged."""


class MultiFrame(InputError):
    """Several frames or pages where one is expected."""


class UnsupportedPixels(InputError):
    """A colour mode that cannot be read without guessing."""


class DecodeTimeout(InputError):
    """The decoder took too long and was stopped."""


class PathRejected(InputError):
    """Not a regular file, unreadable, or outside the allowed root."""


class MetadataError(InputError):
    """Age, sex, site or another field of the patient."""


class CaseError(InputError):
    """The case as a whole."""


class DuplicateId(InputError):
    """Two cases of one id."""


class UnknownModality(InputError):
    """No model answers for this modality."""


class TaxonomyError(DxtreeError):
    """The tree is not a tree, or cannot be read."""

    status = 422
    exit_code = 2


class UnknownNode(TaxonomyError):
    """No node of this id."""


class BelowTrainingClass(TaxonomyError):
    """The node lies inside a training class, so nothing can be read there."""


class PartitionError(DxtreeError):
    """Counts or maximum class size."""

    status = 422
    exit_code = 2


class BundleError(DxtreeError):
    """A model on disk cannot be used."""

    status = 503
    exit_code = 3


class ManifestMismatch(BundleError):
    """A byte differs from the manifest."""


class UnsafeFormat(BundleError):
    """A format that can run code when read."""


class ContractError(BundleError):
    """Labels, taxonomy, shapes or format version do not fit."""


class PluginError(DxtreeError):
    """A plugin is broken, duplicate or misspelt."""

    status = 503
    exit_code = 3


class PluginContractError(PluginError):
    """A plugin answered with the wrong type, shape or labels."""


class PluginNotAllowed(PluginError):
    """The allow-list does not hold this plugin, or holds other files of it."""


class PluginVersionError(PluginError):
    """A plugin was written for another version of the hooks."""


class ModelError(DxtreeError):
    """A model failed while it ran."""

    status = 503
    exit_code = 3


class NonFiniteOutput(ModelError):
    """NaN, infinite, negative or all-zero probabilities."""


class IncoherentOutput(ModelError):
    """Children do not sum to their parent."""


class AllModalitiesFailed(ModelError):
    """Nothing is left to fuse."""


class CohortError(DxtreeError):
    """A data set's folder or table cannot be used."""

    status = 422
    exit_code = 2


class LeakageError(CohortError):
    """One lesion stands on both sides of a split, or an input gives the diagnosis away."""


class TrainingError(DxtreeError):
    """A training run cannot start or go on."""

    exit_code = 4


class NonFiniteLoss(TrainingError):
    """The loss became NaN or infinite."""

    exit_code = 5


class RunLocked(TrainingError):
    """Another process works in this folder."""

    exit_code = 6


class OutOfSpace(TrainingError):
    """The disk is full; what was saved before is whole."""

    exit_code = 4


class AuditError(DxtreeError):
    """An audit trail does not hold, or cannot be read or written."""

    status = 503
    exit_code = 2


class ExplanationError(DxtreeError):
    """A map of where an answer hangs cannot be made: unknown method, unsuited net, or too little time."""

    status = 422
    exit_code = 2


class MissingExtra(DxtreeError):
    """An optional dependency is not installed."""

    status = 503
    exit_code = 3

    def __init__(self, needed: str, extra: str) -> None:
        super().__init__(f"{needed} needs the extra {extra!r}: pip install 'dxtree[{extra}]'")
        self._given = (needed, extra)

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Crosses a process boundary, which calls the constructor again."""
        return type(self), self._given


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'x'?"`, or nothing where no allowed term is near. For values that may be shown."""
    near = difflib.get_close_matches(value, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
