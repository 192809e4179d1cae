"""What does a net learn from a label that is a node of a tree? Three losses, one form.

Each is a weighted sum of -log P(node) over nodes that hold the label, where P(node) sums the softmax over
the training classes at or below the node:

- `cross_entropy` (Esteva et al. 2017): the training class alone.
- `coarse_likelihood`: the label's own node where it lies above training classes, else its class. An image
  that is only known to be benign trains the sum of all benign classes, instead of being dropped.
- `hierarchical`: the hierarchical cross-entropy of Bertinetto et al. 2020 ("Making better mistakes", arXiv
  1912.09393, section 3.1, as their code has it): the sum over the path of exp(-alpha d) (-log P(node |
  parent)), d being 0 at the first level, 1 below it; an inner label ends at its own node. alpha = 0 gives
  the cross-entropy, a larger one weighs coarse mistakes more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from core.errors import TrainingError
from core.partition import Partition
from core.tree import TreeSums
from modalities.training.config import Loss


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, for targets that are indices of `labels`.

    `nodes`: labels x depth x classes, which classes each of a label's nodes holds; `weights`: labels x
    depth, zero where a label has fewer nodes.
    """

    nodes: torch.Tensor
    weights: torch.Tensor
    smoothing: float

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss of logits, N x classes, in nats; `targets` int64 N."""
        log_p = nn.functional.log_softmax(logits.float(), dim=1)
        inside = self.nodes[targets]
        # logsumexp over no class at all would be minus infinity, and its gradient NaN.
        held = log_p[:, None, :].masked_fill(~inside, -1e4)
        log_node = torch.logsumexp(held, dim=2)
        loss = -(self.weights[targets] * log_node).sum(dim=1)
        smooth = -log_p.mean(dim=1)
        return ((1 - self.smoothing) * loss + self.smoothing * smooth).mean()

    def to(self, device: torch.device) -> Objective:
        """The same, on a device."""
        return Objective(self.nodes.to(device), self.weights.to(device), self.smoothing)


def plain(classes: int, smoothing: float) -> Objective:
    """The cross-entropy over classes without a tree."""
    return Objective(torch.eye(classes, dtype=torch.bool)[:, None, :], torch.ones(classes, 1), smoothing)


def targets_of(partition: Partition, labels: Sequence[str], loss: Loss) -> list[str]:
    """The target of each label: its training class, or the inner node that it stands at.

    Raises `TrainingError` for a label that the loss cannot use, and says which preset would keep it.
    """
    sums = TreeSums(partition)
    split = {c.node for c in partition.classes if c.residual}
    found = []
    for label in labels:
        owner = partition.class_of(label)
        coarse = loss != "cross_entropy" and sums.readable(label)
        if coarse and (owner is None or label in split):
            owner = label
        if owner is None:
            better = "use preset reference" + (", or a loss over the tree" if loss == "cross_entropy" else "")
            raise TrainingError(f"{label!r} lies in no training class; {better}")
        found.append(owner)
    return found


def make_objective(
    partition: Partition, targets: Sequence[str], loss: Loss, *, decay: float, smoothing: float
) -> Objective:
    """The loss over the distinct `targets`, ids of training classes or of inner nodes, in that order."""
    columns = _columns(partition)
    paths = [_path(partition, target, columns, loss, decay) for target in targets]
    depth = max(len(path) for path in paths)
    nodes = torch.zeros(len(paths), depth, len(partition.classes), dtype=torch.bool)
    weights = torch.zeros(len(paths), depth)
    for k, path in enumerate(paths):
        for d, (members, weight) in enumerate(path):
            nodes[k, d, members] = True
            weights[k, d] = weight
        nodes[k, len(path) :] = True  # log of 1, times weight 0
    return Objective(nodes, weights, smoothing)


def _columns(partition: Partition) -> dict[str, list[int]]:
    """Classes of each class id and of each node above one."""
    found: dict[str, list[int]] = {}
    for k, one in enumerate(partition.classes):
        for node in partition.taxonomy.path(one.node):
            found.setdefault(node, []).append(k)
    # A residual is called after its node: the node keeps its sum, the residual has itself alone.
    return found | {c.id: [k] for k, c in enumerate(partition.classes)}


def _path(
    partition: Partition, target: str, columns: dict[str, list[int]], loss: Loss, decay: float
) -> list[tuple[list[int], float]]:
    if loss != "hierarchical":
        return [(columns[target], 1.0)]
    taxonomy = partition.taxonomy
    residual = {c.id: c.node for c in partition.classes if c.residual}
    above = list(taxonomy.path(residual.get(target, target)))
    chain = [*above, target] if target in residual else above
    # -log P(node | parent) = log P(parent) - log P(node): each node's weight is its own less its child's.
    share = [math.exp(-decay * depth) for depth in range(len(chain) - 1)] + [0.0]
    found = [(columns[node], share[k] - share[k + 1]) for k, node in enumerate(chain[1:])]
    return found or [(columns[chain[0]], 1.0)]
