"""Which fusers come with dxtree? Specs alone; a fuser's module is imported when it is loaded or fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Fuser
from plugins.hookspecs import hookimpl
from plugins.specs import FuserSpec, FusionCase

DXTREE_API_VERSION = 1

FuserFiles = tuple[Mapping[str, Any], Mapping[str, bytes]]
"""Manifest and files of a fuser bundle."""


def _spec(name: str, title: str, *, learns: bool = True) -> FuserSpec:
    module = f"fusion.{name}"

    def load(partition: Partition, bundle: Bundle | None) -> Fuser:
        fuser: Fuser = import_module(module).load(partition, bundle)
        return fuser

    def fit(cases: Sequence[FusionCase], partition: Partition, seed: int) -> FuserFiles:
        found: FuserFiles = import_module(module).fit(cases, partition, seed)
        return found

    return FuserSpec(name, title, load, fit if learns else None)


@hookimpl
def dxtree_fusers() -> list[FuserSpec]:
    """The fusers, by name."""
    return [
        _spec("bayes", "Bayes' rule: prior-corrected product with age, sex and site"),
        _spec("boosted", "Gradient-boosted trees over log ratios and metadata (xgboost)"),
        _spec(
            "boosted_monotone", "Trees that correct the first level and never turn evidence round (xgboost)"
        ),
        _spec("image_only", "Mean over modalities, metadata ignored", learns=False),
        _spec("joint_concat", "Net of log ratios and metadata side by side"),
        _spec("joint_metablock", "Net of log ratios that metadata gate (MetaBlock)"),
        _spec("logistic", "Multinomial logistic regression over log ratios and metadata"),
        _spec("pool", "Log-opinion pool of the images with learned weights, metadata ignored"),
        _spec("stack", "Super Learner: convex mixture of the other fusers"),
    ]
