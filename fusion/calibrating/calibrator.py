"""How sure may an answer be, after fusion? Probabilities of the training classes, made to come true.

A calibrator stands between a fuser and the tree and changes probabilities of training classes, so that every
node's probability stays the sum of its classes'. It is fitted for one fuser; see `fusion.calibrating.fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from core.errors import BundleError, ContractError, NonFiniteOutput
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.tree import FloatArray
from fusion.calibrating.affine import Affine
from fusion.calibrating.isotonic import Curves
from fusion.calibrating.tree import TreeScaling, parts_of, splits_of
from fusion.tensors import Shapes, pack, unpack

KINDS = ("identity", "temperature", "tree", "vector", "isotonic", "dirichlet")
"""The calibrators, simplest first: by how much each may learn from a few lesions."""

KIND = "calibration"
"""The manifest's `kind`."""

ARRAYS = "calibration.safetensors"


class Scale(Protocol):
    """What a calibrator learned."""

    def weights(self, rows: FloatArray) -> FloatArray:
        """Probabilities, rows x classes, to weights > 0 that need scaling; each row by itself."""
        ...


@dataclass(frozen=True)
class Calibrator:
    """A calibrator as `core.protocols.Adjustment` asks for it.

    `scale` is `None` for the identity. `mixture` is that of the lesions of the fit, in which the answers are
    right; `None` for the identity, which leaves the fuser's own. `about` is the provenance.
    """

    kind: str
    partition: Partition
    scale: Scale | None = None
    mixture: LeafProbabilities | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Kind of the calibrator."""
        return self.kind

    @property
    def provenance(self) -> Mapping[str, str]:
        """What it was fitted on."""
        return self.about

    def apply(self, leaf: LeafProbabilities) -> LeafProbabilities:
        """The calibrated probabilities. Raises `ContractError` for other classes than the partition's."""
        if leaf.classes != self.partition.ids:
            raise ContractError(f"the {self.kind} calibrator was fitted for other training classes")
        if self.scale is None:
            return leaf
        return LeafProbabilities(leaf.classes, self.apply_rows(leaf.values[None, :])[0])

    def apply_rows(self, rows: FloatArray) -> FloatArray:
        """Rows x classes to calibrated rows; each has the bits that `apply` gives it.

        Raises `ContractError` for another width and `NonFiniteOutput` for values that are no probabilities.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.partition.ids):
            raise ContractError(
                f"probabilities are rows x {len(self.partition.ids)} classes, not {rows.shape}"
            )
        if not np.isfinite(rows).all() or (rows < 0).any():
            raise NonFiniteOutput("probabilities to calibrate must be finite and >= 0")
        if self.scale is None:
            return rows
        weights = np.ascontiguousarray(self.scale.weights(np.ascontiguousarray(rows, np.float64)))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def to_files(
    calibrator: Calibrator, fuser: str, told: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files of the bundle; `told` is what the manifest says beyond that."""
    scale, mixture = calibrator.scale, calibrator.mixture
    manifest: dict[str, Any] = {
        "kind": KIND,
        "calibrator": calibrator.kind,
        "fuser": fuser,
        "classes": list(calibrator.partition.ids),
        "partition": calibrator.partition.fingerprint,
        "mixture": None if mixture is None else mixture.to_dict(),
        **told,
    }
    if scale is None:
        return manifest, {}
    if isinstance(scale, Curves):
        manifest |= {"curve": list(scale.curve), "knots": list(scale.knots)}
        return manifest, {ARRAYS: pack({"x": scale.x, "y": scale.y})}
    if not isinstance(scale, Affine | TreeScaling):
        raise ContractError(f"a calibrator that holds {type(scale).__name__} cannot be written")
    return manifest, {ARRAYS: pack({"slope": scale.slope, "offset": scale.offset})}


def from_files(partition: Partition, bundle: Bundle, fuser: str) -> Calibrator:
    """The calibrator of a checked bundle.

    Raises `ContractError` for another kind of bundle, a calibrator that is not known, one of another fuser
    or other training classes, and arrays that do not fit.
    """
    _check(partition, bundle, fuser)
    kind = bundle.require("calibrator", str)
    if kind not in KINDS:
        raise ContractError(f"the bundle's calibrator is {kind!r}; there are {', '.join(KINDS)}")
    told = ("cohort", "lesions", "licence")
    about = {k: str(bundle.manifest[k]) for k in told if k in bundle.manifest}
    about |= {"fuser": fuser, "digest": bundle.digest}
    if kind == "identity":
        return Calibrator("identity", partition, about=about)
    scale = _READERS[kind](partition, bundle)
    return Calibrator(kind, partition, scale, _mixture(partition, bundle), about)


def _check(partition: Partition, bundle: Bundle, fuser: str) -> None:
    for key, wanted in (("kind", KIND), ("fuser", fuser)):
        found = bundle.require(key, str)
        if found != wanted:
            raise ContractError(f"the bundle's {key!r} is {found!r}, not {wanted!r}")
    same = bundle.require("partition", str) == partition.fingerprint
    if not same or tuple(bundle.require("classes", list)) != partition.ids:
        raise ContractError(
            f"the calibration belongs to other training classes than partition {partition.fingerprint[:12]}; "
            "fit it anew with dxtree fit-fusion"
        )


def _mixture(partition: Partition, bundle: Bundle) -> LeafProbabilities:
    shares = bundle.require("mixture", dict)
    values = [shares.get(name) for name in partition.ids]
    if len(shares) != len(values) or not all(isinstance(v, float) for v in values):
        raise ContractError("the calibration's mixture must hold one number a training class")
    try:
        return LeafProbabilities(partition.ids, np.array(values, np.float64))
    except NonFiniteOutput as error:
        raise ContractError("the calibration's mixture must be shares that sum to 1") from error


def _arrays(bundle: Bundle, shapes: Shapes) -> dict[str, FloatArray]:
    if ARRAYS not in bundle.files:
        raise BundleError(f"the calibration lacks {ARRAYS!r}; fit it anew with dxtree fit-fusion")
    return unpack(bundle.files[ARRAYS], shapes)


def _affine(partition: Partition, bundle: Bundle) -> Affine:
    classes = len(partition.ids)
    square = bundle.manifest["calibrator"] == "dirichlet"
    shapes = {"slope": (classes, classes) if square else (classes,), "offset": (classes,)}
    return Affine(**_arrays(bundle, shapes))


def _tree(partition: Partition, bundle: Bundle) -> TreeScaling:
    splits = splits_of(partition)
    parts = (parts_of(splits),)
    return TreeScaling(splits, **_arrays(bundle, {"slope": parts, "offset": parts}))


def _curves(partition: Partition, bundle: Bundle) -> Curves:
    curve, knots = (bundle.require(key, list) for key in ("curve", "knots"))
    if not all(type(n) is int and n >= 0 for n in (*curve, *knots)) or len(curve) != len(partition.ids):
        raise ContractError("the calibration's curve and knots must be whole numbers, a curve for each class")
    size = (sum(knots),)
    found = Curves(tuple(curve), tuple(knots), **_arrays(bundle, {"x": size, "y": size}))
    if not found.rises():
        raise ContractError("the calibration's curves must rise and stay within 0 and 1")
    return found


_READERS: Mapping[str, Callable[[Partition, Bundle], Scale]] = {
    "temperature": _affine,
    "vector": _affine,
    "dirichlet": _affine,
    "tree": _tree,
    "isotonic": _curves,
}
