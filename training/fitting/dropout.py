"""Dropout that does not depend on how a batch is shared out.

Each worker draws the mask of the whole batch, from the same random state, and takes the rows that it computes: two workers drop
what one alone would have dropped. A row is 200 numbers to draw against 50,000 multiplications.
"""

from __future__ import annotations

import torch
from torch import nn


class SharedRows:
    """Which rows of the batch are computed here; changed before every step.

    chosen : int64 (n,), ascending
    total  : of the whole batch
    """

    def __init__(self) -> None:
        self.chosen = torch.zeros(0, dtype=torch.int64)
        self.total = 0


class SharedDropout(nn.Module):
    """`nn.Dropout` of some rows of a batch: on the CPU to the bit what it does to all of them."""

    def __init__(self, share: float, rows: SharedRows) -> None:
        super().__init__()
        self._share, self._rows = share, rows

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(n, …) -> (n, …)"""
        if not self.training or self._share == 0:
            return values
        if len(values) != len(self._rows.chosen):
            raise ValueError(f"found {len(values)} rows, expected the {len(self._rows.chosen)} of this worker's share")
        whole = torch.empty((self._rows.total, *values.shape[1:]), dtype=values.dtype, device=values.device)
        mask = whole.bernoulli_(1.0 - self._share).div_(1.0 - self._share)
        return values * mask[self._rows.chosen.to(values.device)]


def share_dropout(network: nn.Module) -> SharedRows:
    """Make every dropout of a network one of shared rows; it has no weights, so that nothing else changes."""
    rows = SharedRows()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(module, name, SharedDropout(child.p, rows))
    return rows
