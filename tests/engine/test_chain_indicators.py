"""The indicators of the whole chain are those of its customers, one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.chain_indicators import compute_chain_indicators
from engine.errors import AsOfError
from engine.history import History
from engine.indicators import NUM_COLUMNS, compute_indicators
from engine.ingest import ingest
from engine.instants import DAY_US, parse_instant
from tests.engine.conftest import WriteSource

AS_OF_US = parse_instant("2024-02-15")


@pytest.mark.parametrize("num_threads", [1, 3, None])
def test_everybodys_numbers_are_each_ones_numbers(store: Path, write_text: WriteSource, num_threads: int | None) -> None:
    orders = [f"c{number % 40},2024-0{1 + number % 3}-{1 + number % 28:02d},{number}" for number in range(1, 300)]
    ingest(store, [write_text("log.csv", "customer_id,timestamp,amount", *orders)], num_buckets=64)
    history = History.open(store)
    found = compute_chain_indicators(history, AS_OF_US, num_threads=num_threads)
    assert found.values.shape == (40, NUM_COLUMNS)
    assert sorted(found.customer_ids.to_pylist()) == sorted(f"c{number}" for number in range(40))
    for customer_id, values in zip(found.customer_ids.to_pylist(), found.values, strict=True):
        partition, row = history.find(customer_id)
        np.testing.assert_array_equal(values, compute_indicators(partition, np.array([row]), AS_OF_US)[0])


def test_an_instant_after_the_log_is_refused(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("log.csv", "customer_id,timestamp", "a,2024-01-01")])
    with pytest.raises(AsOfError):
        compute_chain_indicators(History.open(store), AS_OF_US + 99 * DAY_US)
