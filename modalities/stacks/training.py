"""How does a net learn the views of lesions? One loop on the processor. Needs the extra `train`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from modalities.stacks.net import ViewsNet
from modalities.stacks.recipe import Pooling
from modalities.stacks.stack import FloatArray

BATCH = 8
"""Lesions a step."""
RATE, DECAY, SMOOTHING = 4e-3, 1e-2, 0.05

IntArray = npt.NDArray[np.int64]
Told = Callable[[int, int], None]
Vary = Callable[[FloatArray, np.random.Generator], FloatArray]


def train_views_net(
    views: Sequence[FloatArray],
    targets: IntArray,
    classes: int,
    pooling: Pooling,
    *,
    seed: int,
    epochs: int,
    vary: Vary | None = None,
    progress: Told | None = None,
) -> ViewsNet:
    """A net in evaluation mode, fitted by AdamW under one cycle of the learning rate.

    `views`: one array a lesion, views x channels x side x side. At each step they go
    through `vary`; without one, half of the lesions are mirrored left to right, all their views alike: up and
    down mean something in a slice. The same seed gives the same net on one machine; torch's own random
    numbers are left as they were.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ViewsNet(views[0].shape[1], classes, pooling)
        steps = epochs * max(1, len(views) // BATCH)
        best = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        pace = torch.optim.lr_scheduler.OneCycleLR(best, RATE, total_steps=steps + 1, pct_start=0.2)
        loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
        net.train()
        for epoch in range(epochs):
            order = rng.permutation(len(views))
            for chosen in np.array_split(order, max(1, len(views) // BATCH)):
                lesions = [torch.from_numpy((vary or mirrored)(views[i], rng)) for i in chosen]
                loss = loss_of(net.batch(lesions), torch.from_numpy(targets[chosen]))
                best.zero_grad()
                loss.backward()
                best.step()
                pace.step()
            if progress is not None:
                progress(epoch + 1, epochs)
        _settle(net, views)
    return net.eval()


def _settle(net: ViewsNet, views: Sequence[FloatArray]) -> None:
    """Means and spreads of the normalisation over all lesions, by the last weights: running ones lag behind
    where there are few steps.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    with torch.no_grad():
        for start in range(0, len(views), 4 * BATCH):
            net.batch([torch.from_numpy(np.array(one)) for one in views[start : start + 4 * BATCH]])


def mirrored(views: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A copy, left to right or as it was."""
    return np.array(views[..., ::-1] if rng.random() < 0.5 else views)
