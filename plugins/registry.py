"""What can be asked for by name: modalities, fusers, cohorts, taxonomies, model sets and stages?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from core.errors import DxtreeError, PluginError, did_you_mean
from plugins.manager import PluginManager
from plugins.specs import (
    CohortSpec,
    FeatureSpec,
    FuserSpec,
    ModalitySpec,
    ModelSetSpec,
    PreprocessorSpec,
    SegmenterSpec,
    TaxonomySpec,
)

Spec = TypeVar(
    "Spec",
    ModalitySpec,
    FuserSpec,
    CohortSpec,
    TaxonomySpec,
    ModelSetSpec,
    PreprocessorSpec,
    SegmenterSpec,
    FeatureSpec,
)


@dataclass
class Shelf(Generic[Spec]):
    """All specs of one kind by name, with who offers each. A name that two strangers offer is unusable."""

    kind: str
    offers: list[tuple[str, Spec]] = field(default_factory=list)
    """(plugin, spec) of everything that was offered."""
    specs: dict[str, Spec] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    clashes: dict[str, PluginError] = field(default_factory=dict)

    def settle(self, works: Callable[[str], bool]) -> None:
        """Makes usable what working plugins offer, and nothing else."""
        kept = [(plugin, spec) for plugin, spec in self.offers if works(plugin)]
        self.specs = {spec.name: spec for _, spec in kept}
        self.owners = {spec.name: plugin for plugin, spec in kept}

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
    preprocessors: Shelf[PreprocessorSpec]
    segmenters: Shelf[SegmenterSpec]
    features: Shelf[FeatureSpec]

    @classmethod
    def of(cls, manager: PluginManager) -> Registry:
        """Asks every plugin once.

        A plugin that raises, answers with a wrong type or bears a name that another one has fails, and
        offers nothing at all; names are compared when all have answered, so that no order counts.
        """
        shelves: tuple[Shelf[Any], ...] = (
            _gathered(manager, "dxtree_modalities", "modality", ModalitySpec),
            _gathered(manager, "dxtree_fusers", "fuser", FuserSpec),
            _gathered(manager, "dxtree_cohorts", "cohort", CohortSpec),
            _gathered(manager, "dxtree_taxonomies", "taxonomy", TaxonomySpec),
            _gathered(manager, "dxtree_model_sets", "model set", ModelSetSpec),
            _gathered(manager, "dxtree_preprocessors", "preprocessing step", PreprocessorSpec),
            _gathered(manager, "dxtree_segmenters", "segmenter", SegmenterSpec),
            _gathered(manager, "dxtree_features", "feature", FeatureSpec),
        )
        failed = {plugin: why for shelf in shelves for plugin, why in _compared(shelf, manager)}
        for plugin, why in failed.items():
            manager.fail(plugin, why)
        for shelf in shelves:
            shelf.settle(manager.is_working)
        return cls(manager, *shelves)

    @property
    def shelves(self) -> Mapping[str, Shelf[Any]]:
        """Every shelf by its kind, in the order of the fields."""
        found = (getattr(self, f.name) for f in fields(self))
        return {shelf.kind: shelf for shelf in found if isinstance(shelf, Shelf)}

    def offered_by(self, plugin: str) -> Mapping[str, tuple[str, ...]]:
        """What one plugin offers, by kind."""
        shelves = self.shelves.items()
        return {kind: tuple(n for n in s.names() if s.owners[n] == plugin) for kind, s in shelves}


def _gathered(manager: PluginManager, hook: str, kind: str, wanted: type[Spec]) -> Shelf[Spec]:
    shelf: Shelf[Spec] = Shelf(kind)
    for plugin, spec in list(manager.offers(hook)):
        if isinstance(spec, wanted) and isinstance(spec.name, str) and spec.name:
            shelf.offers.append((plugin, spec))
        else:
            found = type(spec).__name__
            manager.fail(plugin, f"{hook} must return {wanted.__name__} with a name, not {found}")
    return shelf


def _compared(shelf: Shelf[Any], manager: PluginManager) -> Iterator[tuple[str, str]]:
    """(plugin, why) of each stranger that offers another one's name; a name of strangers alone clashes."""
    claimed: dict[str, list[str]] = defaultdict(list)
    for plugin, spec in shelf.offers:
        if manager.is_working(plugin):
            claimed[spec.name].append(plugin)
    for name, plugins in claimed.items():
        if len(plugins) == 1:
            continue
        both = " and by ".join(map(repr, plugins))
        why = f"{shelf.kind} {name!r} is offered by {both}; rename one or disable a plugin"
        # Ours stays: a stranger cannot take a built-in's place by bearing its name.
        if not any(manager.is_built_in(plugin) for plugin in plugins):
            shelf.clashes[name] = PluginError(why)
        yield from ((plugin, why) for plugin in plugins if not manager.is_built_in(plugin))


def guarded(what: str, load: Callable[[], Any]) -> Any:
    """Calls a plugin's `load`; anything but a typed error becomes a `PluginError` naming what was loaded."""
    try:
        return load()
    except (DxtreeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a stranger's code may raise anything
        raise PluginError(f"{what} could not be loaded: {type(error).__name__}: {error}") from error
