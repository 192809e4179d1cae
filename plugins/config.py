"""What did the user switch on and off? Read from the environment, and overruled by arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

PLUGINS, MODELS = "DXTREE_PLUGINS", "DXTREE_MODELS"
DISABLED, ALLOWED = "DXTREE_PLUGINS_OFF", "DXTREE_PLUGINS_ALLOWED"


@dataclass(frozen=True)
class Settings:
    """`plugins`: names of installed plugins to enable, or paths of one-file plugins; `models`: name or
    folder of the model set, `None` for the shipped one; `disabled`: names of plugins, ours too, that no
    option switches on; `allowed`: the allow-list, `None` where any plugin may be switched on.
    """

    plugins: tuple[str, ...] = ()
    models: str | None = None
    disabled: tuple[str, ...] = ()
    allowed: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """`DXTREE_PLUGINS` holds comma-separated names or files and `DXTREE_PLUGINS_OFF` names,
        `DXTREE_MODELS` a name or a folder, `DXTREE_PLUGINS_ALLOWED` the file of an allow-list.
        """
        given = os.environ if environment is None else environment
        allowed = given.get(ALLOWED)
        return cls(
            _listed(given.get(PLUGINS, "")),
            given.get(MODELS) or None,
            _listed(given.get(DISABLED, "")),
            Path(allowed) if allowed else None,
        )

    def with_plugins(self, more: tuple[str, ...]) -> Settings:
        """The same with further plugins."""
        return replace(self, plugins=tuple(dict.fromkeys((*self.plugins, *more))))

    def absolute(self) -> Settings:
        """The same for a process with another working directory."""
        folder = self.models is not None and Path(self.models).is_dir()
        return replace(
            self,
            plugins=tuple(str(Path(p).absolute()) if p.endswith(".py") else p for p in self.plugins),
            models=str(Path(self.models).absolute()) if self.models is not None and folder else self.models,
            allowed=self.allowed.absolute() if self.allowed is not None else None,
        )

    def files(self) -> tuple[Path, ...]:
        """The plugins that are Python files."""
        return tuple(Path(p) for p in self.plugins if p.endswith(".py"))

    def names(self) -> tuple[str, ...]:
        """The plugins that are named."""
        return tuple(p for p in self.plugins if not p.endswith(".py"))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in text.split(",") if n.strip())
