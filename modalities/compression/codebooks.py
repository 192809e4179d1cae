"""What does a layer hold once its weights share a few values? Which value each takes, and the values.

Needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from modalities.compression.sharing import assign, cluster


class Codebooks:
    """Shared values of every layer, which are trained in place of the weights.

    `places`, by weight, in its shape: index of the shared value from 1, 0 for a weight that is zero.
    `values`, by weight: float32, at most 2 ** bits of them.
    """

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        places: Mapping[str, torch.Tensor],
        values: Mapping[str, torch.Tensor],
    ) -> None:
        self._weights = weights
        self.places = {name: places[name].long().to(w.device) for name, w in weights.items()}
        self.values = {name: nn.Parameter(values[name].float().to(w.device)) for name, w in weights.items()}
        self.spread()

    @classmethod
    def of(cls, weights: Mapping[str, nn.Parameter], bits: int) -> Codebooks:
        """Clusters the weights of each layer that are not zero, by k-means."""
        places, values = {}, {}
        for name, weight in weights.items():
            given = weight.detach().cpu().double().numpy()
            centroids = cluster(given[given != 0], 2**bits)
            places[name] = torch.from_numpy(np.where(given != 0, assign(given, centroids) + 1, 0))
            values[name] = torch.from_numpy(centroids)
        return cls(weights, places, values)

    def take_gradients(self) -> None:
        """The gradient of a shared value is the sum over the weights that take it (Han et al. 2016)."""
        for name, weight in self._weights.items():
            if weight.grad is not None:
                book = self.values[name]
                sums = torch.zeros(len(book) + 1, dtype=torch.float32, device=weight.device)
                sums.index_add_(0, self.places[name].flatten(), weight.grad.float().flatten())
                book.grad, weight.grad = sums[1:], None

    def spread(self) -> None:
        """Gives every weight its shared value."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                book = self.values[name].detach()
                weight.copy_(torch.cat([torch.zeros(1, device=book.device), book])[self.places[name]])

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        kept = {f"places/{name}": places.short() for name, places in self.places.items()}
        return kept | {f"values/{name}": values.detach() for name, values in self.values.items()}
