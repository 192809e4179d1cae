"""What is to be tested of one plugin? Every promise of everything that it offers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from core.errors import PluginError, did_you_mean
from plugins.conformance import fuser, modality_rules, probe, stages
from plugins.conformance.finding import Finding, Promise, check_expected, expect, found
from plugins.conformance.fuser import FuserUnderTest
from plugins.conformance.modality import ModalityUnderTest
from plugins.conformance.probe import Probe, ProbedModality
from plugins.conformance.stages import StageUnderTest
from plugins.model_set import ModelSet
from plugins.registry import Registry

LOADS, OFFERS = "plugin_loads", "plugin_offers"
TAXONOMY, MODEL_SET = "taxonomy_loads", "model_set_whole"

KEYS: tuple[str, ...] = tuple(
    sorted(
        {LOADS, OFFERS, TAXONOMY, MODEL_SET}
        | {r.key for r in modality_rules.RULES}
        | {r.key for r in fuser.RULES}
        | {r.key for r in stages.RULES}
        | {r.key for r in probe.PLUGIN_RULES}
        | {r.key for r in probe.MODALITY_RULES}
    )
)
"""The name of every promise, as expected failures call it."""


def plan(plugin: str, registry: Registry, models: ModelSet, *, quick: bool = False) -> list[Promise]:
    """Every promise that applies to what a plugin offers, untested; with `quick` those of this process only.

    One that failed to load, or is not switched on, has one. Raises `PluginError` for no such plugin.
    """
    known = {s.name: s for s in registry.manager.statuses}
    if plugin not in known:
        raise PluginError(f"no plugin {plugin!r}; there are {', '.join(known)}{did_you_mean(plugin, known)}")
    status = known[plugin]
    promises = [Promise(LOADS, "it loads", partial(_loads, plugin, registry))]
    if status.state != "ok":
        return promises
    offers = registry.offered_by(plugin)
    watches = plugin in registry.manager.watchers()
    promises.append(Promise(OFFERS, "it offers something", lambda: expect(any(offers.values()) or watches)))
    # A plugin that was handed over as an object cannot be loaded by another process.
    away = (
        None
        if quick or status.origin == "given"
        else Probe(plugin, registry.manager.enabled, models.folder, offers["modality"])
    )
    if away is not None:
        promises += [Promise.of(rule, away) for rule in probe.PLUGIN_RULES]
    for name in offers["modality"]:
        here = ModalityUnderTest(name, registry, models)
        promises += [Promise.of(rule, here, name) for rule in modality_rules.RULES]
        if away is not None:
            both = ProbedModality(here, away)
            promises += [Promise.of(rule, both, name) for rule in probe.MODALITY_RULES]
    for name in offers["fuser"]:
        tried = FuserUnderTest(name, registry, models)
        promises += [Promise.of(rule, tried, name) for rule in fuser.RULES]
    for kind in ("preprocessing step", "segmenter", "feature"):
        for name in offers[kind]:
            stage = StageUnderTest(kind, name, registry)
            promises += [Promise.of(rule, stage, name) for rule in stages.RULES]
    for name in offers["taxonomy"]:
        load = registry.taxonomies.get(name).load
        promises.append(Promise(TAXONOMY, f"taxonomy {name} loads", partial(_call, load)))
    for name in offers["model set"]:
        whole = partial(_open_all, registry.model_sets.get(name).folder)
        promises.append(Promise(MODEL_SET, f"model set {name} is whole", whole))
    return promises


def check(
    plugin: str,
    registry: Registry,
    models: ModelSet,
    *,
    expected: Mapping[str, str] | None = None,
    quick: bool = False,
) -> list[Finding]:
    """Tests every promise of a plugin; `expected` holds the reasons of failures that are expected, by key.

    A promise that cannot be tested, since another one is broken or nothing of its kind is there, has no
    finding. Raises `PluginError` for no such plugin and for an expected failure of no promise.
    """
    reasons = expected or {}
    check_expected(reasons, KEYS)
    findings = (found(promise, reasons) for promise in plan(plugin, registry, models, quick=quick))
    return [f for f in findings if f is not None]


def _loads(plugin: str, registry: Registry) -> None:
    status = next(s for s in registry.manager.statuses if s.name == plugin)
    if status.cause is not None:
        raise status.cause
    expect(status.state == "ok", f"it is {status.state}; name it with --plugin")


def _call(load: object) -> None:
    load()  # type: ignore[operator]


def _open_all(folder: Path) -> None:
    opened = ModelSet.open(folder)
    expect(len(opened.partition.ids) > 0)
    for modality in opened.modalities:
        opened.modality_bundle(modality)
    for name in opened.fusers:
        opened.fuser_bundle(name)
