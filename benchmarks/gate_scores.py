"""By what is an image unlike the training's told best: its statistics, or the net's logits or features?

    python benchmarks/gate_scores.py --cohort milk10k=data/milk10k --cohort ham10000=data/ham10000

Scores are fitted on training lesions and judged on held-out ones of the modality: AUROC against foreign
images by kind and against the other modality, and the share of each that is above the score that 1 % of the
held-out images exceed. `looks` is the score of the bundle's gate. Needs the package onnx: the pooled features
are an output that is added to the graph here and that no bundle has.

- looks: Mahalanobis distance of the gate's statistics, as the gate has it
- logits, features: the same distance (Lee et al., NeurIPS 2018) of logits, and of the first 150 principal
  components of the features
- energy: minus the log-sum-exp of the logits (Liu et al., NeurIPS 2020)
- residual: norm of the features outside their first 100 principal components (the virtual logit of Wang et
  al., CVPR 2022)
- neighbours: cosine distance to the sixth nearest training feature (Sun et al., ICML 2022)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.case import ImageInput
from core.cohort import LabelledImage
from core.manifest import Bundle
from core.split import TRAINING, VALIDATION
from dxtree.cohorts.reading import read_cohorts
from dxtree.gating import foreign_images
from dxtree.gating.looking import chosen, preprocessings
from modalities.cnn.preprocess import ByteImage, Preprocessing, planes_of
from modalities.gate import SafetyGate, look
from modalities.images import decode_square
from plugins.assembly import find_model_set, load_registry

Array = npt.NDArray[np.float64]
Score = Callable[[Mapping[str, Array]], Array]


def main() -> None:
    """Reads, fits, judges and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="default")
    parser.add_argument("--cohort", action="append", required=True, help="NAME=FOLDER; repeatable")
    parser.add_argument("--images", type=int, default=300, help="at most so many of each part and modality")
    given = parser.parse_args()
    registry = load_registry()
    models = find_model_set(registry, given.models)
    images = read_cohorts(registry, given.cohort, models.partition.taxonomy)
    training = chosen(images, models, TRAINING, given.images)
    held = chosen(images, models, VALIDATION, given.images)
    foreign = list(foreign_images())
    print("| modality | score | against | images | AUROC | above at 1 % |\n|---|---|---|---|---|---|")
    for modality, shown in preprocessings(models).items():
        bundle = models.modality_bundle(modality)
        if bundle is None:
            continue
        run = _session(bundle)

        def seen(
            squares: Sequence[ByteImage], run: Any = run, shown: Preprocessing = shown
        ) -> dict[str, Array]:
            rows = [(look(s), *run(shown.normalise(s))) for s in squares]
            return {n: np.stack([r[k] for r in rows]) for k, n in enumerate(("looks", "logits", "features"))}

        fitted = seen(_squares(training[modality], shown))
        own = seen(_squares(held[modality], shown))
        against = {m: seen(_squares(held[m], shown)) for m in held if m != modality}
        for kind in dict.fromkeys(f.kind for f in foreign):
            against[kind] = seen([shown.planes(f.pixels) for f in foreign if f.kind == kind])
        gate = SafetyGate.from_dict(bundle.require("checks", dict))
        for name, score in _scores(fitted, gate).items():
            valid = score(own)
            limit = np.quantile(valid, 0.99)
            for kind, table in against.items():
                found = score(table)
                wins = (found[None] > valid[:, None]) + 0.5 * (found[None] == valid[:, None])
                cells = (
                    modality,
                    name,
                    kind,
                    len(found),
                    f"{wins.mean():.3f}",
                    f"{(found > limit).mean():.2f}",
                )
                print("|", " | ".join(map(str, cells)), "|", flush=True)


def _squares(images: Sequence[LabelledImage], shown: Preprocessing) -> list[ByteImage]:
    sources = [ImageInput(modality=i.modality, path=i.path).source for i in images]
    return [planes_of(decode_square(source, shown.seen).padded) for source in sources]


def _session(bundle: Bundle) -> Callable[[npt.NDArray[np.float32]], tuple[Array, Array]]:
    """Logits and pooled features of one image."""
    import onnx
    import onnxruntime as ort

    graph = onnx.load_model_from_string(bundle.files["model.onnx"])
    pooled = next(n.input[0] for n in reversed(graph.graph.node) if n.op_type == "Gemm")
    graph.graph.output.append(onnx.helper.make_tensor_value_info(pooled, onnx.TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(tensor: npt.NDArray[np.float32]) -> tuple[Array, Array]:
        logits, features = session.run(None, {session.get_inputs()[0].name: tensor[None]})
        return logits[0].astype(np.float64), features[0].astype(np.float64)

    return run


def _scores(fitted: Mapping[str, Array], gate: SafetyGate) -> dict[str, Score]:
    features = fitted["features"]
    mean = features.mean(axis=0)
    axes = np.linalg.svd(features - mean, full_matrices=False)[2]
    few, many = axes[:100], axes[:150]
    logits, projected = _distance(fitted["logits"]), _distance((features - mean) @ many.T)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)

    def residual(table: Mapping[str, Array]) -> Array:
        off = table["features"] - mean
        return np.asarray(np.linalg.norm(off - off @ few.T @ few, axis=1))

    def neighbours(table: Mapping[str, Array]) -> Array:
        rows = table["features"] / np.linalg.norm(table["features"], axis=1, keepdims=True)
        return np.asarray(np.sort(1 - rows @ units.T, axis=1)[:, 5])

    return {
        "looks": lambda table: gate.scores(table["looks"])["out_of_distribution"],
        "logits": lambda table: logits(table["logits"]),
        "features": lambda table: projected((table["features"] - mean) @ many.T),
        "energy": lambda table: -np.log(np.exp(table["logits"]).sum(axis=1)),
        "residual": residual,
        "neighbours": neighbours,
    }


def _distance(rows: Array) -> Callable[[Array], Array]:
    """Mahalanobis distance of standardised rows, a tenth of the identity in the covariance."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    covariance = np.cov((rows - mean) / spread, rowvar=False)
    precision = np.linalg.inv(0.9 * covariance + 0.1 * np.eye(len(mean)))

    def distance(other: Array) -> Array:
        off = (other - mean) / spread
        return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", off, precision, off)))

    return distance


if __name__ == "__main__":
    main()
