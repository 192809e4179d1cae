"""Which plugins are there, and which of them work? The only user of pluggy.

An instance, not a global. Entry points are loaded one by one behind a guard; each failure is kept with its
cause and stops nothing else. Hooks are called one by one, by plugin name, so that no order and no
neighbour changes an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import DxtreeError, PluginError, did_you_mean
from plugins import hookspecs, source
from plugins.allow_list import AllowList
from plugins.api_version import check_version
from plugins.hookspecs import PROJECT
from plugins.source import OWN_DISTRIBUTION, Source

GROUP = "dxtree"
FIRST_VERSION = 1
"""The plugin API of a plugin that states none."""

State = Literal["ok", "failed", "not enabled", "disabled"]


@dataclass(frozen=True)
class PluginStatus:
    """What became of one plugin. `origin` is its distribution or file; `cause` says why it failed."""

    name: str
    origin: str
    state: State
    cause: PluginError | None = None
    built_in: bool = False


class PluginManager:
    """Loads plugins and calls their hooks, each behind a guard.

    `disabled` are names of plugins, built-in ones too, that are not even imported. With `allowed` a plugin
    that is not built in is imported only where the list holds the digest of its files.
    """

    def __init__(self, disabled: Iterable[str] = (), allowed: AllowList | None = None) -> None:
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._statuses: dict[str, PluginStatus] = {}
        self._sources: dict[str, Source] = {}
        self._files: dict[Path, str] = {}
        self._enabled: tuple[str, ...] = ()
        self._disabled = frozenset(disabled)
        self._met: set[str] = set()
        self._allowed = allowed

    @property
    def statuses(self) -> tuple[PluginStatus, ...]:
        """Every plugin that was seen, by name."""
        return tuple(self._statuses[name] for name in sorted(self._statuses))

    def load_entry_points(self, enabled: Iterable[str] = ()) -> None:
        """Loads the built-in plugins and, of the others, those whose entry point or distribution is named.

        A plugin is code with the user's rights, so installing one does not switch it on. A name in
        `enabled` that nothing installed bears is listed as failed.
        """
        self._enabled = tuple(dict.fromkeys((*self._enabled, *enabled)))
        wanted, seen = set(enabled), set[str]()
        # Ours first: a stranger's entry point that names a module of ours must not take it away.
        found = sorted(
            entry_points(group=GROUP),
            key=lambda e: ((d := source.distribution_of(e)) != OWN_DISTRIBUTION, d, e.name, e.value),
        )
        for plugin in map(source.of_entry_point, found):
            seen |= plugin.aliases
            if plugin.built_in or wanted & plugin.aliases or self._is_disabled(plugin):
                self._guarded(plugin)
            else:
                self._sources.setdefault(plugin.name, plugin)
                self._statuses.setdefault(plugin.name, _status(plugin, "not enabled"))
        for absent in sorted(wanted - seen):
            self._absent(absent, f"no installed plugin is named {absent!r}{did_you_mean(absent, seen)}")

    def load_file(self, path: str | Path) -> PluginStatus:
        """Loads a plugin that is one Python file, once; a failure is kept, not raised."""
        file = Path(path)
        place = file.absolute()
        if place not in self._files:
            self._enabled = (*self._enabled, str(place))
            self._files[place] = self._guarded(source.of_file(file))
        return self._statuses[self._files[place]]

    def add(self, module: ModuleType | Any, name: str, *, built_in: bool = False) -> PluginStatus:
        """Registers an object whose attributes are hook implementations."""
        return self._statuses[self._guarded(source.of_object(module, name, built_in=built_in))]

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names and the files that were switched on, as settings take them."""
        return self._enabled

    def resolve(self, name: str) -> str:
        """A plugin's own name for that of its entry point or distribution, where one alone bears it."""
        found = [known for known, plugin in self._sources.items() if name in plugin.aliases]
        return name if name in self._sources or len(found) != 1 else found[0]

    def digest(self, name: str) -> str:
        """The sha256 of a plugin's files, see `plugins.source`. Raises `PluginError` where there are none."""
        if name not in self._sources:
            near = did_you_mean(name, self._sources)
            raise PluginError(
                f"no plugin {name!r} has files here; there are {', '.join(self._sources)}{near}"
            )
        return self._sources[name].digest()

    def check_disabled(self) -> None:
        """Lists as failed every disabled name that no plugin bore: a slip of the pen must not go unseen."""
        for absent in sorted(self._disabled - self._met):
            self._absent(absent, f"no plugin is named {absent!r}, so none of that name was switched off")

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
        kind = type(error) if isinstance(error, PluginError) else PluginError
        cause = kind(f"plugin {name!r}: {why}")
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

    def _absent(self, name: str, why: str) -> None:
        self._statuses[name] = PluginStatus(name, "not installed", "failed", PluginError(why))

    def _is_disabled(self, plugin: Source) -> bool:
        named = self._disabled & plugin.aliases
        self._met |= named
        return bool(named)

    def _guarded(self, plugin: Source) -> str:
        """Registers what a source holds; returns the name under which the plugin's status is kept."""
        name = plugin.name
        if name in self._statuses and self._statuses[name].state != "not enabled":
            both = f"{self._statuses[name].origin} and {plugin.origin}"
            if not self._statuses[name].built_in:
                self.fail(name, f"two plugins bear this name: {both}; remove or rename one")
                return name
            name = f"{plugin.origin}:{name}"
            self._statuses[name] = replace(_status(plugin, "ok"), name=name)
            self.fail(name, f"{both} bear the name of a built-in plugin; rename yours")
            return name
        self._sources[name] = plugin
        self._statuses[name] = _status(plugin, "disabled" if self._is_disabled(plugin) else "ok")
        if self._statuses[name].state == "disabled":
            return name
        try:
            if self._allowed is not None and not plugin.built_in:
                self._allowed.check(name, plugin.digest())
            module = plugin.load()
            check_version(getattr(module, "DXTREE_API_VERSION", FIRST_VERSION))
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


def _status(plugin: Source, state: State) -> PluginStatus:
    return PluginStatus(plugin.name, plugin.origin, state, built_in=plugin.built_in)


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
