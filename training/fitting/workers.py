"""Workers: who takes which share of a step, and how the shares come together.

Every worker goes through the same epochs, draws and batches. Of a batch's pieces it computes its own share; the gradients are
added up, so that all take the step that one worker alone would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.distributed


class Workers(Protocol):
    """This worker among the others.

    rank        : from 0; that one speaks for all
    num_workers : 1 or more
    """

    @property
    def rank(self) -> int: ...

    @property
    def num_workers(self) -> int: ...

    def add_up(self, values: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all workers, the same bits for each of them."""

    def agree(self, value: float) -> float:
        """What the first worker says."""


class Alone:
    """One worker."""

    rank = 0
    num_workers = 1

    def add_up(self, values: Sequence[torch.Tensor]) -> None:
        pass

    def agree(self, value: float) -> float:
        return value


class ProcessGroup:
    """The workers of torch's process group, which somebody else has set up."""

    def __init__(self) -> None:
        self.rank = torch.distributed.get_rank()
        self.num_workers = torch.distributed.get_world_size()

    def add_up(self, values: Sequence[torch.Tensor]) -> None:
        # In one message: a step has two dozen small tensors, and each message costs a round trip.
        flat = torch.cat([value.reshape(-1) for value in values])
        torch.distributed.all_reduce(flat)
        for value, total in zip(values, torch.split(flat, [value.numel() for value in values]), strict=True):
            value.copy_(total.view_as(value))

    def agree(self, value: float) -> float:
        device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        said = torch.tensor(value, dtype=torch.float64, device=device)
        torch.distributed.broadcast(said, src=0)
        return float(said)


ALONE = Alone()
