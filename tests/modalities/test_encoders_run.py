"""The run folder and the bundle of fitted heads: out of fold, resumable, refused where they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.case import ImageInput
from core.cohort import LabelledImage
from core.errors import (
    CohortError,
    ContractError,
    CorruptImage,
    ManifestMismatch,
    NonFiniteOutput,
    PluginError,
    TrainingError,
)
from core.manifest import Bundle, read_bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.split import TRAINING, VALIDATION, Split, split_by_component
from modalities.encoders import ByteArray, Encoder, FloatArray, modality_from_encoder
from modalities.encoders.bundling import OutOfFold, make_bundle
from modalities.encoders.head import Head
from modalities.encoders.model import EncoderModel
from modalities.encoders.run import Balance, HeadRun
from modalities.training.evidence import read_evidence
from modalities.training.run import open_run, read_data
from plugins.specs import ModelRequest

Lesions = Callable[..., list[LabelledImage]]


class Colours:
    """Mean and spread of each channel."""

    name, digest, side, dimension = "colours", "colours-1", 64, 6

    def __init__(self, **replaced: Any) -> None:
        self.__dict__.update(replaced)

    def embed(self, images: ByteArray) -> FloatArray:
        flat = images.reshape(len(images), -1, 3).astype(np.float32)
        return np.concatenate([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def plan(
    folder: Path,
    cells: Partition,
    images: list[LabelledImage],
    encoder: Callable[[], Encoder] = Colours,
    split: Split | None = None,
    reads: str = "dermoscopy",
) -> HeadRun:
    spec = modality_from_encoder("colours", "Colours", encoder, reads=reads)
    return HeadRun.plan(folder, spec, cells, split or split_by_component(images, folds=3), images, Balance())


def fit(run: HeadRun) -> tuple[Bundle, OutOfFold]:
    return make_bundle(run, run.fit(), {"name": "drawn", "licence": "CC0-1.0"})


def loaded(bundle: Bundle, cells: Partition, encoder: Callable[[], Encoder] = Colours) -> EncoderModel:
    spec = modality_from_encoder("colours", "Colours", encoder)
    model = spec.load(ModelRequest(cells, bundle))
    assert isinstance(model, EncoderModel)
    return model


@pytest.fixture
def images(lesions: Lesions) -> list[LabelledImage]:
    return lesions(12)


def test_heads_beat_the_prior_on_lesions_that_they_never_saw(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    _, judged = fit(plan(tmp_path / "run", cells, images))
    assert judged.images == sum(1 for p in split_by_component(images, folds=3).part.values() if p == TRAINING)
    assert judged.loss < 0.5 * judged.prior_loss
    assert judged.balanced_accuracy > 0.8
    assert judged.prior_loss == pytest.approx(np.log(3), abs=0.05)


def test_a_fold_is_answered_by_a_head_that_its_labels_do_not_change(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    split = split_by_component(images, folds=3)
    wrong = [replace(i, label=cells.ids[0]) if split.fold.get(i.lesion) == 0 else i for i in images]
    for name, labelled in (("true", images), ("wrong", wrong)):
        plan(tmp_path / name, cells, labelled, split=split).fit()

    def same(file: str) -> bool:
        return (tmp_path / "true" / file).read_bytes() == (tmp_path / "wrong" / file).read_bytes()

    assert same("fold-0/evidence.csv")
    assert same("fold-0/weights.safetensors")
    assert not same("fold-1/weights.safetensors")
    assert not same("final/weights.safetensors")
    assert not same("validation.csv")


def test_every_training_image_is_answered_once_and_validation_by_the_final_head(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    run = plan(tmp_path / "run", cells, images)
    embedded = run.fit().embedded
    found = []
    for target in run.targets():
        path = run.folder / ("validation.csv" if target == "final" else f"{target}/evidence.csv")
        keys, logits, classes = read_evidence(path)
        head = Head.from_bytes((run.folder / target / "weights.safetensors").read_bytes(), 3, 6)
        rows = embedded.rows[[embedded.place[cohort, image] for image, _, cohort in keys]]
        assert np.array_equal(head.logits(rows), logits)
        assert classes == cells.ids
        lesions = {lesion for _, lesion, _ in keys}
        part = VALIDATION if target == "final" else TRAINING
        assert all(run.split.part[lesion] == part for lesion in lesions)
        assert not lesions & {i.lesion for i in run.training_images(target)}
        assert read_data(run.folder / target)["images"] == len(run.training_images(target))
        found += [image for image, _, _ in keys]
    assert sorted(found) == sorted(i.image for i in images)


def test_two_runs_give_the_same_bytes_and_a_second_call_changes_none(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    fit(plan(tmp_path / "one", cells, images))
    before = contents(tmp_path / "one")
    fit(plan(tmp_path / "one", cells, images))
    fit(plan(tmp_path / "two", cells, images))
    assert contents(tmp_path / "one") == before
    assert contents(tmp_path / "two") == before
    assert {"run.json", "split.json", "validation.csv", "bundle/bundle.json"} <= set(before)


def test_runs_may_share_their_embeddings(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    def asked(pixels: ByteArray) -> FloatArray:
        raise AssertionError

    plan(tmp_path / "one", cells, images).fit(store=tmp_path / "store")
    plan(tmp_path / "two", cells, images, lambda: Colours(embed=asked)).fit(store=tmp_path / "store")
    assert not (tmp_path / "one" / "embeddings").exists()


def test_the_reader_of_training_runs_reads_it(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    own = [replace(i, modality="colours") for i in images]
    fit(plan(tmp_path / "run", cells, own, reads="colours"))
    run = open_run(tmp_path / "run", cells.taxonomy, own)
    assert run.config.modality == "colours"
    assert run.config.architecture == "linear head on colours"
    assert run.partition.fingerprint == cells.fingerprint
    assert all(run.is_finished(target) for target in run.targets())
    assert run.targets() == ("final", "fold-0", "fold-1", "fold-2")


def test_a_folder_of_another_run_is_refused(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    plan(tmp_path / "run", cells, images).fit()
    before = (tmp_path / "run" / "run.json").read_bytes()
    for other in (
        plan(tmp_path / "run", cells, images[:-3]),
        plan(tmp_path / "run", cells, images, lambda: Colours(digest="colours-2")),
        plan(tmp_path / "run", cells, images, split=split_by_component(images, folds=3, seed=1)),
    ):
        with pytest.raises(TrainingError, match="holds a run of other data"):
            other.fit()
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_what_cannot_be_fitted_is_said_before_anything_is_embedded(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    split = split_by_component(images, folds=3)
    one = [i for i in images if i.label == cells.ids[0]]
    with pytest.raises(TrainingError, match="colours reads clinical images, and the cohorts hold dermoscopy"):
        plan(tmp_path / "run", cells, images, reads="clinical")
    with pytest.raises(TrainingError, match=r"the head final would be fitted on 1 training class"):
        plan(tmp_path / "run", cells, one, split=split)
    with pytest.raises(CohortError, match="is not in the split"):
        plan(tmp_path / "run", cells, images, split=Split({"L0": TRAINING}, {"L0": 0}, 2, 0))
    with pytest.raises(TrainingError, match="lies in no training class"):
        inner = replace(images[0], label=cells.taxonomy.root)
        plan(tmp_path / "run", cells, [inner, *images[1:]], split=split)
    with pytest.raises(PluginError, match="the encoder of 'colours' could not be loaded: OSError"):
        plan(tmp_path / "run", cells, images, lambda: (_ for _ in ()).throw(OSError("no weights")))
    assert not (tmp_path / "run").exists()


def test_a_fold_that_leaves_nothing_to_learn_from_is_refused_by_name(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    names = {i.lesion for i in images}
    crowded = Split(dict.fromkeys(names, TRAINING), dict.fromkeys(names, 1), 2, 0)
    with pytest.raises(TrainingError, match=r"fold-1 would be fitted on 0 training class\(es\), none"):
        plan(tmp_path / "run", cells, images, split=crowded)
    excluded = replace(split_by_component(images), excluded={i.image: "blurred" for i in images})
    with pytest.raises(TrainingError, match="no fold holds an image that results may count"):
        plan(tmp_path / "run", cells, images, split=excluded)


def test_an_empty_fold_and_an_empty_validation_part_are_allowed(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    split = split_by_component(images, validation=0, folds=3)
    thin = replace(split, folds=4)
    _, judged = fit(plan(tmp_path / "run", cells, images, split=thin))
    assert judged.images == len(images)
    assert not (tmp_path / "run" / "fold-3" / "evidence.csv").exists()
    assert not (tmp_path / "run" / "validation.csv").exists()


def test_classes_of_one_fold_alone_are_counted_and_do_not_spoil_the_temperature(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    split = split_by_component(images, validation=0, folds=3)
    rare = min(i.lesion for i in images if cells.class_of(i.label) == cells.ids[2])
    kept = [i for i in images if cells.class_of(i.label) != cells.ids[2] or i.lesion == rare]
    _, judged = fit(plan(tmp_path / "run", cells, kept, split=split))
    assert judged.unseen == 1
    assert judged.images == len(kept) - 1
    fold = split.fold[rare]
    assert read_data(tmp_path / "run" / f"fold-{fold}")["prior"][cells.ids[2]] == 0
    assert judged.loss < 0.5 * judged.prior_loss


def test_a_model_answers_with_the_calibrated_head(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    run = plan(tmp_path / "run", cells, images)
    fitted = run.fit()
    bundle, judged = make_bundle(run, fitted, {})
    model = loaded(bundle, cells)
    answers = model.predict([ImageInput(modality="colours", path=i.path) for i in images])
    logits = fitted.final.logits(fitted.embedded.rows) / judged.temperature
    for answer, row in zip(answers, logits, strict=True):
        assert np.allclose(answer.probabilities.values, LeafProbabilities.from_logits(cells.ids, row).values)
        assert answer.checks == ()
    assert model.prior.to_dict() == pytest.approx(fitted.data["final"]["prior"])
    assert model.provenance["encoder"] == "colours-1"


def test_too_few_images_fit_no_gate_and_many_one_that_flags_a_blank_picture(
    images: list[LabelledImage],
    lesions: Callable[..., list[LabelledImage]],
    cells: Partition,
    as_png: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    bundle, _ = fit(plan(tmp_path / "few", cells, images))
    assert bundle.manifest["checks"] is None
    bundle, _ = fit(plan(tmp_path / "run", cells, lesions(100)))
    blank = ImageInput(modality="colours", data=as_png(np.zeros((96, 96, 3), np.uint8)))
    flagged = {c.name for c in loaded(bundle, cells).predict([blank])[0].checks if c.flagged}
    assert {"blurred", "under_exposed", "out_of_distribution"} <= flagged
    with pytest.raises(CorruptImage):
        loaded(bundle, cells).predict([ImageInput(modality="colours", data=b"\x89PNG\r\n\x1a\n")])


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"digest": "colours-2"}, "digest is 'colours-1', and the one at hand has 'colours-2'"),
        ({"name": "tints"}, "name"),
        ({"side": 65}, "side"),
        ({"dimension": 7}, "dimension"),
    ],
)
def test_a_head_behind_another_encoder_is_refused(
    replaced: dict[str, Any],
    said: str,
    images: list[LabelledImage],
    cells: Partition,
    tmp_path: Path,
) -> None:
    bundle, _ = fit(plan(tmp_path / "run", cells, images))
    with pytest.raises(ContractError, match=said):
        loaded(bundle, cells, lambda: Colours(**replaced))


def test_an_encoder_that_turns_bad_after_the_fit_gives_no_answer(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    bundle, _ = fit(plan(tmp_path / "run", cells, images))
    model = loaded(bundle, cells, lambda: Colours(embed=lambda p: np.full((len(p), 6), np.nan, np.float32)))
    with pytest.raises(NonFiniteOutput):
        model.predict([ImageInput(modality="colours", path=images[0].path)])


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("modality", "other"),
        ("partition", "other"),
        ("taxonomy", "other"),
        ("classes", ["a"]),
        ("encoder", None),
        ("prior", {}),
        ("temperature", 0),
        ("checks", {}),
        ("architecture", None),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    entry: str, value: object, images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    bundle, _ = fit(plan(tmp_path / "run", cells, images))
    with pytest.raises(ContractError):
        loaded(replace(bundle, manifest={**bundle.manifest, entry: value}), cells)


def test_a_bundle_without_or_with_a_changed_head_is_refused(
    images: list[LabelledImage], cells: Partition, tmp_path: Path
) -> None:
    bundle, _ = fit(plan(tmp_path / "run", cells, images))
    spec = modality_from_encoder("colours", "Colours", Colours)
    with pytest.raises(ContractError, match="dxtree fit-head"):
        spec.load(ModelRequest(cells))
    with pytest.raises(ContractError, match=r"no head\.safetensors"):
        loaded(replace(bundle, files={}), cells)
    path = tmp_path / "run" / "bundle" / "head.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ManifestMismatch):
        read_bundle(tmp_path / "run" / "bundle", "bundle.json")
