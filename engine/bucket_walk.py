"""A walk over all buckets on threads: a bucket is too small to be worth threads of its own, and a chain has hundreds."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")

# Buckets under way or waiting to be taken, for each thread: none idles, and memory holds a few results and never all.
_AHEAD_PER_THREAD = 2


def walk_buckets(
    buckets: Iterable[int], function: Callable[[int], _Result], *, num_threads: int | None = None
) -> Iterator[_Result]:
    """`function(bucket)` of every bucket, in the order given, while others are under way.

    function    : called on several threads at once; gains where it lets go of the GIL, as kernels and page faults do
    num_threads : 1 or more; the cores that this process may use by default
    raises      : what the function raised, at that bucket's place; those that are not begun by then never are
    """
    num_threads = available_cores() if num_threads is None else num_threads
    waiting = iter(buckets)
    pending: deque[Future[_Result]] = deque()
    threads = ThreadPoolExecutor(num_threads, thread_name_prefix="bucket")
    try:
        while True:
            while len(pending) < num_threads * _AHEAD_PER_THREAD and (bucket := next(waiting, None)) is not None:
                pending.append(threads.submit(function, bucket))
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def available_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
