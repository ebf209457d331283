"""How many threads torch computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute with one thread inside the block: the whole process, as torch knows no other way.

    The network is small: a second thread gains next to nothing on idle cores, and on busy ones the two wait for each other, which
    took 15 times as long (docs/log.md).
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
