"""How many images a second does each engine make of one bundle's net, one at a time and sixteen at a time?

    python benchmarks/engines.py RUN/bundle --rounds 20

Every engine has all usable cores to itself, one call at a time; engines take turns, round by round, and the
ratio to torch's eager mode is the median over rounds. Memory is the peak of a process of its own that loads
the net and judges one image. Rates do not depend on what is in an image, so random ones are taken.
An engine that the bundle's records refuse is listed with the reason, or timed all the same with --unchecked,
for nets that have none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DxtreeError
from core.manifest import Bundle, read_bundle
from dxtree.speed import Machine
from dxtree.speed.engines import peak_memory
from dxtree.speed.rounds import interleaved
from modalities.engines import KINDS, Engine, FloatArray, load_engine
from modalities.engines.choosing import build_engine
from plugins.model_set import MODALITY_MANIFEST

REFERENCE = "torch"
BATCHES = (1, 16)


@dataclass(frozen=True)
class Row:
    """One engine at one batch size."""

    engine: str
    batch: int
    images_per_second: float
    ratio: float
    """Images a second over those of torch in the same rounds; 0 without torch."""
    memory_mb: float | None


def loaded(
    bundle: Bundle, names: Sequence[str], image: FloatArray, *, checked: bool
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Engines that run here, and why the others do not."""
    engines: dict[str, Engine] = {}
    refused: dict[str, str] = {}
    for name in names:
        try:
            engine = load_engine(bundle, name) if checked else build_engine(bundle, KINDS[name])
            engine(image)
            engines[name] = engine
        except DxtreeError as error:
            refused[name] = error.safe_message
    return engines, refused


def measure(engines: dict[str, Engine], batch: int, side: int, rounds: int) -> list[tuple[str, float, float]]:
    """Engine, images a second and ratio to torch, from interleaved rounds."""
    images = np.random.default_rng(0).standard_normal((batch, 3, side, side)).astype(np.float32)

    def call(engine: Engine) -> Callable[[], object]:
        return lambda: engine(images)

    took = interleaved({name: call(engine) for name, engine in engines.items()}, rounds=rounds)
    return [
        (
            name,
            batch / took.median(name),
            took.ratio(REFERENCE, name) if REFERENCE in engines else 0.0,
        )
        for name in engines
    ]


def main() -> None:
    """Prints a table, and JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path, help="folder of a modality's bundle")
    parser.add_argument("--engine", action="append", choices=list(KINDS), help="repeatable; default: all")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, action="append", help="repeatable; default: 1 and 16")
    parser.add_argument("--unchecked", action="store_true", help="time engines without a passed record too")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    given = parser.parse_args()
    bundle = read_bundle(given.bundle, MODALITY_MANIFEST)
    side = int(bundle.require("preprocessing", dict)["size"])
    names = given.engine or [name for name in KINDS if name != "torch-compile"]
    one = np.zeros((1, 3, side, side), np.float32)
    memory = {name: peak_memory(given.bundle, name) for name in names}
    engines, refused = loaded(bundle, names, one, checked=not given.unchecked)
    rows = [
        Row(name, batch, rate, ratio, memory.get(name))
        for batch in given.batch or BATCHES
        for name, rate, ratio in measure(engines, batch, side, given.rounds)
    ]
    machine = Machine.here()
    net = f"{bundle.manifest.get('architecture')} at {side} pixels"
    print(f"{net}, {given.rounds} interleaved rounds; {machine}")
    print("\n| engine | batch | images/s | to torch | memory, MB |\n|---|---|---|---|---|")
    for row in rows:
        peak = "" if row.memory_mb is None else f"{row.memory_mb:.0f}"
        print(f"| {row.engine} | {row.batch} | {row.images_per_second:.1f} | {row.ratio:.2f} | {peak} |")
    for name, reason in refused.items():
        print(f"\n{name}: {reason}")
    if given.json is not None:
        document: dict[str, Any] = {
            "machine": machine.to_dict(),
            "architecture": bundle.manifest.get("architecture"),
            "size": side,
            "rounds": given.rounds,
            "rows": [asdict(row) for row in rows],
            "refused": refused,
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
