"""Where does training run, and in which precision?"""

from __future__ import annotations

import torch

from modalities.training.config import TrainingConfig


def device() -> torch.device:
    """A CUDA device where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def uses_bf16(config: TrainingConfig) -> bool:
    """What `precision` means here: auto takes bf16 where the processor computes in it natively."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())
