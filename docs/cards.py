"""What does each built-in modality say of itself? A directive that shows the cards of the registry."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from plugins.assembly import load_registry
from plugins.config import Settings


class ModalityCards(SphinxDirective):
    """`{modality-cards}`: one section a modality, by name: title, licence, and the card as Markdown."""

    def run(self) -> list[nodes.Node]:
        """What Sphinx calls."""
        modalities = load_registry(Settings()).modalities
        found: list[nodes.Node] = []
        for name in modalities.names():
            spec = modalities.get(name)
            about = f"**{spec.title or name}**" + (f" · licence: {spec.licence}" if spec.licence else "")
            lines = [about, "", *spec.card.splitlines()]
            section = nodes.section(ids=[f"card-{name}"], names=[f"card {name}"])
            section += nodes.title("", "", nodes.literal("", name))
            self.state.nested_parse(StringList(lines, source=f"card of {name}"), 0, section)
            found.append(section)
        return found


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("modality-cards", ModalityCards)
    return {"parallel_read_safe": True}
