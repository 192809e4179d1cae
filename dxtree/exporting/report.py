"""What is printed of an export?"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from dxtree.exporting.export import Exported


def print_exported(found: Exported, console: Console) -> None:
    """One row an engine: size, differences, changes with intervals, verdict. Then what was left out."""
    area = "Δ AUC malignant" if found.judged.area == "malignant" else "Δ macro AUC"
    table = Table(
        "engine", "MB", "largest |dp|", "mean |dp|", "Δ bal. acc., points", area, "passed", box=None
    )
    for column in table.columns:
        column.justify = "left" if column in (table.columns[0], table.columns[-1]) else "right"
        column.no_wrap = column.justify == "left"
    for name, record in found.records.items():
        table.add_row(name, f"{found.megabytes[name]:.1f}", *cells(record))
    console.print(table)
    if found.records:
        told = next(iter(found.records.values()))
        console.print(
            f"\nagainst {found.against} on {told['images']:,} images of {told['lesions']:,} lesions held out "
            "of training; 95 % intervals over paired resamples of lesions",
            soft_wrap=True,
        )
        if told["unread"]:
            console.print(f"{told['unread']} images could not be read", soft_wrap=True)
    for name, reason in sorted(found.left_out.items()):
        console.print(f"  {name}: {reason}", soft_wrap=True)


def cells(record: Any) -> tuple[str, ...]:
    """Differences, changes and verdict of a record, as text."""
    if "fault" in record:
        return ("-", "-", "-", "-", f"no: {record['fault']}")
    return (
        f"{record['largest_difference']:.1e}",
        f"{record['mean_difference']:.1e}",
        _change(record["balanced_accuracy_change"], record["balanced_accuracy_interval"], 100, 2),
        _change(record["auc_change"], record["auc_interval"], 1, 4),
        "yes" if record["passed"] else "no",
    )


def _change(value: float | None, bounds: list[float] | None, scale: float, digits: int) -> str:
    if value is None:
        return "not defined"
    text = f"{value * scale:+.{digits}f}"
    if bounds is None:
        return text
    return f"{text} [{bounds[0] * scale:+.{digits}f}, {bounds[1] * scale:+.{digits}f}]"
