"""What can be asked for by name: modalities, fusers, cohorts, taxonomies and model sets?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from core.errors import DxtreeError, PluginError, did_you_mean
from plugins.manager import PluginManager
from plugins.specs import CohortSpec, FuserSpec, ModalitySpec, ModelSetSpec, TaxonomySpec

Spec = TypeVar("Spec", ModalitySpec, FuserSpec, CohortSpec, TaxonomySpec, ModelSetSpec)


@dataclass
class Shelf(Generic[Spec]):
    """All specs of one kind by name, with who offers each. A name that two strangers offer is unusable."""

    kind: str
    specs: dict[str, Spec] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    clashes: dict[str, PluginError] = field(default_factory=dict)

    def get(self, name: str) -> Spec:
        """The spec of this name. Raises `PluginError` for a clash, or naming what there is."""
        if name in self.clashes:
            raise self.clashes[name]
        if name not in self.specs:
            near = did_you_mean(name, self.specs)
            raise PluginError(f"no {self.kind} {name!r}; there are {', '.join(sorted(self.specs))}{near}")
        return self.specs[name]

    def names(self) -> tuple[str, ...]:
        """Usable names, sorted."""
        return tuple(sorted(self.specs))


@dataclass(frozen=True)
class Registry:
    """Everything that the plugins of one manager offer."""

    manager: PluginManager
    modalities: Shelf[ModalitySpec]
    fusers: Shelf[FuserSpec]
    cohorts: Shelf[CohortSpec]
    taxonomies: Shelf[TaxonomySpec]
    model_sets: Shelf[ModelSetSpec]

    @classmethod
    def of(cls, manager: PluginManager) -> Registry:
        """Asks every plugin once. Wrong types and duplicate names are kept as the plugin's failure."""
        return cls(
            manager,
            _shelf(manager, "dxtree_modalities", "modality", ModalitySpec),
            _shelf(manager, "dxtree_fusers", "fuser", FuserSpec),
            _shelf(manager, "dxtree_cohorts", "cohort", CohortSpec),
            _shelf(manager, "dxtree_taxonomies", "taxonomy", TaxonomySpec),
            _shelf(manager, "dxtree_model_sets", "model set", ModelSetSpec),
        )

    def offered_by(self, plugin: str) -> Mapping[str, tuple[str, ...]]:
        """What one plugin offers, by kind."""
        shelves: tuple[Shelf[Any], ...] = (
            self.modalities,
            self.fusers,
            self.cohorts,
            self.taxonomies,
            self.model_sets,
        )
        return {s.kind: tuple(n for n in s.names() if s.owners[n] == plugin) for s in shelves}


def _shelf(manager: PluginManager, hook: str, kind: str, wanted: type[Spec]) -> Shelf[Spec]:
    shelf: Shelf[Spec] = Shelf(kind)
    for plugin, spec in list(manager.offers(hook)):
        if not isinstance(spec, wanted) or not isinstance(spec.name, str) or not spec.name:
            manager.fail(
                plugin, f"{hook} must return {wanted.__name__} with a name, not {type(spec).__name__}"
            )
            continue
        _put(shelf, manager, plugin, spec)
    return shelf


def _put(shelf: Shelf[Spec], manager: PluginManager, plugin: str, spec: Spec) -> None:
    name = spec.name
    other = shelf.owners.get(name)
    if other is None:
        shelf.specs[name], shelf.owners[name] = spec, plugin
        return
    why = f"{shelf.kind} {name!r} is offered by {other!r} and by {plugin!r}; rename one or disable a plugin"
    first_built_in, second_built_in = manager.is_built_in(other), manager.is_built_in(plugin)
    if first_built_in or second_built_in:
        # Ours stays: a stranger cannot take a built-in's place by bearing its name.
        manager.fail(plugin if first_built_in else other, why)
        if second_built_in and not first_built_in:
            shelf.specs[name], shelf.owners[name] = spec, plugin
        return
    shelf.clashes[name] = PluginError(why)
    shelf.specs.pop(name, None)
    for culprit in (other, plugin):
        manager.fail(culprit, why)


def guarded(what: str, load: Callable[[], Any]) -> Any:
    """Calls a plugin's `load`; anything but a typed error becomes a `PluginError` naming what was loaded."""
    try:
        return load()
    except (DxtreeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a stranger's code may raise anything
        raise PluginError(f"{what} could not be loaded: {type(error).__name__}: {error}") from error
