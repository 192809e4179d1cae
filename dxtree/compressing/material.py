"""Which net is compressed, and which images may train it and which may judge it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError
from torch import nn

from core.cohort import LabelledImage
from core.errors import CohortError, ContractError, TrainingError
from core.manifest import Bundle, read_bundle
from core.split import TRAINING, Split
from core.taxonomy import Taxonomy
from dxtree.exporting.bundles import Source, open_source
from dxtree.exporting.images import Chosen, choose
from modalities.cnn.belonging import check_belongs
from modalities.engines import source_file
from modalities.engines.torch_engine import TorchEngine
from modalities.training.bundling import make_bundle
from modalities.training.config import TrainingConfig
from modalities.training.run import Run, open_run
from modalities.training.starting import FINAL
from plugins.model_set import MANIFEST, MODALITY_MANIFEST

UNCALIBRATED = 1.0
"""Temperature of a run's net whose folds are not trained."""


@dataclass(frozen=True)
class Material:
    """A bundle, and the run over whose training lesions its net learns on and whose validation lesions judge.

    `calibrated`: whether the bundle's temperature was fitted on out-of-fold answers.
    """

    bundle: Bundle
    run: Run
    calibrated: bool = True

    def dense(self) -> nn.Module:
        """The bundle's net, in evaluation mode."""
        net: nn.Module = TorchEngine.of(self.bundle, "torch").net
        return net

    def chosen(self, calibration: int, most: int | None) -> Chosen:
        """Images of training lesions for the int8 graph, and lesions held out of training."""
        split = self.run.split

        def part(image: LabelledImage) -> str | None:
            return None if image.image in split.excluded else split.part_of(image)

        return choose(self.run.images, self.run.config.modality, part, calibration=calibration, most=most)


def find_source(folder: Path, modality: str | None) -> Source:
    """The bundle of a folder, of a model set, or of a modality's folder within a set.

    Raises what `open_source` raises.
    """
    if (folder / MODALITY_MANIFEST).is_file() and (folder.resolve().parent / MANIFEST).is_file():
        inside = folder.resolve()
        return open_source(inside.parent, inside.name if modality is None else modality)
    return open_source(folder, modality)


def from_set(source: Source, images: Sequence[LabelledImage], folder: Path) -> Material:
    """Of a model set, which remembers by hashes in which part a lesion was; others are left out.

    Raises `CohortError` where no image is of a lesion that trained it, `ContractError` where the bundle was
    not trained by `dxtree train` or is not of the set's classes.
    """
    models = source.models
    if models is None:
        raise CohortError("a bundle outside of a model set needs --run RUN, the run that made it")
    check_belongs(source.bundle, models.partition, source.modality, source_file(source.bundle))
    parts = {i.lesion: models.part_of(i.lesion) for i in images if i.modality == source.modality}
    known = {lesion: part for lesion, part in parts.items() if part is not None}
    if TRAINING not in known.values():
        raise CohortError(
            f"none of the {source.modality} images is of a lesion that trained this model set; give the "
            "cohorts that it was trained on"
        )
    fold = {lesion: 0 for lesion, part in known.items() if part == TRAINING}
    own = tuple(i for i in images if i.modality == source.modality and i.lesion in known)
    split = Split(known, fold, 2, 0)
    return Material(source.bundle, Run(folder, _config(source.bundle), models.partition, split, own))


def from_run(bundle: Bundle, folder: Path, taxonomy: Taxonomy, images: Sequence[LabelledImage]) -> Material:
    """Of the run that made a bundle.

    Raises `TrainingError` where the folder holds no run or the images are not those of its cohorts, and
    `ContractError` where the bundle is of other classes or of another configuration.
    """
    return _checked(bundle, open_run(folder, taxonomy, images))


def bundled(run_folder: Path, taxonomy: Taxonomy, images: Sequence[LabelledImage], out: Path) -> Material:
    """Of a run whose final net alone is trained: its bundle, uncalibrated, is made in `out` or read there.

    Raises as `from_run` does, and `TrainingError` where the net is not trained yet.
    """
    run = open_run(run_folder, taxonomy, images)
    if not run.is_finished(FINAL):
        raise TrainingError(f"the final net of {run_folder.name} is not trained yet")
    if (out / MODALITY_MANIFEST).is_file():
        bundle = read_bundle(out, MODALITY_MANIFEST)
    else:
        about = {"name": f"{run.config.modality}-{run.config.architecture}", "licence": "not stated"}
        bundle = make_bundle(run, out, about, {}, UNCALIBRATED)
    return replace(_checked(bundle, run), calibrated=False)


def _checked(bundle: Bundle, run: Run) -> Material:
    check_belongs(bundle, run.partition, run.config.modality, source_file(bundle))
    seed = bundle.require("training", dict).get("split_seed")
    if _config(bundle) != _whole(run.config) or seed != run.split.seed:
        raise ContractError(
            f"{run.folder.name} is not the run that made this bundle: their configurations or splits differ"
        )
    return Material(bundle, replace(run, config=_whole(run.config)))


def _config(bundle: Bundle) -> TrainingConfig:
    raw = bundle.require("training", dict).get("config")
    try:
        return _whole(TrainingConfig.model_validate(raw))
    except ValidationError as error:
        raise ContractError(
            "the bundle's manifest has no training.config that this version reads; bundles of "
            "`dxtree train` have one"
        ) from error


def _whole(config: TrainingConfig) -> TrainingConfig:
    """All layers learn on while they are pruned, also those that training left as they were."""
    return config.model_copy(update={"frozen": None})
