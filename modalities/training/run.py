"""What does one training run leave behind? A folder.

RUN/run.json                 configuration, fingerprints, training classes, prior, images skipped
RUN/split.json               the part of each lesion, and its fold
RUN/final/                   the net of the whole training part: checkpoints, metrics.jsonl, weights
RUN/fold-0/ ...              the nets that did not see fold 0, ..., each with `evidence.csv` of that fold
RUN/validation.csv           evidence of the final net on the validation part
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save
from torch import nn

from core.cohort import TRAINING, VALIDATION, LabelledImage, Split, check_no_leak
from core.errors import TrainingError
from core.partition import Partition
from core.taxonomy import Taxonomy
from modalities.cnn.preprocess import Preprocessing, default_preprocessing
from modalities.cnn.torch_net import build, load_state, prepare_input
from modalities.training.checkpoint import write_atomically
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights, read_all
from modalities.training.loop import Report, TrainingSet, fit, predict

FINAL = "final"


@dataclass(frozen=True)
class Run:
    """One modality's training over one split: what every target of it shares."""

    folder: Path
    config: TrainingConfig
    partition: Partition
    split: Split
    images: tuple[LabelledImage, ...]
    """The modality's images of both parts."""

    def __post_init__(self) -> None:
        training = self.split.select(self.images, TRAINING)
        check_no_leak(training, self.split.select(self.images, VALIDATION), ("training", "validation"))
        present = {self.partition.class_of(i.label) for i in training} - {None}
        if len(present) < 2:
            labels = sorted({i.label for i in training})[:5]
            raise TrainingError(
                f"{self.config.modality}: the training part holds {len(present)} class(es), of labels "
                f"{', '.join(labels) or 'none'}; two are needed"
            )

    def targets(self) -> tuple[str, ...]:
        """The nets of a run: the final one, then one a fold."""
        return (FINAL, *(f"fold-{k}" for k in range(self.split.folds)))

    def test_preprocessing(self) -> Preprocessing:
        """What inference does to an image: the whole short side at `test_size`, and its central square.

        Cutting less than the usual central .875 showed more of the lesion to the same net: out of fold, 1,052
        clinical images of MILK10k, accuracy .659 against .629 and AUC of malignant .842 against .834.
        """
        test = default_preprocessing(self.config.architecture, self.config.test_size)
        return replace(test, resize=self.config.test_size)

    def training_images(self, target: str) -> list[LabelledImage]:
        """The images that a target's net is trained on: never those it gives evidence for."""
        return [i for i in self.split.select(self.images, TRAINING) if self._fold(i) != target]

    def evidence_images(self, target: str) -> list[LabelledImage]:
        """The images that a target's net gives evidence for: its fold, or the validation part."""
        if target == FINAL:
            return self.split.select(self.images, VALIDATION)
        return [i for i in self.split.select(self.images, TRAINING) if self._fold(i) == target]

    def _fold(self, image: LabelledImage) -> str:
        return f"fold-{self.split.fold[image.lesion]}"

    def train(self, target: str, weights: str | Path | None, report: Report) -> None:
        """Trains one target, or resumes it, and writes its weights and its evidence."""
        if target not in self.targets():
            raise TrainingError(f"target {target!r} is none of {', '.join(self.targets())}")
        self._write_shared()
        folder = self.folder / target
        folder.mkdir(parents=True, exist_ok=True)
        net = self.finished(target) or self._fit(target, weights, folder, report)
        self._write_evidence(target, net)

    def is_finished(self, target: str) -> bool:
        """Whether a target has its weights and, where there are images for it, its evidence."""
        evidence = self._evidence_path(target)
        weights = self.folder / target / "weights.safetensors"
        return weights.is_file() and (evidence.is_file() or not self.evidence_images(target))

    def _evidence_path(self, target: str) -> Path:
        return self.folder / ("validation.csv" if target == FINAL else f"{target}/evidence.csv")

    def finished(self, target: str) -> nn.Module | None:
        """The trained net of a target, or `None` where it is not finished."""
        path = self.folder / target / "weights.safetensors"
        if not path.is_file():
            return None
        net = build(self.config.architecture, len(self.partition.classes))
        prepare_input(net)
        load_state(net, load_file(path))
        return net.eval()

    def _fit(self, target: str, weights: str | Path | None, folder: Path, report: Report) -> nn.Module:
        chosen = self.training_images(target)
        usual = default_preprocessing(self.config.architecture, self.config.test_size)
        side = max(usual.resize, self.config.size)
        pixels, read, bad = read_all(chosen, side)
        data = TrainingSet(pixels, self._targets(read), self.draw(read), len(self.partition.classes))
        prior = prior_of(data.targets, data.weights, data.classes)
        document = {
            "images": len(read),
            "skipped": bad,
            "prior": dict(zip(self.partition.ids, prior, strict=True)),
        }
        write_atomically(folder / "data.json", json.dumps(document, indent=1).encode())
        net = fit(data, self.config, weights, folder, report)
        write_atomically(
            folder / "weights.safetensors", save({k: v.contiguous() for k, v in net.state_dict().items()})
        )
        return net

    def _targets(self, images: Sequence[LabelledImage]) -> npt.NDArray[np.int64]:
        index = {name: k for k, name in enumerate(self.partition.ids)}
        classes = [self.partition.class_of(i.label) for i in images]
        lost = next((i for i, c in zip(images, classes, strict=True) if c is None), None)
        if lost is not None:
            raise TrainingError(f"{lost.label!r} lies in no training class; use preset reference")
        return np.array([index[c] for c in classes if c is not None], np.int64)

    def draw(self, images: Sequence[LabelledImage]) -> npt.NDArray[np.float64]:
        """Probability of each image to be drawn for a batch; sums to 1."""
        taxonomy, level = self.partition.taxonomy, self.config.balance_level
        groups = [taxonomy.ancestor_at(i.label, level) or i.label for i in images]
        return draw_weights(groups, self.config.balance_power)

    def _write_shared(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        document: dict[str, Any] = {
            "config": self.config.model_dump(mode="json"),
            "taxonomy": {
                "name": self.partition.taxonomy.name,
                "fingerprint": self.partition.taxonomy.fingerprint,
            },
            "partition": self.partition.to_dict(),
            "cohorts": dict(Counter(i.cohort for i in self.images)),
            "images": {part: len(self.split.select(self.images, part)) for part in (TRAINING, VALIDATION)},
        }
        content = json.dumps(document, indent=1).encode()
        path = self.folder / "run.json"
        if path.is_file() and path.read_bytes() != content:
            raise TrainingError(
                f"{self.folder.name} holds a run of other data or another configuration; "
                "choose another folder"
            )
        write_atomically(path, content)
        write_atomically(self.folder / "split.json", json.dumps(asdict(self.split), indent=1).encode())

    def _write_evidence(self, target: str, net: nn.Module) -> None:
        preprocessing = self.test_preprocessing()
        pixels, read, _ = read_all(self.evidence_images(target), preprocessing.resize)
        if not read:
            return
        rows = predict(net, pixels, preprocessing)
        write_atomically(self._evidence_path(target), evidence_csv(read, rows, self.partition.ids))


def prior_of(targets: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], classes: int) -> list[float]:
    """Share of each class in what the net is shown: the prior that its probabilities carry."""
    return [float(share) for share in np.bincount(targets, weights, classes)]


def evidence_csv(
    images: Sequence[LabelledImage], rows: npt.NDArray[np.float64], classes: Sequence[str]
) -> bytes:
    """A CSV of image, lesion, cohort and one logit a training class, exact to the last bit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "lesion", "cohort", *classes])
    for image, row in zip(images, rows.tolist(), strict=True):
        writer.writerow([image.image, image.lesion, image.cohort, *map(repr, row)])
    return text.getvalue().encode()


def read_evidence(path: Path) -> tuple[list[tuple[str, str, str]], npt.NDArray[np.float64], tuple[str, ...]]:
    """(image, lesion, cohort) a row, logits N x classes and class ids, as `evidence_csv` wrote them."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    keys = [(r[0], r[1], r[2]) for r in rows]
    return keys, np.array([[float(v) for v in r[3:]] for r in rows]), tuple(header[3:])


def read_data(folder: Path) -> dict[str, Any]:
    """What a target was trained on: number of images, ids of those skipped, and the prior by class."""
    return _read_json(folder / "data.json")


def read_split(folder: Path) -> Split:
    """The split of a run's folder. Raises `TrainingError` where the folder holds no run."""
    raw = _read_json(folder / "split.json")
    return Split(raw["part"], raw["fold"], raw["folds"], raw["seed"])


def open_run(folder: Path, taxonomy: Taxonomy, images: Sequence[LabelledImage]) -> Run:
    """The run that a folder holds, over the images of its cohorts.

    Raises `TrainingError` where the folder holds no run or the images are not those of its cohorts.
    """
    raw = _read_json(folder / "run.json")
    config = TrainingConfig.model_validate(raw["config"])
    chosen = tuple(i for i in images if i.modality == config.modality)
    if dict(Counter(i.cohort for i in chosen)) != raw["cohorts"]:
        raise TrainingError(f"{folder.name} was trained on other data: {raw['cohorts']}; give those cohorts")
    return Run(folder, config, Partition.from_dict(taxonomy, raw["partition"]), read_split(folder), chosen)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path.parent.name} holds no training run ({path.name} cannot be read)"
        ) from error
    return raw
