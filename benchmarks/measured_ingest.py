"""`python -m benchmarks.measured_ingest STORE SOURCE ...`: ingest, and print what it took as JSON."""

from __future__ import annotations

import json
import sys
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.process_usage import Stopwatch, peak_mib
from engine.ingest import ingest
from kernels.registry import resolve


def main() -> None:
    """Command line."""
    _load()
    with Stopwatch() as watch:
        report = ingest(sys.argv[1], sys.argv[2:])
    taken = {"seconds": watch.seconds, "cpu_s": watch.cpu_s, "peak_mib": peak_mib()}
    print(json.dumps(taken | {"num_events": report.num_events_new, "num_buckets": report.manifest.num_buckets}))


def _load() -> None:
    """What is compiled, and what libraries load when they are first needed: half a second, however large the chain."""
    resolve("cpu")
    with TemporaryDirectory() as folder:
        orders = pa.table({"customer_id": ["a", "b"], "timestamp": ["2025-01-01T10:00:00"] * 2, "amount": [1.0, 2.5]})
        pq.write_table(orders, f"{folder}/orders.parquet")
        ingest(f"{folder}/store", [f"{folder}/orders.parquet"])


if __name__ == "__main__":
    main()
