"""What does a JSON file of ours state? ``{"name", "nodes": [{"id", "name", "parent", "synonyms"}]}``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import TaxonomyError
from dxtree.taxonomies.draft import Draft, Entry
from dxtree.taxonomies.table import read_text


def read_json(path: Path) -> Draft:
    """Every node with its place among the nodes, from 1. Raises `TaxonomyError` for JSON of another form."""
    try:
        raw: Any = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise TaxonomyError(f"{path.name} is no JSON ({type(error).__name__})") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("nodes"), list):
        raise TaxonomyError(
            f'{path.name}: a tree in JSON is {{"name", "nodes": [{{"id", "name", "parent"}}]}}'
        )
    named = isinstance(raw.get("name"), str) and raw["name"]
    draft = Draft(raw["name"] if named else path.stem, "json", "node", one_root=True)
    if not named:
        draft.fault("name", "the tree has no name")
    for number, node in enumerate(raw["nodes"], start=1):
        entry = _entry(draft, node, number)
        if entry is not None:
            draft.entries.append(entry)
    return draft


def _entry(draft: Draft, node: Any, number: int) -> Entry | None:
    if not isinstance(node, dict) or "id" not in node or "parent" not in node:
        draft.fault("node", "a node has id and parent", number)
        return None
    name, synonyms = node.get("name", node["id"]), node.get("synonyms", [])
    texts = [node["id"], name, *([] if node["parent"] is None else [node["parent"]])]
    if not all(isinstance(t, str) and t for t in texts):
        draft.fault(
            "empty", "id, name and parent are texts that are not empty; the root's parent is null", number
        )
        return None
    if not isinstance(synonyms, list) or not all(isinstance(s, str) for s in synonyms):
        draft.fault("synonyms", "synonyms are a list of texts", number)
        return None
    return Entry(str(node["id"]), str(name), node["parent"], number, tuple(synonyms))
