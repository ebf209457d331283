"""`python -m benchmarks.measured_ingest STORE SOURCE ...`: ingest, and print what it took as JSON."""

from __future__ import annotations

import json
import sys

from benchmarks.process_usage import Stopwatch, peak_mib
from engine.ingest import ingest
from kernels.registry import resolve


def main() -> None:
    """Command line."""
    resolve("cpu")  # loads what is compiled
    with Stopwatch() as watch:
        report = ingest(sys.argv[1], sys.argv[2:])
    taken = {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "peak_mib": peak_mib()}
    print(json.dumps(taken | {"num_events": report.num_events_new, "num_buckets": report.manifest.num_buckets}))


if __name__ == "__main__":
    main()
