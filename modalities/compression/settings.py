"""What decides how a net is compressed? Everything that changes a weight stands here."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field


class CompressionConfig(BaseModel):
    """Deep Compression (Han, Mao and Dally 2016, arXiv 1510.00149) with what was learnt since.

    Three phases: weights are pruned gradually while the net is trained on; it is trained further at its final
    sparsity; the weights left of a layer share a few values, which are trained last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_ratio: float = Field(default=35.0, gt=1, le=1000)
    """Bytes of the net in float32 over bytes of the compressed file."""
    sparsity: float | None = Field(default=None, ge=0, lt=1)
    """Share of the weights that become zero; `None`: what `target_ratio` needs, see `planning`."""
    bits: int = Field(default=5, ge=1, le=8)
    """A layer's weights share 2 ** bits values."""

    pruning_epochs: int = Field(default=5, ge=0)
    """Passes over which sparsity grows."""
    pruning_size: int | None = Field(default=None, ge=32, le=1024)
    """Side of a crop meanwhile, pixels; smaller is faster. `None`: the training run's own."""
    retraining_epochs: int = Field(default=3, ge=0)
    """Passes at the final sparsity, at the training run's size."""
    sharing_epochs: int = Field(default=1, ge=0)
    """Passes that train the shared values."""

    learning_rate: float = Field(default=3e-4, gt=0)
    """Constant while sparsity grows, then down a cosine."""
    sharing_rate: float = Field(default=1e-4, gt=0)
    """Learning rate of the shared values at the start of their phase."""
    weight_decay: float = Field(default=0.02, ge=0)
    distillation: float = Field(default=0.5, ge=0, le=1)
    """Share of the loss that holds the net to the answers of the one before (Hinton et al. 2015)."""
    softness: float = Field(default=2.0, gt=0)
    """Temperature of that part."""
    ema: float = Field(default=0.98, ge=0, lt=1)
    """Decay of the moving average of the weights, which is what is shared; 0 keeps none."""
    every: int = Field(default=25, ge=1)
    """Steps from one choice of the weights that go to the next."""
    checkpoint_seconds: float = Field(default=180.0, gt=0)

    def fingerprint(self) -> str:
        """sha256 of everything that changes a weight: a run resumes only under the same one."""
        return hashlib.sha256(self.model_dump_json(exclude={"checkpoint_seconds"}).encode()).hexdigest()
