"""How is a cohort drawn of which it is known whether its fine classes carry a signal?

Two cohorts over one tree of 3 first-level nodes, 9 second-level ones and 27 leaves; lesion i has the same
label and the same patient in both, and 27 lesions in a row hold every leaf once. A look is a colour, an
outline and a structure (a pattern in dermoscopy, a surface in the clinical view), of three kinds each.

- `yes`: each leaf has a look of its own. The first-level node is the sum of the three kinds modulo 3, so
  that neither one cue nor two of them tell anything about it, and the three leaves of a second-level node
  differ in every cue. A coarse node is a hard function of the look; a leaf is one plain look.
- `no`: each second-level node has one look, which its leaves share. The first level is the colour. A leaf
  is drawn at random within its node and says nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from core.taxonomy import Taxonomy
from dxtree.cohorts.isic import Layout
from dxtree.cohorts.synthetic.classes import CLASSES, Look, Pattern, SyntheticClass
from dxtree.cohorts.synthetic.truth import (
    LESION,
    ORDER,
    PATIENT,
    Person,
    Traits,
    person_with,
    stream,
    traits_with,
)

Signal = Literal["yes", "no"]
"""Whether the fine classes tell anything that the coarse ones do not."""

Cell = tuple[int, int, int]
"""Kinds of colour, outline and structure, 0 to 2 each."""

LEAVES = 27
_FIRST = ("Benign", "Malignant", "Non-neoplastic")

#           melanin haem
_COLOURS = ((0.95, 0.10), (0.05, 1.10), (1.60, 0.55))
"""Brown, red, nearly black."""
#            border aspect
_OUTLINES = ((0.06, (0.88, 1.00)), (0.06, (0.42, 0.58)), (0.60, (0.78, 1.00)))
"""Round, long, jagged."""
#                                                       pattern elevation scale crust
_STRUCTURES: tuple[tuple[Pattern, float, float, float], ...] = (
    ("network", 0.8, 0.0, 0.0),
    ("comedo", 0.0, 0.45, 0.0),
    ("dotted", 0.0, 0.0, 0.40),
)
"""A dome, scale, crust, each with its own pattern."""

FINE_SIGNAL = Layout(name="fine_signal", group_columns={"skin_tone": "skin_tone_class"})
"""The layout of both cohorts; they have no official classes."""


def cell_of(signal: Signal, leaf: int) -> Cell:
    """The kinds of cue that a leaf, 0 to 26 in the order of the tree, looks like."""
    first, second, third = leaf // 9, leaf // 3 % 3, leaf % 3
    if signal == "no":
        return first, second, (first + second) % 3
    # colour + outline + structure = first and colour + 2 outline = second, modulo 3
    return third, (third - second) % 3, (first + second - 2 * third) % 3


@cache
def signal_classes(signal: Signal) -> tuple[SyntheticClass, ...]:
    """The 27 leaves in the order of the tree, each with its look and the habit of its second-level node."""
    habits = tuple(dict.fromkeys(c.habit for c in CLASSES))
    found = []
    for leaf in range(LEAVES):
        letter = "ABCDEFGHI"[leaf // 3]
        path = (_FIRST[leaf // 9], f"Group {letter}", f"Class {letter}{leaf % 3 + 1}")
        found.append(SyntheticClass(path, 1, habits[leaf // 3], _look(cell_of(signal, leaf))))
    return tuple(found)


@cache
def fine_signal_taxonomy() -> Taxonomy:
    """The tree of both cohorts: 3 first-level nodes, 9 below them, 27 leaves; every label is a leaf."""
    return Taxonomy.from_paths("fine_signal", [one.path for one in signal_classes("yes")])


def leaf_of(seed: int, index: int) -> int:
    """The lesion's leaf, whatever the signal. 27 lesions in a row hold every leaf once."""
    block, place = divmod(index, LEAVES)
    return int(stream(seed, block, ORDER).permutation(LEAVES)[place])


def signal_traits(signal: Signal, seed: int, index: int) -> Traits:
    """How the lesion came to look."""
    return traits_with(_look(cell_of(signal, leaf_of(seed, index))), stream(seed, index, LESION))


def signal_person(seed: int, index: int, *, signal: bool) -> Person:
    """Age, sex and site; where `signal` is set they tell of the second-level node, never of the leaf."""
    chance = stream(seed, index, PATIENT)
    other = int(chance.integers(LEAVES))
    return person_with(signal_classes("yes")[leaf_of(seed, index) if signal else other].habit, chance)


def _look(cell: Cell) -> Look:
    melanin, haem = _COLOURS[cell[0]]
    border, aspect = _OUTLINES[cell[1]]
    pattern, elevation, scale, crust = _STRUCTURES[cell[2]]
    return Look(melanin, haem, border, 0.20, elevation, scale, crust, pattern, aspect)
