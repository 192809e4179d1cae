"""What an app does with an exported net, in Python: LiteRT's runtime, numpy and Pillow, no dxtree.

    pip install ai-edge-litert numpy pillow
    python examples/phone_reference.py FOLDER net.fp16.tflite PICTURE

For research use only. `docs/how-to/phone.md` has the same for Android and iPhone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def answer(folder: Path, file: str, picture: Path) -> dict[str, float]:
    """Probability of every node of the tree, the root first."""
    card = json.loads((folder / "phone.json").read_text("utf-8"))
    short, size = card["preprocessing"]["short_side"], card["preprocessing"]["crop"]

    image = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
    scale = short / min(image.size)
    width, height = (max(short, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    square = np.asarray(small.crop((left, top, left + size, top + size)), np.float32)  # 0 to 255, as it is

    net = Interpreter(model_path=str(folder / file))
    net.allocate_tensors()
    net.set_tensor(net.get_input_details()[0]["index"], square[None])
    net.invoke()
    logits = net.get_tensor(net.get_output_details()[0]["index"])[0].astype(np.float64)

    logits = logits / card["temperature"]
    raised = np.exp(logits - logits.max())
    classes = raised / raised.sum()
    return {node["id"]: float(classes[slice(*node["classes"])].sum()) for node in card["nodes"]}


if __name__ == "__main__":
    where, name, photograph = sys.argv[1:]
    for node, probability in answer(Path(where), name, Path(photograph)).items():
        sys.stdout.write(f"{probability:6.1%}  {node}\n")
