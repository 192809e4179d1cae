"""What decides a training run? Everything that changes a weight stands here, and nothing else does."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingConfig(BaseModel):
    """Recipe of one run. Two runs of one configuration on one machine give the same weights to the bit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str
    architecture: str = "mobilenet_v2"
    weights: str | None = None
    """torchvision's name of starting weights; the path of a local file is given beside the config."""
    partial_weights: bool = False
    """Whether starting weights may leave layers other than heads random; the run's log names them."""
    size: int = Field(default=192, ge=32, le=1024)
    """Side of the training crop in pixels."""
    test_size: int = Field(default=224, ge=32, le=1024)
    """Side of the central crop at inference. A little larger than `size` is better: Touvron et al. 2019,
    "Fixing the train-test resolution discrepancy" (arXiv 1906.06423)."""
    epochs: int = Field(default=7, ge=1)
    batch: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak of the one-cycle schedule, AdamW."""
    weight_decay: float = Field(default=0.02, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    balance_power: float = Field(default=0.5, ge=0, le=1)
    """A group of n images is drawn with weight n ** power: 1 as they come, .5 square root, 0 equal."""
    balance_level: int = Field(default=2, ge=1)
    """Level of the tree whose nodes are the groups that are balanced."""
    min_crop_area: float = Field(default=0.5, gt=0, le=1)
    """Smallest part of the image that a random training crop keeps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the processor computes in it natively, else fp32."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    checkpoint_seconds: float = Field(default=120.0, gt=0)
    """At least this long between two checkpoints within an epoch."""

    def fingerprint(self) -> str:
        """sha256 of everything that changes a weight: a run resumes only under the same one."""
        text = self.model_dump_json(exclude={"checkpoint_seconds"})
        return hashlib.sha256(text.encode()).hexdigest()
