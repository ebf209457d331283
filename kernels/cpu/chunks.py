"""Spread a loop over cores: ranges of queries on plain Python threads.

Not numba's parallel=True: its workqueue layer, the only one that every wheel has, aborts the process when two Python
threads enter it at once, as gRPC handlers and Ray workers do; its OpenMP layer aborts after a fork; and it compiles several
times slower. The loops release the GIL, so threads that live for one call do as well and share nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

# A query costs about 0.1 to 1 us, a thread about 50 us to start: below two of these a call stays on its own thread.
_MIN_QUERIES = 8192
_CHUNKS_PER_THREAD = 4  # long histories cluster; more chunks than threads evens that out


def run_chunks(loop: Callable[[int, int], None], num_queries: int) -> None:
    """Call loop(first, stop) so that the ranges cover [0, num_queries) once each.

    NUMBA_NUM_THREADS bounds the threads; without it they are the cores that this process may use.
    """
    cores: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # numba sets it when it is imported
    num_threads = min(cores, num_queries // _MIN_QUERIES)
    if num_threads < 2:
        loop(0, num_queries)
        return
    num_chunks = min(num_threads * _CHUNKS_PER_THREAD, num_queries // _MIN_QUERIES)
    edges = [num_queries * chunk // num_chunks for chunk in range(num_chunks + 1)]
    with ThreadPoolExecutor(num_threads, thread_name_prefix="kernel") as threads:
        for _ in threads.map(loop, edges[:-1], edges[1:]):
            pass  # drawing the results raises what a chunk raised
