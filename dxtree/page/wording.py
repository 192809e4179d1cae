"""What does the page say, and in which language?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

LANGUAGES = {"en": "English", "zh": "中文"}
"""Code, as in `lang`, to the language's own name. The first is the default."""
DEFAULT = "en"


class Words(Mapping[str, str]):
    """The texts of one language by key. A key without a text raises `KeyError`; each has them all."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = dict(texts)

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def named(self, kind: str, name: str, otherwise: str | None = None) -> str:
        """The text of a name that may come from outside, such as a modality; else what it is called there."""
        return self._texts.get(f"{kind}.{name}", name if otherwise is None else otherwise)

    def of_kind(self, kind: str) -> dict[str, str]:
        """Name to text of all texts of one kind."""
        return {k.partition(".")[2]: v for k, v in self._texts.items() if k.partition(".")[0] == kind}


@cache
def words(language: str) -> Words:
    """The texts of a language of `LANGUAGES`."""
    text = resources.files("dxtree.page").joinpath("words", f"{language}.json").read_text("utf-8")
    return Words(language, json.loads(text))


def language_of(asked: str | None, accepted: str) -> str:
    """The language that a link asks for, else the first of the header `Accept-Language` that there is."""
    if asked in LANGUAGES:
        return str(asked)
    for part in accepted.split(",")[:16]:
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return DEFAULT
