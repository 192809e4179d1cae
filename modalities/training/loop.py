"""How is one net trained, from a start or from where it was killed, to the same weights?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core.errors import NonFiniteLoss, TrainingError
from modalities.cnn.preprocess import ByteImage, Preprocessing, default_preprocessing
from modalities.cnn.torch_net import load_state
from modalities.training.checkpoint import load_newest, locked, save_checkpoint
from modalities.training.config import TrainingConfig
from modalities.training.data import Batch, IntArray, epoch_order, make_batch
from modalities.training.descent import make_average, make_optimizer, rate_at
from modalities.training.freezing import upper_part
from modalities.training.journal import append, forget_after
from modalities.training.machine import device, uses_bf16
from modalities.training.objectives import Objective, plain
from modalities.training.processes import ALONE, Processes
from modalities.training.starting import starting_net

Report = Callable[[dict[str, Any]], None]
"""Receives `{"step", "steps", "epoch", "loss", "images_per_second"}` after every step."""


@dataclass(frozen=True)
class TrainingSet:
    """Images, their targets as indices, and each one's probability to be drawn.

    `pixels` are decoded images; or, where the net's lower part is frozen, `activations` is what that part
    gives, images x views x channels x height x width, and `pixels` is empty. Targets count the rows of
    `objective`, or classes where there is none.
    """

    pixels: Sequence[ByteImage]
    targets: IntArray
    weights: npt.NDArray[np.float64]
    classes: int
    objective: Objective | None = None
    activations: npt.NDArray[np.float16] | None = None
    rows: IntArray | None = None
    """Place of each image in `activations`."""


def fit(
    data: TrainingSet,
    config: TrainingConfig,
    weights: str | Path | None,
    folder: Path,
    report: Report,
    processes: Processes = ALONE,
) -> nn.Module:
    """Trains, or resumes the training in `folder`, and returns the net in evaluation mode.

    With `config.ema` that is the averaged net. Raises `RunLocked`, `OutOfSpace`, `NonFiniteLoss` (the last
    checkpoint stays), and `TrainingError` where the folder holds a run of another configuration.
    """
    with locked(folder) if processes.writes else nullcontext():
        return _Run(data, config, weights, folder, report, processes).finish()


class _Run:
    def __init__(
        self,
        data: TrainingSet,
        config: TrainingConfig,
        weights: str | Path | None,
        folder: Path,
        report: Report,
        processes: Processes = ALONE,
    ) -> None:
        self.data, self.config, self.folder, self.report = data, config, folder, report
        self.processes = processes
        if config.batch % (processes.size * config.accumulate):
            raise TrainingError(
                f"batch {config.batch} does not fall into {processes.size} processes of {config.accumulate} "
                "part(s) each; choose a multiple"
            )
        self.steps_per_epoch = max(1, len(data.targets) // config.batch)
        self.steps = self.steps_per_epoch * config.epochs
        self.bf16 = uses_bf16(config)
        self.preprocessing: Preprocessing = default_preprocessing(config.architecture, config.size)
        self.objective = (data.objective or plain(data.classes, config.label_smoothing)).to(device())
        found, damaged = load_newest(folder)
        if processes.writes:
            forget_after(folder / "metrics.jsonl", 0 if found is None else int(found[1]["step"]))
        for name in damaged:
            self._log({"event": "damaged checkpoint passed over", "checkpoint": name})
        fresh = found is None
        self.net, told = starting_net(
            config if fresh else config.model_copy(update={"unfold_batch_norm": False}),
            data.classes,
            weights if fresh else None,
            data.pixels,
        )
        if fresh and told:
            self._log({"event": "started from weights", **told})
        # A cut net is traced as it trains: Inception's auxiliary head is there in training mode alone.
        learner = upper_part(self.net.train(), config.frozen) if config.frozen else self.net
        self.parameters = dict(learner.named_parameters())
        self.optimizer = make_optimizer(self.parameters.values(), config)
        self.average = make_average(self.net, config.ema) if config.ema else None
        self.step = 0
        self.losses: list[float] = []
        """Of the steps of this epoch so far."""
        if found is not None:
            self._restore(*found)
        self.learner = processes.wrap(learner)

    def finish(self) -> nn.Module:
        saved = time.monotonic()
        began, since, opened = time.monotonic(), self.step, time.monotonic()
        for step, batch in self._batches():
            loss = self._learn(step, batch)
            self.losses.append(loss)
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
            if epoch_ends:
                told = {
                    "loss": sum(self.losses) / len(self.losses),
                    "learning_rate": self._rate(step),
                    "images_per_second": round(rate, 2),
                    "seconds": round(time.monotonic() - opened, 1),
                }
                # Before the checkpoint: a run that is killed in between drops this row as it resumes.
                self._log(row | told)
                self.losses, opened = [], time.monotonic()
            if epoch_ends or time.monotonic() - saved > self.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        if self.average is not None:
            load_state(self.net, self.average.module.state_dict())
        return self.net.eval()

    def _rate(self, step: int) -> float:
        return rate_at(step, self.steps_per_epoch, self.config)

    def _batches(self) -> Iterator[tuple[int, Batch]]:
        """The next batch is made while the net learns from this one."""
        with ThreadPoolExecutor(1) as pool:
            waiting = None
            for step in range(self.step, self.steps):
                current = waiting or pool.submit(self._batch, step)
                waiting = pool.submit(self._batch, step + 1) if step + 1 < self.steps else None
                yield step, current.result()

    def _batch(self, step: int) -> Batch:
        """What this process learns from in a step."""
        epoch, k = divmod(step, self.steps_per_epoch)
        order = epoch_order(self.data.weights, self.config.seed, epoch)
        start = k * self.config.batch
        places = np.arange(start, min(start + self.config.batch, len(order)))
        places = places[self.processes.rank :: self.processes.size]
        chosen = order[places]
        data, config = self.data, self.config
        if data.activations is None or data.rows is None:
            return make_batch(data.pixels, data.targets, chosen, places, epoch, config, self.preprocessing)
        # Every image meets its views in an order of its own, each once before any comes again.
        views = (epoch + data.rows[chosen]) % data.activations.shape[1]
        values = np.stack([data.activations[r, v] for r, v in zip(data.rows[chosen], views, strict=True)])
        return Batch(values.astype(np.float32), data.targets[chosen])

    def _learn(self, step: int, batch: Batch) -> float:
        self.learner.train()
        torch.manual_seed((self.config.seed * 1_000_003 + step) * 64 + self.processes.rank)
        where = device()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        images = torch.from_numpy(batch.pixels).to(where, memory_format=torch.channels_last)
        targets = torch.from_numpy(batch.targets).to(where)
        share, other = self._mixture(step)
        total = 0.0
        parts = list(zip(*(t.chunk(self.config.accumulate) for t in (images, targets)), strict=True))
        for number, (pictures, truth) in enumerate(parts, start=1):
            mixed = pictures if share == 1 else share * pictures + (1 - share) * pictures.roll(other, 0)
            with self._alone(number < len(parts)):
                with torch.autocast(where.type, torch.bfloat16, enabled=self.bf16):
                    out = self._forward(mixed)
                loss = self._loss(out, truth, share, other) / len(parts)
                loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.net)
        return total

    def _alone(self, partial: bool) -> AbstractContextManager[Any]:
        """Gradients of all but the last part of a step wait before they are averaged over processes."""
        if partial and isinstance(self.learner, nn.parallel.DistributedDataParallel):
            return self.learner.no_sync()
        return nullcontext()

    def _mixture(self, step: int) -> tuple[float, int]:
        """mixup: the share of the image itself, and how far on lies the one it is mixed with."""
        if not self.config.mixup:
            return 1.0, 0
        rng = np.random.default_rng((self.config.seed, step))
        return float(rng.beta(self.config.mixup, self.config.mixup)), 1

    def _forward(self, images: torch.Tensor) -> Any:
        try:
            return self.learner(images)
        except (RuntimeError, AssertionError, ValueError) as error:  # each by some layer, for a wrong size
            raise TrainingError(
                f"{self.config.architecture} cannot run on {len(images)} images of {self.config.size} pixels "
                f"({' '.join(str(error).split())[:200]}); give a larger size or a smaller batch"
            ) from error

    def _loss(self, out: Any, targets: torch.Tensor, share: float, other: int) -> torch.Tensor:
        """Inception and GoogLeNet add their auxiliary heads at .4, as torchvision's references do."""
        if isinstance(out, torch.Tensor):
            heads = [(1.0, out)]
        else:
            aux = [v for k, v in out._asdict().items() if k.startswith("aux") and v is not None]
            heads = [(1.0, out.logits), *((0.4, a) for a in aux)]
        loss = torch.zeros((), device=targets.device)
        for weight, logits_ in heads:
            loss = loss + weight * share * self.objective(logits_, targets)
            if share < 1:
                loss = loss + weight * (1 - share) * self.objective(logits_, targets.roll(other, 0))
        return loss

    def _save(self) -> None:
        """Raises `NonFiniteLoss` where a weight is not finite: what is kept must be worth resuming."""
        if not self.processes.writes:
            return
        tensors = {f"net/{k}": v for k, v in self.net.state_dict().items()}
        if broken := [k for k, v in tensors.items() if not v.isfinite().all()]:
            raise NonFiniteLoss(
                f"{broken[0].removeprefix('net/')} is not finite at step {self.step}; "
                "lower learning_rate or use precision fp32. The last checkpoint is kept"
            )
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in values.items()}
        if self.average is not None:
            tensors |= {f"average/{k}": v for k, v in self.average.state_dict().items()}
        state = {"config": self.config.model_dump(mode="json"), "fingerprint": self.config.fingerprint()}
        save_checkpoint(self.folder, self.step, tensors, state | {"bf16": self.bf16, "losses": self.losses})

    def _restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        if state["fingerprint"] != self.config.fingerprint():
            raise TrainingError(
                f"{self.folder.name} holds a run of another configuration; "
                "give the same one or another folder"
            )
        load_state(self.net, {k[4:]: v for k, v in tensors.items() if k.startswith("net/")})
        if self.average is not None:
            self.average.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("average/")})
        parameters = list(self.parameters.values())
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                moments.setdefault(int(index), {})[name] = _laid_out_like(parameters[int(index)], value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.bf16, self.step = bool(state["bf16"]), int(state["step"])
        self.losses = list(state.get("losses", ()))
        self._log({"event": "resumed", "step": self.step})

    def _log(self, row: dict[str, Any]) -> None:
        if not self.processes.writes:
            return
        append(self.folder / "metrics.jsonl", row)


def _laid_out_like(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The same numbers in the parameter's order in memory, by which alone fused AdamW pairs the two."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, device=value.device).copy_(value)
