"""Was an engine checked on this very graph, and did it pass? The bundle's manifest says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import ContractError
from core.manifest import Bundle
from modalities.engines.graphs import INT8, sha256_of, source_file
from modalities.engines.kinds import Kind

RECORDS = "engines"
"""Entry of the manifest: engine to the record of its check."""
HOW = "check it with: dxtree export"


def digests(bundle: Bundle, kind: Kind) -> dict[str, str]:
    """What a check is bound to: sha256 of the graph that ran and of the source it was held against.

    Raises `ContractError` where the bundle lacks one of them.
    """
    source = source_file(bundle)
    graph = INT8 if kind.precision == "int8" else source
    if graph not in bundle.files:
        raise ContractError(
            f"the bundle has no {graph} for the engine {kind.name}; make one with: dxtree export"
        )
    return {"graph": sha256_of(bundle, graph), "source": sha256_of(bundle, source)}


def require_passed(bundle: Bundle, kind: Kind) -> None:
    """Raises `ContractError` unless the engine needs no check or the manifest records that it passed."""
    if not kind.checked:
        return
    record = _records(bundle).get(kind.name)
    wanted = digests(bundle, kind)
    if record is None:
        raise ContractError(f"the engine {kind.name} was not checked on this bundle's net; {HOW}")
    if not isinstance(record, dict) or any(record.get(k) != v for k, v in wanted.items()):
        raise ContractError(f"the check of the engine {kind.name} is of another graph than this one; {HOW}")
    if record.get("passed") is not True:
        raise ContractError(
            f"the engine {kind.name} failed its check on this bundle's net: its answers are not those of "
            "the source; use another, such as onnxruntime"
        )


def is_usable(bundle: Bundle, kind: Kind) -> bool:
    """Whether `require_passed` lets it through."""
    try:
        require_passed(bundle, kind)
    except ContractError:
        return False
    return True


def _records(bundle: Bundle) -> Mapping[str, Any]:
    found = bundle.manifest.get(RECORDS, {})
    if not isinstance(found, dict):
        raise ContractError(f"the bundle's manifest needs {RECORDS!r} as dict")
    return found
