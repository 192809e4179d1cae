"""What does each fuser say about each lesion, fitted on the other folds? Each fit is done once and kept."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.errors import CohortError, DxtreeError, PluginContractError
from core.files import write_whole
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Fuser
from core.tree import FloatArray
from dxtree.benchmark.arms import with_inputs
from dxtree.benchmark.material import Material
from dxtree.benchmark.workers import Workers
from fusion.crossing import fuser_for, renumbered
from fusion.training import versions
from plugins.registry import guarded
from plugins.specs import FuserSpec, FusionCase

FINAL = "final"
"""The fit on all folds, for lesions that nothing was fitted on."""

Inputs = Mapping[str, tuple[str, ...]]

Progress = Callable[[int, int, str], None]
"""Fits done, fits in all, and the name of the last."""


@dataclass(frozen=True)
class Fit:
    """One fuser to be fitted: on all folds but one, or on all of them for `FINAL`."""

    material: int
    fuser: str
    fold: int | str
    control: bool = False
    """Whether metadata were permuted among lesions, in fitting and in answering."""

    @property
    def name(self) -> str:
        """For progress and file names."""
        return f"{self.fuser}{'-permuted' if self.control else ''}-{self.fold}"


@dataclass(frozen=True)
class Run:
    """Everything that a fit needs beyond its own name; sent once to each process."""

    materials: tuple[Material, ...]
    specs: Mapping[str, FuserSpec]
    inputs: Inputs
    seed: int
    cache: Path | None = None
    digests: tuple[str, ...] = field(default=())
    plugins: tuple[str, ...] = ()
    """What other processes load beside the built-in plugins: names and one-file plugins."""

    def fits(self, fusers: Sequence[str], control: str | None) -> list[Fit]:
        """Every fit: the slow fusers' first, so that no process is left alone with one at the end."""
        found = []
        for k, material in enumerate(self.materials):
            folds: list[int | str] = list(range(material.folds))
            folds += [] if material.crossed else [FINAL]
            able = [f for f in fusers if material.teaches or self.specs[f].fit is None]
            found += [Fit(k, f, fold) for f in able for fold in folds]
            if control and any(c.patient.known() for c in material.fitting):
                found += [Fit(k, control, fold, control=True) for fold in folds]
        return sorted(found, key=lambda f: (f.fuser not in _SLOW, f.fuser))


_SLOW = ("stack", "boosted", "boosted_monotone", "joint_metablock", "joint_concat")


def answer(run: Run, fit: Fit) -> dict[str, FloatArray]:
    """Rows x training classes by set of inputs, for the cases that the fit has not seen.

    NaN where a case lacks one of the modalities.
    """
    path = _path(run, fit)
    if path is not None and path.is_file():
        return _kept(path, run.inputs)
    material = run.materials[fit.material]
    fitting, judged = material.fitting, material.judged
    if fit.control:
        fitting, judged = permuted(fitting, run.seed), permuted(judged, run.seed + 1)
    if fit.fold == FINAL:
        known, asked = fitting, judged
    else:
        known = tuple(c for c in fitting if c.fold != fit.fold)
        asked = tuple(c for c in fitting if c.fold == fit.fold)
    fuser = fitted(run.specs[fit.fuser], renumbered(known), material.partition, run.seed)
    rows = {
        name: _ask(fit.fuser, fuser, asked, members, material.partition)
        for name, members in run.inputs.items()
    }
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save({str(k): v for k, v in enumerate(rows.values())}))
    return rows


def answer_all(
    run: Run, fits: Sequence[Fit], workers: Workers, progress: Progress | None = None
) -> dict[Fit, dict[str, FloatArray]]:
    """Every fit's answers. Interrupted, the fits that are done are kept."""
    found: dict[Fit, dict[str, FloatArray]] = {}
    _RUN[:] = [run]  # where the workers are this process
    kept = [f for f in fits if _is_kept(run, f)]
    for some in (kept, [f for f in fits if f not in kept]):
        steps = ((f, answer(run, f)) for f in some) if some is kept else workers.each(_work, some)
        for fit, rows in steps:
            found[fit] = rows
            if progress is not None:
                progress(len(found), len(fits), fit.name)
    return found


def workers_of(run: Run, jobs: int) -> Workers:
    """Processes that know the run; they look the specs up, as functions of a plugin's file cannot be sent."""
    return Workers(jobs, _start, replace(run, specs={}), tuple(run.specs))


def fitted(spec: FuserSpec, cases: Sequence[FusionCase], partition: Partition, seed: int) -> Fuser:
    """A fuser fitted on cases and loaded as it would be from a model set; what a plugin raises is typed."""
    found: Fuser = guarded(f"fuser {spec.name!r}", lambda: fuser_for(spec, cases, partition, seed))
    return found


def permuted(cases: Sequence[FusionCase], seed: int) -> tuple[FusionCase, ...]:
    """The cases with each patient's metadata moved, as a whole, to another lesion of the same fold."""
    rng = np.random.default_rng(seed)
    found = list(cases)
    for fold in sorted({c.fold for c in cases}):
        inside = [k for k, c in enumerate(cases) if c.fold == fold]
        for k, other in zip(inside, rng.permutation(inside).tolist(), strict=True):
            found[k] = replace(cases[k], patient=cases[other].patient)
    return tuple(found)


def _ask(
    name: str, fuser: Fuser, cases: Sequence[FusionCase], members: Sequence[str], partition: Partition
) -> FloatArray:
    rows = np.full((len(cases), len(partition.ids)), np.nan)
    for k, whole in enumerate(cases):
        case = with_inputs(whole, members)
        if case is None:
            continue
        try:
            leaf = fuser.fuse(case.evidence, case.patient)
        except DxtreeError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise PluginContractError(f"fuser {name!r} failed with {type(error).__name__}") from error
        if not isinstance(leaf, LeafProbabilities) or leaf.classes != partition.ids:
            raise PluginContractError(f"fuser {name!r} did not answer with the training classes")
        rows[k] = leaf.values
    return rows


@cache
def code_digest(spec: FuserSpec) -> str:
    """sha256 of the source behind a fuser's answers: its whole package or one file, `core` and this one."""
    function: Any = spec.fit or spec.load
    while isinstance(function, partial):
        function = function.func
    top = sys.modules.get(str(function.__module__).partition(".")[0])
    folders = [Path(str(import_module("core").__file__)).parent, Path(__file__).parent]
    if top is not None and getattr(top, "__file__", None) and hasattr(top, "__path__"):
        folders.append(Path(str(top.__file__)).parent)
    own = inspect.getsourcefile(function)
    files = {f for folder in folders for f in folder.rglob("*.py")} | ({Path(own)} if own else set())
    found = hashlib.sha256()
    for one in sorted(files):
        found.update(one.read_bytes())
    return found.hexdigest()


def _path(run: Run, fit: Fit) -> Path | None:
    if run.cache is None:
        return None
    spec = run.specs[fit.fuser]
    known = versions(["scipy", "scikit-learn", "xgboost", "xgboost-cpu", "torch"])
    inputs = [[name, list(members)] for name, members in run.inputs.items()]
    key = [run.digests[fit.material], code_digest(spec), known, fit.control, run.seed, inputs]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    material = run.materials[fit.material]
    return run.cache / f"{material.cohort}-{material.evidence}" / f"{fit.name}-{digest}.safetensors"


def _is_kept(run: Run, fit: Fit) -> bool:
    path = _path(run, fit)
    return path is not None and path.is_file()


def _kept(path: Path, inputs: Inputs) -> dict[str, FloatArray]:
    """Answers as `answer` wrote them. Raises `CohortError` for a damaged file."""
    try:
        arrays = load(path.read_bytes())
        return {name: np.asarray(arrays[str(k)], np.float64) for k, name in enumerate(inputs)}
    except (KeyError, ValueError, SafetensorError):
        text = f"{path.name} is damaged; delete the folder {path.parent.name!r} and run again"
        raise CohortError(text) from None


_RUN: list[Run] = []
"""The run of this process, a worker or the only one."""


def _start(run: Run, names: tuple[str, ...]) -> None:
    import scipy.optimize  # noqa: F401 - limits reach only libraries that are loaded
    from threadpoolctl import threadpool_limits

    from plugins.assembly import load_registry
    from plugins.config import Settings

    threadpool_limits(1)  # two processes that fight for one core are slower than one that works
    registry = load_registry(Settings.from_environment().with_plugins(run.plugins))
    _RUN[:] = [replace(run, specs={name: registry.fusers.get(name) for name in names})]


def _work(fit: Fit) -> dict[str, FloatArray]:
    return answer(_RUN[0], fit)
