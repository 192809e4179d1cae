"""Where does a plugin's code come from, and is it still the code that somebody checked?

A digest is the sha256 of the plugin's files: of the file itself for a one-file plugin; for an installed one
of the lines "SHA256  PATH" of every file below the top-level package that its entry point names, sorted by
path, as sha256sum prints them. Compiled files (`__pycache__`) do not count, nor does what the plugin imports.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from core.errors import PluginError

OWN_DISTRIBUTION = "dxtree"
_FILES = "dxtree_plugin_file"  # cannot collide with an importable module


@dataclass(frozen=True)
class Source:
    """One plugin before it is loaded. `origin` is its distribution or file; it answers to `aliases`.

    `digest` raises `PluginError` where there are no files to take one of.
    """

    name: str
    origin: str
    load: Callable[[], Any]
    digest: Callable[[], str]
    built_in: bool = False
    aliases: frozenset[str] = frozenset()


def of_entry_point(entry: EntryPoint) -> Source:
    """A plugin that is installed; nothing of it is imported yet."""
    origin = distribution_of(entry)
    built_in = origin == OWN_DISTRIBUTION
    name = entry.name if built_in else f"{origin}:{entry.name}"
    return Source(
        name,
        origin,
        entry.load,
        lambda: _package_digest(entry.module.partition(".")[0]),
        built_in=built_in,
        aliases=frozenset({entry.name, origin, name}),
    )


def of_file(path: Path) -> Source:
    """A plugin that is one Python file. The bytes whose digest is taken are the bytes that are run."""
    content = cache(lambda: _read(path))
    return Source(
        path.stem,
        path.name,
        lambda: _import(path, content()),
        lambda: hashlib.sha256(content()).hexdigest(),
        aliases=frozenset({path.stem, path.name}),
    )


def of_object(value: Any, name: str, *, built_in: bool = False) -> Source:
    """A plugin that is handed over, and has no files."""
    return Source(name, "given", lambda: value, _no_files, built_in=built_in, aliases=frozenset({name}))


def distribution_of(entry: EntryPoint) -> str:
    """Name of the distribution that an entry point belongs to."""
    return _name_of(entry.dist) or "unknown distribution"


@lru_cache(64)
def _name_of(distribution: Distribution | None) -> str | None:
    # Entry points of one distribution share it, and each question reads all of its metadata.
    try:
        return None if distribution is None else distribution.name
    except Exception:  # importlib.metadata raises several classes where a distribution is half removed
        return None


def _package_digest(top: str) -> str:
    # The finder imports nothing for a top-level name, and finds what an import would take.
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    folders = [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
    if spec is not None and not folders and spec.origin and Path(spec.origin).is_file():
        file = Path(spec.origin)
        return _lines_digest({file.name: file})
    if spec is None or len(folders) != 1 or not folders[0].is_dir():
        raise PluginError(f"no files of {top!r} can be found, so nothing can be compared")
    (folder,) = folders
    found = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return _lines_digest({p.relative_to(folder.parent).as_posix(): p for p in found})


def _lines_digest(files: dict[str, Path]) -> str:
    lines = (f"{hashlib.sha256(files[name].read_bytes()).hexdigest()}  {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _no_files() -> str:
    raise PluginError("it was handed over as an object and has no files")


def _read(path: Path) -> bytes:
    if not path.is_file() or path.suffix != ".py":
        raise PluginError("a one-file plugin is an existing .py file")
    return path.read_bytes()


class _Given(SourceFileLoader):
    """Runs bytes that were read before, and no compiled file in their place."""

    def __init__(self, name: str, path: Path, content: bytes) -> None:
        super().__init__(name, str(path))
        self._content = content

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """The code of the given bytes."""
        return self.source_to_code(self._content, self.path)


def _import(path: Path, content: bytes) -> ModuleType:
    name = f"{_FILES}.{path.stem}"
    spec = ModuleSpec(name, _Given(name, path, content), origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        assert spec.loader is not None  # noqa: S101 - for the type checker
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
