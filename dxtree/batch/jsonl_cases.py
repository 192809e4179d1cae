"""How is a file with one JSON case a line read, from any line on?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from core.case import Case
from core.errors import InputError
from dxtree.batch.paths import confined
from dxtree.batch.rows import Block, Place, Row
from dxtree.batch.tabular import ID
from dxtree.batch.text import Lines


class JsonlCases:
    """JSON lines, each what `dxtree diagnose --case` takes, with an id. Satisfies `Reader`."""

    kind = "jsonl"

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self._root = path, root

    def scan(self) -> Iterator[Place]:
        """Every line's place. Raises `InputError` for one that is no JSON object with a text as `id`."""
        with self.path.open("rb") as file:
            lines = Lines(file, self.path.name)
            offset = 0
            for text in lines:
                raw = self._parsed(text, f"line {lines.number}")
                yield Place(raw[ID], offset, _modalities(raw))
                offset = lines.offset

    def read(self, block: Block) -> Iterator[Row]:
        """The rows of a block, in order."""
        with self.path.open("rb") as file:
            lines = Lines(file, self.path.name, offset=block.offset)
            for number, text in enumerate(islice(lines, block.rows), start=block.first):
                raw = self._parsed(text, f"line {number}")
                yield Row(number, raw[ID], raw)

    def case(self, row: Row) -> Case:
        """The line as a case. Raises `InputError` for its values, or an image outside the root."""
        raw = dict(row.raw)
        if isinstance(raw.get("images"), list):
            raw["images"] = [self._located(image) for image in raw["images"]]
        return Case.model_validate(raw)

    def _located(self, image: Any) -> Any:
        if isinstance(image, dict) and isinstance(image.get("path"), str):
            return {**image, "path": confined(image["path"], self._root)}
        return image

    def _parsed(self, text: str, where: str) -> dict[str, Any]:
        try:
            raw = json.loads(text, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raw = None
        if not isinstance(raw, dict):
            raise InputError(
                f"{self.path.name}, {where} is no JSON object that names each key once; write one case a line"
            )
        if not isinstance(raw.get(ID), str):
            raise InputError(f"{self.path.name}, {where} has no text as 'id'; give every case its own")
        return raw


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _modalities(raw: dict[str, Any]) -> tuple[str, ...]:
    images = raw.get("images")
    given = [i.get("modality") for i in images if isinstance(i, dict)] if isinstance(images, list) else []
    return tuple(dict.fromkeys(m for m in given if isinstance(m, str)))
