"""How does a plugin start? A copy of a template, rendered by copier, which `dxtree[kit]` brings."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec
from pathlib import Path

from core.errors import MissingExtra, PathRejected, PluginError
from plugins import API_VERSION

TEMPLATE = Path(__file__).parent / "templates" / "plugin"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)


def new(
    name: str, folder: Path, *, one_file: bool = False, title: str | None = None, author: str = "The authors"
) -> Path:
    """Writes the distribution `dxtree-NAME`, or the file `NAME_plugin.py`, into a folder; gives its path.

    Raises `PluginError` for a name that is no module's and for a title or author that does not fit a line,
    `PathRejected` where something of that name is there, and `MissingExtra` without copier.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > 40:
        raise PluginError(f"the name {name!r} must be small letters, digits and single _, such as confocal")
    for what, text in (("title", title or ""), ("author", author)):
        if not text.isprintable() or '"' in text or "\\" in text or len(text) > 80:
            raise PluginError(
                f"the {what} must be one line of at most 80 characters without quotes or backslashes"
            )
    if find_spec("copier") is None:
        raise MissingExtra("a new plugin", "kit")
    made = folder / (f"{name}_plugin.py" if one_file else f"dxtree-{name.replace('_', '-')}")
    if made.exists():
        raise PathRejected(f"{made.name} is there already; give another name or another --out")
    import copier

    answers = {
        "kind": "one_file" if one_file else "distribution",
        "name": name,
        "author": author,
        "api": API_VERSION,
        **({"title": title} if title else {}),
    }
    target = folder if one_file else made
    copier.run_copy(str(TEMPLATE), target, data=answers, defaults=True, quiet=True, unsafe=False)
    return made
