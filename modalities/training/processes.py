"""Does this process train alone, or with others that torchrun started?

Every process reads all images and draws the same batches; each learns from its share of every batch, and
gradients are averaged. Process 0 alone writes.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from core.errors import TrainingError


@dataclass(frozen=True)
class Processes:
    """The number of this process, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            distributed.barrier()

    def wrap(self, net: nn.Module) -> nn.Module:
        """The net itself, or one whose gradients are averaged over the processes."""
        if self.size == 1:
            return net
        return nn.parallel.DistributedDataParallel(net)


ALONE = Processes()


def join() -> Processes:
    """Joins the processes that torchrun started, once; alone without them.

    Raises `TrainingError` where its variables are there and the others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if not distributed.is_initialized():
        try:
            # Others wait while process 0 alone computes activations or evidence, which may take hours.
            distributed.init_process_group(
                "nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(days=2)
            )
        except (RuntimeError, ValueError) as error:
            raise TrainingError(f"the processes of torchrun did not meet ({type(error).__name__})") from error
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return Processes(distributed.get_rank(), distributed.get_world_size())


def leave() -> None:
    """Ends what `join` began."""
    if distributed.is_available() and distributed.is_initialized():
        # A wrapped net that outlives its group ends the process with an abort.
        gc.collect()
        distributed.barrier()
        distributed.destroy_process_group()
