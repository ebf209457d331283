"""Window features and gap statistics of every customer: ebbtide's kernels, DuckDB and Polars on the same orders in memory.

Each peer gets the orders as it likes them best (ebbtide: arrays with offsets, as a memory-mapped history gives them;
DuckDB: an own table; Polars: a frame), all sorted by customer and time. Their answers are proven equal first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.chain import ChainConfig, write_chain
from benchmarks.conftest import Report
from engine.datasets import locate
from engine.errors import PrerequisiteError
from engine.indicators import NUM_INDICATORS, compute_indicators
from engine.instants import DAY_US
from engine.partition import Partition
from engine.schema import EventKind
from kernels import gap_statistics, locate_instants, window_counts, window_sums

_WINDOWS = (7, 14, 30, 60, 90)
_HORIZON_DAYS = 30
# As many Complete Journeys side by side as make a small chain of 100,000 customers.
_NUM_COPIES = 40
_NUM_QUERIES = 200_000
_COUNTS = [f"orders_{days}" for days in _WINDOWS]
_SUMS = [f"spend_{days}" for days in _WINDOWS]
_GAPS = ["num_gaps", "mean", "std", "longest", "latest", "elapsed"]

Features = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pa.Table]:
    """Name of the data, and its orders: customer, timestamp_us, amount_minor; sorted by customer and time."""
    try:
        dataset = locate("complete-journey")
        name, files, columns = "Complete Journey", list(map(str, dataset.files)), dataset.columns
    except PrerequisiteError:
        folder = tmp_path_factory.mktemp("chain")
        write_chain(ChainConfig(num_customers=2_500), folder)
        name, files = "a generated chain", sorted(map(str, Path(folder).glob("purchases-*.parquet")))
        columns = {field: field for field in ("customer_id", "timestamp", "order_id", "amount")}
    orders = duckdb.sql(
        f"""SELECT dense_rank() OVER (ORDER BY {columns["customer_id"]}) - 1 AS customer,
                   epoch_us(min({columns["timestamp"]})) AS timestamp_us,
                   sum(round(100 * {columns["amount"]}))::BIGINT AS amount_minor
            FROM read_parquet({files}) GROUP BY {columns["customer_id"]}, {columns["order_id"]} ORDER BY customer, timestamp_us"""
    ).to_arrow_table()
    return name, orders


@pytest.fixture(scope="module")
def orders(journey: tuple[str, pa.Table], quick: bool) -> pa.Table:
    """The orders, many times side by side unless quick."""
    _, one = journey
    num_customers = pc.max(one["customer"]).as_py() + 1
    copies = [
        one.set_column(0, "customer", pc.add(one["customer"], copy * num_customers))
        for copy in range(1 if quick else _NUM_COPIES)
    ]
    return pa.concat_tables(copies).combine_chunks()


@pytest.fixture(scope="module")
def as_of_us(orders: pa.Table) -> int:
    return int(pc.max(orders["timestamp_us"]).as_py()) - _HORIZON_DAYS * DAY_US


@pytest.fixture(scope="module")
def expected(orders: pa.Table, as_of_us: int) -> Features:
    """ebbtide's answer, which each peer's is compared with; compiles the kernels on the way."""
    return _ebbtide(orders, as_of_us)()


@pytest.fixture(scope="module")
def rows(report: Report, journey: tuple[str, pa.Table], orders: pa.Table) -> Iterator[list[dict[str, Any]]]:
    measured: list[dict[str, Any]] = []
    yield measured
    medians = {row["peer"]: row["median_s"] for row in measured}
    for row in measured:
        row["times_ebbtide"] = row["median_s"] / medians.get("ebbtide", np.nan)
    num_customers = pc.count_distinct(orders["customer"]).as_py()
    title = f"16 window features of {num_customers:,} customers from {orders.num_rows:,} orders ({journey[0]})"
    report("indicators_window_features", title, measured)


def _ebbtide(orders: pa.Table, as_of_us: int) -> Callable[[], Features]:
    customer, timestamp_us, amount_minor = (orders[name].to_numpy() for name in orders.column_names)
    num_customers = int(customer[-1]) + 1
    offsets = np.searchsorted(customer, np.arange(num_customers + 1)).astype(np.int64)
    everyone = np.arange(num_customers, dtype=np.int64)
    instants_us = np.full(num_customers, as_of_us, np.int64)
    is_order = np.ones(len(timestamp_us), np.bool_)
    window_days = np.array(_WINDOWS, np.float64)

    def compute() -> Features:
        begin = offsets[:-1]
        end = locate_instants(timestamp_us, offsets, everyone, instants_us)
        counts = window_counts(timestamp_us, is_order, begin, end, instants_us, window_days)
        sums = window_sums(timestamp_us, amount_minor, is_order, begin, end, instants_us, window_days)
        gaps = gap_statistics(timestamp_us, is_order, begin, end, instants_us)
        columns = dict(zip(_COUNTS + _SUMS + _GAPS, [*counts.T, *sums.T, *gaps.T], strict=True))
        return {"customer": everyone, **columns}

    return compute


def _duckdb(orders: pa.Table, as_of_us: int) -> Callable[[], Features]:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE orders AS FROM orders")
    windows = ", ".join(
        f"count(*) FILTER (age <= {days * DAY_US}) AS orders_{days}, "
        f"coalesce(sum(amount_minor) FILTER (age <= {days * DAY_US}), 0)::BIGINT AS spend_{days}"
        for days in _WINDOWS
    )
    # Among orders of one instant the gap is 0 but for the first: "gap DESC" puts that one before the others.
    query = f"""
        WITH aged AS (
            SELECT *, {as_of_us} - timestamp_us AS age,
                   (timestamp_us - lag(timestamp_us) OVER (PARTITION BY customer ORDER BY timestamp_us)) / {DAY_US}.0 AS gap
            FROM orders WHERE timestamp_us < {as_of_us})
        SELECT customer, {windows}, count(gap)::DOUBLE AS num_gaps, avg(gap) AS mean,
               CASE WHEN count(gap) > 1 THEN stddev_pop(gap) END AS std, max(gap) AS longest,
               last(gap ORDER BY timestamp_us, gap DESC NULLS FIRST) AS latest, min(age) / {DAY_US}.0 AS elapsed
        FROM aged GROUP BY customer"""
    return lambda: dict(connection.execute(query).fetchnumpy())


def _polars(orders: pa.Table, as_of_us: int) -> Callable[[], Features]:
    frame = pl.DataFrame(orders)
    age = as_of_us - pl.col("timestamp_us")
    gap = pl.col("timestamp_us").diff().drop_nulls() / DAY_US
    features = [
        *(((age <= days * DAY_US).sum()).alias(f"orders_{days}") for days in _WINDOWS),
        *((pl.col("amount_minor").filter(age <= days * DAY_US).sum()).alias(f"spend_{days}") for days in _WINDOWS),
        gap.count().cast(pl.Float64).alias("num_gaps"),
        gap.mean().alias("mean"),
        pl.when(gap.count() > 1).then(gap.std(ddof=0)).alias("std"),
        gap.max().alias("longest"),
        gap.last().alias("latest"),
        (age.min() / DAY_US).alias("elapsed"),
    ]

    def compute() -> Features:
        seen = frame.lazy().filter(pl.col("timestamp_us") < as_of_us)
        return {column.name: column.to_numpy() for column in seen.group_by("customer").agg(features).collect()}

    return compute


_PEERS: dict[str, Callable[[pa.Table, int], Callable[[], Features]]] = {
    "ebbtide": _ebbtide,
    f"DuckDB {duckdb.__version__}": _duckdb,
    f"Polars {pl.__version__}": _polars,
}


@pytest.mark.parametrize("peer", _PEERS)
def test_window_features(
    benchmark: BenchmarkFixture,
    peer: str,
    orders: pa.Table,
    as_of_us: int,
    expected: Features,
    quick: bool,
    rows: list[dict[str, Any]],
) -> None:
    compute = _PEERS[peer](orders, as_of_us)
    found = benchmark.pedantic(compute, rounds=1 if quick else 5, warmup_rounds=0 if quick else 1)
    _assert_equal(found, expected)
    rows.append({"peer": peer, "median_s": benchmark.stats.stats.median, "min_s": benchmark.stats.stats.min})


def test_all_indicators_of_many_queries(
    benchmark: BenchmarkFixture, journey: tuple[str, pa.Table], quick: bool, report: Report
) -> None:
    name, orders = journey
    partition = _partition(orders)
    random = np.random.default_rng(0)
    customer = random.integers(0, partition.num_customers, _NUM_QUERIES)
    instants_us = random.integers(partition.timestamp_us.min(), partition.timestamp_us.max(), _NUM_QUERIES)
    rounds = 1 if quick else 5
    found = benchmark.pedantic(compute_indicators, (partition, customer, instants_us), rounds=rounds, warmup_rounds=1)
    assert found.shape == (_NUM_QUERIES, NUM_INDICATORS)
    title = f"{NUM_INDICATORS} indicators of {_NUM_QUERIES:,} queries on {orders.num_rows:,} orders ({name})"
    report("indicators_queries", title, [{"median_s": benchmark.stats.stats.median, "min_s": benchmark.stats.stats.min}])


def _assert_equal(found: Features, expected: Features) -> None:
    """Peers leave out customers without an order before the instant and call the undefined NULL."""
    seen = ~np.isnan(expected["elapsed"])
    order = np.argsort(found["customer"])
    order = order[seen[found["customer"][order]]]
    for name, column in expected.items():
        answer = np.ma.filled(np.ma.asarray(found[name]).astype(np.float64), np.nan)[order]
        # sums of rounded gaps differ in the last digits, counts and money in none
        exact = name in ("customer", *_COUNTS, *_SUMS)
        np.testing.assert_allclose(answer, column[seen], rtol=0 if exact else 1e-9, atol=0 if exact else 1e-9, err_msg=name)


def _partition(orders: pa.Table) -> Partition:
    customer, timestamp_us, amount_minor = (orders[name].to_numpy() for name in orders.column_names)
    num_customers, num_events = int(customer[-1]) + 1, len(customer)
    one_each = np.ones(num_events, np.int32)
    return Partition(
        customer_ids=pa.array([f"{number:08d}" for number in range(num_customers)]),
        offsets=np.searchsorted(customer, np.arange(num_customers + 1)).astype(np.int64),
        timestamp_us=timestamp_us,
        kind=np.full(num_events, EventKind.PURCHASE, np.uint8),
        amount_minor=amount_minor,
        discount_minor=np.zeros(num_events, np.int64),
        quantity_milli=np.full(num_events, 1000, np.int64),
        num_lines=one_each,
        num_products=one_each,
        num_categories=one_each,
        store_code=-one_each,
        channel_code=-one_each,
        rating_milli=-one_each,
        store_names=(),
        channel_names=(),
    )
