"""Last orders: the facts of an order as they are stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.history import History
from engine.ingest import ingest
from engine.last_orders import LAST_ORDER_COLUMNS, read_orders

LINES = (
    "customer_id,timestamp,order_id,amount,discount,quantity",
    "ann,2024-01-05,1,9.50,0.50,2",
    "ann,2024-01-05,1,0.25,0,1.5",
    "ann,2024-02-05,2,100000.01,0,7",
    "ann,2024-03-05,3,0,0,1",
)


def test_an_order_is_what_its_lines_come_to(tmp_path: Path) -> None:
    source = tmp_path / "orders.csv"
    source.write_text("\n".join(LINES))
    ingest(tmp_path / "store", [source], num_buckets=1)
    found = read_orders(History.open(tmp_path / "store").partition(0), np.array([2, 0, 1]))
    assert found.dtype == np.float32
    assert LAST_ORDER_COLUMNS == ("amount", "discount_share", "quantity", "lines")
    expected = [[0, 0, 1, 1], [9.75, 0.5 / 10.25, 3.5, 2], [100_000.01, 0, 7, 1]]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
