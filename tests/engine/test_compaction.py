"""Compaction: fewer parts, the same events."""

from __future__ import annotations

import shutil
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from engine.errors import IntegrityError, InvalidArgumentError, NoHistoryError, StoreBusyError
from engine.files import writer_lock
from engine.history import History
from engine.ingest import ingest
from engine.upkeep import compact, inspect_history
from tests.breaking_off import break_off_at
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


@pytest.mark.parametrize("num_buckets", [4, 8, 20])
def test_a_split_history_is_the_one_that_had_so_many_buckets_from_the_beginning(
    grown: Path, tmp_path: Path, num_buckets: int
) -> None:
    report = compact(grown, num_buckets=num_buckets)
    after = History.open(grown)
    assert (report.num_buckets_before, after.num_buckets) == (4, num_buckets)
    assert decode(after) == build_events(FINAL)
    assert inspect_history(grown).problems == ()
    ingest(tmp_path / "at once", [write_rows(tmp_path / "all.parquet", FINAL)], num_buckets=num_buckets)
    at_once = History.open(tmp_path / "at once").manifest
    assert after.manifest.parts == at_once.parts
    assert after.manifest.totals == at_once.totals


@pytest.mark.parametrize("num_buckets", [2, 6, 4098])
def test_a_history_is_split_into_a_multiple_of_its_buckets_only(grown: Path, num_buckets: int) -> None:
    before = list_files(grown)
    with pytest.raises(InvalidArgumentError, match=f"num_buckets: found {num_buckets}, expected"):
        compact(grown, num_buckets=num_buckets)
    assert list_files(grown) == before


def test_a_split_that_breaks_off_anywhere_leaves_the_same_events_and_is_done_by_a_rerun(
    grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off at each step of the file system in turn, until one run goes through."""
    for moment in range(1, 80):
        store = tmp_path / str(moment)
        shutil.copytree(grown, store)
        with monkeypatch.context() as patch:
            is_whole = break_off_at(patch, moment, partial(compact, store, num_buckets=8))
        history = History.open(store)
        assert history.num_buckets in (4, 8)
        assert decode(history) == build_events(FINAL)
        compact(store, num_buckets=8)
        assert decode(History.open(store)) == build_events(FINAL)
        if is_whole:
            return
    pytest.fail("no run went through")


def test_a_split_history_takes_in_more_as_before(grown: Path, tmp_path: Path) -> None:
    compact(grown, num_buckets=8)
    more = [
        Row(customer_id=f"c{index}", timestamp_us=index + 99, amount=Decimal(1), order_id="more") for index in range(0, 60, 7)
    ]
    ingest(grown, [write_rows(tmp_path / "more.parquet", more)])
    assert decode(History.open(grown)) == build_events([*FINAL, *more])
    assert inspect_history(grown).problems == ()


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
