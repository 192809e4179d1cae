"""How is a number of a benchmark written on its page?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dxtree.benchmark.results import Comparison
from dxtree.benchmark.tables import MARKS, star
from dxtree.evaluation.intervals import Interval
from dxtree.evaluation.metrics import Metric
from dxtree.evaluation.report import signed
from dxtree.figures import Table

SETS = {
    "official": "official classes",
    "level1": "first level",
    "level2": "second level",
    "leaves": "training classes",
}
"""Names of the label sets for people."""


NOTHING = Interval(None, None, None, "not defined for this arm")


def with_interval(found: Interval) -> str:
    """`.462 [.421, .501]`; a dash where nothing is defined."""
    if found.value is None:
        return "-"
    texts = [places(n) for n in (found.value, found.low, found.high) if n is not None]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def places(number: float) -> str:
    """Three places without a leading zero, two above 1."""
    return f"{number:.2f}" if abs(number) >= 1 else f"{number:.3f}".replace("0.", ".", 1)


def chance(p: float | None) -> str:
    """A p-value."""
    return "-" if p is None else "<.001" if p < 0.001 else places(p)


def share(found: tuple[float, float, float] | None) -> str:
    """`41% [22%, 64%]`."""
    return "-" if found is None else f"{found[0]:.0%} [{found[1]:.0%}, {found[2]:.0%}]"


def paired(comparison: Comparison | None) -> str:
    """`+.006 [+.002, +.011] ▲*`."""
    if comparison is None:
        return "-"
    return f"{signed(comparison.found)} {MARKS[comparison.verdict]}{star(comparison.p_holm)}"


def named(metrics: Sequence[Metric], names: Sequence[str]) -> list[Metric]:
    """The metrics of these names that there are, in the order of the names."""
    by_name = {m.name: m for m in metrics}
    return [by_name[n] for n in names if n in by_name]


def value_table(
    caption: str,
    metrics: Iterable[Metric],
    cells: Mapping[str, Mapping[str, Interval]],
    arms: Iterable[str],
) -> Table:
    """One row an arm, one column a metric that any of them has."""
    rows = [(arm, cells[arm]) for arm in arms if arm in cells]
    known = [m for m in metrics if any(m.name in found for _, found in rows)]
    table = tuple((arm, *(with_interval(found.get(m.name, NOTHING)) for m in known)) for arm, found in rows)
    return Table(caption, ("arm", *(m.title for m in known)), table)
