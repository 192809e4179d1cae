"""Which files come out of a bundle for a phone, and do they give the source's answers?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ContractError
from core.files import write_whole
from core.manifest import Bundle
from core.partition import Partition
from modalities.cnn.belonging import read_temperature
from modalities.cnn.preprocess import Preprocessing
from modalities.engines.torch_engine import TorchEngine
from modalities.phone.agreement import LIMITS, Agreement, compare
from modalities.phone.card import CARD, card, with_files
from modalities.phone.converting import PRECISIONS, Precision, Squares, convert, quantise
from modalities.phone.running import PhoneNet

FEWEST = 8
"""Pictures below which no agreement is stated."""


@dataclass(frozen=True)
class PhoneFile:
    """One LiteRT file that gives the source's answers, as far as `agreement` says."""

    precision: Precision
    content: bytes
    agreement: Agreement
    calibrated_on: int
    """Pictures that the ranges of activations were seen on; 0 where none were needed."""

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"net.{self.precision}.tflite"

    def about(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "precision": self.precision,
            "bytes": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "calibrated_on": self.calibrated_on,
            "agreement": self.agreement.to_dict(),
        }


def export_phone(
    bundle: Bundle,
    precisions: Sequence[Precision],
    squares: Squares,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[PhoneFile]:
    """Makes the files and holds each against the source's weights in torch, fp32.

    `squares`: preprocessed pictures, uint8 size x size x 3, of the kind that the app will see. With `int8`
    every other one calibrates and the rest compare, otherwise all compare. Raises `ContractError` for fewer
    than 8 to compare on, for an export that misses its limit (`LIMITS`), and where a net cannot be converted.
    """
    unknown = [p for p in precisions if p not in PRECISIONS]
    if unknown or not precisions or len(set(precisions)) != len(precisions):
        raise ContractError(f"precisions are some of {', '.join(PRECISIONS)}, each once")
    calibrating, comparing = (squares[1::2], squares[::2]) if "int8" in precisions else ((), squares)
    if len(comparing) < FEWEST:
        needed = 2 * FEWEST if "int8" in precisions else FEWEST
        raise ContractError(f"{len(squares)} pictures are too few to compare on; give at least {needed}")
    from modalities.phone.net import PhoneGraph

    preprocessing = Preprocessing.from_dict(bundle.require("preprocessing", dict))
    if preprocessing.steps:
        raise ContractError(
            f"the net was trained behind {', '.join(s.name for s in preprocessing.steps)}, which no phone "
            "runs; export one that was trained without steps"
        )
    temperature = read_temperature(bundle)
    progress("source")
    engine = TorchEngine.of(bundle, "torch")
    wanted = np.concatenate([engine(preprocessing.normalise(s)[None]) for s in comparing])
    progress("fp32")
    fp32 = convert(PhoneGraph(engine.net, preprocessing), preprocessing.size)
    found = []
    for precision in precisions:
        progress(precision)
        content = quantise(fp32, precision, calibrating)
        net = PhoneNet(content)
        agreement = compare(wanted, np.stack([net(s) for s in comparing]), temperature)
        used = len(calibrating) if precision == "int8" else 0
        found.append(PhoneFile(precision, content, agreement, used))
    _check(found)
    return found


def _check(files: Sequence[PhoneFile]) -> None:
    faults = [(f.precision, LIMITS[f.precision].fault(f.agreement)) for f in files]
    if missed := [f"{precision}: {fault}" for precision, fault in faults if fault]:
        raise ContractError(
            f"nothing was written, for an export does not give the source's answers ({'; '.join(missed)}); "
            "take another --precision, or more pictures"
        )


def write_phone(
    folder: Path, bundle: Bundle, partition: Partition, files: Sequence[PhoneFile]
) -> dict[str, Any]:
    """Writes the files and, last, `phone.json`, whose content it gives back.

    Raises `ContractError` where the bundle and the partition do not belong together.
    """
    document = with_files(card(bundle, partition), {f.name: f.about() for f in files})
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        write_whole(folder / file.name, file.content)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / CARD, text.encode())
    return document
