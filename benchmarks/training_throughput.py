"""Does the input pipeline starve training? Steps of `fit` against a bare torch loop over preloaded tensors.

    python benchmarks/training_throughput.py --architecture mobilenet_v2 --size 192

Both take the same net, batch, optimizer and precision. `fit` decodes nothing (images are in memory, as in a
run) but crops, colours, turns and normalises every image; the bare loop has one finished batch and never
waits. Rounds alternate, and the ratio of their medians is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from modalities.cnn.torch_net import build, prepare_input
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights
from modalities.training.descent import make_optimizer
from modalities.training.loop import TrainingSet, fit
from modalities.training.machine import device, uses_bf16

CLASSES = 48


def pictures(count: int, side: int) -> list[np.ndarray[Any, Any]]:
    """Smooth random pictures, 4 : 3, as a folder of photographs would be held in memory."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 12, 16, 3), dtype=np.uint8)
    factor = -(-side // 12)
    return [np.kron(c, np.ones((factor, factor, 1), np.uint8)) for c in coarse]


def through_fit(config: TrainingConfig, steps: int, images: list[np.ndarray[Any, Any]]) -> list[float]:
    """Seconds of each step but the first two, which wait for the first batches."""
    count = steps * config.batch
    chosen = [images[k % len(images)] for k in range(count)]
    targets = np.arange(count, dtype=np.int64) % CLASSES
    data = TrainingSet(chosen, targets, draw_weights(["all"] * count, 1), CLASSES)
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        fit(data, config, None, Path(folder), lambda _row: ends.append(time.perf_counter()))
    return list(np.diff(ends))[1:-1]


def bare(config: TrainingConfig, steps: int) -> list[float]:
    """Seconds of each step but the first two."""
    where = device()
    net = build(config.architecture, CLASSES)
    prepare_input(net)
    net.to(where, memory_format=torch.channels_last).train()
    optimizer = make_optimizer(net.parameters(), config)
    images = torch.randn(config.batch, 3, config.size, config.size, device=where)
    images = images.to(memory_format=torch.channels_last)
    targets = torch.arange(config.batch, device=where) % CLASSES
    ends = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(where.type, torch.bfloat16, enabled=uses_bf16(config)):
            out = net(images)
        heads = [(1.0, out)] if isinstance(out, torch.Tensor) else [(1.0, out.logits), (0.4, out.aux_logits)]
        loss = sum(w * nn.functional.cross_entropy(head.float(), targets) for w, head in heads)
        loss.backward()
        optimizer.step()
        loss.item()
        ends.append(time.perf_counter())
    return list(np.diff(ends))[1:]


def main() -> None:
    """Prints one line a round, then medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--augmentation", choices=["crop", "rotation"], default="crop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to torch")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    config = TrainingConfig(
        modality="benchmark",
        architecture=given.architecture,
        size=given.size,
        test_size=given.size,
        batch=given.batch,
        augmentation=given.augmentation,
        epochs=1,
        checkpoint_seconds=1e9,
    )
    images = pictures(64, round(given.size / 0.875))
    print(
        f"{given.architecture}, {given.size} pixels, batch {given.batch}, {given.augmentation}, "
        f"{'bf16' if uses_bf16(config) else 'fp32'} on {device()}, {torch.get_num_threads()} of "
        f"{os.cpu_count()} threads, torch {torch.__version__}"
    )
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(given.rounds):
        ours.append(statistics.median(through_fit(config, given.steps, images)))
        theirs.append(statistics.median(bare(config, given.steps)))
        print(
            f"round {number + 1}: fit {given.batch / ours[-1]:.1f} images/s, bare loop "
            f"{given.batch / theirs[-1]:.1f}, ratio {theirs[-1] / ours[-1]:.3f}"
        )
    ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
    print(f"median ratio of {given.rounds} rounds: {ratio:.3f}")


if __name__ == "__main__":
    main()
