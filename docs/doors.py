"""Which front doors does a package have below itself? A directive that shows each that has an `__all__`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parent.parent


def doors(package: str) -> list[str]:
    """The packages right below this one whose `__init__` has an `__all__`, by name."""
    found = (file for file in (ROOT / package).glob("*/__init__.py") if "__all__" in file.read_text("utf-8"))
    return sorted(f"{package}.{file.parent.name}" for file in found)


class FrontDoors(SphinxDirective):
    """`{front-doors} PACKAGE`: a section for each package below it that exports names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """What Sphinx calls."""
        found: list[nodes.Node] = []
        for name in doors(self.arguments[0]):
            section = nodes.section(ids=[name.replace(".", "-")], names=[name])
            section += nodes.title("", "", nodes.literal("", name))
            lines = ["```{eval-rst}", f".. automodule:: {name}", "```"]
            self.state.nested_parse(StringList(lines, source=f"front door of {name}"), 0, section)
            found.append(section)
        return found


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("front-doors", FrontDoors)
    return {"parallel_read_safe": True}
