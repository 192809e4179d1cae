"""Which nodes does a report list, and which software and models does it name?"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from core.diagnosis import Diagnosis

LEAST = 0.01
"""Nodes below this probability are left out of a report, the answer aside."""


def shown_nodes(diagnosis: Diagnosis, least: float = LEAST) -> tuple[str, ...]:
    """The answer first, then every node but the root of at least this probability, in the tree's order."""
    tree = diagnosis.tree
    if tree is None or diagnosis.status == "abstained":
        return ()
    taxonomy = tree.sums.partition.taxonomy
    answer = tree.most_specific()
    nodes = [n for n in taxonomy.ids if n != taxonomy.root and n in tree and tree[n] >= least and n != answer]
    return (*((answer,) if answer not in (None, taxonomy.root) else ()), *nodes)


def software_version() -> str:
    """The version of dxtree that runs."""
    try:
        return version("dxtree")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def model_facts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What to name a model set by: its name, its sha256, and the sha256 of each model and of the fuser."""
    facts = {"model set": str(provenance.get("model_set", "unknown"))}
    if provenance.get("digest"):
        facts["model set sha256"] = str(provenance["digest"])
    for name, model in sorted(dict(provenance.get("models", {})).items()):
        if model.get("digest"):
            facts[f"{name} sha256"] = str(model["digest"])
    fuser = provenance.get("fuser")
    if isinstance(fuser, Mapping) and fuser.get("digest"):
        facts["fuser sha256"] = str(fuser["digest"])
    return facts
