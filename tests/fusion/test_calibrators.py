"""Do calibrated probabilities come true, stay probabilities, and leave the tree whole?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.errors import BundleError, ContractError, NonFiniteOutput, TrainingError
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import Partition, partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.protocols import Adjustment
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from fusion.calibrating.affine import Affine
from fusion.calibrating.answers import Answers, answers_of, views
from fusion.calibrating.calibrator import ARRAYS, KINDS, Calibrator, from_files, to_files
from fusion.calibrating.choice import chosen, losses
from fusion.calibrating.fit import CHOICES, calibration_bundle, fit_calibrator
from fusion.calibrating.isotonic import Curves, pools_of
from fusion.calibrating.tree import TreeScaling, splits_of
from fusion.tensors import pack
from plugins.specs import FusionCase

LEARNING = tuple(k for k in KINDS if k != "identity")


def drawn(partition: Partition, n: int, seed: int, sharp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and truths drawn from them; then raised to the power `sharp`, as a net too sure says."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(len(partition.ids), 0.5), n) + 1e-6
    rows /= rows.sum(axis=1, keepdims=True)
    truth = (rows.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=len(partition.ids) - 1)
    said = rows**sharp
    return said / said.sum(axis=1, keepdims=True), truth


def loss(rows: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(rows[np.arange(len(truth)), truth]).mean())


def as_answers(rows: np.ndarray, truth: np.ndarray, folds: int = 3) -> Answers:
    n = np.arange(len(truth))
    return Answers(rows, truth, n % folds, n, np.ones(len(n)), ("first",) * len(n))


@pytest.fixture(scope="module")
def fitted_kind(clinic: Any) -> Callable[[str], Calibrator]:
    """A calibrator of a kind fitted on 900 answers of a fuser that is too sure."""
    rows, truth = drawn(clinic.cells, 900, 0, sharp=2.0)
    return cache(lambda kind: fit_calibrator(kind, rows, truth, clinic.cells))


@st.composite
def partitions(draw: st.DrawFn) -> Partition:
    """Random trees down to depth four, with residuals and classes of every depth."""
    names = st.sampled_from("abc")
    paths = draw(st.sets(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=2, max_size=12))
    taxonomy = Taxonomy.from_paths("random", sorted(paths))
    counts = {node: draw(st.integers(0, 9)) for node in taxonomy.ids[1:]}
    counts[taxonomy.ids[1]], counts[taxonomy.ids[-1]] = 5, 6
    return partition_tree(taxonomy, counts, max_size=draw(st.integers(1, 12)))


# probabilities, coherent, to the bit


@settings(max_examples=60, deadline=None)
@given(partitions(), st.sampled_from(KINDS), st.integers(0, 2**31), st.data())
def test_any_calibrator_gives_probabilities_that_add_up_at_every_node(
    partition: Partition, kind: str, seed: int, data: st.DataObject
) -> None:
    rows, truth = drawn(partition, 40, seed, sharp=data.draw(st.sampled_from([0.3, 1.0, 3.0])))
    calibrator = fit_calibrator(kind, rows, truth, partition)
    asked = np.concatenate([rows, np.eye(len(partition.ids))])  # certainty too: zeros and ones
    found = calibrator.apply_rows(asked)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert kind == "identity" or (found > 0).all()
    sums = TreeSums(partition)
    taxonomy = partition.taxonomy
    for row, values in zip(asked, found, strict=True):
        leaf = calibrator.apply(LeafProbabilities(partition.ids, row))
        assert np.array_equal(leaf.values, values)
        tree = TreeProbabilities(sums, leaf)
        for node in sums.nodes:
            below = [
                p for c, p in zip(partition.classes, values, strict=True) if taxonomy.covers(node, c.node)
            ]
            if any(c.residual and c.node == node for c in partition.classes) or len(below) > 1:
                assert abs(tree[node] - sum(below)) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_the_bits_of_single_answers_at_any_number_of_rows(
    kind: str, clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    rows, _ = drawn(clinic.cells, 257, 5)
    found = fitted_kind(kind)
    whole = found.apply_rows(rows)
    assert all(np.array_equal(found.apply_rows(rows[k : k + 1])[0], whole[k]) for k in range(257))
    assert np.array_equal(found.apply_rows(np.asfortranarray(rows)), whole)
    assert np.array_equal(found.apply_rows(rows[::-1])[::-1], whole)
    assert found.apply_rows(rows[:0]).shape == (0, len(clinic.cells.ids))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_order_of_the_lesions_changes_no_bit(kind: str, clinic: Any, seed: int) -> None:
    rows, truth = drawn(clinic.cells, 120, 2, sharp=2.0)
    weight = np.random.default_rng(0).random(120)
    order = np.random.default_rng(seed).permutation(120)
    one = fit_calibrator(kind, rows, truth, clinic.cells, weight)
    other = fit_calibrator(kind, rows[order], truth[order], clinic.cells, weight[order])
    assert np.array_equal(one.apply_rows(rows), other.apply_rows(rows))
    assert one.mixture == other.mixture


@pytest.mark.parametrize("kind", LEARNING)
def test_a_weight_of_two_is_a_lesion_given_twice(kind: str, clinic: Any) -> None:
    rows, truth = drawn(clinic.cells, 200, 4, sharp=2.0)
    weight = 1.0 + (np.arange(200) < 60)
    twice = np.concatenate([np.arange(200), np.arange(60)])
    by_weight = fit_calibrator(kind, rows, truth, clinic.cells, weight)
    by_row = fit_calibrator(kind, rows[twice], truth[twice], clinic.cells)
    assert np.allclose(by_weight.apply_rows(rows), by_row.apply_rows(rows), atol=2e-4)


def test_temperature_keeps_the_order_of_the_classes_and_isotonic_rises_with_the_class(
    clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    rows, _ = drawn(clinic.cells, 200, 6)
    cooled = fitted_kind("temperature").apply_rows(rows)
    assert (np.diff(np.take_along_axis(cooled, rows.argsort(axis=1), axis=1), axis=1) >= 0).all()
    scale = fitted_kind("isotonic").scale
    assert scale is not None
    for column in range(len(clinic.cells.ids)):
        steps = np.tile(rows[:1], (501, 1))
        steps[:, column] = np.linspace(0, 1, 501)
        assert (np.diff(scale.weights(steps)[:, column]) > 0).all()


def test_identity_gives_back_what_it_was_given(clinic: Any) -> None:
    leaf = LeafProbabilities.from_weights(clinic.cells.ids, np.arange(1.0, 10.0))
    found = fit_calibrator("identity", *drawn(clinic.cells, 9, 0), clinic.cells)
    assert found.apply(leaf) is leaf
    assert found.mixture is None


# what is learned


def test_temperature_finds_the_power_that_was_put_in(clinic: Any) -> None:
    rows, truth = drawn(clinic.cells, 6000, 1, sharp=2.5)
    scale = fit_calibrator("temperature", rows, truth, clinic.cells).scale
    assert isinstance(scale, Affine)
    assert scale.slope == pytest.approx(np.full(9, 1 / 2.5), rel=0.05)


@pytest.mark.parametrize("kind", LEARNING)
def test_every_kind_mends_answers_that_are_too_sure(
    kind: str, clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    true, _ = drawn(clinic.cells, 2000, 9)
    rows, truth = drawn(clinic.cells, 2000, 9, sharp=2.0)
    before, best = loss(rows, truth), loss(true, truth)
    after = loss(fitted_kind(kind).apply_rows(rows), truth)
    # Isotonic regression cannot undo a power that couples the classes of a row; it still mends a part.
    assert after - best < (0.8 if kind == "isotonic" else 0.25) * (before - best)


def test_the_tree_mends_the_node_that_is_wrong_and_leaves_the_others(clinic: Any) -> None:
    rows, truth = drawn(clinic.cells, 8000, 3)
    first = np.array([c.node.startswith("malignant") for c in clinic.cells.classes])
    tilted = rows * np.where(first, 4.0, 1.0)  # too much weight on one first-level node, and only there
    tilted /= tilted.sum(axis=1, keepdims=True)
    scale = fit_calibrator("tree", tilted, truth, clinic.cells).scale
    assert isinstance(scale, TreeScaling)
    assert scale.offset[0] - scale.offset[1] == pytest.approx(np.log(4), abs=0.12)
    assert np.abs(scale.offset[2:]).max() < 0.25
    assert scale.slope == pytest.approx(np.ones(len(scale.slope)), abs=0.3)
    mended = scale.weights(tilted)
    assert np.abs(mended[:, first].sum(axis=1) - rows[:, first].sum(axis=1)).mean() < 0.01


def test_a_tree_scaling_that_learned_nothing_is_the_identity(clinic: Any) -> None:
    splits = splits_of(clinic.cells)
    parts = sum(len(s.starts) for s in splits)
    rows, _ = drawn(clinic.cells, 50, 8)
    found = TreeScaling(splits, np.ones(parts), np.zeros(parts)).weights(rows)
    assert np.abs(found - rows).max() < 1e-12


def test_every_branching_of_the_tree_is_a_split_and_the_residual_a_part_of_its_node(clinic: Any) -> None:
    ids = clinic.cells.ids
    parts = [
        [ids[a:b] for a, b in zip(s.starts, (*s.starts[1:], s.end), strict=True)]
        for s in splits_of(clinic.cells)
    ]
    flat = [[tuple(names) for names in split] for split in parts]
    nevus = tuple(n for n in ids if n.startswith("benign:nevus"))
    assert nevus[0] == "benign:nevus~"
    assert [(n,) for n in nevus] in flat
    assert sum(len(part) for part in flat[0]) == len(ids)
    assert all(len({n.split(":")[0] for n in part}) == 1 for part in flat[0])


def test_a_class_with_few_lesions_shares_the_curve_of_its_relatives(clinic: Any) -> None:
    ids = list(clinic.cells.ids)
    lesions = np.full(len(ids), 100.0)
    assert pools_of(lesions, clinic.cells) == [(k,) for k in range(len(ids))]
    flat = ids.index("benign:keratosis:flat")
    lesions[flat] = 2
    relatives = tuple(k for k, n in enumerate(ids) if n.startswith("benign:keratosis"))
    pools = pools_of(lesions, clinic.cells)
    assert pools[flat] == relatives
    assert pools[ids.index("benign:keratosis:thick")] == (ids.index("benign:keratosis:thick"),)
    assert pools_of(np.ones(len(ids)), clinic.cells) == [tuple(range(len(ids)))] * len(ids)


def test_a_class_that_no_lesion_has_keeps_a_probability(clinic: Any) -> None:
    rows, truth = drawn(clinic.cells, 400, 0)
    truth[truth == 3] = 4
    for kind in LEARNING:
        assert (fit_calibrator(kind, rows, truth, clinic.cells).apply_rows(rows)[:, 3] > 0).all()


# the choice


def test_where_answers_are_right_nothing_is_chosen_and_where_they_are_too_sure_temperature(
    clinic: Any,
) -> None:
    for sharp, wanted in ((1.0, "identity"), (2.0, "temperature")):
        answers = as_answers(*drawn(clinic.cells, 1500, 11, sharp))
        fits = {k: _fit(k, clinic.cells) for k in ("identity", "temperature", "tree")}
        assert chosen(answers, losses(answers, fits), list(fits)) == wanted


def _fit(kind: str, partition: Partition) -> Any:
    return lambda a: fit_calibrator(kind, a.probabilities, a.truth, partition, a.weight).apply_rows


def test_the_simpler_is_chosen_within_one_standard_error_and_not_beyond(clinic: Any) -> None:
    answers = as_answers(*drawn(clinic.cells, 400, 0))
    noise = np.random.default_rng(0).normal(size=400)
    noise -= noise.mean()
    error = noise.std() / np.sqrt(400)
    best = np.ones(400)
    for excess, wanted in ((0.9, "simple"), (1.1, "rich")):
        by_name = {"simple": best + noise + excess * error, "rich": best}
        assert chosen(answers, by_name, ["simple", "rich"]) == wanted
    # Two rows of one lesion are one lesion: they say less than two.
    pairs = replace(answers, lesion=np.arange(400) // 2)
    doubled = np.repeat(noise[::2] - noise[::2].mean(), 2)
    wide = doubled.std() / np.sqrt(200)
    assert (
        chosen(pairs, {"simple": best + doubled + 0.9 * wide, "rich": best}, ["simple", "rich"]) == "simple"
    )


def test_no_calibrator_is_judged_on_lesions_that_it_was_fitted_on(clinic: Any) -> None:
    answers = as_answers(*drawn(clinic.cells, 90, 0))
    seen = []

    def fit(some: Answers) -> Callable[[np.ndarray], np.ndarray]:
        folds = set(some.fold.tolist())

        def apply(rows: np.ndarray) -> np.ndarray:
            asked = {int(answers.fold[(answers.probabilities == row).all(axis=1)][0]) for row in rows}
            seen.append((folds, asked))
            return rows

        return apply

    losses(answers, {"spy": fit})
    assert seen == [({1, 2}, {0}), ({0, 2}, {1}), ({0, 1}, {2})]
    with pytest.raises(TrainingError, match="one fold"):
        losses(as_answers(*drawn(clinic.cells, 9, 0), folds=1), {"spy": fit})


# the answers it is fitted on


def test_a_case_is_seen_whole_and_with_less_and_weighs_one_in_all(cases: list[FusionCase]) -> None:
    for case in cases[:60]:
        seen = views(case)
        assert seen[0][0] == case
        assert sum(w for _, w in seen) == pytest.approx(1)
        assert all(v.evidence and v.truth == case.truth for v, _ in seen)
        assert all(v not in [o for o, _ in seen[:k]] for k, (v, _) in enumerate(seen))
    whole = next(c for c in cases if len(c.evidence) == 2 and c.patient.known())
    assert len(views(whole)) == 6
    bare = replace(whole, evidence=whole.evidence[:1], patient=PatientMetadata())
    assert views(bare) == [(bare, 1.0)]


def test_a_lesion_of_two_cohorts_weighs_one_and_in_one_of_them_too(
    clinic: Any, specs: Any, cases: list[FusionCase]
) -> None:
    twice = [*cases[:90], *(replace(c, cohort="third") for c in cases[:30])]
    answers = answers_of(specs["image_only"], twice, clinic.cells, 0)
    assert np.bincount(answers.lesion, answers.weight) == pytest.approx(np.ones(90))
    third = answers.of("third")
    assert np.bincount(third.lesion, third.weight)[np.unique(third.lesion)] == pytest.approx(np.ones(30))
    assert set(third.cohort) == {"third"}
    with pytest.raises(TrainingError, match="'fourth'; there are first, second, third"):
        answers.of("fourth")


def test_the_order_of_the_cases_changes_no_bit_of_the_answers(
    clinic: Any, specs: Any, cases: list[FusionCase]
) -> None:
    one = answers_of(specs["image_only"], cases, clinic.cells, 0)
    other = answers_of(specs["image_only"], cases[::-1], clinic.cells, 0)
    assert np.array_equal(one.probabilities, other.probabilities)
    assert np.array_equal(one.lesion, other.lesion)


# on disk


def written(found: Calibrator, **told: Any) -> Bundle:
    manifest, files = to_files(found, "bayes", told)
    return Bundle(manifest, files, "digest")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back_to_the_bit(
    kind: str, clinic: Any, fitted_kind: Callable[[str], Calibrator], tmp_path: Any
) -> None:
    manifest, files = to_files(fitted_kind(kind), "bayes", {"cohort": "first", "lesions": 900})
    write_bundle(tmp_path / "set", "calibration.json", manifest, files)
    found = from_files(clinic.cells, read_bundle(tmp_path / "set", "calibration.json"), "bayes")
    rows, _ = drawn(clinic.cells, 30, 4)
    assert np.array_equal(found.apply_rows(rows), fitted_kind(kind).apply_rows(rows))
    assert found.mixture == fitted_kind(kind).mixture
    assert found.name == kind
    assert isinstance(found, Adjustment)
    told = {k: v for k, v in found.provenance.items() if k != "digest"}
    assert told == {"cohort": "first", "lesions": "900", "fuser": "bayes"}


REPLACED = {
    "kind": ("fuser", "the bundle's 'kind' is 'fuser'"),
    "fuser": ("logistic", "the bundle's 'fuser' is 'logistic', not 'bayes'"),
    "calibrator": ("magic", "'magic'; there are identity, temperature"),
    "partition": ("0" * 64, "belongs to other training classes"),
    "classes": (["a"], "belongs to other training classes"),
    "mixture": ({}, "one number a training class"),
}


@pytest.mark.parametrize("key", REPLACED)
@pytest.mark.parametrize("kind", LEARNING)
def test_a_bundle_that_does_not_fit_is_refused(
    kind: str, key: str, clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    value, why = REPLACED[key]
    whole = written(fitted_kind(kind))
    with pytest.raises(ContractError, match=why):
        from_files(clinic.cells, replace(whole, manifest={**whole.manifest, key: value}), "bayes")
    without = {k: v for k, v in whole.manifest.items() if k != key}
    with pytest.raises(ContractError):
        from_files(clinic.cells, replace(whole, manifest=without), "bayes")


@pytest.mark.parametrize("kind", LEARNING)
def test_arrays_that_do_not_fit_are_refused(
    kind: str, clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    whole = written(fitted_kind(kind))
    names = ("x", "y") if kind == "isotonic" else ("slope", "offset")
    wrong = [b"", b"cos\nsystem\n", pack({names[0]: np.zeros(2), names[1]: np.zeros(2)})]
    wrong.append(pack({"other": np.zeros(3)}))
    for content in wrong:
        with pytest.raises(ContractError):
            from_files(clinic.cells, replace(whole, files={ARRAYS: content}), "bayes")
    with pytest.raises(BundleError, match="lacks"):
        from_files(clinic.cells, replace(whole, files={}), "bayes")


@pytest.mark.parametrize("shares", [[0.5] * 9, [float("nan")] * 9, [2.0, -1.0, *[0.0] * 7], ["a"] * 9])
def test_a_mixture_that_is_none_is_refused(
    shares: list[Any], clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    whole = written(fitted_kind("temperature"))
    mixture = dict(zip(clinic.cells.ids, shares, strict=True))
    with pytest.raises(ContractError, match="mixture"):
        from_files(clinic.cells, replace(whole, manifest={**whole.manifest, "mixture": mixture}), "bayes")


CURVES = {
    "falls": ([2], [0.1, 0.9], [0.8, 0.2]),
    "stands still": ([2], [0.5, 0.5], [0.2, 0.8]),
    "leaves 0 to 1": ([2], [0.1, 0.9], [0.2, 1.5]),
    "is empty": ([2, 0], [0.1, 0.9], [0.2, 0.8]),
    "is not there": ([], [], []),
    "is no number": ([2.0], [0.1, 0.9], [0.2, 0.8]),
}


@pytest.mark.parametrize("fault", CURVES)
def test_a_curve_that_is_none_is_refused(
    fault: str, clinic: Any, fitted_kind: Callable[[str], Calibrator]
) -> None:
    knots, x, y = CURVES[fault]
    whole = written(fitted_kind("isotonic"))
    manifest = {**whole.manifest, "knots": knots, "curve": [0] * 9}
    files = {ARRAYS: pack({"x": np.array(x), "y": np.array(y)})}
    with pytest.raises(ContractError):
        from_files(clinic.cells, replace(whole, manifest=manifest, files=files), "bayes")
    good = {ARRAYS: pack({"x": np.array([0.1, 0.9]), "y": np.array([0.2, 0.8])})}
    assert (
        from_files(
            clinic.cells, replace(whole, manifest={**manifest, "knots": [2]}, files=good), "bayes"
        ).kind
        == "isotonic"
    )


def test_curves_know_whether_they_rise() -> None:
    assert Curves((0, 1), (2, 1), np.array([0.0, 1.0, 0.5]), np.array([0.0, 0.0, 1.0])).rises()
    assert not Curves((0, 2), (2, 1), np.array([0.0, 1.0, 0.5]), np.array([0.0, 0.0, 1.0])).rises()


# input that cannot be


def test_what_is_no_probability_is_refused(clinic: Any, fitted_kind: Callable[[str], Calibrator]) -> None:
    found = fitted_kind("tree")
    for value in (np.nan, np.inf, -0.1):
        rows = np.full((2, 9), 1 / 9)
        rows[1, 3] = value
        with pytest.raises(NonFiniteOutput):
            found.apply_rows(rows)
    for shape in ((9,), (2, 8), (1, 2, 9)):
        with pytest.raises(ContractError, match="rows x 9 classes"):
            found.apply_rows(np.full(shape, 0.1))
    with pytest.raises(ContractError, match="other training classes"):
        found.apply(LeafProbabilities(("a", "b"), np.array([0.5, 0.5])))


WRONG = {
    "kind": ({"kind": "vectr"}, "no calibrator 'vectr'.*did you mean 'vector'"),
    "no rows": ({"probabilities": np.zeros((0, 9)), "truth": np.zeros(0, int)}, "no answers"),
    "width": ({"probabilities": np.full((4, 8), 0.125)}, "do not fit 4 lesions and 9 classes"),
    "NaN": ({"probabilities": np.full((4, 9), np.nan)}, "finite and >= 0"),
    "truth": ({"truth": np.array([0, 1, 2, 9])}, "from 0 to 8"),
    "no weight": ({"weight": np.zeros(4)}, "not all 0"),
    "negative weight": ({"weight": np.array([1.0, 1, 1, -1])}, ">= 0"),
    "weights": ({"weight": np.ones(3)}, "do not fit"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_nothing_is_fitted_on_what_does_not_fit(fault: str, clinic: Any) -> None:
    replaced, why = WRONG[fault]
    whole = {"kind": "tree", "probabilities": np.full((4, 9), 1 / 9), "truth": np.arange(4)}
    with pytest.raises(TrainingError, match=why):
        fit_calibrator(partition=clinic.cells, **{**whole, **replaced})


# from a fuser to a bundle


def test_a_calibration_is_fitted_on_a_fuser_s_own_cross_fitted_answers(
    clinic: Any, specs: Any, cases: list[FusionCase]
) -> None:
    answers = answers_of(specs["bayes"], cases, clinic.cells, 0)
    manifest, files = calibration_bundle(answers, "bayes", "all", clinic.cells, licence="CC0-1.0")
    assert manifest["lesions"] == 450
    assert manifest["folds"] == 3
    assert manifest["licence"] == "CC0-1.0"
    assert list(manifest["log_loss"]) == list(CHOICES)
    assert manifest["log_loss"][manifest["calibrator"]] <= manifest["log_loss"]["identity"]
    found = from_files(clinic.cells, Bundle(manifest, files, "digest"), "bayes")
    fresh = clinic.cases(1500, 77)
    fuser = specs["bayes"].load(clinic.cells, _bundle(specs["bayes"], cases, clinic.cells))
    said = np.stack([fuser.fuse(c.evidence, c.patient).values for c in fresh])
    truth = np.array([clinic.cells.ids.index(c.truth) for c in fresh])
    assert loss(found.apply_rows(said), truth) < loss(said, truth) + 0.005


def _bundle(spec: Any, cases: list[FusionCase], partition: Partition) -> Bundle:
    manifest, files = spec.fit(cases, partition, 0)
    return Bundle(manifest, files, "digest")
