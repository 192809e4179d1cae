"""Is a change found, is chance not called one, and does the command say which?"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from typer.testing import CliRunner

from core.case import Case, ImageInput
from core.diagnosis import Diagnosis, Notice
from core.errors import AuditError, InputError
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities, TreeProbabilities
from dxtree.audit import AuditTrail, records
from dxtree.cli.main import app
from dxtree.drift import Drift, Sample, compare, moment, of_predictions, of_trail
from dxtree.drift.stability import stability_index
from dxtree.evaluation.records import KEYS
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.config import Settings

CASES = 120


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    registry = load_registry(Settings())
    return assemble(registry, find_model_set(registry, "demonstration"))


def sample(cases: int, seed: int, *, shift: float = 0.0, missing: float = 0.3, nodes: int = 15) -> Sample:
    """Nodes that hang together, as those of one tree do, and three properties of the input."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(nodes, nodes))
    values = generator.normal(size=(cases, nodes)) @ mixing + 2 * generator.normal(size=(cases, 1))
    values[:, 0] += shift * values[:, 0].std()
    return Sample(
        cases=cases,
        nodes={f"node {k}": 1 / (1 + np.exp(-values[:, k])) for k in range(nodes)},
        inputs={
            "age_years missing": (generator.random(cases) < missing).astype(float),
            "images of clinical": generator.integers(0, 4, cases).astype(float),
            "abstained": (generator.random(cases) < 0.03).astype(float),
        },
        partitions=frozenset({"p"}),
        models=frozenset({"m"}),
        fusers=frozenset({"f"}),
    )


def readings(found: Drift) -> dict[str, str]:
    return {row.name: row.reading for row in found.rows}


# --- the index ----------------------------------------------------------------------------------------


def test_the_index_is_that_of_the_formula() -> None:
    reference, period = np.repeat([0.0, 1.0], [70, 30]), np.repeat([0.0, 1.0], [40, 60])
    r, p = np.array([70.5, 30.5]) / 101, np.array([40.5, 60.5]) / 101
    assert stability_index(reference, period) == pytest.approx(((p - r) * np.log(p / r)).sum(), abs=1e-12)


def test_ten_bins_end_at_the_quantiles_of_the_reference() -> None:
    reference = np.arange(1000.0)
    period = np.full(1000, 950.5)  # all of it in the last bin
    r, p = np.full(10, 100.5) / 1005, np.array([0.5] * 9 + [1000.5]) / 1005
    assert stability_index(reference, period) == pytest.approx(((p - r) * np.log(p / r)).sum(), rel=1e-9)


sides = arrays.arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.sampled_from([0.0, 0.1, np.nan, 1.0]) | st.floats(0, 1, width=32),
)


@given(sides, sides)
def test_any_two_samples_have_a_finite_index_and_a_sample_and_itself_have_none(
    one: np.ndarray, other: np.ndarray
) -> None:
    assert np.isfinite(stability_index(one, other))
    assert stability_index(one, other) >= -1e-12
    assert stability_index(one, one) == pytest.approx(0, abs=1e-12)


def test_a_reference_of_one_value_sees_a_period_below_and_above_it() -> None:
    reference = np.full(200, 0.5)
    generator = np.random.default_rng(0)
    assert stability_index(reference, 0.4 * generator.random(200)) > 1
    assert stability_index(reference, 0.6 + 0.4 * generator.random(200)) > 1


# --- chance -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "now"), [(100, 100), (200, 40), (40, 200)])
def test_samples_of_the_same_give_a_false_alarm_no_more_often_than_the_level(before: int, now: int) -> None:
    runs = 100
    found = [
        compare(sample(before, 2 * k), sample(now, 2 * k + 1), level=0.1, permutations=99)
        for k in range(runs)
    ]
    alarms = sum(any(row.p <= 0.1 for row in f.rows) for f in found)
    assert alarms <= 18  # P(more | level) = .005
    assert sum(max(row.index for row in f.rows) > 0.25 for f in found) > 80  # the index alone would cry


def test_a_shifted_node_is_found_and_named() -> None:
    found = compare(sample(150, 0), sample(150, 1, shift=1.0))
    assert readings(found)["node 0"] == "much"
    assert found.worst == max(r.index for r in found.rows if r.p <= found.level)


def test_a_large_sample_shows_a_small_change_and_calls_it_small() -> None:
    found = compare(sample(6000, 0), sample(6000, 1, shift=0.15), permutations=199)
    assert readings(found)["node 0"] == "small"


def test_more_missing_ages_are_found_among_the_inputs() -> None:
    found = compare(sample(300, 0), sample(300, 1, missing=0.7))
    assert readings(found)["age_years missing"] == "much"
    others = {v for k, v in readings(found).items() if k != "age_years missing"}
    assert others <= {"stable", "chance"}


def test_a_small_period_that_looks_different_is_called_chance() -> None:
    found = compare(sample(200, 0), sample(25, 1))
    assert set(readings(found).values()) <= {"stable", "chance"}
    assert "chance" in readings(found).values()
    assert found.worst == 0


def test_the_same_seed_gives_the_same_bits_and_the_order_of_cases_none() -> None:
    before, now = sample(80, 0), sample(80, 1)
    order = np.random.default_rng(5).permutation(80)
    shuffled = replace(
        now,
        nodes={n: v[order] for n, v in now.nodes.items()},
        inputs={n: v[order] for n, v in now.inputs.items()},
    )
    found, again, other = (compare(before, s, permutations=99) for s in (now, now, shuffled))
    assert found == again
    assert [r.index for r in found.rows] == [r.index for r in other.rows]


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 10**6))
def test_cases_without_an_answer_are_no_fault(before: int, now: int, seed: int) -> None:
    generator = np.random.default_rng(seed)

    def some(cases: int) -> Sample:
        found = sample(cases, seed, nodes=3)
        silent = generator.random(cases) < generator.choice([0.0, 0.5, 1.0])
        return replace(found, nodes={n: np.where(silent, np.nan, v) for n, v in found.nodes.items()})

    found = compare(some(before), some(now), permutations=20)
    assert all(np.isfinite([r.index, r.by_chance, r.p]).all() and 0 < r.p <= 1 for r in found.rows)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("before", "now", "options", "text"),
    [
        (sample(19, 0), sample(50, 1), {}, "19 cases"),
        (sample(50, 0), sample(3, 1), {}, "period has 3"),
        (sample(50, 0), replace(sample(50, 1), partitions=frozenset({"q"})), {}, "partitions"),
        (sample(50, 0), sample(50, 1), {"level": 0.0}, "level"),
        (sample(50, 0), sample(50, 1), {"permutations": 10}, "permutations"),
    ],
)
def test_what_cannot_be_compared_is_refused(before: Sample, now: Sample, options: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        compare(before, now, **options)


def test_other_models_and_fusers_are_a_notice() -> None:
    now = replace(sample(50, 1), models=frozenset({"n"}), fusers=frozenset({"g"}))
    notices = compare(sample(50, 0), now, permutations=20).notices
    assert len(notices) == 2
    assert "f, g" in notices[1]


# --- trails and predictions ---------------------------------------------------------------------------


def answers(pipeline: Pipeline, cases: int, seed: int, towards: str | None = None) -> np.ndarray:
    weights = np.random.default_rng(seed).dirichlet(np.full(len(pipeline.partition.ids), 0.3), cases)
    if towards is not None:
        weights[:, pipeline.partition.ids.index(towards)] += 1
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def trail(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stretches of equal length: two of the same answers, the last of others and without ages."""
    found = AuditTrail(tmp_path_factory.mktemp("trail") / "a.jsonl")
    classes = pipeline.partition.ids
    case = Case(images=(ImageInput(modality="clinical", data=b"x"),))
    for part, towards in enumerate((None, None, classes[0])):
        for values in answers(pipeline, CASES, part, towards):
            leaf = LeafProbabilities(classes, values)
            found.record(
                case,
                Diagnosis(
                    case_id="c",
                    status="complete",
                    tree=TreeProbabilities(pipeline.sums, leaf),
                    leaf=leaf,
                    evidence=(),
                    fuser="logistic",
                    used=("clinical",),
                    missing=("dermoscopy", "age_years") if part == 2 else ("dermoscopy",),
                    notices=(Notice("ImageLeftOut", "the image was left out: blurred"),) * (part == 2),
                    provenance=dict(pipeline.provenance),
                ),
            )
    return found.path


@pytest.fixture(scope="module")
def times(trail: Path) -> list[str]:
    return [record["time"] for record in records(trail)]


def dxtree(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dxtree", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_stretches_of_one_trail_are_compared_by_date(
    trail: Path, times: list[str], pipeline: Pipeline
) -> None:
    one = of_trail(trail, until=times[CASES])
    two = of_trail(trail, since=times[CASES], until=times[2 * CASES])
    three = of_trail(trail, since=times[2 * CASES])
    assert (one.cases, two.cases, three.cases) == (CASES,) * 3
    assert set(one.nodes) == set(pipeline.sums.nodes)
    assert set(readings(compare(one, two)).values()) <= {"stable", "chance"}
    found = readings(compare(two, three))
    assert found[pipeline.partition.classes[0].node] == "much"
    assert (found["age_years missing"], found["images left out"]) == ("much", "much")
    assert found["sex missing"] == "stable"


def test_the_command_tells_a_change_from_none_and_fails_when_asked_to(
    trail: Path, times: list[str], pipeline: Pipeline
) -> None:
    quiet = dxtree("drift", trail, "--since", times[CASES], "--until", times[2 * CASES], "--fail-above", 0.1)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    options = ("drift", trail, "--since", times[2 * CASES])
    told = dxtree(*options)
    assert told.returncode == 0
    assert "much" in told.stdout
    loud = dxtree(*options, "--fail-above", 0.25, "--json")
    assert loud.returncode == 1
    found = json.loads(loud.stdout)
    assert (found["reference_cases"], found["period_cases"]) == (2 * CASES, CASES)
    assert found["worst"] > 0.25


def test_predictions_of_an_evaluation_are_a_reference_of_answers_alone(
    trail: Path, times: list[str], pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*KEYS, *pipeline.partition.ids])
        for k, values in enumerate(answers(pipeline, CASES, 9)):
            writer.writerow([k, "milk10k", "Benign", "", "logistic", *values.tolist()])
    done = dxtree("drift", trail, "--until", times[CASES], "--reference", path,
                  "--models", "demonstration", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["kind"] for row in found["rows"]} == {"node"}
    assert {row["reading"] for row in found["rows"]} <= {"stable", "chance"}
    assert "the inputs are not compared" in found["notices"][0]
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        of_predictions(path, pipeline.partition, "logistics")
    for content in (b"", b"\xff\xfe", path.read_bytes().replace(b",logistic,", b",logistic,x")):
        (tmp_path / "bad.csv").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            of_predictions(tmp_path / "bad.csv", pipeline.partition, "logistic")
    with pytest.raises(InputError, match="cannot be read"):
        of_predictions(tmp_path / "absent.csv", pipeline.partition, "logistic")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), "would be the same"),
        (("--since", "2026-01-01", "--reference-until", "2026-06-01"), "do not overlap"),
        (("--since", "yesterday"), "--since is no date"),
        (("--since", "2000-01-01"), "reference has 0 cases"),
    ],
)
def test_wrong_dates_are_refused_in_one_line(trail: Path, options: tuple[str, ...], text: str) -> None:
    done = CliRunner().invoke(app, ["drift", str(trail), *options])
    assert isinstance(done.exception, InputError)
    assert text in done.exception.safe_message
    assert "\n" not in done.exception.safe_message
    assert done.stdout == ""


def test_a_trail_that_was_changed_is_not_read(trail: Path, tmp_path: Path) -> None:
    lines = trail.read_bytes().splitlines(keepends=True)
    (tmp_path / "b").write_bytes(b"".join(lines[:3] + lines[4:]))
    with pytest.raises(AuditError, match="line 4"):
        of_trail(tmp_path / "b")


def test_a_date_is_utc_and_an_offset_is_heeded() -> None:
    assert moment("2026-11-28", "it") == "2026-11-28T00:00:00.000000Z"
    assert moment("2026-11-28T02:00+02:00", "it") == "2026-11-28T00:00:00.000000Z"
