"""Is a benchmark right about the difference? On lesions whose best answers are known, from YAML to page."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from typer.testing import CliRunner

from core.case import FIELDS, PatientMetadata
from core.cohort import LabelledImage, Lesion, lesions
from core.errors import (
    CohortError,
    ContractError,
    LeakageError,
    ManifestMismatch,
    PathRejected,
    TrainingError,
    UnknownNode,
)
from core.probabilities import LeafProbabilities
from core.tree import TreeSums
from dxtree.benchmark.arms import Arm
from dxtree.benchmark.config import BenchmarkConfig, read_benchmark
from dxtree.benchmark.evidence import HELD_OUT, Answers, EvidenceSet, read_evidence_set
from dxtree.benchmark.files import write_outcome
from dxtree.benchmark.leaderboard import changes, read_leaderboards
from dxtree.benchmark.material import Material, check_alike, drawn_folds, material_of
from dxtree.benchmark.run import Outcome, run_benchmark
from dxtree.benchmark.running import permuted
from dxtree.benchmark.shortcuts import METADATA_ALONE, MISSINGNESS_ALONE, missing_fields, missingness_alone
from dxtree.cli.main import app
from dxtree.cli.options import registry_of
from dxtree.cohorts.isic import official_class
from dxtree.cohorts.synthetic.answers import PerfectAnswers, answer_partition, answers_of
from dxtree.cohorts.synthetic.classes import SYNTHETIC
from dxtree.cohorts.synthetic.lesion import VIEWS
from dxtree.evaluation.labels import UNKNOWN
from plugins.model_set import hashed

LESIONS = 420
FOLDS = 3
WHOLE = (*VIEWS, *FIELDS)


def lesions_of(perfect: PerfectAnswers) -> list[Lesion]:
    """The lesions of the perfect nets as a cohort's reader gives them; no picture is ever opened."""
    tree = answer_partition().taxonomy
    found = []
    for case in perfect.cases(FOLDS):
        label = case.truth.rstrip("~")
        official = official_class(label, tree, SYNTHETIC.official_nodes)
        for view in VIEWS:
            name = f"{case.lesion}-{view}"
            path = Path("none.jpg")
            found.append(
                LabelledImage(name, case.lesion, view, path, label, case.patient, "synthetic", official)
            )
    return lesions(found)


def evidence_of(perfect: PerfectAnswers, fold: Sequence[int] | None = None) -> EvidenceSet:
    """What the perfect nets say, with a fold for each lesion."""
    partition = answer_partition()
    cases = perfect.cases(FOLDS)
    folds = np.array([c.fold for c in cases] if fold is None else fold, np.int64)
    answers = {}
    for k, view in enumerate(VIEWS):
        logits = np.log(perfect.oracle((view,))).astype(np.float32)
        keys = tuple(("synthetic", hashed(f"{c.lesion}-{view}")) for c in cases)
        priors = dict.fromkeys(np.unique(folds).tolist(), cases[0].evidence[k].prior)
        answers[view] = Answers(view, keys, logits, folds, 1.0, priors)
    return EvidenceSet(partition, answers, {"source": "perfect nets"}, "0" * 64)


def config_of(**changed: Any) -> BenchmarkConfig:
    base: dict[str, Any] = {
        "name": "perfect nets",
        "cohorts": ("synthetic",),
        "evidence": {"perfect": Path("perfect")},
        "fusers": ("image_only", "bayes"),
        "inputs": {"clinical": ("clinical",), "both": VIEWS, "both + metadata": WHOLE},
        "references": ({"inputs": "both"},),
        "control": "bayes",
        "resamples": 200,
    }
    return BenchmarkConfig.model_validate(base | changed)


def ran(config: BenchmarkConfig, perfect: PerfectAnswers, **options: Any) -> Outcome:
    sets = {name: evidence_of(perfect) for name in config.evidence}
    return run_benchmark(config, registry_of(None), {"synthetic": lesions_of(perfect)}, sets, **options)


@pytest.fixture(scope="module")
def perfect() -> PerfectAnswers:
    return answers_of(LESIONS, 0)


@pytest.fixture(scope="module")
def outcome(perfect: PerfectAnswers) -> Outcome:
    closer = ({"inputs": "both"}, {"fuser": "bayes", "inputs": "both + metadata"})
    config = config_of(closer=closer, calibrations=("temperature",), nodes=("Malignant:Carcinoma",))
    return ran(config, perfect)


@pytest.fixture(scope="module")
def written(outcome: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_outcome(outcome, folder)
    return folder


# Evidence


def test_an_evidence_set_is_read_as_it_was_written(perfect: PerfectAnswers, tmp_path: Path) -> None:
    there = evidence_of(perfect)
    there.write(tmp_path / "set")
    found = read_evidence_set(tmp_path / "set")
    assert found.partition.fingerprint == there.partition.fingerprint
    assert found.modalities == VIEWS and len(found.digest) == 64
    for view in VIEWS:
        assert found.answers[view].keys == there.answers[view].keys
        assert found.answers[view].priors == there.answers[view].priors
        np.testing.assert_array_equal(found.answers[view].logits, there.answers[view].logits)
        np.testing.assert_array_equal(found.answers[view].fold, there.answers[view].fold)


@pytest.mark.parametrize(
    "file", ["clinical.safetensors", "dermoscopy.csv", "partition.json", "evidence.json"]
)
def test_a_changed_byte_of_a_set_is_refused(perfect: PerfectAnswers, tmp_path: Path, file: str) -> None:
    evidence_of(perfect).write(tmp_path)
    content = bytearray((tmp_path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file).write_bytes(content)
    with pytest.raises((ManifestMismatch, ContractError)):
        read_evidence_set(tmp_path)


def test_a_folder_of_another_kind_is_no_evidence(tmp_path: Path) -> None:
    from core.manifest import write_bundle

    write_bundle(tmp_path, "evidence.json", {"kind": "models"}, {})
    with pytest.raises(ContractError, match="dxtree evidence"):
        read_evidence_set(tmp_path)


def test_several_images_of_a_modality_are_averaged_and_counted(perfect: PerfectAnswers) -> None:
    one = lesions_of(perfect)[0]
    ids = answer_partition().ids
    prior = LeafProbabilities.from_weights(ids, np.ones(len(ids)))
    keys = tuple(("synthetic", hashed(name)) for name in ("a", "b"))
    logits = np.random.default_rng(0).normal(size=(2, len(ids))).astype(np.float32)
    answers = Answers("clinical", keys, logits, np.zeros(2, np.int64), 2.0, {0: prior})
    images = tuple(replace(one.images[0], image=name, modality="clinical") for name in ("a", "b"))
    (case,) = EvidenceSet(answer_partition(), {"clinical": answers}).cases([replace(one, images=images)])
    each = [np.exp(row / 2.0) / np.exp(row / 2.0).sum() for row in logits.astype(np.float64)]
    np.testing.assert_allclose(case.evidence[0].probabilities.values, np.mean(each, axis=0), atol=1e-12)
    assert case.evidence[0].images == 2 and case.evidence[0].prior is prior


def test_an_image_that_two_modalities_read_counts_once_for_each(perfect: PerfectAnswers) -> None:
    one = lesions_of(perfect)[0]
    net = evidence_of(perfect).answers["clinical"]
    head = replace(net, modality="texture")
    twice = replace(one, images=(*one.images[:1], replace(one.images[0], modality="texture")))
    (case,) = EvidenceSet(answer_partition(), {"clinical": net, "texture": head}).cases([twice])
    assert [(e.modality, e.images) for e in case.evidence] == [("clinical", 1), ("texture", 1)]


def test_a_lesion_of_two_nets_is_a_leak(perfect: PerfectAnswers) -> None:
    found = evidence_of(perfect)
    moved = found.answers["clinical"].fold.copy()
    moved[0] = (moved[0] + 1) % FOLDS
    leaking = replace(
        found, answers={**found.answers, "clinical": replace(found.answers["clinical"], fold=moved)}
    )
    with pytest.raises(TrainingError, match="answered by nets of"):
        leaking.cases(lesions_of(perfect))


def test_answers_that_do_not_fit_each_other_are_refused(perfect: PerfectAnswers) -> None:
    one = evidence_of(perfect).answers["clinical"]
    broken = one.logits.copy()
    broken[3, 2] = np.nan
    for changed in (
        {"logits": broken},
        {"logits": one.logits[1:]},
        {"temperature": 0.0},
        {"keys": (one.keys[0], *one.keys[:-1])},
        {"priors": {}},
    ):
        with pytest.raises(ContractError):
            replace(one, **changed)


def test_a_cohort_that_the_set_does_not_hold_is_named(perfect: PerfectAnswers) -> None:
    with pytest.raises(CohortError, match="it holds synthetic"):
        evidence_of(perfect).of_cohorts(["milk10k"])


# The configuration


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"references": ({"inputs": "bith"},)}, "did you mean 'both'"),
        ({"references": ({"fuser": "bays", "inputs": "both"},)}, "did you mean 'bayes'"),
        ({"calibrations": ("temperature",)}, "closer"),
        ({"calibrations": ("platt",), "closer": ({"inputs": "both"},)}, "temperature"),
        ({"inputs": {"both": ()}}, "empty"),
        ({"colour": "red"}, "colour"),
        ({"resamples": 3}, "resamples"),
        ({"control": "logistic"}, "control"),
        ({"cohorts": ("a", "a")}, "twice"),
    ],
)
def test_a_wrong_file_names_the_field_and_what_is_allowed(
    tmp_path: Path, changed: Mapping[str, Any], words: str
) -> None:
    document = json.loads(config_of().model_dump_json()) | json.loads(json.dumps(changed))
    (tmp_path / "b.yaml").write_text(json.dumps(document))
    with pytest.raises(CohortError, match=words):
        read_benchmark(tmp_path / "b.yaml")


def test_what_is_no_yaml_is_said(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("a: [1, 2")
    with pytest.raises(CohortError, match="no YAML"):
        read_benchmark(tmp_path / "b.yaml")


def test_folders_are_those_beside_the_file_unless_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(config_of().model_dump_json())
    assert read_benchmark(tmp_path / "b.yaml").evidence == {"perfect": (tmp_path / "perfect").resolve()}
    other = read_benchmark(tmp_path / "b.yaml", {"perfect": Path("/elsewhere")})
    assert other.evidence == {"perfect": Path("/elsewhere")}
    with pytest.raises(CohortError, match="none of"):
        read_benchmark(tmp_path / "b.yaml", {"prefect": Path("/elsewhere")})


@pytest.mark.parametrize("column", ["diagnosis_confirm_type", "milk_class", "biopsed", "diagnosis_2"])
def test_a_leaking_column_is_refused_by_name_with_the_reason(column: str) -> None:
    with pytest.raises(LeakageError, match=column):
        config_of(metadata=(*FIELDS, column)).input_sets(VIEWS)
    with pytest.raises(LeakageError, match="diagnosis"):
        config_of(inputs={"both": (*VIEWS, column)}).input_sets(VIEWS)


def test_an_unknown_field_and_a_set_without_an_image_are_refused() -> None:
    with pytest.raises(CohortError, match="neither a modality"):
        config_of(inputs={"both": (*VIEWS, "ultrasound")}).input_sets(VIEWS)
    with pytest.raises(CohortError, match="no modality"):
        config_of(inputs={"both": FIELDS}).input_sets(VIEWS)
    with pytest.raises(CohortError, match="none of age_years"):
        config_of(metadata=("weight",)).input_sets(VIEWS)


def test_every_means_each_subset_that_holds_an_image() -> None:
    found = config_of(inputs="every", references=({"inputs": "clinical"},)).input_sets(VIEWS)
    assert len(found) == 2**5 - 2**3 and len(set(map(frozenset, found.values()))) == len(found)


# Which lesions are fitted on and judged


def material(perfect: PerfectAnswers, fold: Sequence[int] | None = None, **changed: Any) -> Material:
    config = config_of(**changed)
    return material_of(config, "synthetic", "perfect", evidence_of(perfect, fold), lesions_of(perfect))


def test_out_of_fold_lesions_are_judged_by_their_folds(perfect: PerfectAnswers) -> None:
    found = material(perfect)
    assert found.crossed and found.folds == FOLDS and len(found.judged) == LESIONS


def test_held_out_lesions_are_judged_by_what_was_fitted_on_the_others(perfect: PerfectAnswers) -> None:
    fold = [HELD_OUT if k % 4 == 0 else k % FOLDS for k in range(LESIONS)]
    found = material(perfect, fold, lesions="held_out")
    assert not found.crossed
    assert {c.lesion for c in found.judged}.isdisjoint(c.lesion for c in found.fitting)
    assert [c.lesion for c in found.judged] == [x.lesion for x in found.lesions]
    assert [c.lesion for c in found.fitting] == [x.lesion for x in found.fitted_lesions]


def test_lesions_that_no_net_met_get_folds_of_their_own(perfect: PerfectAnswers) -> None:
    found = material(perfect, [HELD_OUT] * LESIONS, folds=4)
    assert found.crossed and found.folds == 4


def of_patients(members: Sequence[Lesion], size: int) -> list[Lesion]:
    """The lesions as those of patients with this many each."""
    return [
        replace(x, images=tuple(replace(i, person=f"P{k // size}") for i in x.images))
        for k, x in enumerate(members)
    ]


def test_drawn_folds_keep_a_patient_together_whichever_lesions_have_evidence(perfect: PerfectAnswers) -> None:
    own = of_patients(lesions_of(perfect), 3)
    fold = drawn_folds(answer_partition(), own, 3, 0)
    assert len(fold) == LESIONS
    for k in range(0, LESIONS, 3):
        assert len({fold[x.lesion] for x in own[k : k + 3]}) == 1
    with pytest.raises(CohortError, match="cannot be cut"):
        drawn_folds(answer_partition(), own[:6], 3, 0)


def test_a_patient_in_two_folds_is_a_leak(perfect: PerfectAnswers) -> None:
    own = of_patients(lesions_of(perfect), 2)
    with pytest.raises(LeakageError, match="two folds"):
        material_of(config_of(), "synthetic", "perfect", evidence_of(perfect), own)


def test_lesions_of_one_patient_are_drawn_together(perfect: PerfectAnswers) -> None:
    unseen = evidence_of(perfect, [HELD_OUT] * LESIONS)
    config = config_of(fusers=("image_only",), control="image_only", resamples=300, folds=3)
    members = lesions_of(perfect)
    many = of_patients(members, LESIONS // 20)
    widths = []
    for own in (members, many):
        found = run_benchmark(config, registry_of(None), {"synthetic": own}, {"perfect": unseen})
        assert len(set(found.courts[0].lesions(np.arange(LESIONS)))) == (LESIONS if own is members else 20)
        cell = found.benchmark.cohorts[0].level("level1").cells["image_only: both"]["accuracy"]
        assert cell.low is not None and cell.high is not None
        widths.append(cell.high - cell.low)
        assert bool(found.benchmark.cohorts[0].tests) == (own is members)


def test_lesions_that_are_not_held_out_are_not_called_so(perfect: PerfectAnswers) -> None:
    with pytest.raises(CohortError, match="out_of_fold"):
        material(perfect, lesions="held_out")


def test_what_is_judged_elsewhere_is_counted(perfect: PerfectAnswers) -> None:
    fold = [HELD_OUT if k % 4 == 0 else k % FOLDS for k in range(LESIONS)]
    assert list(material(perfect, fold).left_out.values()) == [LESIONS // 4]
    assert list(material(perfect, fold, lesions="held_out").left_out.values()) == [LESIONS - LESIONS // 4]


def test_a_field_that_is_not_allowed_reaches_no_fit(perfect: PerfectAnswers) -> None:
    inputs = {"both": VIEWS, "both + age": (*VIEWS, "age_years")}
    found = material(perfect, metadata=("age_years",), inputs=inputs)
    assert {f for c in (*found.fitting, *found.judged) for f in c.patient.known()} == {"age_years"}
    assert any(x.patient.site for x in found.lesions)  # subgroups still know it


def test_evidence_of_other_folds_or_classes_is_not_mixed(perfect: PerfectAnswers) -> None:
    one = material(perfect)
    other = material(perfect, [(k + 1) % FOLDS for k in range(LESIONS)])
    with pytest.raises(ContractError, match="other folds"):
        check_alike([one, other])
    fold = [HELD_OUT if k % 4 == 0 else k % FOLDS for k in range(LESIONS)]
    with pytest.raises(ContractError, match="holds out"):
        check_alike([one, material(perfect, fold, lesions="held_out")])
    check_alike([one, one])


def test_permuted_metadata_stay_within_their_fold_and_lose_their_lesion(perfect: PerfectAnswers) -> None:
    cases = material(perfect).fitting
    moved = permuted(cases, 0)
    assert [c.evidence for c in moved] == [c.evidence for c in cases]
    for fold in range(FOLDS):
        before = sorted(str(c.patient) for c in cases if c.fold == fold)
        assert before == sorted(str(c.patient) for c in moved if c.fold == fold)
    same = np.mean([a.patient == b.patient for a, b in zip(cases, moved, strict=True)])
    assert same < 0.1


# The numbers


def test_the_numbers_are_those_of_scikit_learn(outcome: Outcome) -> None:
    court, results = outcome.courts[0], outcome.benchmark.cohorts[0]
    sums = TreeSums(court.field.partition)
    labels = [x.label for x in court.field.judged.lesions]
    malignant = [label.startswith("Malignant") for label in labels]
    for arm, values in court.field.judged.values.items():
        if arm.endswith("temperature"):
            continue
        for label_set in court.labels.sets:
            rows = np.flatnonzero(label_set.truth != UNKNOWN)
            answer = label_set.scores(values[rows]).argmax(axis=1)
            truth = label_set.truth[rows]
            if not len(rows):  # the lesions have no official class
                continue
            cells = results.level(label_set.name).cells[arm]
            assert cells["balanced_accuracy"].value == pytest.approx(
                balanced_accuracy_score(truth, answer) if set(answer) <= set(truth) else None
            )
            present = np.unique(truth)
            assert cells["macro_f1"].value == pytest.approx(
                f1_score(truth, answer, labels=present, average="macro", zero_division=0)
            )
        area = results.level(results.headline).cells[arm]["auc_malignant"].value
        assert area == pytest.approx(roc_auc_score(malignant, sums.of(values, ("Malignant",))[:, 0]))


def test_fused_is_near_the_best_that_there_is(outcome: Outcome, perfect: PerfectAnswers) -> None:
    results = outcome.benchmark.cohorts[0]
    cells = results.level("leaves").cells
    best = -np.log(perfect.oracle(WHOLE)[np.arange(LESIONS), perfect.truth]).mean()
    assert cells["image_only: both"]["log_loss"].value > cells["bayes: both + metadata"]["log_loss"].value
    assert cells["bayes: both + metadata"]["log_loss"].value == pytest.approx(best, abs=0.25)
    found = results.comparison("leaves", "brier", "bayes: both + metadata", "image_only: both")
    assert found is not None and found.verdict == "better" and found.found.high < 0


def test_the_control_is_compared_with_the_fuser_itself(outcome: Outcome) -> None:
    results = outcome.benchmark.cohorts[0]
    control = "bayes: both + metadata, metadata permuted"
    assert results.controls == (control,)
    found = results.comparison("leaves", "brier", "bayes: both + metadata", control)
    assert found is not None and found.found.value is not None and found.found.value < 0


def test_a_single_image_is_the_same_to_the_bit_whatever_the_fuser(outcome: Outcome) -> None:
    results = outcome.benchmark.cohorts[0]
    assert results.same == {
        "bayes: clinical": "image_only: clinical",
        "image_only: both + metadata": "image_only: both",
    }


def test_holm_is_over_the_table_and_never_smaller(outcome: Outcome) -> None:
    results = outcome.benchmark.cohorts[0]
    adjusted = [c for c in results.comparisons if c.p_holm is not None]
    assert adjusted and all(c.p is not None and c.p_holm >= c.p for c in adjusted if c.p_holm is not None)
    assert not any(c.arm in (METADATA_ALONE, MISSINGNESS_ALONE) or "temperature" in c.arm for c in adjusted)


def test_the_order_of_lesions_and_the_number_of_processes_change_nothing(
    perfect: PerfectAnswers, outcome: Outcome
) -> None:
    config = config_of(resamples=100)
    one = ran(config, perfect)
    backwards = list(reversed(lesions_of(perfect)))
    other = run_benchmark(
        config, registry_of(None), {"synthetic": backwards}, {"perfect": evidence_of(perfect)}, jobs=2
    )
    for arm, values in one.courts[0].field.judged.values.items():
        np.testing.assert_array_equal(values, other.courts[0].field.judged.values[arm])
    first, second = (o.benchmark.cohorts[0] for o in (one, other))
    assert [one.rows for one in first.levels] == [one.rows for one in second.levels]
    for level in first.levels:
        for arm, cells in level.cells.items():
            for metric, found in cells.items():
                again = second.level(level.name).cells[arm][metric]
                assert found.value == (None if again.value is None else pytest.approx(again.value, abs=1e-9))


def test_answers_that_are_kept_are_taken(perfect: PerfectAnswers, tmp_path: Path) -> None:
    config = config_of(resamples=100, fusers=("image_only", "bayes"))
    first = ran(config, perfect, cache=tmp_path)
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 3 * FOLDS  # two fusers and the control
    stamps = [f.stat().st_mtime_ns for f in files]
    files[0].unlink()
    second = ran(config, perfect, cache=tmp_path)
    assert [f.stat().st_mtime_ns for f in files[1:]] == stamps[1:] and files[0].is_file()
    for arm, values in first.courts[0].field.judged.values.items():
        np.testing.assert_array_equal(values, second.courts[0].field.judged.values[arm])
    changed = answers_of(LESIONS, 1)
    ran(config, changed, cache=tmp_path)
    assert len(sorted(tmp_path.rglob("*.safetensors"))) == 2 * 3 * FOLDS


def test_the_order_of_the_inputs_takes_no_other_arms_answer(perfect: PerfectAnswers, tmp_path: Path) -> None:
    config = config_of(resamples=100)
    first = ran(config, perfect, cache=tmp_path)
    turned = config.model_copy(update={"inputs": dict(reversed(list(config.inputs.items())))})  # type: ignore[union-attr]
    second = ran(turned, perfect, cache=tmp_path)
    for arm, values in first.courts[0].field.judged.values.items():
        other = second.courts[0].field.judged.values.get(arm)
        assert other is not None or arm in second.courts[0].field.same
        if other is not None:
            np.testing.assert_array_equal(values, other)


def test_code_behind_a_partial_counts_and_so_does_a_plugins_one_file(tmp_path: Path) -> None:
    from functools import partial

    from dxtree.benchmark.running import code_digest

    registry = registry_of(None)
    plain = registry.fusers.get("bayes")
    assert code_digest(plain) == code_digest(replace(plain, fit=partial(plain.fit)))  # type: ignore[arg-type]
    text = (
        "from plugins import hookimpl\nfrom plugins.specs import FuserSpec\nDXTREE_API_VERSION = 1\n"
        "def load(partition, bundle):\n    return {0}\n"
        "@hookimpl\ndef dxtree_fusers():\n    return [FuserSpec('mine', 'mine', load)]\n"
    )
    digests = []
    for k, body in enumerate(("None", "1")):
        file = tmp_path / str(k) / "mine.py"
        file.parent.mkdir()
        file.write_text(text.format(body))
        digests.append(code_digest(registry_of([str(file)]).fusers.get("mine")))
    assert digests[0] != digests[1]


def test_a_damaged_answer_is_not_taken(perfect: PerfectAnswers, tmp_path: Path) -> None:
    from safetensors.numpy import save

    config = config_of(resamples=100, fusers=("image_only",), control="image_only")
    ran(config, perfect, cache=tmp_path)
    file = sorted(tmp_path.rglob("*.safetensors"))[0]
    for content in (save({"other": np.zeros(3)}), file.read_bytes()[:50], b""):
        file.write_bytes(content)
        with pytest.raises(CohortError, match="damaged"):
            ran(config, perfect, cache=tmp_path)


def test_held_out_lesions_are_answered_by_fits_on_all_folds(perfect: PerfectAnswers, tmp_path: Path) -> None:
    fold = [HELD_OUT if k % 4 == 0 else k % FOLDS for k in range(LESIONS)]
    config = config_of(
        lesions="held_out",
        resamples=100,
        closer=({"fuser": "bayes", "inputs": "both"},),
        calibrations=("tree",),
    )
    found = run_benchmark(
        config, registry_of(None), {"synthetic": lesions_of(perfect)}, {"perfect": evidence_of(perfect, fold)}
    )
    court = found.courts[0]
    assert not court.field.crossed and len(court.field.judged.lesions) == LESIONS // 4
    results = found.benchmark.cohorts[0]
    assert results.closer.sets and results.headline == "official"
    write_outcome(found, tmp_path)
    cuts = {a: cells.get("official_f1_fitted") for a, cells in results.level("official").cells.items()}
    assert cuts[METADATA_ALONE] is None and cuts["bayes: both"] is not None
    assert (tmp_path / "report.html").is_file()


def test_two_evidence_sets_stand_side_by_side(perfect: PerfectAnswers) -> None:
    config = config_of(
        evidence={"one": Path("a"), "two": Path("b")},
        fusers=("image_only",),
        control="image_only",
        resamples=100,
    )
    weaker = replace(evidence_of(perfect))
    dull = {m: replace(a, temperature=3.0) for m, a in weaker.answers.items()}
    found = run_benchmark(
        config,
        registry_of(None),
        {"synthetic": lesions_of(perfect)},
        {"one": evidence_of(perfect), "two": replace(weaker, answers=dull)},
    )
    cells = found.benchmark.cohorts[0].level("level1").cells
    assert {"one/image_only: both", "two/image_only: both"} <= set(cells)
    assert Arm("one", "image_only", "both").title(several=True) == "one/image_only: both"


def test_one_image_and_no_metadata_teach_nothing_and_are_said_so(perfect: PerfectAnswers) -> None:
    bare = [replace(x, patient=PatientMetadata(), images=x.images[:1]) for x in lesions_of(perfect)]
    config = config_of(
        inputs={"clinical": ("clinical",), "both": VIEWS}, references=({"inputs": "clinical"},)
    )
    with pytest.raises(CohortError, match="no lesion is answered by every arm"):
        run_benchmark(
            config_of(inputs={"both": VIEWS}, references=({"inputs": "both"},)),
            registry_of(None),
            {"synthetic": bare},
            {"perfect": evidence_of(perfect)},
        )
    found = run_benchmark(config, registry_of(None), {"synthetic": bare}, {"perfect": evidence_of(perfect)})
    results = found.benchmark.cohorts[0]
    assert results.main == ("image_only: clinical",)
    assert results.empty == ("image_only: both",)


def test_one_malignant_lesion_stops_nothing(perfect: PerfectAnswers) -> None:
    members = lesions_of(perfect)
    bad = [x for x in members if x.label.startswith("Malignant")]
    few = [x for x in members if x not in bad[1:]]
    config = config_of(fusers=("image_only",), control="image_only", resamples=100)
    found = run_benchmark(config, registry_of(None), {"synthetic": few}, {"perfect": evidence_of(perfect)})
    assert all(t.delong is None for t in found.benchmark.cohorts[0].tests)


def test_a_fuser_that_answers_nothing_is_named(perfect: PerfectAnswers) -> None:
    from core.errors import PluginContractError
    from dxtree.benchmark.running import Fit, Run, answer
    from plugins.specs import FuserSpec

    class Mute:
        name = "other"

        def fuse(self, evidence: object, patient: object) -> None:
            return None

    spec = FuserSpec("mute", "mute", lambda _p, _b: Mute())  # type: ignore[arg-type, return-value]
    run = Run((material(perfect),), {"mute": spec}, {"both": VIEWS}, 0)
    with pytest.raises(PluginContractError, match="mute"):
        answer(run, Fit(0, "mute", 0))


def test_faults_are_told_before_anything_is_fitted(perfect: PerfectAnswers, tmp_path: Path) -> None:
    with pytest.raises(UnknownNode):
        ran(config_of(nodes=("Malignant:Nonsense",)), perfect, cache=tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
    (tmp_path / "file").write_text("x")
    (tmp_path / "b.yaml").write_text(config_of().model_dump_json())
    asked = ["benchmark", str(tmp_path / "b.yaml"), "--data", str(tmp_path), "--out", str(tmp_path / "file")]
    assert isinstance(CliRunner().invoke(app, asked).exception, PathRejected)


def test_a_table_too_large_for_its_resamples_says_so(outcome: Outcome, perfect: PerfectAnswers) -> None:
    assert any("Holm" in w for w in outcome.benchmark.cohorts[0].warnings)
    config = config_of(fusers=("image_only",), control="image_only", resamples=2000)
    assert not any("Holm" in w for w in ran(config, perfect).benchmark.cohorts[0].warnings)


# Shortcuts


def test_a_field_whose_absence_tells_is_found_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(0)
    malignant = (rng.random(2000) < 0.4).astype(int).tolist()
    patients = [
        PatientMetadata(
            age_years=None if rng.random() < 0.2 else 50.0,
            sex=None if rng.random() < (0.05 if m else 0.4) else "female",
        )
        for m in malignant
    ]
    found = {m.field: m for m in missing_fields(patients, malignant, ("age_years", "sex", "site"))}
    assert found["sex"].tells and not found["age_years"].tells and not found["site"].tells
    assert found["site"].known_share is None and found["site"].missing == 2000


def test_missingness_that_tells_gives_an_area_and_a_warning(perfect: PerfectAnswers) -> None:
    def hidden(lesion: Lesion, k: int) -> Lesion:
        gone = lesion.label.startswith("Malignant") or k % 3 == 0
        patient = lesion.patient.model_copy(update={"site": None if gone else "face"})
        return replace(lesion, patient=patient)

    members = [hidden(x, k) for k, x in enumerate(lesions_of(perfect))]
    config = config_of(fusers=("image_only",), control="image_only", resamples=200)
    found = run_benchmark(
        config, registry_of(None), {"synthetic": members}, {"perfect": evidence_of(perfect)}
    )
    results = found.benchmark.cohorts[0]
    area = results.level(results.headline).cells[MISSINGNESS_ALONE]["auc_malignant"]
    assert area.low is not None and area.low > 0.6
    assert any("site is missing" in w for w in results.warnings)
    assert any("nothing else" in w for w in results.warnings)


def test_missingness_of_nothing_tells_nothing(perfect: PerfectAnswers) -> None:
    found = material(perfect)
    blank = tuple(replace(c, patient=PatientMetadata()) for c in found.fitting)
    rows = missingness_alone(replace(found, fitting=blank, judged=blank), FIELDS)
    assert np.ptp(rows[: LESIONS // FOLDS], axis=0).max() < 0.05


# Files


def test_the_table_of_lesions_gives_the_numbers_again(written: Path, outcome: Outcome) -> None:
    results = outcome.benchmark.cohorts[0]
    with (written / "lesions-synthetic.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for arm in results.main:
        own = [r for r in rows if r["arm"] == arm]
        assert len(own) == LESIONS
        right = np.mean([r["level1 right"] == "True" for r in own])
        assert results.level("level1").cells[arm]["accuracy"].value == pytest.approx(right)
        truth = [r["truth"].startswith("Malignant") for r in own]
        area = roc_auc_score(truth, [float(r["p Malignant"]) for r in own])
        found = results.level(results.headline).cells[arm]["auc_malignant"].value
        assert found == pytest.approx(area, abs=1e-6)
    assert not {"age_years", "sex", "site"} & set(rows[0])


def test_parquet_holds_the_same_rows(outcome: Outcome, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_outcome(outcome, tmp_path, parquet=True)
    table = parquet.read_table(tmp_path / "lesions-synthetic.parquet")
    with (tmp_path / "lesions-synthetic.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert table.num_rows == len(rows) - 1 and table.column_names == rows[0]


def test_results_hold_no_nan_and_say_what_they_are_for(written: Path) -> None:
    text = (written / "results.json").read_text("utf-8")
    assert "NaN" not in text and "Infinity" not in text
    document = json.loads(text)
    assert "research use" in document["research_use"].lower()
    level = document["cohorts"][0]["levels"]["level1"]
    assert set(level["arms"]["image_only: both"]["brier"]) >= {"value", "low", "high"}


def test_the_page_needs_nothing_and_holds_every_section(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    for title in (
        "What came out",
        "The table",
        "Could the answer be read off",
        "Is it as sure",
        "right depth",
        "acting on it worth",
        "For whom does it work worst",
        "classical tests",
        "How it was made",
    ):
        assert title in page
    assert 'src="http' not in page and 'href="http' not in page and "<script" not in page
    assert not re.search(r"\b(nan|inf|None)\b", re.sub('base64,[^"]*', "", page))


def test_a_later_run_is_compared_on_the_same_lesions_only(
    written: Path, outcome: Outcome, perfect: PerfectAnswers
) -> None:
    earlier = read_leaderboards(written / "leaderboard.json")
    results = outcome.benchmark.cohorts[0]
    now = results.leaderboard("perfect nets", {})
    same = changes(now, earlier)
    assert same and all(c.before == c.now for c in same)
    other = ran(
        config_of(fusers=("image_only",), control="image_only", resamples=100), answers_of(LESIONS, 1)
    )
    renamed = replace(now, inputs={**now.inputs, "both": ("clinical",)})
    with pytest.raises(CohortError, match="inputs 'both'"):
        changes(renamed, earlier)
    with pytest.raises(CohortError, match="no cohort"):
        changes(replace(now, cohort="elsewhere"), earlier)
    with pytest.raises(CohortError, match="other lesions"):
        changes(other.benchmark.cohorts[0].leaderboard("x", {}), earlier)
    with pytest.raises(CohortError, match="no leaderboard"):
        read_leaderboards(written / "results.json")


# The commands


def test_the_commands_go_from_a_folder_to_a_page(tmp_path: Path) -> None:
    run = CliRunner().invoke
    data = tmp_path / "data" / "synthetic"
    made = run(app, ["synthesize", str(data), "--lesions", "60", "--size", "64"])
    assert made.exit_code == 0, made.output
    asked = [
        "evidence",
        "--cohort",
        f"synthetic={data}",
        "--models",
        "demonstration",
        "--out",
        str(tmp_path / "e"),
    ]
    done = run(app, asked)
    assert done.exit_code == 0, done.output
    config = config_of(
        evidence={"perfect": "e"}, fusers=("image_only", "bayes"), resamples=100, folds=3, lesions="held_out"
    )
    (tmp_path / "b.yaml").write_text(config.model_dump_json())
    paths = ["--data", str(data.parent), "--out", str(tmp_path / "out")]
    command = ["benchmark", str(tmp_path / "b.yaml"), *paths, "--jobs", "1"]
    first = run(app, command)
    assert first.exit_code == 0, first.output
    assert "image_only: both" in first.output and "research use" in first.output.lower()
    again = run(app, [*command, "--against", str(tmp_path / "out" / "leaderboard.json")])
    assert again.exit_code == 0, again.output
    assert "+0.000" in again.output
    assert "Beside the earlier run" in (tmp_path / "out" / "report.html").read_text("utf-8")
    wrong = run(app, [*command, "--evidence", "perfect"])
    assert isinstance(wrong.exception, CohortError)


@pytest.mark.skipif(
    not os.environ.get("DXTREE_DATA"), reason="DXTREE_DATA is unset: the folder that holds milk10k/"
)
def test_the_shipped_evidence_joins_every_lesion_of_milk10k() -> None:
    from dxtree.cohorts.reading import read_cohorts

    root = Path(__file__).parents[2] / "examples" / "benchmarks"
    config = read_benchmark(root / "milk10k.yaml")
    found = read_evidence_set(config.evidence["mobilenet_v2"])
    folder = Path(os.environ["DXTREE_DATA"]) / "milk10k"
    members = lesions(read_cohorts(registry_of(None), [f"milk10k={folder}"], found.partition.taxonomy))
    made = material_of(config, "milk10k", "mobilenet_v2", found, members)
    assert made.crossed and list(made.left_out) == ["held out: judged with lesions: held_out"]
    assert all(len(c.evidence) == 2 for c in made.fitting) and len(made.fitting) > 3000
    held = material_of(config.model_copy(update={"lesions": "held_out"}), "milk10k", "m", found, members)
    assert {c.lesion for c in held.judged}.isdisjoint(c.lesion for c in held.fitting)
