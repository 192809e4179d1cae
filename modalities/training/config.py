"""What decides a training run? Everything that changes a weight stands here, and nothing else does."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Loss = Literal["cross_entropy", "coarse_likelihood", "hierarchical"]


class TrainingConfig(BaseModel):
    """Recipe of one run. Two runs of one configuration on one machine give the same weights to the bit.

    Recipes that ship stand in `modalities/training/recipes`, each a YAML file of these fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str

    # --- the net and its start
    architecture: str = "mobilenet_v2"
    """Any torchvision classifier."""
    weights: str | None = None
    """torchvision's name of starting weights; the path of a local file is given beside the config."""
    partial_weights: bool = False
    """Whether starting weights may leave layers other than heads random; the run's log names them."""
    unfold_batch_norm: bool = False
    """Whether batch norm that a file carries folded into its convolutions (mean 0, variance 1, weight 1) is
    un-folded on 256 training images before the first step; see `modalities.training.unfolding`."""
    frozen: str | None = None
    """Last layer that keeps its starting weights, as torchvision names it, such as features.13; what it gives
    is computed once and kept. `None`: all layers are tuned."""
    views: int = Field(default=8, ge=1, le=64)
    """With `frozen`: augmented views of each image that are kept; epoch after epoch takes the next one."""

    # --- pictures
    size: int = Field(default=192, ge=32, le=1024)
    """Side of the training crop in pixels."""
    test_size: int = Field(default=224, ge=32, le=1024)
    """Side of the central crop at inference. A little larger than `size` is better: Touvron et al. 2019,
    "Fixing the train-test resolution discrepancy" (arXiv 1906.06423)."""
    test_crop: float = Field(default=1.0, gt=0.2, le=1)
    """Share of the short side that the central crop at inference shows; Esteva et al. 2017 took .875."""
    steps: tuple[str, ...] = ()
    """Preprocessing steps by name, in order, on the picture as inference scales it; see `modalities.stages`.
    The bundle records them. Most cost a net accuracy: docs/concepts/preprocessing.md."""
    augmentation: Literal["crop", "rotation"] = "crop"
    """crop: random area and aspect, the eight turns and flips of a square, light and colour. rotation: any
    angle, the largest upright rectangle inscribed in it, vertical flip (Esteva et al. 2017)."""
    min_crop_area: float = Field(default=0.5, gt=0, le=1)
    """Smallest part of the image that a random training crop keeps."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of mixup (Zhang et al. 2018, arXiv 1710.09412); 0 mixes nothing."""
    balance_power: float = Field(default=0.5, ge=0, le=1)
    """A group of n images is drawn with weight n ** power: 1 as they come, .5 square root, 0 equal, which is
    what cycling through duplicates gives."""
    balance_level: int | None = Field(default=2, ge=1)
    """Level of the tree whose nodes are the groups that are balanced; `None`: the training classes."""

    # --- the objective
    loss: Loss = "cross_entropy"
    """See `modalities.training.objectives`."""
    hierarchy_decay: float = Field(default=0.5, ge=0)
    """Alpha of the hierarchical cross-entropy: 0 is plain, a larger one weighs coarse nodes more."""
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)

    # --- the descent
    epochs: int = Field(default=7, ge=1)
    batch: int = Field(default=32, ge=2)
    """Images of one step, over all parts of it and all processes."""
    accumulate: int = Field(default=1, ge=1)
    """Parts into which a step's images are cut, one after another, where memory is short."""
    optimizer: Literal["adamw", "rmsprop", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    """The largest rate of the schedule."""
    weight_decay: float = Field(default=0.02, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of rmsprop and sgd."""
    rms_decay: float = Field(default=0.9, gt=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    """Of adamw and rmsprop; outside the root, as torch has it."""
    schedule: Literal["one_cycle", "cosine", "staircase", "constant"] = "one_cycle"
    """one_cycle: linear up over the first fifth, cosine down to nothing. cosine: down from the first step.
    staircase: times `staircase_factor` every `staircase_epochs`."""
    staircase_factor: float = Field(default=0.16, gt=0, lt=1)
    staircase_epochs: int = Field(default=30, ge=1)
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the moving average of the weights, which is then what is evaluated and kept; 0 keeps none.
    Early steps use (1 + n) / (10 + n) where that is smaller."""

    # --- the machine
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the processor computes in it natively, else fp32."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    checkpoint_seconds: float = Field(default=120.0, gt=0)
    """At least this long between two checkpoints within an epoch."""

    @model_validator(mode="after")
    def _parts_are_even(self) -> TrainingConfig:
        if self.batch % self.accumulate or self.batch // self.accumulate < 2:
            raise ValueError("batch must be a multiple of accumulate, with two images or more in each part")
        return self

    @model_serializer(mode="wrap")
    def _without_empty_steps(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Runs and bundles from before there were steps stay the same to the byte.
        found: dict[str, Any] = handler(self)
        if not self.steps:
            found.pop("steps", None)
        return found

    def fingerprint(self) -> str:
        """sha256 of everything that changes a weight: a run resumes only under the same one."""
        text = self.model_dump_json(exclude={"checkpoint_seconds"})
        return hashlib.sha256(text.encode()).hexdigest()
