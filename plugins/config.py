"""What did the user switch on? Read from the environment, and overruled by arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PLUGINS, MODELS = "DXTREE_PLUGINS", "DXTREE_MODELS"


@dataclass(frozen=True)
class Settings:
    """`plugins`: names of installed plugins to enable, or paths of one-file plugins; `models`: name or
    folder of the model set, `None` for the shipped one.
    """

    plugins: tuple[str, ...] = ()
    models: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """`DXTREE_PLUGINS` holds comma-separated names or files, `DXTREE_MODELS` a name or a folder."""
        given = os.environ if environment is None else environment
        names = tuple(n.strip() for n in given.get(PLUGINS, "").split(",") if n.strip())
        return cls(names, given.get(MODELS) or None)

    def with_plugins(self, more: tuple[str, ...]) -> Settings:
        """The same with further plugins."""
        return Settings(tuple(dict.fromkeys((*self.plugins, *more))), self.models)

    def files(self) -> tuple[Path, ...]:
        """The plugins that are Python files."""
        return tuple(Path(p) for p in self.plugins if p.endswith(".py"))

    def names(self) -> tuple[str, ...]:
        """The plugins that are named."""
        return tuple(p for p in self.plugins if not p.endswith(".py"))
