"""Ingest: the way from a raw log to indicators beside DuckDB's, what a nightly file costs, and how time and memory grow.

Every ingest runs in a process of its own, with two threads; its memory is the largest resident size of that process.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from benchmarks import duckdb_indicators
from benchmarks.conftest import Report
from benchmarks.process_usage import Stopwatch
from benchmarks.standard_chain import Chain, copy_store, indicators_in_child, ingest_in_child, make_chain, remove_store

_MOST_TIMES_DUCKDB = 3.0
_MOST_NIGHTLY_SHARE = 0.05
_MOST_MIB = {1: 1536, 3: 2048}


@pytest.fixture(scope="module")
def full_ingest(chain: Chain) -> dict[str, Any]:
    """What the ingest of the whole chain took; its store is the one that the other benchmarks read."""
    remove_store(chain.scratch / f"store-{chain.config.num_customers}")
    return ingest_in_child(chain.scratch / f"store-{chain.config.num_customers}", [chain.raw])


def test_from_the_raw_log_to_every_indicator(chain: Chain, full_ingest: dict[str, Any], report: Report) -> None:
    indicators = indicators_in_child(chain.store(), chain.as_of_us)
    connection = duckdb_indicators.connect()
    connection.execute(f"SET temp_directory = '{chain.scratch / 'duckdb'}'")
    with Stopwatch() as watch:
        table = duckdb_indicators.compute(connection, chain.events_sql, chain.as_of_us)
    assert table.num_rows == indicators["num_customers"]
    ours = {what: full_ingest[what] + indicators[what] for what in ("seconds", "cpu_s")}
    rows = [
        {"what": "ebbtide ingest", "seconds": full_ingest["seconds"], "cpu_s": full_ingest["cpu_s"]},
        {"what": "ebbtide indicators", "seconds": indicators["seconds"], "cpu_s": indicators["cpu_s"]},
        {"what": "ebbtide", **ours},
        {"what": f"DuckDB {duckdb.__version__}", "seconds": watch.seconds, "cpu_s": watch.cpu_s},
    ]
    for row in rows:
        row |= {"of_duckdb": row["seconds"] / watch.seconds, "of_duckdb_cpu": row["cpu_s"] / watch.cpu_s}
        row["at_most"] = _MOST_TIMES_DUCKDB if row["what"] == "ebbtide" else ""
    report("indicators_from_raw_log", f"From the raw log to every indicator, {chain.name}", rows)


def test_a_nightly_file(chain: Chain, full_ingest: dict[str, Any], report: Report) -> None:
    copy = copy_store(chain.store(), chain.scratch / "store-nightly")
    nightly = ingest_in_child(copy, [chain.nightly()])
    remove_store(copy)
    rows = [
        {"what": what, **{name: taken[name] for name in ("num_events", "seconds", "cpu_s", "peak_mib")}}
        for what, taken in (("the whole log", full_ingest), ("new orders of a night", nightly))
    ]
    for row in rows:
        row |= {"share": row["seconds"] / full_ingest["seconds"], "share_cpu": row["cpu_s"] / full_ingest["cpu_s"]}
        row["at_most"] = "" if row is rows[0] else _MOST_NIGHTLY_SHARE
    report("ingest_nightly", f"A nightly file of 1 % of the orders, {chain.name}", rows)


def test_growth(chain: Chain, full_ingest: dict[str, Any], three_times: bool, report: Report) -> None:
    num_customers = chain.config.num_customers
    # Of the standard chain: about 1, 3, 32 and 95 million orders.
    sizes = {num_customers // 32: 1 / 32, num_customers // 10: 0.1, num_customers: 1} | (
        {3 * num_customers: 3} if three_times else {}
    )
    rows = []
    for size, times in sizes.items():
        grown = chain if times == 1 else make_chain(chain.scratch / "growth", size, rows_like=chain.config)
        taken = full_ingest
        if times != 1:
            store = chain.scratch / f"store-growth-{size}"
            remove_store(store)
            taken = ingest_in_child(store, [grown.raw])
            remove_store(store)
        rows.append(
            {
                "customers": size,
                "orders": grown.rows["purchases"],
                "events": grown.num_events,
                "seconds": taken["seconds"],
                "us_per_event": 1e6 * taken["seconds"] / grown.num_events,
                "cpu_us_per_event": 1e6 * taken["cpu_s"] / grown.num_events,
                "peak_mib": taken["peak_mib"],
                "mib_at_most": _MOST_MIB.get(int(times), ""),
                "buckets": taken["num_buckets"],
            }
        )
    report("ingest_growth", "Ingest as the chain grows", rows)
