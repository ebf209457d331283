"""All thirty indicators of every customer: ebbtide from its history at rest, DuckDB and Polars from sorted Parquet.

Two threads each, the page cache warm, ebbtide's code compiled and the peers' file written before the clock starts. The peers have
every advantage that a table can give: one row per event, integers, sorted by customer and time. Their answers are proven equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks import duckdb_indicators, measured_indicators, polars_indicators
from benchmarks.conftest import Report
from benchmarks.process_usage import Stopwatch
from benchmarks.standard_chain import Chain
from engine.chain_indicators import ChainIndicators
from engine.indicators import INDICATOR_COLUMNS, NUM_COLUMNS, NUM_INDICATORS

_BARS = {"DuckDB": 40, "Polars": 80}  # how many times as long a peer should take

Answer = dict[str, NDArray[np.float64]]


def test_every_indicator_from_the_history_at_rest(chain: Chain, quick: bool, report: Report) -> None:
    store, events, as_of_us = chain.store(), chain.events_file(), chain.as_of_us
    connection = duckdb_indicators.connect()
    peers: dict[str, tuple[int, Callable[[], Any], Callable[[Any], Answer]]] = {
        "ebbtide": (5, lambda: measured_indicators.compute(store, as_of_us), _of_ebbtide),
        f"DuckDB {duckdb.__version__}": (
            2,
            lambda: duckdb_indicators.compute(connection, f"read_parquet('{events}')", as_of_us),
            _of_table,
        ),
        f"Polars {pl.__version__}": (
            2,
            lambda: polars_indicators.compute(pl.scan_parquet(events), as_of_us).to_arrow(),
            _of_table,
        ),
    }
    rows: list[dict[str, Any]] = []
    expected: Answer | None = None
    for peer, (num_rounds, compute, answer_of) in peers.items():
        answer = answer_of(compute())  # warms the caches, and proves that it is the same work
        expected = answer if expected is None else expected
        _assert_equal(answer, expected, peer)
        watches = []
        for _ in range(1 if quick else num_rounds):
            with Stopwatch() as watch:
                compute()
            watches.append(watch)
        seconds, cpu_s = (float(np.median([getattr(watch, what) for watch in watches])) for what in ("seconds", "cpu_s"))
        ours = rows[0] if rows else {"median_s": seconds, "cpu_s": cpu_s}
        rows.append(
            {
                "peer": peer,
                "median_s": seconds,
                "min_s": min(watch.seconds for watch in watches),
                "cpu_s": cpu_s,
                "times_ebbtide": seconds / ours["median_s"],
                "times_ebbtide_cpu": cpu_s / ours["cpu_s"],
                "bar": _BARS.get(peer.split()[0], 1),
            }
        )
    report("indicators_at_rest", f"{NUM_INDICATORS} indicators ({NUM_COLUMNS} columns) of {chain.name}, at rest", rows)


def _of_ebbtide(found: ChainIndicators) -> Answer:
    ids = np.asarray(found.customer_ids.cast(pa.int64()))
    order = np.argsort(ids)
    columns = {name: found.values[order, column].astype(np.float64) for column, name in enumerate(INDICATOR_COLUMNS)}
    return {"customer_id": ids[order].astype(np.float64), **columns}


def _of_table(found: pa.Table) -> Answer:
    found = found.sort_by("customer_id")
    return {name: found[name].cast(pa.float64()).to_numpy() for name in found.column_names}


def _assert_equal(found: Answer, expected: Answer, peer: str) -> None:
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6, err_msg=f"{name} of {peer}")
