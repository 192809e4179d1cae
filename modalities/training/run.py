"""What does one training run leave behind? A folder.

RUN/run.json                 configuration, fingerprints, training classes, prior, images skipped
RUN/split.json               the part of each lesion, and its fold
RUN/final/                   the net of the whole training part: checkpoints, metrics.jsonl, weights
RUN/fold-0/ ...              the nets that did not see fold 0, ..., each with `evidence.csv` of that fold
RUN/validation.csv           evidence of the final net on the validation part
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save
from torch import nn

from core.cohort import LabelledImage
from core.errors import TrainingError
from core.files import write_whole
from core.partition import Partition
from core.split import TRAINING, VALIDATION, Split, check_no_leak
from core.taxonomy import Taxonomy
from modalities.cnn.preprocess import ByteImage, Preprocessing, default_preprocessing
from modalities.cnn.torch_net import build, load_state, prepare_input
from modalities.stages import step_of
from modalities.training.answering import predict, predict_frozen
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights, prior_of, read_all
from modalities.training.evidence import evidence_csv
from modalities.training.freezing import Activations, compute
from modalities.training.loop import Report, TrainingSet, fit
from modalities.training.objectives import make_objective, targets_of
from modalities.training.processes import ALONE, Processes
from modalities.training.starting import FINAL, WEIGHTS, starting_net, target_of, weights_of
from modalities.training.unfolding import IMAGES
from plugins.specs import PreprocessorSpec


@dataclass(frozen=True)
class Run:
    """One modality's training over one split: what every target of it shares."""

    folder: Path
    config: TrainingConfig
    partition: Partition
    split: Split
    images: tuple[LabelledImage, ...]
    """The modality's images of both parts."""
    activations: Path | None = None
    """Folder of what a frozen part gives, which several runs may share; `None`: within the run's own."""
    steps: Mapping[str, PreprocessorSpec] | None = None
    """Preprocessing steps by name; `None`: those that ship."""

    def __post_init__(self) -> None:
        self.test_preprocessing()
        training = self.split.select(self.images, TRAINING)
        check_no_leak(training, self.split.select(self.images, VALIDATION), ("training", "validation"))
        present = {self.partition.class_of(i.label) for i in training} - {None}
        targets_of(self.partition, sorted({i.label for i in training}), self.config.loss)
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
        """What inference does: the central square of `test_crop` of the short side, at `test_size` pixels.

        The whole short side (`test_crop` 1) showed more of the lesion to the same net than the usual .875:
        out of fold, 1,052 clinical images of MILK10k, accuracy .659 against .629 and AUC of malignant .842
        against .834.
        """
        test = default_preprocessing(self.config.architecture, self.config.test_size)
        steps = tuple(step_of(name, self.steps) for name in self.config.steps)
        return replace(test, resize=round(self.config.test_size / self.config.test_crop), steps=steps)

    def training_images(self, target: str) -> list[LabelledImage]:
        """The images that a target's net is trained on: never those it gives evidence for."""
        training = self.split.select(self.images, TRAINING)
        return [i for i in training if target_of(self.split, i) != target]

    def evidence_images(self, target: str) -> list[LabelledImage]:
        """The images that a target's net gives evidence for: its fold, or the validation part.

        Images that the split excludes from results are left out.
        """
        own = [i for i in self.images if target_of(self.split, i) == target]
        return self.split.kept(own)

    def train(
        self, target: str, weights: str | Path | None, report: Report, processes: Processes = ALONE
    ) -> None:
        """Trains one target, or resumes it, and writes its weights and its evidence.

        `weights` may be the folder of another run: each target goes on from that run's own, see `weights_of`.
        Among several processes all call this, and process 0 alone writes.
        """
        if target not in self.targets():
            raise TrainingError(f"target {target!r} is none of {', '.join(self.targets())}")
        folder = self.folder / target
        if processes.writes:
            self._write_shared()
            folder.mkdir(parents=True, exist_ok=True)
        processes.wait()
        other = read_split(Path(weights)) if weights is not None and Path(weights).is_dir() else None
        weights = weights_of(target, weights, other, self.evidence_images(target))
        frozen = self._activations(weights, report, processes) if self.config.frozen else None
        net = self.finished(target) or self._fit(target, weights, folder, report, processes, frozen)
        if processes.writes:
            self._write_evidence(target, net, frozen)
        processes.wait()

    def is_finished(self, target: str) -> bool:
        """Whether a target has its weights and, where there are images for it, its evidence."""
        evidence = self._evidence_path(target)
        weights = self.folder / target / WEIGHTS
        return weights.is_file() and (evidence.is_file() or not self.evidence_images(target))

    def answer_turned(self, target: str, turns: int) -> Path:
        """Evidence of a finished target with test-time augmentation, computed once.

        It is the mean log probability of `turns` turns and flips of each image, up to 8. Frozen or not, the
        whole net answers.
        """
        path = self.folder / target / f"evidence-{turns}.csv"
        if not path.is_file():
            net = self.finished(target)
            if net is None:
                raise TrainingError(f"{target} of {self.folder.name} is not trained yet")
            preprocessing = self.test_preprocessing()
            pixels, read, _ = read_all(self.evidence_images(target), preprocessing.resize)
            rows = predict(net, pixels, preprocessing, turns=turns)
            write_whole(path, evidence_csv(read, rows, self.partition.ids))
        return path

    def _evidence_path(self, target: str) -> Path:
        return self.folder / ("validation.csv" if target == FINAL else f"{target}/evidence.csv")

    def finished(self, target: str) -> nn.Module | None:
        """The trained net of a target, or `None` where it is not finished."""
        path = self.folder / target / WEIGHTS
        if not path.is_file():
            return None
        net = build(self.config.architecture, len(self.partition.classes))
        prepare_input(net)
        load_state(net, load_file(path))
        return net.eval()

    def _activations(self, weights: str | Path | None, report: Report, processes: Processes) -> Activations:
        """What the frozen part gives for every image of the run; the first process that comes computes it."""
        config = self.config
        sample = self._sample_pixels() if config.unfold_batch_norm else []
        net, _ = starting_net(config, len(self.partition.classes), weights, sample)

        def progress(done: int, total: int) -> None:
            report({"step": done, "steps": total, "epoch": 0, "loss": float("nan"), "images_per_second": 0.0})

        def made() -> Activations:
            training = default_preprocessing(config.architecture, config.size)
            folder = self.activations or self.folder / "activations"
            return compute(net, self.images, config, training, self.test_preprocessing(), folder, progress)

        if processes.writes:
            made()
        processes.wait()
        return made()

    def _sample_pixels(self) -> list[ByteImage]:
        images = self.split.select(self.images, TRAINING)
        chosen = images[:: max(1, len(images) // IMAGES)]
        usual = default_preprocessing(self.config.architecture, self.config.size)
        return read_all(chosen, usual.resize, self.test_preprocessing())[0]

    def _fit(
        self,
        target: str,
        weights: str | Path | None,
        folder: Path,
        report: Report,
        processes: Processes,
        frozen: Activations | None,
    ) -> nn.Module:
        data, bad = self._training_set(target, frozen)
        document = {
            "images": len(data.targets),
            "skipped": bad,
            "prior": dict(zip(self.partition.ids, self._prior(data), strict=True)),
        }
        if processes.writes:
            write_whole(folder / "data.json", json.dumps(document, indent=1).encode())
        net = fit(data, self.config, weights, folder, report, processes)
        if processes.writes:
            state = {k: v.contiguous() for k, v in net.state_dict().items()}
            write_whole(folder / WEIGHTS, save(state))
        return net

    def training_set(self, target: str) -> tuple[TrainingSet, list[str]]:
        """A target's images, decoded, with their targets, for a net that is tuned whole; and the ids of
        those that cannot be read. Raises `TrainingError` where more than 1 % cannot.
        """
        return self._training_set(target, None)

    def _training_set(self, target: str, frozen: Activations | None) -> tuple[TrainingSet, list[str]]:
        """A target's images with their targets, and the ids of those that cannot be read."""
        config, chosen = self.config, self.training_images(target)
        if frozen is None:
            # Room for a crop at inference's scale; see `test_preprocessing`.
            usual = default_preprocessing(config.architecture, config.test_size)
            pixels, read, bad = read_all(chosen, max(usual.resize, config.size), self.test_preprocessing())
        else:
            read = [i for i in chosen if (i.cohort, i.image) in frozen.row]
            bad = [i.image for i in chosen if (i.cohort, i.image) not in frozen.row]
            pixels = self._sample_pixels() if config.unfold_batch_norm else []
        owners = targets_of(self.partition, [i.label for i in read], config.loss)
        # Classes first, so that a target is a class's own column wherever there is one.
        known = [*self.partition.ids, *sorted(set(owners) - set(self.partition.ids))]
        index = {name: k for k, name in enumerate(known)}
        objective = make_objective(
            self.partition, known, config.loss, decay=config.hierarchy_decay, smoothing=config.label_smoothing
        )
        return TrainingSet(
            pixels,
            np.array([index[o] for o in owners], np.int64),
            self.draw(read),
            len(self.partition.classes),
            objective,
            None if frozen is None else frozen.training,
            None if frozen is None else frozen.rows(read),
        ), bad

    def _prior(self, data: TrainingSet) -> list[float]:
        """The prior that the net's probabilities carry; the share of coarse labels goes to what they hold."""
        if data.objective is None:
            return prior_of(data.targets, data.weights, data.classes)
        members = data.objective.nodes.all(1).numpy().astype(np.float64)
        return prior_of(data.targets, data.weights, data.classes, members[data.classes :])

    def draw(self, images: Sequence[LabelledImage]) -> npt.NDArray[np.float64]:
        """Probability of each image to be drawn for a batch; sums to 1."""
        taxonomy, level = self.partition.taxonomy, self.config.balance_level
        if level is None:
            groups = targets_of(self.partition, [i.label for i in images], self.config.loss)
        else:
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
        write_whole(path, content)
        write_whole(self.folder / "split.json", json.dumps(self.split.to_dict(), indent=1).encode())

    def _write_evidence(self, target: str, net: nn.Module, frozen: Activations | None) -> None:
        images = self.evidence_images(target)
        if not images or self._evidence_path(target).is_file():
            return
        if frozen is None:
            preprocessing = self.test_preprocessing()
            pixels, read, _ = read_all(images, preprocessing.resize)
            rows = predict(net, pixels, preprocessing)
        else:
            read = [i for i in images if (i.cohort, i.image) in frozen.row]
            rows = predict_frozen(net, str(self.config.frozen), frozen.test[frozen.rows(read)])
        write_whole(self._evidence_path(target), evidence_csv(read, rows, self.partition.ids))


def read_data(folder: Path) -> dict[str, Any]:
    """What a target was trained on: number of images, ids of those skipped, and the prior by class."""
    return _read_json(folder / "data.json")


def read_split(folder: Path) -> Split:
    """The split of a run's folder. Raises `TrainingError` where the folder holds no run."""
    return Split.from_dict(_read_json(folder / "split.json"))


def open_run(folder: Path, taxonomy: Taxonomy, images: Sequence[LabelledImage]) -> Run:
    """The run that a folder holds, over the images of its cohorts.

    Raises `TrainingError` where the folder holds no run or the images are not those of its cohorts.
    """
    raw = _read_json(folder / "run.json")
    config = TrainingConfig.model_validate(raw["config"])
    reads = raw.get("reads", config.modality)  # a head may read the images of another modality
    chosen = tuple(replace(i, modality=config.modality) for i in images if i.modality == reads)
    if dict(Counter(i.cohort for i in chosen)) != raw["cohorts"]:
        raise TrainingError(f"{folder.name} was trained on other data: {raw['cohorts']}; give those cohorts")
    return Run(folder, config, Partition.from_dict(taxonomy, raw["partition"]), read_split(folder), chosen)


def taxonomy_of(folder: Path) -> str:
    """Name of the tree of the run that a folder holds. Raises `TrainingError` where it holds no run."""
    return str(_read_json(folder / "run.json")["taxonomy"]["name"])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        told = f"{path.parent.name} holds no training run ({path.name} cannot be read)"
        raise TrainingError(told) from error
    return raw
