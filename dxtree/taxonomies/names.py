"""When are two names one name, and which are near? Only the first is ever used; near ones are proposed."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

_NO_WORD = re.compile(r"[\W_]+")
_KEYS, _MOST_PER_KEY, _SCORED = 5, 96, 16
"""Trigrams of a name that are looked up, the rarest; the names that one may be in to tell anything; and the
names compared as a whole, those that share most of them."""

LEAST = 0.5
"""Share of common trigrams (Dice) from which a name is near: "nevus" and "naevus" have 0.55."""


def normalised(name: str) -> str:
    """Small letters without accents, one blank for whatever is neither letter nor digit.

    Words stay in their order and keep their endings: "nevi" is not "nevus".
    """
    flat = name.casefold()
    while not flat.isascii():
        plain = "".join(
            c for c in unicodedata.normalize("NFKD", flat) if not unicodedata.combining(c)
        ).casefold()
        if plain == flat:
            break
        flat = plain  # a decomposed sign may be a capital again
    return _NO_WORD.sub(" ", flat).strip()


class NearNames:
    """An index over names by node that finds the nearest few for a name. Deterministic."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._grams: list[frozenset[str]] = []
        self._nodes: list[str] = []
        found: dict[str, list[int]] = defaultdict(list)
        for node, several in names.items():
            for name in several:
                grams = _trigrams(name)
                for gram in grams:
                    found[gram].append(len(self._nodes))
                self._nodes.append(node)
                self._grams.append(grams)
        self._places = found

    def near(self, names: Iterable[str], most: int = 3) -> tuple[tuple[str, float], ...]:
        """Nodes with the Dice coefficient of their trigrams, best first, of at least `LEAST`."""
        best: dict[str, float] = {}
        for name in names:
            grams = _trigrams(name)
            counted = ((len(self._places[g]), g) for g in grams if g in self._places)
            keys = heapq.nsmallest(_KEYS, (c for c in counted if c[0] <= _MOST_PER_KEY))
            shared = Counter(place for _, gram in keys for place in self._places[gram])
            likely = heapq.nsmallest(_SCORED, shared, key=lambda place: (-shared[place], self._nodes[place]))
            for place in likely:
                there = self._grams[place]
                score = 2 * len(grams & there) / (len(grams) + len(there))
                if score >= LEAST:
                    node = self._nodes[place]
                    best[node] = max(score, best.get(node, 0.0))
        return tuple(heapq.nsmallest(most, best.items(), key=lambda pair: (-pair[1], pair[0])))


def _trigrams(name: str) -> frozenset[str]:
    text = f" {normalised(name)} "
    return frozenset(text[k : k + 3] for k in range(max(1, len(text) - 2)))
