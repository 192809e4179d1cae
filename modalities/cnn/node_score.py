"""How does log P(node) follow from a net's images, so that torch can derive it? Needs the extra `explain`."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from core.tree import TreeSums
from modalities.cnn.deadline import Deadline
from modalities.cnn.torch_net import logits


class NodeScore(nn.Module):
    """Normalised float32 images, N x 3 x H x W, to the natural logarithm of the node's probability, N.

    P(node) is the sum over the training classes at or below it (Esteva et al. 2017) of the softmax of logits
    over the temperature. Its logarithm is the logsumexp of these classes less that of all, in float64: the
    gradient stays whole where P(node) is nearly 1. At one image the gradients of P, of log P and of the
    log-odds differ by a factor alone, so maps of saliency and Grad-CAM are those of all three.
    """

    def __init__(
        self, net: nn.Module, temperature: float, sums: TreeSums, node: str, deadline: Deadline
    ) -> None:
        super().__init__()
        self.net, self.temperature, self._deadline = net, temperature, deadline
        held = sums.of(np.eye(len(sums.partition.classes)), (node,))[:, 0]
        self._columns = torch.from_numpy(np.flatnonzero(held))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raises `ExplanationError` once the deadline has passed."""
        self._deadline.check()
        scaled = logits(self.net, images).double() / self.temperature
        return torch.logsumexp(scaled[:, self._columns], 1) - torch.logsumexp(scaled, 1)
