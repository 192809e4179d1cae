"""Which plugins are there, and which of them work? The only user of pluggy.

An instance, not a global. Entry points are loaded one by one behind a guard; each failure is kept with its
cause and stops nothing else. Hooks are called one by one, by plugin name, so that no order and no
neighbour changes an answer.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import DxtreeError, PluginError, did_you_mean
from plugins import hookspecs
from plugins.hookspecs import API_VERSION, PROJECT

GROUP = "dxtree"
OWN_DISTRIBUTION = "dxtree"

State = Literal["ok", "failed", "not enabled"]


@dataclass(frozen=True)
class PluginStatus:
    """What became of one plugin. `origin` is its distribution or file; `cause` says why it failed."""

    name: str
    origin: str
    state: State
    cause: PluginError | None = None
    built_in: bool = False


class PluginManager:
    """Loads plugins and calls their hooks, each behind a guard."""

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._statuses: dict[str, PluginStatus] = {}
        self._files: dict[Path, str] = {}

    @property
    def statuses(self) -> tuple[PluginStatus, ...]:
        """Every plugin that was seen, by name."""
        return tuple(self._statuses[name] for name in sorted(self._statuses))

    def load_entry_points(self, enabled: Iterable[str] = ()) -> None:
        """Loads the built-in plugins and, of the others, those whose entry point or distribution is named.

        A plugin is code with the user's rights, so installing one does not switch it on. A name in
        `enabled` that nothing installed bears is listed as failed.
        """
        wanted = set(enabled)
        # Ours first: a stranger's entry point that names a module of ours must not take it away.
        found = sorted(
            entry_points(group=GROUP),
            key=lambda e: (_distribution(e) != OWN_DISTRIBUTION, _distribution(e), e.name, e.value),
        )
        seen: set[str] = set()
        for entry in found:
            origin = _distribution(entry)
            built_in = origin == OWN_DISTRIBUTION
            name = entry.name if built_in else f"{origin}:{entry.name}"
            names = {entry.name, origin, name}
            seen |= names
            status = PluginStatus(name, origin, "ok", built_in=built_in)
            if built_in or wanted & names:
                self._guarded(status, entry.load)
            else:
                self._statuses.setdefault(name, replace(status, state="not enabled"))
        for absent in sorted(wanted - seen):
            cause = PluginError(f"no installed plugin is named {absent!r}{did_you_mean(absent, seen)}")
            self._statuses[absent] = PluginStatus(absent, "not installed", "failed", cause)

    def load_file(self, path: str | Path) -> PluginStatus:
        """Loads a plugin that is one Python file, once; a failure is kept, not raised."""
        file = Path(path)
        place = file.absolute()
        if place not in self._files:
            status = PluginStatus(file.stem, file.name, "ok")
            self._files[place] = self._guarded(status, lambda: _import_file(file))
        return self._statuses[self._files[place]]

    def add(self, module: ModuleType | Any, name: str, *, built_in: bool = False) -> PluginStatus:
        """Registers an object whose attributes are hook implementations."""
        return self._statuses[
            self._guarded(PluginStatus(name, "given", "ok", built_in=built_in), lambda: module)
        ]

    def offers(self, hook: str) -> Iterator[tuple[str, Any]]:
        """(plugin name, spec) of everything that the plugins offer through a hook, by plugin name.

        A plugin whose hook raises is marked as failed, with what it raised, and offers nothing here.
        """
        for implementation in self._implementations(hook):
            name = str(implementation.plugin_name)
            try:
                specs = list(implementation.function())
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a plugin may raise anything, SystemExit included
                self.fail(name, f"{hook} raised {type(error).__name__}: {error}", error)
                continue
            for spec in specs:
                yield name, spec

    def observers(self) -> tuple[Callable[[Case, Diagnosis], None], ...]:
        """The `dxtree_diagnosed` hooks, each as a function of its own."""
        return tuple(_observer(i) for i in self._implementations("dxtree_diagnosed"))

    def watchers(self) -> tuple[str, ...]:
        """Names of the plugins that watch diagnoses."""
        return tuple(str(i.plugin_name) for i in self._implementations("dxtree_diagnosed"))

    def fail(self, name: str, why: str, error: BaseException | None = None) -> None:
        """Marks a plugin as failed and forgets its hooks."""
        cause = PluginError(f"plugin {name!r}: {why}")
        cause.__cause__ = error
        self._statuses[name] = replace(self._statuses[name], state="failed", cause=cause)
        if self._pluggy.has_plugin(name):
            self._pluggy.unregister(name=name)

    def is_built_in(self, name: str) -> bool:
        """Whether a plugin came with this distribution."""
        return self._statuses[name].built_in

    def is_working(self, name: str) -> bool:
        """Whether a plugin was loaded and has not failed."""
        return self._statuses[name].state == "ok"

    def _implementations(self, hook: str) -> list[Any]:
        found = getattr(self._pluggy.hook, hook).get_hookimpls()
        return sorted(found, key=lambda i: str(i.plugin_name))

    def _guarded(self, status: PluginStatus, load: Callable[[], Any]) -> str:
        """Registers what `load` gives; returns the name under which the plugin's status is kept."""
        name = status.name
        if name in self._statuses and self._statuses[name].state != "not enabled":
            both = f"{self._statuses[name].origin} and {status.origin}"
            if not self._statuses[name].built_in:
                self.fail(name, f"two plugins bear this name: {both}; remove or rename one")
                return name
            name = f"{status.origin}:{name}"
            self._statuses[name] = replace(status, name=name)
            self.fail(name, f"{both} bear the name of a built-in plugin; rename yours")
            return name
        self._statuses[name] = status
        try:
            module = load()
            _check_version(module)
            _check_hook_names(module)
            self._pluggy.register(module, name=name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # importing a stranger's module may raise anything
            text = (
                error.safe_message if isinstance(error, DxtreeError) else f"{type(error).__name__}: {error}"
            )
            self.fail(name, _one_line(text), error)
        return name


def _distribution(entry: EntryPoint) -> str:
    try:
        name = entry.dist.name if entry.dist is not None else None
    except Exception:  # importlib.metadata raises several classes where a distribution is half removed
        name = None
    return name or "unknown distribution"


def _import_file(path: Path) -> ModuleType:
    if not path.is_file() or path.suffix != ".py":
        raise PluginError("a one-file plugin is an existing .py file")
    # The name in sys.modules cannot collide with an importable module.
    spec = importlib.util.spec_from_file_location(f"dxtree_plugin_file.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginError("Python cannot import this file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _check_version(module: Any) -> None:
    version = getattr(module, "DXTREE_API_VERSION", API_VERSION)
    if version != API_VERSION:
        raise PluginError(f"it was written for plugin API {version!r}; this is {API_VERSION}")


def _check_hook_names(module: Any) -> None:
    prefix, marker = f"{PROJECT}_", f"{PROJECT}_impl"
    known = [name for name in vars(hookspecs) if name.startswith(prefix)]
    members = {name: getattr(module, name, None) for name in dir(module)}
    marked = {name: getattr(member, marker) for name, member in members.items() if hasattr(member, marker)}
    meant = [name for name, member in members.items() if name.startswith(prefix) and callable(member)]
    for name in (*marked, *meant):
        if name not in known:
            raise PluginError(f"{name!r} is no hook{did_you_mean(name, known)}")
    unmarked = [name for name in meant if name not in marked]
    if unmarked:
        raise PluginError(f"{unmarked[0]!r} lacks the decorator @hookimpl (from plugins import hookimpl)")
    for name, options in marked.items():
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(f"{name!r} is a wrapper; a plugin cannot stand around another's hook")
    if not marked:
        raise PluginError(f"it implements no hook; there are {', '.join(known)}")


def _observer(implementation: Any) -> Callable[[Case, Diagnosis], None]:
    # A hook implementation may leave out arguments that it does not need.
    names = {*implementation.argnames, *implementation.kwargnames}

    def observe(case: Case, diagnosis: Diagnosis) -> None:
        given = {"case": case, "diagnosis": diagnosis}
        implementation.function(**{name: value for name, value in given.items() if name in names})

    return observe


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:500]
