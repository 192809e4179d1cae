r"""How much of the bare engine's rate is left when files are diagnosed one after another on all cores?

    python benchmarks/streaming.py --modality dermoscopy --images FOLDER_OF_600x450_JPEGS
    python benchmarks/streaming.py --modality dermoscopy --bundle runs/inception/bundle --engine openvino-int8

Interleaved rounds of the same pictures, every core in use:

- stream: `core.diagnose_many` from files to answers, 600 x 450 pixels, or as the folder has them;
- engine: the bare engine on tensors that are there, in batches of 16, on all cores;
- photographs: `core.diagnose_many` on JPEGs of 12 megapixels, which are drawn here;
- unscaled: the same photographs, each decoded whole before it is resized, in the same pool.

*stream / engine* is the share of the engine's rate that is left from end to end; *photographs / unscaled* is
what scaled decoding gains. `--bundle` puts a net of its own in place of the set's; it needs the set's
training classes. Research use, not a medical device.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from core import Case, ImageInput, Pipeline, diagnose_many
from core.cores import usable_cores
from core.diagnosis import RESEARCH_USE
from core.manifest import read_bundle
from dxtree.speed.machine import Machine
from dxtree.speed.rounds import interleaved
from modalities.cnn.model import CnnModel, load_model
from modalities.images import decode
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.model_set import MODALITY_MANIFEST
from plugins.specs import ModelRequest

BATCH = 16


def pipeline_of(given: argparse.Namespace) -> Pipeline:
    """The set's pipeline, with the net of `--bundle` for the modality where one is given."""
    registry = load_registry()
    models = find_model_set(registry, given.models)
    pipeline = assemble(registry, models, engine=given.engine)
    if given.bundle is None:
        return pipeline
    bundle = read_bundle(given.bundle, MODALITY_MANIFEST)
    net = load_model(ModelRequest(models.partition, bundle, given.engine), given.modality)
    return replace(pipeline, models={given.modality: lambda: net})


def drawn(count: int, width: int, height: int) -> list[bytes]:
    """JPEGs as a camera writes them: a spot on skin with grain of the sensor."""
    files = []
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    for seed in range(count):
        random = np.random.default_rng(seed)
        spot = (1 - np.tanh((np.hypot(x - 0.6, y - 0.5) - random.uniform(0.1, 0.3)) * 20)) / 2
        pixels = np.array([222, 184, 168], np.float32) - spot[..., None] * np.float32([110, 115, 105])
        pixels += random.standard_normal((height, width, 1), np.float32) * 5
        out = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=92)
        files.append(out.getvalue())
    return files


def stream(pipeline: Pipeline, modality: str, files: list[bytes | Path], times: int) -> Callable[[], None]:
    """Diagnoses every file so many times. Raises the first error that a case has."""

    def run() -> None:
        given = (Case(images=(image_of(modality, f),)) for _ in range(times) for f in files)
        for outcome in diagnose_many(given, pipeline=pipeline):
            if outcome.error is not None:
                raise outcome.error

    return run


def image_of(modality: str, file: bytes | Path) -> ImageInput:
    """A file or its bytes as an image of a case."""
    if isinstance(file, Path):
        return ImageInput(modality=modality, path=file)
    return ImageInput(modality=modality, data=file)


def bare(model: CnnModel, images: int) -> Callable[[], None]:
    """The engine on so many images, in batches, in as many threads as `diagnose_many` has."""
    size, cores = model.preprocessing.size, usable_cores()
    engine = model.engine_for(cores)
    batch = np.random.default_rng(0).standard_normal((BATCH, 3, size, size)).astype(np.float32)
    batches = max(cores, round(images / BATCH))

    def run() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(engine, [batch] * batches))

    return run


def unscaled(model: CnnModel, files: list[bytes], times: int) -> Callable[[], None]:
    """The photographs without scaled decoding: decoded whole, resized here, through gate and engine."""
    cores = usable_cores()
    model = model.side_by_side(cores)

    def one(data: bytes) -> None:
        planes = model.preprocessing.planes(decode(data).pixels)
        if model.safety is not None:
            model.safety.checks(planes)
        model.probabilities(planes)

    def run() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(one, files * times))

    return run


def main() -> None:
    """Prepares the files, runs the rounds and prints rates and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modality", default="dermoscopy")
    parser.add_argument("--images", type=Path, help="a folder of JPEGs; default: drawn, 600 x 450")
    parser.add_argument("--models", help="name or folder of a model set; default: the shipped one")
    parser.add_argument("--bundle", type=Path, help="a net of its own, in place of the set's")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--count", type=int, default=256, help="images of a round; photographs: a sixteenth")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    pipeline = pipeline_of(given)
    model = pipeline.models[given.modality]()
    if not isinstance(model, CnnModel):
        raise SystemExit("the modality's model is no net with a preprocessing of ours")
    with tempfile.TemporaryDirectory() as place:
        small: list[bytes | Path] = sorted(given.images.rglob("*.jpg"))[: given.count] if given.images else []
        if not small:
            for k, data in enumerate(drawn(min(16, given.count), 600, 450)):
                path = Path(place) / f"{k}.jpg"
                path.write_bytes(data)
                small.append(path)
        times = max(1, given.count // len(small))
        large = drawn(4, 4000, 3000)
        again = max(1, given.count // 16 // len(large))
        counts = {
            "stream": times * len(small),
            "engine": BATCH * max(usable_cores(), round(times * len(small) / BATCH)),
            "photographs": again * len(large),
            "unscaled": again * len(large),
        }
        tasks = {
            "stream": stream(pipeline, given.modality, small, times),
            "engine": bare(model, counts["stream"]),
            "photographs": stream(pipeline, given.modality, list(large), again),
            "unscaled": unscaled(model, large, again),
        }
        pipeline.warm([given.modality], many=True)
        found = interleaved(tasks, rounds=given.rounds)
    architecture = model.provenance["architecture"]
    print(f"{architecture} at {model.preprocessing.size} px, engine {model.engine.name}; {Machine.here()}")
    print(
        f"medians of {given.rounds} rounds; {counts['stream']} images and {counts['photographs']} photographs"
    )
    for name in tasks:
        print(f"  {name:<12}{counts[name] / found.median(name):9.2f} images/s")
    share = found.ratio("engine", "stream") * counts["stream"] / counts["engine"]
    print(f"stream / engine: {share:.3f}")
    print(f"photographs / unscaled: {found.ratio('unscaled', 'photographs'):.2f}")
    print(RESEARCH_USE)


if __name__ == "__main__":
    main()
