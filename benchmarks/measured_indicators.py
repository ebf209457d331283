"""Every indicator of every customer from a history at rest: in this process, or as a child that prints what it took as JSON.

python -m benchmarks.measured_indicators STORE AS_OF_US
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.process_usage import Stopwatch, peak_mib
from engine.chain_indicators import ChainIndicators, compute_chain_indicators
from engine.history import History
from kernels.registry import resolve

_NUM_THREADS = 2


def compute(store: Path, as_of_us: int) -> ChainIndicators:
    """From opening the history on."""
    return compute_chain_indicators(History.open(store), as_of_us, num_threads=_NUM_THREADS)


def main() -> None:
    """Command line."""
    resolve("cpu")  # loads what is compiled
    with Stopwatch() as watch:
        found = compute(Path(sys.argv[1]), int(sys.argv[2]))
    taken = {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "peak_mib": peak_mib()}
    print(json.dumps(taken | {"num_customers": len(found.values)}))


if __name__ == "__main__":
    main()
