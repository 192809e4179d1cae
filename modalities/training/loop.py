"""How is one net trained, from a start or from where it was killed, to the same weights?"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core.errors import NonFiniteLoss, TrainingError
from modalities.cnn.preprocess import ByteImage, Preprocessing, default_preprocessing
from modalities.cnn.torch_net import build, load_state, logits, prepare_input, start
from modalities.training.checkpoint import load_newest, locked, save_checkpoint, watching_space
from modalities.training.config import TrainingConfig
from modalities.training.data import Batch, IntArray, epoch_order, make_batch

Report = Callable[[dict[str, Any]], None]
"""Receives `{"step", "steps", "epoch", "loss", "images_per_second"}` after every step."""


@dataclass(frozen=True)
class TrainingSet:
    """Decoded images, their classes as indices, and each one's probability to be drawn."""

    pixels: Sequence[ByteImage]
    targets: IntArray
    weights: npt.NDArray[np.float64]
    classes: int


def device() -> torch.device:
    """A CUDA device where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def uses_bf16(config: TrainingConfig) -> bool:
    """What `precision` means here: auto takes bf16 where the processor computes in it natively."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())


def fit(
    data: TrainingSet, config: TrainingConfig, weights: str | Path | None, folder: Path, report: Report
) -> nn.Module:
    """Trains, or resumes the training in `folder`, and returns the net in evaluation mode.

    Raises `RunLocked`, `OutOfSpace`, `NonFiniteLoss` (the last checkpoint stays), and `TrainingError`
    where the folder holds a run of another configuration.
    """
    with locked(folder):
        return _Run(data, config, weights, folder, report).finish()


class _Run:
    def __init__(
        self,
        data: TrainingSet,
        config: TrainingConfig,
        weights: str | Path | None,
        folder: Path,
        report: Report,
    ) -> None:
        self.data, self.config, self.folder, self.report = data, config, folder, report
        self.steps_per_epoch = max(1, len(data.targets) // config.batch)
        self.steps = self.steps_per_epoch * config.epochs
        self.bf16 = uses_bf16(config)
        self.preprocessing: Preprocessing = default_preprocessing(config.architecture, config.size)
        torch.manual_seed(config.seed)
        self.net = build(config.architecture, data.classes)
        prepare_input(self.net)
        found, damaged = load_newest(folder)
        for name in damaged:
            self._log({"event": "damaged checkpoint passed over", "checkpoint": name})
        if found is None and weights is not None:
            random = start(self.net, config.architecture, weights, partial=config.partial_weights)
            self._log({"event": "started from weights", "random": random})
        self.net.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.step = 0
        if found is not None:
            self._restore(*found)

    def learning_rate(self, step: int) -> float:
        """One cycle: linear up over the first fifth, cosine down to nothing."""
        warm = 0.2 * self.steps
        if step < warm:
            return self.config.learning_rate * (0.04 + 0.96 * step / warm)
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))

    def finish(self) -> nn.Module:
        saved = time.monotonic()
        began, since = time.monotonic(), self.step
        loss = math.nan
        for step, batch in self._batches():
            loss = self._learn(step, batch)
            if not math.isfinite(loss):
                raise NonFiniteLoss(
                    f"the loss is not finite at step {step}; lower learning_rate or use precision fp32. "
                    "The last checkpoint is kept"
                )
            self.step = step + 1
            rate = (self.step - since) * self.config.batch / (time.monotonic() - began)
            row = {"step": self.step, "steps": self.steps, "epoch": step // self.steps_per_epoch}
            self.report(row | {"loss": loss, "images_per_second": rate})
            epoch_ends = self.step % self.steps_per_epoch == 0
            if epoch_ends or time.monotonic() - saved > self.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
            if epoch_ends:
                self._log(row | {"loss": loss, "images_per_second": round(rate, 2)})
        return self.net.eval()

    def _batches(self) -> Iterator[tuple[int, Batch]]:
        """The next batch is made while the net learns from this one."""
        with ThreadPoolExecutor(1) as pool:
            waiting = None
            for step in range(self.step, self.steps):
                current = waiting or pool.submit(self._batch, step)
                waiting = pool.submit(self._batch, step + 1) if step + 1 < self.steps else None
                yield step, current.result()

    def _batch(self, step: int) -> Batch:
        epoch, k = divmod(step, self.steps_per_epoch)
        order = epoch_order(self.data.weights, self.config.seed, epoch)
        place = k * self.config.batch
        chosen = order[place : place + self.config.batch]
        data = self.data
        return make_batch(data.pixels, data.targets, chosen, place, epoch, self.config, self.preprocessing)

    def _learn(self, step: int, batch: Batch) -> float:
        self.net.train()
        torch.manual_seed(self.config.seed * 1_000_003 + step)
        where = device()
        images = torch.from_numpy(batch.pixels).to(where, memory_format=torch.channels_last)
        targets = torch.from_numpy(batch.targets).to(where)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        with torch.autocast(where.type, torch.bfloat16, enabled=self.bf16):
            out = self._forward(images)
            loss = self._loss(out if isinstance(out, torch.Tensor) else out.logits, targets)
            if not isinstance(out, torch.Tensor):  # Inception and GoogLeNet: auxiliary heads, as published
                aux = [v for k, v in out._asdict().items() if k.startswith("aux") and v is not None]
                loss = loss + 0.4 * sum(self._loss(a, targets) for a in aux)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())

    def _forward(self, images: torch.Tensor) -> Any:
        try:
            return self.net(images)
        except (RuntimeError, AssertionError, ValueError) as error:  # each by some layer, for a wrong size
            raise TrainingError(
                f"{self.config.architecture} cannot run on {len(images)} images of {self.config.size} pixels "
                f"({' '.join(str(error).split())[:200]}); give a larger size or a smaller batch"
            ) from error

    def _loss(self, out: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(out.float(), targets, label_smoothing=self.config.label_smoothing)

    def _save(self) -> None:
        """Raises `NonFiniteLoss` where a weight is not finite: what is kept must be worth resuming."""
        tensors = {f"net/{k}": v for k, v in self.net.state_dict().items()}
        if broken := [k for k, v in tensors.items() if not v.isfinite().all()]:
            raise NonFiniteLoss(
                f"{broken[0].removeprefix('net/')} is not finite at step {self.step}; "
                "lower learning_rate or use precision fp32. The last checkpoint is kept"
            )
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": v for k, v in values.items()}
        state = {"config": self.config.model_dump(mode="json"), "fingerprint": self.config.fingerprint()}
        save_checkpoint(self.folder, self.step, tensors, state | {"bf16": self.bf16})

    def _restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        if state["fingerprint"] != self.config.fingerprint():
            raise TrainingError(
                f"{self.folder.name} holds a run of another configuration; "
                "give the same one or another folder"
            )
        load_state(self.net, {k[4:]: v for k, v in tensors.items() if k.startswith("net/")})
        parameters = list(self.net.parameters())
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                moments.setdefault(int(index), {})[name] = _laid_out_like(parameters[int(index)], value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.bf16, self.step = bool(state["bf16"]), int(state["step"])
        self._log({"event": "resumed", "step": self.step})

    def _log(self, row: dict[str, Any]) -> None:
        with watching_space("metrics.jsonl"), (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def _laid_out_like(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The same numbers in the parameter's order in memory, by which alone fused AdamW pairs the two."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, device=value.device).copy_(value)


def predict(
    net: nn.Module, pixels: Sequence[ByteImage], preprocessing: Preprocessing, batch: int = 32
) -> npt.NDArray[np.float64]:
    """Logits, N x classes in float64, of decoded images, in evaluation mode and fp32."""
    where = device()
    # The layout decides the last bits: a net read from a file must answer like the one that was trained.
    net = net.eval().to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = []
    with torch.inference_mode():
        for k in range(0, len(pixels), batch):
            stacked = np.stack([preprocessing(p) for p in pixels[k : k + batch]])
            images = torch.from_numpy(stacked).to(where, memory_format=torch.channels_last)
            rows.append(logits(net, images).double().cpu().numpy())
    return np.concatenate(rows)
