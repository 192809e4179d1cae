r"""How long from starting a process to a printed diagnosis?

    python benchmarks/cold_start.py --image clinical=far.jpg --image dermoscopy=near.jpg

Whole processes, interleaved, medians of wall time and of processor time, each with compiled bytecode at hand:

- dxtree: `python -m dxtree diagnose --image ...` with the shipped model set, or that of `--models`;
- torch: a plain script that builds the same nets with torchvision, loads their weights and prints the class
  that is likeliest in the mean over the same files;
- bare: a script that imports onnxruntime, PIL, numpy and pydantic, decodes the files in its own process, runs
  each graph once and prints: what nobody can do without.

The scripts and weights are written to a temporary folder from the model set. Research use, not a medical
device.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from core.diagnosis import RESEARCH_USE
from core.manifest import Bundle
from dxtree.speed.machine import Machine
from dxtree.speed.rounds import Interleaved, interleaved
from modalities.cnn.preprocess import Preprocessing
from modalities.engines import source_file
from plugins.assembly import find_model_set, load_registry

START = """
import numpy as np
from PIL import Image
said = []
"""

PICTURE = """
image = Image.open({image!r}).convert("RGB")
scale = {resize} / min(image.size)
width, height = (max({resize}, round(side * scale)) for side in image.size)
left, top = (width - {size}) // 2, (height - {size}) // 2
image = image.resize((width, height), Image.Resampling.BILINEAR)
image = image.crop((left, top, left + {size}, top + {size}))
values = (np.asarray(image, np.float32) / 255 - np.float32({mean})) / np.float32({std})
tensor = np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)
"""

BARE = """
import onnxruntime
import pydantic
session = onnxruntime.InferenceSession({graph!r}, providers=["CPUExecutionProvider"])
logits = session.run(None, {{session.get_inputs()[0].name: tensor}})[0][0] / {temperature}
"""

TORCH = """
import torch, torchvision
net = torchvision.models.get_model({architecture!r}, weights=None, num_classes={classes}, **{options})
net.load_state_dict(torch.load({weights!r}, weights_only=True))
net.eval()
with torch.inference_mode():
    logits = net(torch.from_numpy(tensor))[0].numpy() / {temperature}
"""

SHARES = """
shares = np.exp(logits - logits.max())
said.append(shares / shares.sum())
"""

ANSWER = """
mean = sum(said) / len(said)
print({names}[int(mean.argmax())], f"{{mean.max():.1%}}")
"""


def script(pictures: Sequence[tuple[Bundle, str]], engine: str, folder: Path) -> str:
    """The text of one of the two plain scripts; its graphs or weights are written to `folder`."""
    text = START
    for number, (bundle, image) in enumerate(pictures):
        seen = Preprocessing.from_dict(bundle.require("preprocessing", dict))
        given = {
            "image": image,
            "size": seen.size,
            "resize": seen.resize,
            "mean": seen.mean,
            "std": seen.std,
            "temperature": float(bundle.manifest.get("temperature", 1.0)),
            "classes": len(bundle.require("classes", list)),
            "architecture": bundle.require("architecture", str),
        }
        if engine == "bare":
            given["graph"] = str(folder / f"{number}.onnx")
            Path(given["graph"]).write_bytes(bundle.files[source_file(bundle)])
        else:
            given["weights"] = str(folder / f"{number}.pt")
            given["options"] = write_weights(bundle, Path(given["weights"]))
        text += (PICTURE + (BARE if engine == "bare" else TORCH) + SHARES).format(**given)
    return text + ANSWER.format(names=pictures[0][0].require("classes", list))


def write_weights(bundle: Bundle, path: Path) -> dict[str, bool]:
    """The net's weights as torch saves them; the options that torchvision needs to build it."""
    import torch

    from modalities.engines.torch_engine import TorchEngine

    net = TorchEngine.of(bundle, "torch").net
    has_aux = bundle.require("architecture", str) in ("inception_v3", "googlenet")
    torch.save(net.state_dict(), path)
    return {"aux_logits": True, "init_weights": False} if has_aux else {}


def process(command: list[str], folder: Path, used: list[float]) -> Callable[[], None]:
    """Runs a command to its end and notes its processor seconds, with those of its children."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")

    def run() -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - ours
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    return run


def report(found: Interleaved, used: dict[str, list[float]]) -> None:
    """Medians and ratios."""
    for name in found.seconds:
        processor = sorted(used[name][1:])[len(used[name][1:]) // 2]
        print(f"  {name:<8}{found.median(name):7.3f} s{processor:9.3f} s of processor")
    for other in [name for name in found.seconds if name != "dxtree"]:
        print(f"  dxtree / {other}: {found.ratio('dxtree', other):.3f}")


def main() -> None:
    """Writes the scripts, runs the rounds and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", required=True, action="append", metavar="MODALITY=FILE")
    parser.add_argument("--models", help="name or folder of a model set; default: the shipped one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--without-torch", action="store_true", help="leave the torch script out")
    given = parser.parse_args()
    models = find_model_set(load_registry(), given.models)
    pictures, asked = [], []
    for modality, _, file in (text.partition("=") for text in given.image):
        bundle = models.modality_bundle(modality)
        if bundle is None:
            raise SystemExit(f"the model set has no bundle for {modality}")
        image = str(Path(file).absolute())
        pictures.append((bundle, image))
        asked += ["--image", f"{modality}={image}"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command = [sys.executable, "-m", "dxtree", "diagnose", *asked]
        commands = {"dxtree": command + (["--models", given.models] if given.models else [])}
        for name in ("bare",) if given.without_torch else ("torch", "bare"):
            (folder / f"plain_{name}.py").write_text(script(pictures, name, folder), "utf-8")
            commands[name] = [sys.executable, str(folder / f"plain_{name}.py")]
        used: dict[str, list[float]] = {name: [] for name in commands}
        tasks = {name: process(command, folder, used[name]) for name, command in commands.items()}
        found = interleaved(tasks, rounds=given.rounds)
    nets = ", ".join(bundle.require("architecture", str) for bundle, _ in pictures)
    print(f"{nets}; {Machine.here()}")
    print(f"medians of {given.rounds} processes each")
    report(found, used)
    print(RESEARCH_USE)


if __name__ == "__main__":
    main()
