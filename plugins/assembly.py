"""How do a model set and the plugins become a pipeline?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from threading import Lock

from core.errors import BundleError, DxtreeError, PluginContractError, UnknownModality
from core.pipeline import Pipeline
from core.protocols import Adjustment, Fuser, ModalityModel
from plugins.allow_list import AllowList
from plugins.config import Settings
from plugins.manager import PluginManager
from plugins.model_set import MANIFEST, UNCALIBRATED, ModelSet
from plugins.registry import Registry, guarded
from plugins.specs import ModalitySpec, ModelRequest, PreprocessorSpec

DEFAULT_SET = "default"
FALLBACK = "bayes"
"""The fuser that joins a modality which the chosen fuser was not fitted with."""

CALIBRATORS = "fusion.calibrating.calibrator"
"""The module that reads calibrations, by name as entry points name theirs: it stands above this layer."""


def load_registry(settings: Settings | None = None) -> Registry:
    """Loads the built-in plugins and those that the settings switch on, but none that they switch off.

    Raises `PluginError` where the settings name an allow-list that cannot be read.
    """
    chosen = settings or Settings.from_environment()
    manager = PluginManager(chosen.disabled, AllowList.read(chosen.allowed) if chosen.allowed else None)
    manager.load_entry_points(chosen.names())
    for file in chosen.files():
        manager.load_file(file)
    manager.check_disabled()
    return Registry.of(manager)


def find_model_set(registry: Registry, name_or_folder: str | None = None) -> ModelSet:
    """The shipped set, the set of a name, or the one in a folder. Raises `PluginError` or `BundleError`."""
    wanted = name_or_folder or DEFAULT_SET
    if (Path(wanted) / MANIFEST).is_file():
        return ModelSet.open(Path(wanted))
    if Path(wanted).is_dir():
        raise BundleError(f"the folder {Path(wanted).name!r} holds no {MANIFEST}; it is no model set")
    return ModelSet.open(registry.model_sets.get(wanted).folder)


def assemble(
    registry: Registry,
    models: ModelSet,
    *,
    fuser: str | None = None,
    engine: str = "auto",
    calibration: str | None = None,
) -> Pipeline:
    """A pipeline of every modality that the set has a bundle for or that brings its own model.

    `fuser` names one of the set's fitted fusers or one that needs no fitting; without it the set's
    default is taken; `engine` goes to every modality. `calibration` names one that the set holds for the
    fuser, or "none"; without it the set's default is applied where the fuser has it. Models are loaded when
    a case first needs them, once, whichever thread asks.
    """
    partition = models.partition
    name = fuser or models.default_fuser
    pipeline = Pipeline(
        partition=partition,
        models=modality_models(registry, models, engine),
        fuser=load_fuser(registry, models, name),
        observers=registry.manager.observers(),
        fallback=_fallback(registry, models),
        provenance={
            "model_set": models.bundle.manifest.get("name", models.folder.name),
            "digest": models.bundle.digest,
            "demonstration": bool(models.bundle.manifest.get("demonstration", False)),
            "taxonomy": partition.taxonomy.name,
            "partition": partition.fingerprint,
            "plugins": [s.name for s in registry.manager.statuses if s.state == "ok" and not s.built_in],
            "plugins_failed": [s.name for s in registry.manager.statuses if s.state == "failed"],
        },
    )
    adjustment = load_calibration(models, name, calibration)
    return pipeline if adjustment is None else pipeline.with_calibration(adjustment)


def modality_models(
    registry: Registry, models: ModelSet, engine: str = "auto"
) -> dict[str, Callable[[], ModalityModel]]:
    """Modality to a function that loads its model, once; one that raises the clash for a name of two."""
    specs = [registry.modalities.get(name) for name in registry.modalities.names()]
    steps = registry.preprocessors.specs
    loaders = {
        s.name: _once(_modality_loader(s, models, engine, steps)) for s in specs if _offered(s, models)
    }
    loaders |= {name: _raising(clash) for name, clash in registry.modalities.clashes.items()}
    return _Loaders(loaders, frozenset(s.name for s in specs if not _offered(s, models)))


class _Loaders(dict[str, Callable[[], ModalityModel]]):
    """Loaders by modality, which say of one that a plugin reads that the set has no bundle for it."""

    def __init__(self, loaders: Mapping[str, Callable[[], ModalityModel]], unfitted: frozenset[str]) -> None:
        super().__init__(loaders)
        self._unfitted = unfitted

    def __missing__(self, modality: str) -> Callable[[], ModalityModel]:
        if modality not in self._unfitted:
            raise KeyError(modality)
        raise UnknownModality(
            f"this model set has no bundle for modality {modality!r}; it has some for "
            f"{', '.join(sorted(self))}. Name a set that has one (--models), or fit one"
        )


def load_fuser(registry: Registry, models: ModelSet, name: str) -> Fuser:
    """A fuser by name, fitted where it needs fitting. Raises `BundleError` where the set did not fit it."""
    spec = registry.fusers.get(name)
    bundle = models.fuser_bundle(name)
    if bundle is None and spec.fit is not None:
        fitted = ", ".join(sorted(models.fusers)) or "none"
        raise BundleError(
            f"this model set holds no fitted {name!r}; fitted are: {fitted}. See dxtree fit-fusion"
        )
    fuser = guarded(f"fuser {name!r}", lambda: spec.load(models.partition, bundle))
    if not isinstance(fuser, Fuser):
        raise PluginContractError(f"fuser {name!r} loaded something that is no fuser")
    return fuser


def load_calibration(models: ModelSet, fuser: str, name: str | None = None) -> Adjustment | None:
    """The calibration of a fuser by name; without one the set's default, `None` where the fuser has none.

    "none" is `None`. Raises `BundleError` where the set holds no calibration of that name for the fuser, and
    what reading it raises.
    """
    wanted = name or models.default_calibration
    if wanted is None or wanted == UNCALIBRATED:
        return None
    bundle = models.calibration_bundle(fuser, wanted)
    if bundle is None and name is None:
        return None
    if bundle is None:
        held = ", ".join(sorted(models.calibrations.get(fuser, {}))) or "none"
        raise BundleError(
            f"this model set holds no calibration {wanted!r} of the {fuser} fuser; it holds: {held}. "
            "See dxtree fit-fusion"
        )
    calibration: Adjustment = import_module(CALIBRATORS).from_files(models.partition, bundle, fuser)
    return calibration


def usable_fusers(registry: Registry, models: ModelSet) -> tuple[str, ...]:
    """Names of the fusers that this set can be used with: the fitted ones and those that need no fitting."""
    names = registry.fusers.names()
    return tuple(n for n in names if n in models.fusers or registry.fusers.get(n).fit is None)


def default_pipeline() -> Pipeline:
    """What `core.diagnose(case)` uses: the shipped models, or those that the environment names."""
    settings = Settings.from_environment()
    registry = load_registry(settings)
    return assemble(registry, find_model_set(registry, settings.models))


def _fallback(registry: Registry, models: ModelSet) -> Fuser | None:
    """A fuser of the set that takes any modality: Bayes' rule needs no fitting to one that it never met.

    Where it is broken there is none; the chosen fuser then refuses such a modality itself.
    """
    if FALLBACK not in models.fusers:
        return None
    try:
        return load_fuser(registry, models, FALLBACK)
    except DxtreeError:
        return None


def _offered(spec: ModalitySpec, models: ModelSet) -> bool:
    return spec.name in models.modalities or not spec.needs_bundle


def _modality_loader(
    spec: ModalitySpec, models: ModelSet, engine: str, steps: Mapping[str, PreprocessorSpec]
) -> Callable[[], ModalityModel]:
    def load() -> ModalityModel:
        request = ModelRequest(models.partition, models.modality_bundle(spec.name), engine, steps)
        model = guarded(f"modality {spec.name!r}", lambda: spec.load(request))
        if not isinstance(model, ModalityModel):
            raise PluginContractError(f"modality {spec.name!r} loaded something that is no model")
        if tuple(model.classes) != models.partition.ids:
            raise PluginContractError(f"modality {spec.name!r} answers with other training classes")
        return model

    return load


def _raising(error: Exception) -> Callable[[], ModalityModel]:
    def load() -> ModalityModel:
        raise error

    return load


def _once(load: Callable[[], ModalityModel]) -> Callable[[], ModalityModel]:
    lock, kept = Lock(), []  # type: ignore[var-annotated]

    def loaded() -> ModalityModel:
        with lock:
            if not kept:
                kept.append(load())
            model: ModalityModel = kept[0]
            return model

    return loaded
