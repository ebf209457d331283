"""How many threads work, and how work is shared out among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

_Item = TypeVar("_Item")


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute with one thread inside the block: in this thread and in those that it starts.

    The network is small: a second thread gains next to nothing on idle cores, and on busy ones the two wait for each other, which
    took 15 times as long (docs/log.md).
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def share(work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Do the work for each item, the items in parallel and torch with one thread in each.

    The work has to let go of the interpreter for most of its time, as NumPy, Numba and torch do. There are as many threads as
    torch may have, which in a Ray worker is what the worker was given, and they live for one call.
    """
    items = list(items)
    num_threads = min(torch.get_num_threads(), len(items))
    with one_torch_thread():
        if num_threads < 2:
            for item in items:
                work(item)
            return
        with ThreadPoolExecutor(num_threads, thread_name_prefix="forward") as threads:
            for _ in threads.map(work, items):
                pass  # drawing the results raises what the work raised


def share_rows(work: Callable[[slice], None], num_rows: int, rows_at_once: int) -> None:
    """`share`, with items that are slices of so many rows."""
    share(work, (slice(first, min(first + rows_at_once, num_rows)) for first in range(0, num_rows, rows_at_once)))
