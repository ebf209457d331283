"""Compaction: fewer parts, the same events."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import IntegrityError, NoHistoryError, StoreBusyError
from engine.files import writer_lock
from engine.history import History
from engine.ingest import ingest
from engine.upkeep import compact
from tests.engine.conftest import list_files
from tests.engine.reference_history import Row, build_events, decode, write_rows

OLD = [Row(customer_id=f"c{index}", timestamp_us=index, amount=Decimal(index), order_id="old") for index in range(50)]
NEW = [Row(customer_id=f"c{index}", timestamp_us=index + 9, amount=Decimal(index), order_id="new") for index in range(9)]
CORRECTED = [Row(customer_id="c3", timestamp_us=2, amount=Decimal(99), order_id="old")]
FINAL = [*(row for row in OLD if row.customer_id != "c3"), *NEW, *CORRECTED]


@pytest.fixture
def grown(store: Path, tmp_path: Path) -> Path:
    for name, rows in (("1", OLD), ("2", NEW), ("3", CORRECTED)):
        ingest(store, [write_rows(tmp_path / f"{name}.parquet", rows)], num_buckets=4)
    return store


def test_the_events_stay_and_each_bucket_has_one_part(grown: Path, tmp_path: Path) -> None:
    before = History.open(grown)
    assert decode(before) == build_events(FINAL)
    report = compact(grown)
    after = History.open(grown)
    assert decode(after) == build_events(FINAL)
    assert len(after.manifest.parts) == 4 < report.num_parts_before
    assert report.num_events_replaced == 1
    assert after.manifest.totals == before.manifest.totals
    assert after.verify() == []
    assert not after.partition(0).timestamp_us.flags.owndata  # mapped, not copied

    ingest(tmp_path / "at once", [write_rows(tmp_path / "all.parquet", FINAL)], num_buckets=4)
    at_once = History.open(tmp_path / "at once").manifest
    assert after.manifest.parts == at_once.parts
    assert after.manifest.totals == at_once.totals


def test_a_second_compaction_changes_nothing(grown: Path) -> None:
    compact(grown)
    before = list_files(grown)
    report = compact(grown)
    assert report.num_buckets_folded == 0
    assert list_files(grown) == before


def test_a_damaged_part_is_not_folded_into_one_whose_hash_fits(grown: Path) -> None:
    damaged = sorted((grown / "history").glob("bucket=*/*.events.arrow"))[0]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    before = (grown / "history" / "manifest.json").read_bytes()
    with pytest.raises(IntegrityError, match=f"{damaged.name.split('.')[0]}.* hash to .*; restore the file"):
        compact(grown)
    assert (grown / "history" / "manifest.json").read_bytes() == before


def test_readers_of_the_old_parts_go_on(grown: Path) -> None:
    before = History.open(grown)
    compact(grown)
    assert decode(before) == build_events(FINAL)


def test_without_a_history_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(NoHistoryError, match="run `ebbtide ingest"):
        compact(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_only_one_writer(grown: Path) -> None:
    with writer_lock(grown / "history"), pytest.raises(StoreBusyError):
        compact(grown)
