"""Does an evaluation compare pipelines on identical lesions, lose nothing, and can it be made again?"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from core.case import ImageInput, PatientMetadata
from core.cohort import LabelledImage, Lesion, lesions
from core.errors import CohortError, CorruptImage, OutOfSpace, PathRejected
from core.partition import partition_tree
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities
from core.protocols import Evidence, Fuser, ImageResult
from core.taxonomy import Taxonomy
from dxtree.evaluation import (
    ALL_METRICS,
    Evaluation,
    Interval,
    evaluate,
    gather,
    predict,
    print_evaluation,
    recompute,
    score,
    write_predictions,
)
from dxtree.evaluation.records import read_predictions
from dxtree.evaluation.report import formatted, signed
from dxtree.evaluation.subgroups import age_band, memberships, region
from fusion.image_only import ImageOnly
from plugins.specs import CohortSpec

TREE = Taxonomy.from_paths(
    "small",
    [
        ("benign", "nevus", "blue"),
        ("benign", "nevus", "plain"),
        ("benign", "cyst"),
        ("malignant", "melanoma"),
        ("malignant", "carcinoma"),
    ],
)
LABELS = (
    "benign:nevus",
    "benign:nevus:blue",
    "benign:nevus:plain",
    "benign:cyst",
    "malignant:melanoma",
    "malignant:carcinoma",
)
PARTITION = partition_tree(TREE, dict.fromkeys(LABELS, 9), max_size=10, preset="reference")
PRIOR = LeafProbabilities.from_weights(PARTITION.ids, np.ones(len(PARTITION.ids)))
COHORT = CohortSpec(
    "small",
    "Small",
    lambda folder, taxonomy: [],
    {"NV": ("benign:nevus",), "CY": ("benign:cyst",), "MAL": ("malignant",)},
    "malignant",
)


@dataclass
class Reader:
    """Answers from the file's name: `<label>.<number>.<state>`; wrong in some, sure in none."""

    modality: str
    noise: float
    asked: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = PARTITION.ids
    prior: LeafProbabilities = field(default_factory=lambda: PRIOR)
    provenance: Mapping[str, str] = field(default_factory=lambda: {"digest": "d1"})

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        return [self._one(str(image.path)) for image in images]

    def _one(self, path: str) -> ImageResult:
        self.asked.append(path)
        label, number, state = path.split(".")
        if state == "broken":
            raise CorruptImage("the image is damaged")
        rng = np.random.default_rng([int(number), len(self.modality)])
        logits = self.noise * rng.standard_normal(len(self.classes))
        logits[self.classes.index(PARTITION.class_of(label) or "")] += 2
        found = LeafProbabilities.from_logits(self.classes, logits)
        return ImageResult(found, concerns=("blurred",) if state == "blurred" else ())


@dataclass(frozen=True)
class AgeAware:
    """Multiplies the mean by a factor that rises with age for malignant classes, and with a known site."""

    name: str = "aware"
    provenance: Mapping[str, str] = field(default_factory=lambda: {"rule": "test"})

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        mean = np.mean([e.probabilities.values for e in sorted(evidence, key=lambda e: e.modality)], axis=0)
        malignant = np.array([c.startswith("malignant") for c in PARTITION.ids])
        factor = 1.0 + (patient.age_years or 0) / 40 + (patient.site is not None)
        return LeafProbabilities.from_weights(PARTITION.ids, np.where(malignant, factor, 1) * mean)

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        return tuple(f for f in patient.known() if f != "sex")


class Faulty:
    """Fails on old patients, whatever it is asked."""

    name = "faulty"
    provenance: Mapping[str, str] = {}

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        if patient.age_years == 80:
            raise RuntimeError("age 80")
        return ()

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        if patient.age_years == 80:
            raise ZeroDivisionError("age 80")
        return AgeAware().fuse(evidence, patient)


def cohort(
    count: int = 150,
    modalities: Sequence[str] = ("clinical", "dermoscopy"),
    states: Mapping[str, str] | None = None,
) -> list[Lesion]:
    """Lesions of all labels in turn. `states` maps `<number>/<modality>` to a state, or to "absent"."""
    official = {"benign:nevus": "NV", "benign:cyst": "CY", "malignant": "MAL"}
    found = []
    for k in range(count):
        label = LABELS[k % len(LABELS)]
        patient = PatientMetadata(
            age_years=(None, 20, 35, 50, 65, 80)[k // 3 % 6],
            sex=("female", "male", None)[k % 3],
            site=("back", "face", None)[k // 2 % 3],
        )
        for modality in modalities:
            state = (states or {}).get(f"{k}/{modality}", "good")
            if state == "absent":
                continue
            found.append(
                LabelledImage(
                    image=f"{modality}-{k}",
                    lesion=f"L{k:03}",
                    modality=modality,
                    path=Path(f"{label}.{k}.{state}"),
                    label=label,
                    patient=patient,
                    cohort="small",
                    official=next(c for node, c in official.items() if TREE.covers(node, label)),
                    groups={"tone": str(k % 2)} if k % 5 else {},
                )
            )
    return lesions(found)


def clinic() -> tuple[Pipeline, dict[str, Reader]]:
    readers = {"clinical": Reader("clinical", 1.6), "dermoscopy": Reader("dermoscopy", 1.2)}
    models = {name: (lambda r=reader: r) for name, reader in readers.items()}
    return Pipeline(PARTITION, models, ImageOnly(PARTITION), provenance={"digest": "abc"}), readers


FUSERS: dict[str, Fuser] = {"image_only": ImageOnly(PARTITION), "aware": AgeAware()}


def evaluated(given: Sequence[Lesion] | None = None, **options: Any) -> Evaluation:
    pipeline, _ = clinic()
    chosen = cohort() if given is None else given
    return evaluate(chosen, pipeline, FUSERS, COHORT, **{"resamples": 60, **options})


@pytest.fixture(scope="module")
def whole() -> Evaluation:
    return evaluated(part="validation")


def test_every_pipeline_has_every_metric_of_every_label_set(whole: Evaluation) -> None:
    found = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    assert list(found["pipelines"]) == [
        "image_only:clinical",
        "image_only:dermoscopy",
        "image_only:both",
        "aware",
        "aware:no_metadata",
        "aware:no_site",
    ]
    for row in found["pipelines"].values():
        assert list(row) == ["level1", "level2", "leaves", "official"]
        for block in row.values():
            assert block["n"] == 150
            for m in ALL_METRICS:
                one = block[m.name]
                if m.name == "tree_distance" and block is row["official"]:
                    assert one["reason"] == "these classes are no nodes of the tree"
                else:
                    assert one["low"] <= one["value"] <= one["high"]
            assert len(block["reliability"]) == 15
    assert (found["cohort"], found["lesions"], found["n_lesions"], found["n_images"]) == (
        "small",
        "validation",
        150,
        300,
    )
    assert (found["confidence"], found["resamples"], found["seed"]) == (0.95, 60, 0)
    assert found["failed"] == found["excluded"] == found["unmapped_labels"] == []
    assert found["available"] == {}
    assert found["format"] == 2
    assert set(found["definitions"]) == {m.name for m in ALL_METRICS}
    assert found["provenance"]["pipeline"] == {"digest": "abc"}
    assert found["provenance"]["models"] == {"clinical": {"digest": "d1"}, "dermoscopy": {"digest": "d1"}}
    assert found["provenance"]["fusers"]["aware"] == {"rule": "test"}
    assert "Not a medical device" in found["research_use"]


def test_two_runs_are_equal_to_the_bit(whole: Evaluation) -> None:
    assert evaluated(part="validation").to_dict() == whole.to_dict()


def test_order_of_lesions_changes_no_value(whole: Evaluation) -> None:
    turned = evaluated(cohort()[::-1])
    for name, row in whole.pipelines.items():
        for key, block in row.items():
            for m in ALL_METRICS:
                other = turned.pipelines[name][key].metrics[m.name].value
                assert other == pytest.approx(block.metrics[m.name].value, abs=1e-12, nan_ok=True)


def test_each_image_is_read_by_a_net_once() -> None:
    pipeline, readers = clinic()
    evaluate(cohort(30), pipeline, FUSERS, COHORT, resamples=2)
    for reader in readers.values():
        assert len(reader.asked) == len(set(reader.asked)) == 30


def test_image_only_both_is_the_image_only_fuser_without_metadata(whole: Evaluation) -> None:
    values = whole.predictions.values
    mean = (values["image_only:clinical"] + values["image_only:dermoscopy"]) / 2
    assert values["image_only:both"] == pytest.approx(mean, abs=1e-12)
    assert values["aware:no_metadata"] == pytest.approx(mean, abs=1e-12)
    pipeline, _ = clinic()
    without = predict(gather(cohort(6), pipeline), pipeline, {})
    assert list(without.values) == ["image_only:clinical", "image_only:dermoscopy", "image_only:both"]
    assert without.values["image_only:both"] == pytest.approx(mean[:6], abs=1e-12)


def test_a_variant_exists_only_where_the_fuser_uses_what_is_withheld(whole: Evaluation) -> None:
    assert whole.predictions.variants == {"aware:no_metadata": "aware", "aware:no_site": "aware"}
    pipeline, _ = clinic()
    without_site = [replace(i, patient=i.patient.model_copy(update={"site": None})) for i in cohort(30)]
    found = predict(gather(without_site, pipeline), pipeline, FUSERS)
    assert list(found.variants) == ["aware:no_metadata"]


def test_withholding_the_site_leaves_the_age(whole: Evaluation) -> None:
    fused, bare = whole.predictions.values["aware"], whole.predictions.values["aware:no_site"]
    known = np.array([i.patient.site is not None for i in whole.predictions.lesions])
    assert (fused[~known] == bare[~known]).all()
    assert (fused[known] != bare[known]).any(axis=1).all()


def test_comparisons_are_those_fixed_in_advance(whole: Evaluation) -> None:
    pairs = {(d.pipeline, d.against) for d in whole.differences}
    single, both = "image_only:dermoscopy", "image_only:both"
    fused = ["aware", "aware:no_metadata", "aware:no_site"]
    assert pairs == {
        (both, single),
        *((name, single) for name in fused),
        *((name, both) for name in fused),
        ("aware", "aware:no_metadata"),
        ("aware", "aware:no_site"),
    }
    assert len(whole.differences) == len(pairs) * 4 * len(ALL_METRICS)


def test_a_difference_is_that_of_the_two_values_and_none_where_pipelines_agree(whole: Evaluation) -> None:
    for d in whole.differences:
        first = whole.pipelines[d.pipeline][d.label_set].metrics[d.metric].value
        second = whole.pipelines[d.against][d.label_set].metrics[d.metric].value
        if (d.metric, d.label_set) == ("tree_distance", "official"):
            assert (first, second, d.found.value, d.verdict) == (None, None, None, "undefined")
            continue
        assert None not in (first, second)
        assert d.found.value == pytest.approx(first - second, abs=1e-12)  # type: ignore[operator]
        if (d.pipeline, d.against) == ("aware:no_metadata", "image_only:both"):
            assert d.verdict == "no difference"
            assert d.found.low == pytest.approx(0, abs=1e-12)
            assert d.found.high == pytest.approx(0, abs=1e-12)


def test_lesions_without_a_modality_leave_the_headline_and_stay_available() -> None:
    states = {f"{k}/clinical": "absent" for k in range(40)}
    found = evaluated(cohort(states=states))
    assert {b.n for row in found.pipelines.values() for b in row.values()} == {110}
    assert found.n_common == 110
    sizes = {name: row["level1"].n for name, row in found.available.items()}
    assert sizes == {
        "image_only:dermoscopy": 150,
        "aware": 150,
        "aware:no_metadata": 150,
        "aware:no_site": 150,
    }
    assert found.predictions.failures == ()


def test_one_modality_needs_no_both_and_is_its_own_baseline() -> None:
    found = evaluated(cohort(60, ["clinical"]))
    assert list(found.pipelines)[:2] == ["image_only:clinical", "aware"]
    assert {d.against for d in found.differences} == {
        "image_only:clinical",
        "aware:no_metadata",
        "aware:no_site",
    }


def test_no_lesion_in_common_gives_reasons_and_not_numbers() -> None:
    states = {f"{k}/{'clinical' if k % 2 else 'dermoscopy'}": "absent" for k in range(40)}
    found = evaluated(cohort(40, states=states)).to_dict()
    assert found["n_common"] == 0
    one = found["pipelines"]["image_only:clinical"]["level1"]
    assert one["accuracy"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no lesion has a truth here",
    }
    assert one["unmapped_mass"] is None
    assert found["available"]["image_only:clinical"]["level1"]["n"] == 20
    json.dumps(found, allow_nan=False)


def test_failed_images_are_listed_by_lesion_and_code() -> None:
    states = {
        "1/clinical": "broken",
        "2/clinical": "broken",
        "2/dermoscopy": "broken",
        "3/dermoscopy": "blurred",
    }
    found = evaluated(cohort(60, states=states))
    listed = {(f["lesion"], f["source"], f["code"]) for f in found.to_dict()["failed"]}
    assert listed == {
        ("L001", "clinical", "CorruptImage"),
        ("L002", "clinical", "CaseError"),
        ("L002", "dermoscopy", "CaseError"),
        ("L003", "dermoscopy", "ImageLeftOut"),
    }
    assert found.n_common == 57
    assert found.available["aware"]["level1"].n == 59
    both = next(f for f in found.predictions.failures if f.lesion == "L002")
    assert "damaged" in both.message


def test_a_modality_without_a_model_is_listed_and_stops_nothing() -> None:
    found = evaluated(cohort(40, ["dermoscopy", "confocal"]))
    assert Counter((f.source, f.code) for f in found.predictions.failures) == {
        ("confocal", "UnknownModality"): 40
    }
    assert "image_only:both" not in found.pipelines


def test_a_fuser_that_fails_loses_that_lesion_alone() -> None:
    pipeline, _ = clinic()
    found = evaluate(cohort(60), pipeline, {"faulty": Faulty()}, COHORT, resamples=5)
    failures = [f for f in found.predictions.failures if f.source == "faulty"]
    old = [i.lesion for i in cohort(60) if i.patient.age_years == 80]
    assert [f.lesion for f in failures] == old
    assert {f.code for f in failures} == {"PluginContractError"}
    assert all("80" not in f.message and "ZeroDivisionError" in f.message for f in failures)
    assert found.pipelines["faulty"]["level1"].n == 60 - len(old)


def test_a_fuser_that_always_fails_leaves_the_images_alone() -> None:
    class Unrecorded(Faulty):
        @property
        def provenance(self) -> Mapping[str, str]:  # type: ignore[override]
            raise RuntimeError("no record")

    pipeline, _ = clinic()
    found = evaluate(cohort(30), pipeline, {"faulty": Unrecorded()}, COHORT, resamples=5)
    assert list(found.pipelines) == ["image_only:clinical", "image_only:dermoscopy", "image_only:both"]
    assert found.failed_by_code() == {("faulty", "PluginContractError"): 30}
    assert found.provenance["fusers"] == {"faulty": {"error": "RuntimeError"}}


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(CohortError, match="no lesion to evaluate"):
        evaluated([])
    broken = {f"{k}/dermoscopy": "broken" for k in range(3)}
    with pytest.raises(CohortError, match=r"no lesion got an answer \(CorruptImage\)"):
        evaluated(cohort(3, ["dermoscopy"], broken))


def test_unknown_variant_and_a_fuser_named_like_one_are_refused() -> None:
    pipeline, _ = clinic()
    with pytest.raises(CohortError, match="'no_age' is unknown"):
        evaluate(cohort(6), pipeline, FUSERS, COHORT, variants=["no_age"])
    with pytest.raises(CohortError, match="rename it"):
        evaluate(cohort(6), pipeline, {"aware:no_site": AgeAware()}, COHORT)


def test_progress_counts_every_lesion_with_its_rate() -> None:
    seen: list[tuple[int, int, float]] = []
    pipeline, _ = clinic()
    gather(cohort(5), pipeline, progress=lambda done, total, rate: seen.append((done, total, rate)))
    assert [(done, total) for done, total, _ in seen] == [(k, 5) for k in range(1, 6)]
    assert all(math.isfinite(rate) and rate > 0 for *_, rate in seen)


def test_auc_has_a_reason_where_the_tree_has_no_such_node() -> None:
    pipeline, _ = clinic()
    for node, reason in ((None, "names no malignant node"), ("elsewhere", "no node of taxonomy")):
        found = evaluate(cohort(30), pipeline, {}, replace(COHORT, malignant=node), resamples=5)
        one = found.pipelines["image_only:both"]["level1"].metrics["auc_malignant"]
        assert one.value is None
        assert reason in str(one.reason)


def test_every_value_is_recomputed_from_the_file_by_scikit_learn(whole: Evaluation, tmp_path: Path) -> None:
    whole.write_predictions(tmp_path / "predictions.csv")
    again = recompute(tmp_path / "predictions.csv", PARTITION, COHORT)
    checked = 0
    for name, row in whole.pipelines.items():
        for key, block in row.items():
            assert set(again[name][key]) == set(block.metrics)
            for m in ALL_METRICS:
                value = block.metrics[m.name].value
                assert again[name][key][m.name] == (None if value is None else pytest.approx(value, abs=1e-9))
                checked += value is not None
    assert checked == 6 * (4 * len(ALL_METRICS) - 1)


def test_subgroups_and_partial_evidence_are_recomputed_as_well(tmp_path: Path) -> None:
    states = {f"{k}/clinical": "absent" for k in range(25)}
    found = evaluated(cohort(states=states), variants=())
    found.write_predictions(tmp_path / "predictions.csv")
    groups = {by: n for by, n in memberships(found.predictions.lesions).items() if by in ("sex", "tone")}
    checked = 0
    for by, names in groups.items():
        for group in set(names):
            own = {i.lesion for i, g in zip(found.predictions.lesions, names, strict=True) if g == group}
            again = recompute(tmp_path / "predictions.csv", PARTITION, COHORT, only=own)
            for name, rows in found.subgroups.items():
                row = next((r for r in rows if (r.by, r.group) == (by, group) and r.sufficient), None)
                for metric, one in (row.metrics if row else {}).items():
                    assert again[name]["official"][metric] == pytest.approx(one.value, abs=1e-9)
                    checked += 1
    assert checked == 40


def test_predictions_are_exact_hold_no_metadata_and_run_no_formula(whole: Evaluation, tmp_path: Path) -> None:
    first = replace(whole.predictions.lesions[0], lesion="=cmd()")
    renamed = replace(whole.predictions, lesions=(first, *whole.predictions.lesions[1:]))
    write_predictions(renamed, tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text("utf-8")
    header, row, *_ = list(csv.reader(io.StringIO(text)))
    assert header == ["lesion", "cohort", "truth", "official", "pipeline", *PARTITION.ids]
    assert row[0] == "'=cmd()"
    keys, values = read_predictions(tmp_path / "p.csv", PARTITION)[0]
    assert keys["lesion"] == "=cmd()"
    assert values == whole.predictions.values["image_only:clinical"][0].tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]


def test_a_file_of_other_classes_is_refused(whole: Evaluation, tmp_path: Path) -> None:
    whole.write_predictions(tmp_path / "p.csv")
    coarse = partition_tree(TREE, dict.fromkeys(LABELS, 9), max_size=1000, preset="reference")
    with pytest.raises(CohortError, match="the training classes"):
        recompute(tmp_path / "p.csv", coarse, COHORT)


def test_a_file_that_cannot_be_written_is_a_typed_error(
    whole: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PathRejected, match="cannot be written"):
        whole.write_predictions(tmp_path / "absent" / "p.csv")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutOfSpace, match="disk is full"):
        whole.write_predictions(tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []


def test_worst_group_stands_first_and_small_groups_get_no_number(whole: Evaluation) -> None:
    for rows in whole.subgroups.values():
        numbers = [r.metrics["balanced_accuracy"].value for r in rows]
        known = [n for n in numbers if n is not None]
        assert known == sorted(known)
        assert numbers[: len(known)] == known
        assert {r.by for r in rows} == {"sex", "age", "site", "tone"}
        for row in rows:
            assert row.sufficient == (row.n >= 30)
            assert row.sufficient or "insufficient" in str(row.metrics["auc_malignant"].reason)
    small = [r for r in whole.subgroups["aware"] if not r.sufficient]
    assert {(r.by, r.n) for r in small} == {("age", 24), ("age", 27)}
    assert list(whole.subgroups) == [
        "image_only:clinical",
        "image_only:dermoscopy",
        "image_only:both",
        "aware",
    ]


def test_groups_of_a_dimension_hold_every_lesion_once(whole: Evaluation) -> None:
    for by in ("sex", "age", "site", "tone"):
        assert sum(r.n for r in whole.subgroups["aware"] if r.by == by) == 150
    assert {r.group for r in whole.subgroups["aware"] if r.by == "tone"} == {"0", "1", "not known"}


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (None, "not known"),
        (0, "<30"),
        (29.5, "<30"),
        (30, "30-44"),
        (45, "45-59"),
        (60, "60-74"),
        (75, "75+"),
    ],
)
def test_age_falls_into_its_band(age: float | None, band: str) -> None:
    assert age_band(PatientMetadata(age_years=age)) == band


def test_a_site_counts_for_its_region() -> None:
    assert region(PatientMetadata(site="back")) == "trunk"
    assert region(PatientMetadata(site="trunk")) == "trunk"
    assert region(PatientMetadata()) == "not known"


def test_cohorts_are_a_subgroup_where_there_are_several() -> None:
    two = [replace(i, cohort="other") if k % 2 else i for k, i in enumerate(cohort(20))]
    assert set(memberships(two)["cohort"]) == {"small", "other"}
    assert "cohort" not in memberships(cohort(20))


def test_a_lesion_of_two_cohorts_is_drawn_as_one() -> None:
    pipeline, _ = clinic()
    one = cohort(40)
    twice = [*one, *(replace(i, cohort="other") for i in one)]
    found = score(predict(gather(twice, pipeline), pipeline, {}), COHORT, resamples=200)
    alone = score(predict(gather(one, pipeline), pipeline, {}), COHORT, resamples=200)
    name = "image_only:both"
    doubled, single = (e.pipelines[name]["leaves"].metrics["accuracy"] for e in (found, alone))
    assert (doubled.low, doubled.high) == pytest.approx((single.low, single.high), abs=1e-12)


def printed(evaluation: Evaluation) -> str:
    text = io.StringIO()
    print_evaluation(evaluation, Console(file=text, width=100, color_system=None))
    return text.getvalue()


def test_report_fits_100_columns_without_a_number_cut_or_wrapped(whole: Evaluation) -> None:
    text = printed(whole)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for name in whole.pipelines:
        line = next(row for row in text.splitlines() if row.startswith(f"{name} "))
        assert line.count("[") == line.count("]") == 5
    for word in ("level1", "leaves: 150 lesions, 6 classes", "minus image_only:dermoscopy", "Not a medical"):
        assert word in text


def test_report_lists_what_failed_and_what_was_left_out() -> None:
    given = cohort(60, states={"1/clinical": "broken"})
    odd = [replace(given[0], official=None), replace(given[1], official="CY"), *given[2:]]
    text = printed(evaluated(odd))
    assert "CorruptImage" in text
    assert "the label belongs to no official class" in text
    assert "officially CY, by its node NV" in text
    assert "each on all it answers: no comparison" in text


def test_numbers_are_printed_without_a_leading_zero() -> None:
    assert formatted(Interval(0.456, 0.42, 0.5)) == ".46 [.42, .50]"
    assert formatted(Interval(1.0, 0.996, 1.0)) == "1.00 [1.00, 1.00]"
    assert formatted(Interval(None, None, None, "why")) == "-"
    assert signed(Interval(-0.0213, -0.03, 0.001)) == "-.021 [-.030, +.001]"
