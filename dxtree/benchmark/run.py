"""How does a configuration become results? Join, fit, answer, judge; each fit is done once."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.case import FIELDS
from core.cohort import Lesion
from core.errors import CohortError, MissingExtra
from core.tree import TreeSums
from dxtree.benchmark.answers import PERMUTED, gather_answers
from dxtree.benchmark.closer import look_closer, with_calibrated
from dxtree.benchmark.config import BenchmarkConfig, Reference
from dxtree.benchmark.evidence import EvidenceSet
from dxtree.benchmark.field import Field, make_field
from dxtree.benchmark.judging import (
    Court,
    holm_floor,
    judge_level,
    open_court,
    pair_tests,
    references,
    scored_of,
)
from dxtree.benchmark.material import Material, check_alike, material_of
from dxtree.benchmark.results import Benchmark, ByLevel, CohortResults
from dxtree.benchmark.running import Progress, Run, answer_all, workers_of
from dxtree.benchmark.sampling import Portion, group_arms
from dxtree.benchmark.shortcuts import MISSINGNESS_ALONE, Missing, missing_fields
from dxtree.benchmark.workers import Workers
from dxtree.cohorts import traps
from dxtree.evaluation.evaluate import environment
from dxtree.evaluation.intervals import group_index
from dxtree.evaluation.metrics import MALIGNANT
from dxtree.evaluation.subgroups import Subgroup
from fusion.training import versions
from plugins.registry import Registry


@dataclass(frozen=True)
class Outcome:
    """What a run gives: the results, and for each cohort the field that they were judged on."""

    benchmark: Benchmark
    courts: tuple[Court, ...]


def run_benchmark(
    config: BenchmarkConfig,
    registry: Registry,
    lesions: Mapping[str, Sequence[Lesion]],
    evidence: Mapping[str, EvidenceSet],
    *,
    cache: Path | None = None,
    jobs: int = 1,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
) -> Outcome:
    """Runs a benchmark over lesions by cohort and evidence sets by name.

    `cache`: folder where the answers of each fit are kept; the same call goes on from there. `jobs`:
    processes. `plugins`: what those load beside the built-in plugins. Raises `CohortError` for what the
    configuration names and is not there, `ContractError` for evidence sets that do not belong together, and
    what the fusers raise.
    """
    modalities = tuple(sorted({m for e in evidence.values() for m in e.modalities}))
    inputs = config.input_sets(modalities)
    specs = {name: registry.fusers.get(name) for name in (*config.fusers, config.control)}
    materials = [
        material_of(config, cohort, name, evidence[name], lesions[cohort])
        for cohort in config.cohorts
        for name in config.evidence
    ]
    for cohort in config.cohorts:
        check_alike([m for m in materials if m.cohort == cohort])
    _check_asked(config, materials)
    run = Run(
        tuple(materials),
        specs,
        inputs,
        config.seed,
        cache,
        tuple(m.digest() for m in materials),
        tuple(plugins),
    )
    control = config.control if any(set(members) & set(FIELDS) for members in inputs.values()) else None
    courts, results = [], []
    with workers_of(run, jobs) as workers:
        answers = answer_all(run, run.fits(config.fusers, control), workers, progress)
        answered = gather_answers(materials, answers, config.fusers, inputs, control)
        for cohort in config.cohorts:
            own = [a for a in answered if a.material.cohort == cohort]
            field = with_calibrated(make_field(own, config.metadata), config)
            court = open_court(field, registry.cohorts.get(cohort), config, inputs)
            courts.append(court)
            results.append(judge_cohort(court, [a.material for a in own], workers, progress))
    metrics = tuple({m.name: m for c in courts for m in c.metrics()}.values())
    told = {name: dict(e.about) | {"digest": e.digest} for name, e in evidence.items()}
    benchmark = Benchmark(config, metrics, tuple(results), _provenance(courts, told))
    return Outcome(benchmark, tuple(courts))


def judge_cohort(
    court: Court, materials: Sequence[Material], workers: Workers, progress: Progress | None = None
) -> CohortResults:
    """Every table of one cohort. Raises `CohortError` where no lesion is answered by every arm."""
    if not court.common.any():
        raise CohortError(
            f"{court.cohort.name}: no lesion is answered by every arm; take inputs that its lesions have"
        )
    levels, comparisons = [], []
    for k, label_set in enumerate(court.labels.sets):
        if len(court.rows(label_set)):
            level, found = judge_level(court, label_set, workers)
            levels.append(level)
            comparisons += found
        if progress is not None:
            progress(k + 1, len(court.labels.sets), f"judging {court.cohort.name}, {label_set.name}")
    missing = _missing(court)
    return CohortResults(
        cohort=court.cohort.name,
        n=int(court.common.sum()),
        n_lesions=len(court.field.judged.lesions),
        inputs=court.inputs,
        headline=court.headline.name,
        malignant=court.nodes.get(MALIGNANT),
        main=tuple(t for t, a in court.field.arms.items() if a.variant in (None, PERMUTED)),
        controls=tuple(t for t, a in court.field.arms.items() if a.variant == PERMUTED),
        levels=tuple(levels),
        comparisons=tuple(comparisons),
        tests=tuple(pair_tests(court)),
        subgroups=_subgroups(court, workers),
        missing=tuple(missing),
        warnings=tuple(_warnings(court, levels, missing)),
        same=court.field.same,
        empty=court.field.empty,
        left_out=_left_out(court.field, materials),
        traps=traps([court.cohort.name]),
        closer=look_closer(court),
    )


def _check_asked(config: BenchmarkConfig, materials: Sequence[Material]) -> None:
    """Faults that are told before anything is fitted.

    Raises `UnknownNode` or `BelowTrainingClass` for a node, and `MissingExtra` where prediction sets cannot
    be fitted here.
    """
    sums = TreeSums(materials[0].partition)
    for node in config.nodes:
        sums.column(node)
    if config.closer and find_spec("mapie") is None:
        raise MissingExtra("prediction sets in a benchmark", "trust")


def _missing(court: Court) -> list[Missing]:
    if MALIGNANT not in court.nodes:
        return []
    patients = [x.patient for x in court.field.judged.lesions]
    return missing_fields(patients, court.node_truth[MALIGNANT].tolist(), court.config.metadata)


def _warnings(court: Court, levels: Sequence[ByLevel], missing: Sequence[Missing]) -> list[str]:
    """What a reader must know before believing a gain."""
    found = [
        f"{one.field} is missing for {one.missing:,} lesions, of which {one.missing_share[0]:.0%} are "
        f"malignant, against {one.known_share[0]:.0%} where it is known: its absence tells the label. Read "
        f"the arms without {one.field}."
        for one in missing
        if one.tells and one.missing_share and one.known_share
    ]
    for level in levels:
        cell = level.cells.get(MISSINGNESS_ALONE, {}).get(f"auc_{MALIGNANT}")
        if level.name == court.headline.name and cell and cell.low is not None and round(cell.low, 2) > 0.5:
            found.append(
                f"Which fields are missing, and nothing else, gives an AUC of {cell.value:.2f} "
                f"[{cell.low:.2f}, {cell.high:.2f}] for {court.nodes[MALIGNANT]}: part of what metadata add "
                "here may be how the data were collected."
            )
    asked = {t for r in (*court.config.references, *court.config.closer) for t in _titles(court, r)}
    found += [f"{one} has no answer for any lesion; nothing is compared with it." for one in sorted(asked)]
    return found + [text for text in (holm_floor(court),) if text]


def _titles(court: Court, one: Reference) -> list[str]:
    """Arms of the configuration that have no answer here."""
    return [t for t in court.field.empty if t.endswith(f"{one.fuser}: {one.inputs}")]


def _subgroups(court: Court, workers: Workers) -> Mapping[str, tuple[Subgroup, ...]]:
    """The references and every fuser with the most inputs, by sex, age, site and the cohort's own groups."""
    label_set = court.headline
    rows = court.rows(label_set)
    field = court.field
    widest = max(court.inputs, key=lambda name: len(court.inputs[name]))
    chosen = [*references(court), *(t for f in court.config.fusers for t in field.title_of(f, widest))]
    lesions = [field.judged.lesions[k] for k in rows.tolist()]
    scored = {arm: scored_of(court, label_set, rows, arm) for arm in dict.fromkeys(chosen)}
    groups = group_index(court.lesions(rows))
    portion = Portion(scored, {}, groups, court.config.resamples, court.config.seed)
    return group_arms(lesions, portion, workers)


def _left_out(field: Field, materials: Sequence[Material]) -> dict[str, int]:
    found: dict[str, int] = {}
    several = len(materials) > 1
    for material in materials:
        for reason, count in material.left_out.items():
            found[f"{material.evidence}: {reason}" if several else reason] = count
    answered = int(field.common().sum())
    if rest := len(field.judged.lesions) - answered:
        found["not answered by every arm"] = rest
    return found


def _provenance(courts: Sequence[Court], evidence: Mapping[str, Any]) -> dict[str, Any]:
    lesions = [x for c in courts for x in c.field.judged.lesions]
    told = environment(lesions, courts[0].field.partition)
    libraries = versions(["scipy", "scikit-learn", "xgboost", "xgboost-cpu", "torch", "safetensors"])
    return {
        **told,
        "libraries": libraries,
        "platform": platform.platform(terse=True),
        "cores": os.cpu_count(),
        "evidence": dict(evidence),
    }
