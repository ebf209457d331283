"""The past holds what was before the instant, all of it and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.history import History
from engine.indicators import compute_summary
from engine.ingest import ingest
from tests.training.conftest import AS_OF_US, draw_orders
from training.data.past import take_past


def test_every_earlier_event_is_there_and_no_other(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    expected: dict[str, list[tuple[int, int]]] = {}
    for partition in history.partitions():
        for row, customer_id in enumerate(partition.customer_ids.to_pylist()):
            rows = range(partition.offsets[row], partition.offsets[row + 1])
            events = [(int(partition.timestamp_us[at]), int(partition.amount_minor[at])) for at in rows]
            if earlier := [event for event in events if event[0] < AS_OF_US]:
                expected[customer_id] = earlier
    found = {
        customer_id: [
            (int(past.timestamp_us[at]), int(past.amount_minor[at])) for at in range(past.offsets[row], past.offsets[row + 1])
        ]
        for row, customer_id in enumerate(past.customer_ids.to_pylist())
    }
    assert found == expected


def test_an_instant_before_all_events_leaves_nothing(history: History) -> None:
    past = take_past(history.partitions(), before_us=0)
    assert (past.num_events, past.num_customers) == (0, 0)


def test_a_sample_takes_whole_customers_and_depends_on_the_seed(history: History) -> None:
    whole = take_past(history.partitions(), before_us=AS_OF_US)
    lengths = dict(zip(whole.customer_ids.to_pylist(), np.diff(whole.offsets), strict=True))
    samples = [
        take_past(history.partitions(), before_us=AS_OF_US, max_events=whole.num_events // 3, seed=seed) for seed in (0, 0, 1)
    ]
    assert samples[0].customer_ids == samples[1].customer_ids != samples[2].customer_ids
    assert 0.2 < samples[0].num_events / whole.num_events < 0.5
    sampled = dict(zip(samples[0].customer_ids.to_pylist(), np.diff(samples[0].offsets), strict=True))
    assert sampled.items() <= lengths.items()


def test_amounts_and_discounts_that_came_later_are_not_known_of(tmp_path: Path) -> None:
    orders = pa.table(draw_orders(num_customers=30))
    is_past = orders["timestamp"].cast(pa.int64()).to_numpy() < AS_OF_US
    later = orders.filter(pa.array(~is_past)).append_column("discount", pa.array(np.ones((~is_past).sum())))
    pq.write_table(orders.filter(pa.array(is_past)).drop_columns(["amount"]), tmp_path / "past.parquet")
    pq.write_table(later, tmp_path / "priced.parquet")
    pq.write_table(later.drop_columns(["amount", "discount"]), tmp_path / "unpriced.parquet")
    seen = []
    for name in ("priced", "unpriced"):
        ingest(tmp_path / name, [tmp_path / "past.parquet", tmp_path / f"{name}.parquet"], num_buckets=2)
        past = take_past(History.open(tmp_path / name).partitions(), before_us=AS_OF_US)
        everybody = np.arange(past.num_customers)
        seen.append(compute_summary(past, everybody, np.full(len(everybody), AS_OF_US)))
    np.testing.assert_array_equal(*seen)
