"""Ingest into a store that is there already: what comes again, what is corrected, what a night adds, what a kill left."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.history import History
from engine.ingest import FileStatus, ingest, storing
from engine.ingest import job as ingest_module
from engine.schema import EventKind
from tests.engine.conftest import WriteSource, list_files
from tests.engine.source_rows import T, bad_rows_csv, brief


def test_the_same_file_again_changes_nothing_and_is_skipped(store: Path, write_text: WriteSource) -> None:
    path = bad_rows_csv(write_text)
    path.write_text(path.read_text().replace("2261", "1850"))  # no future row: those may become good
    first = ingest(store, [path, path], columns={"customer_id": "who"})
    assert [file.status for file in first.files] == [FileStatus.INGESTED, FileStatus.REPEATED]
    assert first.num_rows == 14
    before = list_files(store)
    copy = path.with_name("another name.csv")
    copy.write_bytes(path.read_bytes())
    again = ingest(store, [copy, path], columns={"customer_id": "who"})
    assert [file.status for file in again.files] == [FileStatus.SKIPPED, FileStatus.SKIPPED]
    assert (again.num_rows, again.num_events_new, again.num_events_unchanged) == (0, 0, 0)
    assert again.manifest == first.manifest
    assert list_files(store) == before


def test_the_same_orders_from_another_file_change_no_part(store: Path, write_text: WriteSource) -> None:
    lines = [f"a,{T(1)},5,x", f"a,{T(1)},6,x", f"b,{T(2)},7,y"]
    ingest(store, [write_text("t.csv", "customer_id,timestamp,amount,order_id", *lines)])
    parts = History.open(store).manifest.parts
    report = ingest(store, [write_text("u.csv", "customer_id,timestamp,amount,order_id", *reversed(lines))])
    assert (report.num_events_new, report.num_events_replaced, report.num_events_unchanged) == (0, 0, 2)
    assert report.manifest.parts == parts
    assert len(report.manifest.sources) == 2


def test_a_corrected_order_replaces_the_old_one_and_leaves_its_return(store: Path, write_text: WriteSource) -> None:
    header = "customer_id,timestamp,amount,order_id,is_return,store_id"
    ingest(
        store, [write_text("t.csv", header, f"a,{T(1)},5,x,no,s1", f"a,{T(1)},-2,x,yes,s1", f"a,{T(2)},7,y,no,s2")], num_buckets=1
    )
    report = ingest(store, [write_text("u.csv", header, f"a,{T(3)},4,x,no,s3", f"b,{T(3)},1,x,no,s2")])
    assert (report.num_events_new, report.num_events_replaced, report.num_events_unchanged) == (1, 1, 0)
    assert brief(store) == [
        ("a", EventKind.RETURN, -200),
        ("a", EventKind.PURCHASE, 700),
        ("a", EventKind.PURCHASE, 400),
        ("b", EventKind.PURCHASE, 100),
    ]
    partition = History.open(store).partition(0)
    assert partition.store_names == ["s1", "s2", "s3"]


def test_another_mapping_of_the_same_file_is_another_ingest(store: Path, write_text: WriteSource) -> None:
    path = write_text("t.csv", "customer_id,timestamp,net,gross,order_id", f"a,{T(1)},5,6,x")
    ingest(store, [path], columns={"amount": "net"})
    report = ingest(store, [path], columns={"amount": "gross"})
    assert report.num_events_replaced == 1
    assert brief(store) == [("a", EventKind.PURCHASE, 600)]
    assert len(report.manifest.sources) == 1


def test_a_file_with_rows_in_the_future_is_read_again(
    store: Path, write_text: WriteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    path = write_text("t.csv", "customer_id,timestamp", f"a,{T(1)}", f"a,{tomorrow.isoformat()}")
    first = ingest(store, [path])
    assert first.bad_rows == {"timestamp in the future": 1}
    before = list_files(store)
    assert ingest(store, [path]).files[0].status == FileStatus.INGESTED
    assert list_files(store) == before
    later_ns = time.time_ns() + 2 * 86_400 * 10**9
    monkeypatch.setattr(ingest_module.time, "time_ns", lambda: later_ns)
    second = ingest(store, [path])
    assert second.num_events_new == 1
    assert second.manifest.num_bad_rows == 0
    assert first.files[0].quarantine is not None
    assert not first.files[0].quarantine.exists()


def test_a_later_file_adds_a_part_to_the_buckets_that_it_touches_and_leaves_the_others(
    store: Path, write_text: WriteSource
) -> None:
    ingest(store, [write_text("1.csv", "customer_id,timestamp", *(f"c{number},{T(1)}" for number in range(40)))], num_buckets=8)
    before = list_files(store)
    ingest(store, [write_text("2.csv", "customer_id,timestamp", f"c7,{T(2)}")])
    history = History.open(store)
    after = list_files(store)
    assert {name: after[name] for name in before if name.endswith(".arrow")} == {
        name: data for name, data in before.items() if name.endswith(".arrow")
    }
    bucket = history.bucket_of("c7")
    assert {number: len(parts) for number, parts in history.manifest.parts_by_bucket().items()} == {
        number: 1 + (number == bucket) for number in range(8)
    }
    assert history.manifest.parts_by_bucket()[bucket][1].num_events == 1


def test_a_bucket_of_many_parts_is_folded_and_its_old_parts_stay_for_one_more_ingest(
    store: Path, write_text: WriteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_PARTS", 2)

    def ingest_day(day: int) -> tuple[int, int]:
        """Parts that count, and parts that are there."""
        ingest(store, [write_text(f"{day}.csv", "customer_id,timestamp", f"a,{T(day)}")], num_buckets=1)
        return len(History.open(store).manifest.parts), len(list(store.rglob("*.events.arrow")))

    assert [ingest_day(1), ingest_day(2)] == [(1, 1), (2, 2)]
    opened = History.open(store)
    opened_but_not_mapped = History.open(store)
    partition = opened.partition(0)
    assert ingest_day(3) == (1, 3)
    assert opened_but_not_mapped.partition(0).num_events == 2
    assert ingest_day(4) == (2, 2)
    assert partition.num_events == 2
    assert partition.timestamp_us[0] == opened.manifest.first_event_us
    assert History.open(store).partition(0).num_events == 4


def test_small_later_parts_are_folded_among_themselves(
    store: Path, write_text: WriteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_PARTS", 2)
    times = [f"a,2017-01-0{day} {hour:02d}:00:00" for day in range(1, 9) for hour in range(24)]
    ingest(store, [write_text("1.csv", "customer_id,timestamp", *times)], num_buckets=1)
    (first,) = History.open(store).manifest.parts
    for day in (2, 3):
        ingest(store, [write_text(f"{day}.csv", "customer_id,timestamp", f"b,{T(day)}")])
    kept, later = History.open(store).manifest.parts
    assert kept == first
    assert later.num_events == 2
    assert History.open(store).manifest.num_events == 8 * 24 + 2


def test_what_a_killed_ingest_left_is_swept(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("1.csv", "customer_id,timestamp", f"a,{T(1)}")])
    history = store / "history"
    left = [
        history / "staging" / "0000.lines.arrows",
        history / ".manifest.json.123.tmp",
        history / "bucket=0001" / "0123.events.arrow",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left over")
    ingest(store, [write_text("2.csv", "customer_id,timestamp", f"a,{T(2)}")])
    assert not any(path.exists() for path in left)
    assert not (history / "staging").exists()
    assert History.open(store).verify() == []
