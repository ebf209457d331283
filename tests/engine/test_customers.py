"""Customers one by one: what folding whole buckets says, and which of their events nothing came to change."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from engine.hashing import hash_text
from engine.history import History, customers
from engine.history.customer_events import CustomerEvents, NameBook, merge, sort_events
from engine.history.customers import CustomerLookup, FoundCustomer
from engine.history.parts import map_part
from engine.ingest import ingest
from engine.schema import EVENT_SCHEMA
from engine.upkeep import compact

FIELDS = ("customer_id", "timestamp", "amount", "order_id", "store_id", "channel", "kind")
NUMBERS = [name for name in EVENT_SCHEMA.names if name not in ("order_key", "store_code", "channel_code")]


def take_in(store: Path, rows: Iterable[tuple[object, ...]], name: str) -> History:
    path = store.parent / name
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([FIELDS, *rows])
    ingest(store, [path], num_buckets=3)
    return History.open(store)


def random_rows(seed: int) -> list[tuple[object, ...]]:
    """Orders with ids that come again in later files, at times that coincide, and visits."""
    draw = np.random.default_rng(seed)
    return [
        (
            f"kunde {draw.integers(12)}",
            f"2024-0{draw.integers(1, 6)}-1{draw.integers(10)}",
            int(draw.integers(-5, 90)),
            f"order {draw.integers(40)}" if draw.random() < 0.7 else "",
            draw.choice(["", "nord", f"shop {seed}"]),
            draw.choice(["", "web"]),
            draw.choice(["", "visit"], p=[0.8, 0.2]),
        )
        for _ in range(60)
    ]


def find(history: History, customer_id: str, settled: History | None) -> FoundCustomer | None:
    parts = settled.manifest.parts_by_bucket() if settled is not None else {}
    hashes = {bucket: [part.sha256 for part in of_bucket] for bucket, of_bucket in parts.items()}
    return CustomerLookup(history).find(customer_id, hash_text(customer_id) % history.num_buckets, settled=hashes)


@pytest.mark.parametrize("seed", range(4))
def test_a_customer_is_what_the_folded_bucket_says_of_them(tmp_path: Path, seed: int) -> None:
    store = tmp_path / "store"
    states = [take_in(store, random_rows(10 * seed + night), f"{night}.csv") for night in range(4)]
    history = states[-1]
    for partition in history.partitions():
        for row, customer_id in enumerate(partition.customer_ids.to_pylist()):
            found = find(history, customer_id, states[1])
            assert found is not None
            rows = slice(partition.offsets[row], partition.offsets[row + 1])
            for name in NUMBERS:
                np.testing.assert_array_equal(found.events.columns[name], getattr(partition, name)[rows])
            for name, names in (("store_code", partition.store_names), ("channel_code", partition.channel_names)):
                expected = [names[code] if code >= 0 else "" for code in getattr(partition, name)[rows]]
                assert [found.events.books[name].name(int(code)) for code in found.events.columns[name]] == expected
            before = find(states[1], customer_id, states[1])
            if before is None:
                assert found.num_settled == 0
                continue
            assert before.num_settled == before.events.num_events
            settled = slice(0, found.num_settled)
            for name in (*NUMBERS, "order_key"):
                np.testing.assert_array_equal(found.events.columns[name][settled], before.events.columns[name][settled])
    assert find(history, "nobody", None) is None


def test_where_the_earlier_parts_are_gone_nothing_is_settled(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = take_in(store, [("a", "2024-01-01", 5, "", "", "", "")], "1.csv")
    second = take_in(store, [("a", "2024-01-02", 6, "", "", "", "")], "2.csv")
    found = find(second, "a", first)
    assert found is not None
    assert (found.num_settled, found.events.num_events) == (1, 2)
    compact(store)
    for settled in (first, None):
        merged = find(History.open(store), "a", settled)
        assert merged is not None
        assert (merged.num_settled, merged.events.num_events) == (0, 2)


def test_prefaulting_opens_the_parts_that_fit_for_as_long_as_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = take_in(tmp_path / "store", random_rows(0), "1.csv")
    opened: list[str] = []
    monkeypatch.setattr(customers, "map_part", lambda folder, part: [opened.append(part.path), map_part(folder, part)][1])
    first, *others = history.manifest.parts
    assert others
    lookup = CustomerLookup(history)
    assert lookup.prefault(most_bytes=1 << 40, is_wanted=lambda: False) == 0
    lookup.prefault(most_bytes=first.customers_bytes + first.events_bytes, is_wanted=lambda: True)
    assert opened == [first.path]
    num_bytes = lookup.prefault(most_bytes=1 << 40, is_wanted=lambda: True)
    assert opened == [part.path for part in history.manifest.parts]
    assert 0 <= num_bytes <= sum(part.customers_bytes + part.events_bytes for part in history.manifest.parts)
    for number in range(12):
        customer_id = f"kunde {number}"
        lookup.find(customer_id, hash_text(customer_id) % history.num_buckets, settled={})
    assert len(opened) == len(history.manifest.parts)  # no look-up had to open one


def events(*rows: tuple[int, int, int, int, str]) -> CustomerEvents:
    """(time, order key, kind, amount, store) of each."""
    columns = {field.name: np.zeros(len(rows), field.type.to_pandas_dtype()) for field in EVENT_SCHEMA}
    book = NameBook()
    for index, (time_us, order_key, kind, amount, store) in enumerate(rows):
        for name, value in (("timestamp_us", time_us), ("order_key", order_key), ("kind", kind), ("amount_minor", amount)):
            columns[name][index] = value
        columns["store_code"][index] = book.code(store)
    columns["channel_code"][:] = -1
    return CustomerEvents(columns=sort_events(columns), books={"store_code": book, "channel_code": NameBook()})


OLD_ROWS = ((10, 1, 1, 100, "a"), (20, 2, 1, 200, "b"), (30, 3, 3, 0, ""))


@pytest.mark.parametrize(
    ("newer", "times", "num_kept", "num_added", "num_replaced"),
    [
        (events((40, 4, 1, 5, "c")), [10, 20, 30, 40], 3, 1, 0),
        (events((30, 2, 2, -5, "c")), [10, 20, 30, 30], 2, 1, 0),  # goods that came back: the same order, another kind
        (events((25, 4, 1, 5, "b")), [10, 20, 25, 30], 2, 1, 0),
        (events((20, 2, 1, 200, "b")), [10, 20, 30], 3, 0, 0),
        (events((20, 2, 1, 200, "a")), [10, 20, 30], 1, 1, 1),
        (events((50, 1, 1, 100, "a")), [20, 30, 50], 0, 1, 1),
        (events((31, 3, 3, 0, "")), [10, 20, 30, 31], 3, 1, 0),  # a visit is known by its time
        (events((5, 9, 1, 1, "z"), (50, 2, 1, 1, "z")), [5, 10, 30, 50], 0, 2, 1),
    ],
)
def test_newer_events_join_replace_or_change_nothing(
    newer: CustomerEvents, times: list[int], num_kept: int, num_added: int, num_replaced: int
) -> None:
    older = events(*OLD_ROWS)
    merged = merge(older, newer)
    assert merged.events.columns["timestamp_us"].tolist() == times
    assert merged.num_kept == num_kept
    assert (len(merged.added["kind"]), len(merged.replaced["kind"])) == (num_added, num_replaced)
    name = merged.events.books["store_code"].name
    found = {(int(t), name(int(code))) for t, code in zip(times, merged.events.columns["store_code"], strict=True)}
    theirs = newer.books["store_code"].name
    assert {
        (int(t), theirs(int(c))) for t, c in zip(newer.columns["timestamp_us"], newer.columns["store_code"], strict=True)
    } <= found
    assert older.books["store_code"].code("new") == events(*OLD_ROWS).books["store_code"].code("new")  # it was not written to
