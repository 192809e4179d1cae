r"""What does one diagnosis cost beyond decoding its image and running the net?

    python benchmarks/diagnose_latency.py --image clinical=lesion.jpg
    python benchmarks/diagnose_latency.py --image clinical=lesion.jpg --bundle runs/inception/bundle \
        --engine openvino

Each round times `diagnose` of the file, then decoding, resizing and cropping it to an H x W x 3 array with
Pillow and numpy as anybody would (in our isolated decoder), then the bare engine on the tensor; the next
round the other way about. *Own work* is the first less the other two, in the same round: normalising, the
gate, softmax, fusion, calibration, tree sums and the answer. `--bundle` puts a net of its own in place of the
set's; it needs the set's training classes. Medians over rounds. Research use, not a medical device.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import Case, ImageInput, PatientMetadata, Pipeline
from core.manifest import read_bundle
from dxtree.speed.machine import Machine
from modalities.cnn.model import CnnModel, load_model
from modalities.cnn.preprocess import ByteImage, Preprocessing
from modalities.images import decode
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.model_set import MODALITY_MANIFEST
from plugins.specs import ModelRequest

PATIENT = PatientMetadata(age_years=61, sex="female", site="back")
"""All fields known, so that the fuser has all of its work to do."""


def pipeline_of(chosen: argparse.Namespace, modality: str) -> Pipeline:
    """The set's pipeline, with the net of `--bundle` for the modality where one is given."""
    registry = load_registry()
    models = find_model_set(registry, chosen.models)
    pipeline = assemble(registry, models, engine=chosen.engine)
    if chosen.bundle is None:
        return pipeline
    bundle = read_bundle(chosen.bundle, MODALITY_MANIFEST)
    net = load_model(ModelRequest(models.partition, bundle, chosen.engine), modality)
    return replace(pipeline, models={modality: lambda: net})


def plain_square(preprocessing: Preprocessing, pixels: ByteImage) -> ByteImage:
    """Resize and crop with Pillow, then an array: what is not counted as own work."""
    height, width = pixels.shape[:2]
    side, size = preprocessing.resize, preprocessing.size
    scale = side / min(height, width)
    new = (max(side, round(width * scale)), max(side, round(height * scale)))
    image = Image.fromarray(pixels).resize(new, Image.Resampling.BILINEAR)
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def measure(pipeline: Pipeline, model: CnnModel, case: Case, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round by part."""
    preprocessing, image = model.preprocessing, case.images[0]
    side = 2 * preprocessing.resize
    decoded = decode(image.source, target_side=side).pixels
    planes = preprocessing.planes(decoded)
    tensor = preprocessing.normalise(planes)[None]
    gathered = pipeline.gather(case)
    gate = model.safety.checks if model.safety else None

    def prepare() -> None:
        plain_square(preprocessing, decode(image.source, target_side=side).pixels)

    ungated = replace(pipeline, models={image.modality: lambda: replace(model, safety=None)})
    ungated.diagnose(case)
    whole: dict[str, Callable[[], Any]] = {
        "diagnose": lambda: pipeline.diagnose(case),
        "diagnose, no checks of the image": lambda: ungated.diagnose(case),
    }
    parts: dict[str, Callable[[], Any]] = {"prepare": prepare, "engine": lambda: model.engine(tensor)}
    inside: dict[str, Callable[[], Any]] = {
        "resize and crop, plain": lambda: plain_square(preprocessing, decoded),
        "resize and crop, ours, as planes": lambda: preprocessing.planes(decoded),
        "gate": lambda: gate(planes) if gate else None,
        "normalise": lambda: preprocessing.normalise(planes),
        "fuse, calibrate, sum, answer": lambda: pipeline.fuse(case, gathered),
    }
    found: dict[str, list[float]] = {name: [] for name in (*whole, *parts, *inside)}
    for done in range(rounds + 3):
        order = (whole, parts, inside) if done % 2 else (parts, whole, inside)
        took = {name: timed(work) for group in order for name, work in group.items()}
        for name, milliseconds in took.items() if done >= 3 else ():
            found[name].append(milliseconds)
    return found


def main() -> None:
    """Prints the medians, own work and ratios, and the machine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", required=True, metavar="MODALITY=FILE")
    parser.add_argument("--models", help="name or folder of a model set; default: the shipped one")
    parser.add_argument("--bundle", type=Path, help="a net of its own, in place of the set's")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rounds", type=int, default=60)
    chosen = parser.parse_args()
    modality, _, file = chosen.image.partition("=")
    pipeline = pipeline_of(chosen, modality)
    model = pipeline.models[modality]()
    if not isinstance(model, CnnModel):
        raise SystemExit("the modality's model is no net with a preprocessing of ours")
    case = Case(images=(ImageInput(modality=modality, path=Path(file)),), patient=PATIENT)
    found = measure(pipeline, model, case, chosen.rounds)
    size = model.preprocessing.size
    print(f"{model.provenance['architecture']} at {size} px, engine {model.engine.name}; {Machine.here()}")
    print(f"medians of {chosen.rounds} rounds, ms")
    for name, values in found.items():
        print(f"  {name:<34}{statistics.median(values):8.3f}")
    for whole in ("diagnose", "diagnose, no checks of the image"):
        rounds = list(zip(found[whole], found["prepare"], found["engine"], strict=True))
        own = statistics.median(took - ready - engine for took, ready, engine in rounds)
        ratio = statistics.median((took - ready) / engine for took, ready, engine in rounds)
        alone = statistics.median(took / engine for took, _, engine in rounds)
        print(f"{whole}: own work {own:.3f} ms, less prepare / engine {ratio:.3f}, / engine {alone:.3f}")
    inner = ("gate", "normalise", "fuse, calibrate, sum, answer")
    print(f"own work, sum of its parts: {sum(statistics.median(found[n]) for n in inner):.3f} ms")
    print("Research use, not a medical device.")


if __name__ == "__main__":
    main()
