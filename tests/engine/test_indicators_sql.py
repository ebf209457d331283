"""The indicators are those that DuckDB SQL finds in the raw log, whatever happened on the way through ingest and history."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from benchmarks.duckdb_indicators import compute, connect, events_of_lines
from engine.datasets import locate
from engine.errors import PrerequisiteError
from engine.feature_table import write_feature_table
from engine.history import History
from engine.indicators import INDICATOR_COLUMNS
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant, parse_instant

_START_US = parse_instant("2024-01-01")
# Of the latest order and rating at one instant there is no saying which one came last.
_TELL_THE_LAST = (
    *(f"{where}_{what}_90d" for where in ("store", "channel") for what in ("share", "switch_rate")),
    "rating_change_180d",
)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return connect()


@pytest.mark.parametrize("as_of", ["2017-04-02", "2017-12-02", "2018-01-01T04:00:00"])
def test_complete_journey(connection: duckdb.DuckDBPyConnection, journey: tuple[Path, str], tmp_path: Path, as_of: str) -> None:
    store, events = journey
    known = check_equal(connection, store, events, parse_instant(as_of), tmp_path)
    # no channels, categories, visits, logins, ratings, complaints or contacts, and nothing below zero
    assert known >= {name for name in INDICATOR_COLUMNS if name.split("_")[0] in ("orders", "spend", "gap", "basket", "store")}
    assert {"recency_days", "tenure_days", "lateness", "weekday_regularity", "discount_share_90d"} <= known


@pytest.mark.parametrize("days", [100, 200.5, 299])
def test_a_chain_where_everything_happens(
    connection: duckdb.DuckDBPyConnection, eventful: tuple[Path, str], tmp_path: Path, days: float
) -> None:
    store, events = eventful
    known = check_equal(connection, store, events, _START_US + int(days * DAY_US), tmp_path)
    assert known == set(INDICATOR_COLUMNS)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    try:
        dataset = locate("complete-journey")
    except PrerequisiteError as error:
        pytest.skip(str(error))
    store = tmp_path_factory.mktemp("journey")
    ingest(store, dataset.files, columns=dataset.columns)
    return store, events_of_lines(dataset.files, dataset.columns, net_by_sign=True)


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two files: orders of several lines, returns among them; visits, logins, ratings, complaints and contacts."""
    folder = tmp_path_factory.mktemp("eventful")
    random = np.random.default_rng(0)
    lines, others = folder / "lines.parquet", folder / "others.parquet"
    pq.write_table(_draw_lines(random), lines)
    pq.write_table(_draw_others(random), others)
    ingest(folder / "store", [lines, others], num_buckets=4)
    columns = {name: name for name in pq.read_schema(lines).names}
    return folder / "store", events_of_lines([lines], columns, others=[others])


def _draw_lines(random: np.random.Generator) -> pa.Table:
    num_orders = 9_000
    order = np.repeat(np.arange(num_orders), random.integers(1, 5, num_orders))
    # Rates differ, and an instant of its own for each order.
    who = (300 * random.beta(0.7, 1.2, num_orders)).astype(int)
    when_us = _START_US + random.permutation(300 * 24 * 60)[:num_orders].astype(np.int64) * 60_000_000
    store, channel = random.integers(-2, 4, num_orders), random.integers(-1, 2, num_orders)
    num_lines = len(order)
    amount, discount = random.integers(1, 9_999, num_lines) / 100, random.integers(0, 200, num_lines) / 100
    is_return = (random.random(num_orders) < 0.1)[order]
    category = random.integers(-3, 9, num_lines)
    return pa.table(
        {
            "customer_id": [f"c{number:03d}" for number in who[order]],
            "timestamp": pa.array(when_us[order]).cast(pa.timestamp("us")),
            "order_id": order,
            "amount": np.where(is_return, -amount, amount),
            "discount": discount,
            "store_id": pa.array([f"s{number}" for number in store[order]], mask=store[order] < 0),
            "channel": pa.array([f"ch{number}" for number in channel[order]], mask=channel[order] < 0),
            "category": pa.array(category, mask=category < 0),
            "is_return": is_return,
        }
    )


def _draw_others(random: np.random.Generator) -> pa.Table:
    num = 6_000
    kinds = np.array(["visit", "login", "feedback", "complaint", "contact"])[random.integers(0, 5, num)]
    when_us = _START_US + random.permutation(300 * 24 * 60)[:num].astype(np.int64) * 60_000_000
    return pa.table(
        {
            "customer_id": [f"c{number:03d}" for number in random.integers(0, 320, num)],
            "timestamp": pa.array(when_us).cast(pa.timestamp("us")),
            "kind": kinds,
            "rating": pa.array(random.integers(0, 11, num) / 2, mask=kinds != "feedback"),
        }
    )


def check_equal(connection: duckdb.DuckDBPyConnection, store: Path, events: str, as_of_us: int, folder: Path) -> set[str]:
    """Every number of every customer; returns the indicators that are known of somebody."""
    write_feature_table(History.open(store), folder / "found.arrow", as_of_us=as_of_us)
    found = pa.ipc.open_file(folder / "found.arrow").read_all()
    expected = compute(connection, events, as_of_us)
    assert expected.column_names == found.column_names
    ids = [str(one) for one in expected["customer_id"].to_pylist()]
    order = np.argsort(np.array(ids))
    place = np.argsort(np.array(found["customer_id"].to_pylist()))
    assert [ids[row] for row in order] == [found["customer_id"][int(row)].as_py() for row in place]

    has_ties = _customers_with_ties(connection, events, as_of_us)
    is_clear = np.array([ids[row] not in has_ties for row in order])
    assert is_clear.mean() > 0.5
    known = set()
    for name in INDICATOR_COLUMNS:
        values, wanted = _floats(found[name])[place], _floats(expected[name])[order]
        chosen = is_clear if name in _TELL_THE_LAST else slice(None)
        np.testing.assert_allclose(
            values[chosen], wanted[chosen], rtol=1e-5, atol=1e-6, err_msg=f"{name} as of {format_instant(as_of_us)}"
        )
        if not np.isnan(wanted).all():
            known.add(name)
    return known


def _customers_with_ties(connection: duckdb.DuckDBPyConnection, events: str, as_of_us: int) -> set[str]:
    """Who has two events of a kind at one instant."""
    rows = connection.execute(
        f"""SELECT DISTINCT customer_id FROM (
                SELECT customer_id FROM {events} WHERE timestamp_us < {as_of_us} AND kind IN ('purchase', 'feedback')
                GROUP BY customer_id, kind, timestamp_us HAVING count(*) > 1)"""
    ).fetchall()
    return {str(row[0]) for row in rows}


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return column.cast(pa.float64()).to_numpy()
