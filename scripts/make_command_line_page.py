"""Writes `docs/reference/command-line.md` from the commands themselves.

python scripts/make_command_line_page.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dxtree.cli import main
from dxtree.cli.commands import COMMANDS, load

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "command-line.md"


def page() -> str:
    """The page as it should be."""
    lines = [
        "# Command line",
        "",
        "Written by `python scripts/make_command_line_page.py`; a test holds it current.",
        "",
    ]
    codes = (main.__doc__ or "").split("Exit codes: ")[1]
    lines += [f"Exit codes: {' '.join(codes.split())}", ""]
    commands = [pair for name in COMMANDS for pair in _commands(load(name), f"dxtree {name}")]
    for name, command in commands:
        lines += [f"## `{name}`", "", command.help or "", "", "| option | |", "|---|---|"]
        lines += [_row(p) for p in command.params if p.name != "help"]
        lines.append("")
    return "\n".join(lines)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below:
        yield name, command
    for word, one in below.items():
        yield from _commands(one, f"{name} {word}")


def _row(parameter: Any) -> str:
    names = ", ".join(parameter.opts) if parameter.opts[0].startswith("-") else parameter.name.upper()
    default = (
        parameter.default
        if parameter.default not in (None, False, ()) and not callable(parameter.default)
        else ""
    )
    shown = f" Default: {default}." if default != "" and not parameter.required else ""
    text = re.sub(r"\s+", " ", getattr(parameter, "help", "") or "").replace("|", "\\|")
    return f"| `{names}` | {text}{shown}{' Required.' if parameter.required else ''} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
