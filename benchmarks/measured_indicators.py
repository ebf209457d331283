"""Every indicator of every customer from a history at rest: in this process, or as a child that prints what it took as JSON.

python -m benchmarks.measured_indicators STORE AS_OF_US
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.process_usage import Stopwatch, peak_mib
from engine.bucket_walk import walk_buckets
from engine.history import History
from engine.indicators import compute_indicators
from kernels.registry import resolve

_NUM_THREADS = 2


def compute(store: Path, as_of_us: int) -> list[tuple[pa.StringArray, NDArray[np.float32]]]:
    """(customer ids, indicators) of each bucket, from opening the history on."""
    history = History.open(store)

    def measure(bucket: int) -> tuple[pa.StringArray, NDArray[np.float32]]:
        partition = history.partition(bucket)
        return partition.customer_ids, compute_indicators(partition, np.arange(partition.num_customers), as_of_us)

    return list(walk_buckets(range(history.num_buckets), measure, num_threads=_NUM_THREADS))


def main() -> None:
    """Command line."""
    resolve("cpu")  # loads what is compiled
    with Stopwatch() as watch:
        found = compute(Path(sys.argv[1]), int(sys.argv[2]))
    taken = {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "peak_mib": peak_mib()}
    print(json.dumps(taken | {"num_customers": sum(len(ids) for ids, _ in found)}))


if __name__ == "__main__":
    main()
