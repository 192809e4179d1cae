"""Which plugins may run here, and in which version? A clinic's list: names, each with a digest of files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import PluginError, PluginNotAllowed

TABLE, ALGORITHM = "plugins", "sha256"


@dataclass(frozen=True)
class AllowList:
    """Plugin to sha256 of its files, see `plugins.source`. Built-in plugins need none: they are dxtree."""

    digests: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> AllowList:
        """A TOML file: a table `plugins` of names to "sha256:DIGEST". Raises `PluginError` where it is none.

        A list that cannot be read allows nothing, so this error is never passed over.
        """
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise PluginError(f"the allow-list cannot be read ({type(error).__name__})") from error
        except ValueError as error:
            raise PluginError(f"the allow-list is no TOML: {error}") from error
        table = document.get(TABLE)
        if not isinstance(table, dict) or set(document) != {TABLE}:
            raise PluginError(f'the allow-list needs one table [{TABLE}], NAME = "{ALGORITHM}:DIGEST"')
        return cls({name: _digest(name, text) for name, text in table.items()})

    def check(self, name: str, digest: str) -> None:
        """Raises `PluginNotAllowed` unless the plugin is listed with this digest."""
        if name not in self.digests:
            raise PluginNotAllowed(
                "it is not on the allow-list; whoever keeps the list can add what `dxtree plugins pin` prints"
            )
        if self.digests[name] != digest:
            raise PluginNotAllowed(
                "its files are not those that the allow-list names; install the version that was checked, or "
                "check this one and list what `dxtree plugins pin` prints"
            )


def line(name: str, digest: str) -> str:
    """One line of an allow-list."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" = "{ALGORITHM}:{digest}"'


def _digest(name: str, text: object) -> str:
    match = re.fullmatch(rf"{ALGORITHM}:([0-9a-f]{{64}})", text) if isinstance(text, str) else None
    if match is None:
        raise PluginError(f'the allow-list gives {name!r} no "{ALGORITHM}:" with 64 hexadecimal digits')
    return match[1]
