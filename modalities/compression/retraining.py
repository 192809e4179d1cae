"""How is a trained net pruned and its weights shared while it goes on learning? Needs the extra `train`.

Phases, one after another: `prune` (sparsity grows), `retrain` (it stays), `share` (every layer's weights
become one of a few values, and these are trained). A killed run goes on to the same weights.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from core.errors import NonFiniteLoss, TrainingError
from core.files import write_whole
from modalities.cnn.preprocess import default_preprocessing
from modalities.cnn.torch_net import load_state, logits
from modalities.compression.codebooks import Codebooks
from modalities.compression.planning import Phase, phases, planned_sparsity
from modalities.compression.pruning import Masks, choose, prunable, sparsity_at, sparsity_of
from modalities.compression.settings import CompressionConfig
from modalities.training.checkpoint import load_newest, locked, save_checkpoint
from modalities.training.config import TrainingConfig
from modalities.training.data import Batch, epoch_order, make_batch
from modalities.training.descent import make_average
from modalities.training.journal import append, forget_after
from modalities.training.loop import Report, TrainingSet
from modalities.training.machine import device, uses_bf16
from modalities.training.objectives import plain

AUXILIARY = ("AuxLogits", "aux1", "aux2")
"""Heads of Inception and GoogLeNet that serve training alone, and go."""
PRUNED = "pruned.safetensors"
"""File of a run's folder: the net as it was pruned, before its weights shared values. Written once."""


def compress_net(
    dense: nn.Module,
    data: TrainingSet,
    training: TrainingConfig,
    config: CompressionConfig,
    folder: Path,
    report: Report,
) -> nn.Module:
    """The net with sparse, shared weights, in evaluation mode. `dense` is not changed.

    `data` and `training` are those that `dense` was trained with. The values that a layer shares are rounded
    to float16. A run in `folder` is resumed. Raises `RunLocked`, `OutOfSpace`, `NonFiniteLoss` (the last
    checkpoint stays), and `TrainingError` where the folder holds another run or the ratio cannot be reached.
    """
    with locked(folder):
        return _Run(dense, data, training, config, folder, report).finish()


def without_auxiliary(net: nn.Module) -> nn.Module:
    """A copy without the heads that only training uses."""
    own = copy.deepcopy(net)
    for name in AUXILIARY:
        if getattr(own, name, None) is not None:
            setattr(own, name, None)
    if hasattr(own, "aux_logits"):
        own.aux_logits = False  # type: ignore[assignment]
    return own


class _Run:
    def __init__(
        self,
        dense: nn.Module,
        data: TrainingSet,
        training: TrainingConfig,
        config: CompressionConfig,
        folder: Path,
        report: Report,
    ) -> None:
        self.data, self.training = data, training
        self.folder, self.report = folder, report
        where = device()
        self.net: nn.Module = without_auxiliary(dense).to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dense = copy.deepcopy(self.net).eval()
        self.weights = prunable(self.net)
        self.sparsity = planned_sparsity(self.net, config)
        self.config = config.model_copy(update={"sparsity": self.sparsity})
        self.epoch_steps = max(1, len(data.targets) // training.batch)
        self.phases = phases(config, training.size, self.epoch_steps)
        self.steps = sum(p.steps for p in self.phases)
        self.objective = (data.objective or plain(data.classes, training.label_smoothing)).to(where)
        self.bf16 = uses_bf16(training)
        self.average = make_average(self.net, config.ema) if config.ema else None
        self.masks: Masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in self.weights.items()}
        self.codebooks: Codebooks | None = None
        self.optimizer = self._optimizer()
        self.step = 0
        self.losses: list[float] = []
        found, damaged = load_newest(folder)
        forget_after(folder / "metrics.jsonl", 0 if found is None else int(found[1]["step"]))
        for name in damaged:
            append(folder / "metrics.jsonl", {"event": "damaged checkpoint passed over", "checkpoint": name})
        if found is not None:
            self._restore(*found)

    def finish(self) -> nn.Module:
        saved = opened = began = time.monotonic()
        since = self.step
        for step, phase, batch in self._batches():
            if phase.name == "share" and self.codebooks is None:
                self._start_sharing()
            elif phase.name == "prune" and (step % self.config.every == 0):
                self._prune(sparsity_at(step + self.config.every, phase.steps, self.sparsity))
            elif phase.name == "retrain" and step == phase.first:
                self._prune(self.sparsity)
            loss = self._learn(step, phase, batch)
            if not math.isfinite(loss):
                raise NonFiniteLoss(
                    f"the loss is not finite at step {step}; lower learning_rate. The last checkpoint is kept"
                )
            self.losses.append(loss)
            self.step = step + 1
            rate = (self.step - since) * self.training.batch / (time.monotonic() - began)
            row = {"step": self.step, "steps": self.steps, "epoch": step // self.epoch_steps}
            self.report(row | {"loss": loss, "images_per_second": rate, "phase": phase.name})
            if self.step % self.epoch_steps == 0:
                told = {
                    "phase": phase.name,
                    "loss": sum(self.losses) / len(self.losses),
                    "sparsity": round(sparsity_of(self.weights), 5),
                    "images_per_second": round(rate, 2),
                    "seconds": round(time.monotonic() - opened, 1),
                }
                append(self.folder / "metrics.jsonl", row | told)
                self.losses, opened = [], time.monotonic()
                self._save()
                saved = time.monotonic()
            elif time.monotonic() - saved > self.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        if self.codebooks is None:
            self._prune(self.sparsity)
            self._start_sharing()
        return self._rounded()

    def _batches(self) -> Iterator[tuple[int, Phase, Batch]]:
        """The next batch is made while the net learns from this one."""
        with ThreadPoolExecutor(1) as pool:
            waiting = None
            for step in range(self.step, self.steps):
                current = waiting or pool.submit(self._batch, step)
                waiting = pool.submit(self._batch, step + 1) if step + 1 < self.steps else None
                yield step, self._phase(step), current.result()

    def _phase(self, step: int) -> Phase:
        return next(p for p in self.phases if p.first <= step < p.first + p.steps)

    def _batch(self, step: int) -> Batch:
        epoch, k = divmod(step, self.epoch_steps)
        # Other draws than the training run had.
        own = self.training.model_copy(
            update={"size": self._phase(step).size, "seed": self.training.seed + 1_000}
        )
        order = epoch_order(self.data.weights, own.seed, epoch)
        places = np.arange(k * own.batch, min((k + 1) * own.batch, len(order)))
        preprocessing = default_preprocessing(own.architecture, own.size)
        data = self.data
        return make_batch(data.pixels, data.targets, order[places], places, epoch, own, preprocessing)

    def _learn(self, step: int, phase: Phase, batch: Batch) -> float:
        self.net.train()
        torch.manual_seed(self.training.seed * 1_000_003 + step)
        where = device()
        images = torch.from_numpy(batch.pixels).to(where, memory_format=torch.channels_last)
        targets = torch.from_numpy(batch.targets).to(where)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self._rate(step, phase)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(where.type, torch.bfloat16, enabled=self.bf16):
            out = logits(self.net, images)
        loss = self.objective(out, targets)
        if self.config.distillation:
            with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16, enabled=self.bf16):
                taught = logits(self.dense, images)
            share = self.config.distillation
            loss = (1 - share) * loss + share * distilled(out, taught.clone(), self.config.softness)
        loss.backward()  # type: ignore[no-untyped-call]
        self._step()
        return float(loss.detach())

    def _step(self) -> None:
        """One step of the optimizer; what is pruned stays zero, what is shared stays shared."""
        if self.codebooks is not None:
            self.codebooks.take_gradients()
            self.optimizer.step()
            self.codebooks.spread()
            return
        for name, weight in self.weights.items():
            if weight.grad is not None:
                weight.grad.mul_(self.masks[name])
        self.optimizer.step()
        with torch.no_grad():
            self._mask(self.weights)
        if self.average is not None:
            self.average.update_parameters(self.net)

    def _rate(self, step: int, phase: Phase) -> float:
        """Share of the peak: even while weights go, then down a cosine that ends before sharing begins."""
        warm = min(1.0, (step + 1) / 50)
        if phase.name == "prune":
            return warm
        done = (step - phase.first) / max(1, phase.steps)
        return 0.5 * (1 + math.cos(math.pi * done))

    def _prune(self, sparsity: float) -> None:
        """Chooses anew among the weights that are left; the average loses the same ones."""
        with torch.no_grad():
            self.masks = choose(self.weights, sparsity)
            self._mask(self.weights)
            if self.average is not None:
                self._mask(prunable(self.average.module))

    def _mask(self, weights: dict[str, nn.Parameter]) -> None:
        for name, weight in weights.items():
            weight.mul_(self.masks[name])

    def _start_sharing(self) -> None:
        """The averaged weights of every layer become shared values, which are what is trained from now on."""
        if self.average is not None:
            load_state(self.net, self.average.module.state_dict())
        state = {k: v.cpu().contiguous() for k, v in self.net.state_dict().items()}
        write_whole(self.folder / PRUNED, save(state))
        self.codebooks = Codebooks.of(self.weights, self.config.bits)
        for weight in self.weights.values():
            weight.grad = None  # of the step before, which the new optimizer would not clear
        self.optimizer = self._optimizer()

    def _optimizer(self) -> torch.optim.Optimizer:
        """AdamW over all parameters; while values are shared, over these in place of the weights."""
        config = self.config
        if self.codebooks is None:
            return torch.optim.AdamW(
                [{"params": list(self.net.parameters()), "peak": config.learning_rate}],
                weight_decay=config.weight_decay,
            )
        other = [p for name, p in self.net.named_parameters() if name not in self.weights]
        return torch.optim.AdamW(
            [
                {"params": list(self.codebooks.values.values()), "peak": config.sharing_rate},
                {"params": other, "peak": config.sharing_rate},
            ],
            weight_decay=0.0,
        )

    def _rounded(self) -> nn.Module:
        """Shared values as float16 stores them; two that become one are one."""
        with torch.no_grad():
            for weight in self.weights.values():
                weight.copy_(weight.half().float())
        return self.net.cpu().eval()

    def _save(self) -> None:
        tensors = {f"net/{k}": v for k, v in self.net.state_dict().items()}
        if broken := [k for k, v in tensors.items() if not v.isfinite().all()]:
            raise NonFiniteLoss(f"{broken[0].removeprefix('net/')} is not finite; lower learning_rate")
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in values.items()}
        if self.codebooks is not None:
            tensors |= self.codebooks.tensors()
        else:
            tensors |= {f"mask/{k}": v for k, v in self.masks.items()}
            if self.average is not None:
                tensors |= {f"average/{k}": v for k, v in self.average.state_dict().items()}
        state = {"fingerprint": self._fingerprint(), "losses": self.losses}
        save_checkpoint(self.folder, self.step, tensors, state)

    def _fingerprint(self) -> str:
        return f"{self.config.fingerprint()}:{self.training.fingerprint()}"

    def _restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        if state["fingerprint"] != self._fingerprint():
            raise TrainingError(
                f"{self.folder.name} holds a compression of another configuration; give the same one or "
                "another folder"
            )

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

        load_state(self.net, part("net/"))
        if values := part("values/"):
            self.codebooks = Codebooks(self.weights, part("places/"), values)
        self.masks = {k: v.to(device()) for k, v in part("mask/").items()} or self.masks
        if self.average is not None and (average := part("average/")):
            self.average.load_state_dict(average)
        self.optimizer = self._optimizer()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in part("optimizer/").items():
            index, name = key.split("/")
            own = parameters[int(index)]
            same = value.shape == own.shape
            moments.setdefault(int(index), {})[name] = torch.empty_like(own).copy_(value) if same else value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.step, self.losses = int(state["step"]), list(state["losses"])
        append(self.folder / "metrics.jsonl", {"event": "resumed", "step": self.step})


def distilled(out: torch.Tensor, taught: torch.Tensor, softness: float) -> torch.Tensor:
    """Cross-entropy to the softened answers of the net before, times softness squared, less their entropy."""
    teacher = nn.functional.log_softmax(taught.float() / softness, dim=1)
    student = nn.functional.log_softmax(out.float() / softness, dim=1)
    loss = nn.functional.kl_div(student, teacher, log_target=True, reduction="batchmean")
    return loss * softness**2
