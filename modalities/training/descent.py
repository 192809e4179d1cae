"""How does a step change the weights: which optimizer, at which rate, averaged how?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from modalities.training.config import TrainingConfig

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]

WARM = 0.2
"""Share of the steps over which one cycle climbs."""


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW, RMSProp with momentum, or SGD with Nesterov momentum.

    RMSProp as torch has it, with epsilon outside the root and a mean square that starts at 0; TensorFlow, on
    which the paper ran, puts epsilon inside and starts at 1.
    """
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, eps=config.epsilon, fused=True)
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=rate, weight_decay=decay, momentum=config.momentum, nesterov=config.momentum > 0
        )
    return torch.optim.RMSprop(
        parameters,
        lr=rate,
        alpha=config.rms_decay,
        eps=config.epsilon,
        momentum=config.momentum,
        weight_decay=decay,
    )


def rate_at(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Learning rate of a step, from 0; see `TrainingConfig.schedule`."""
    steps = steps_per_epoch * config.epochs
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "staircase":
        stairs = step // steps_per_epoch // config.staircase_epochs
        return config.learning_rate * config.staircase_factor**stairs
    warm = WARM * steps if config.schedule == "one_cycle" else 0.0
    if step < warm:
        return config.learning_rate * (0.04 + 0.96 * step / warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def make_average(net: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of weights and buffers, with TensorFlow's ramp of the decay."""

    def average(averaged: Tensors, current: Tensors, count: torch.Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for mean, now in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, share)
            else:
                mean.copy_(now)

    return AveragedModel(net, multi_avg_fn=average, use_buffers=True)
