"""Rescoring from kept states: the scores of a full one, whatever happened to the history in between."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import IntegrityError
from engine.executors import InlineExecutor
from engine.history import Buffers, Continuation, History, Reach, checks
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant
from engine.last_orders import read_orders
from engine.partition import Partition
from engine.upkeep import compact, erase_from_history
from kernels import fingerprint_events
from serving.rescoring import bucket_task, memory
from serving.rescoring.rescore import RescoreReport, rescore
from serving.snapshots import erase_from_snapshots, floats, open_snapshot, set_current, snapshot_folder
from tests.serving.conftest import TRAINED_AS_OF_US

_WEEK_US = 7 * DAY_US
_SCORES = ("churn_probability", "expected_days_to_purchase", "survival", "state")
_SAME = ("customer_id", "store_id", "last_purchase_us", "num_orders", "num_events", "last_event_us", "fingerprint")


def run(store: Path, as_of_us: int, *, full: bool = False) -> RescoreReport:
    with InlineExecutor(num_threads=2) as executor:
        return rescore(store, as_of_us=as_of_us, executor=executor, device="cpu", full=full)


def run_both(store: Path, as_of_us: int) -> tuple[RescoreReport, RescoreReport]:
    """From kept states and in full; the first stays the one that is served and begun from."""
    rolled = run(store, as_of_us)
    full = run(store, as_of_us, full=True)
    set_current(store, rolled.snapshot_id)
    return rolled, full


def assert_same_scores(store: Path, ours: str, theirs: str, *, within: float = 1e-5) -> None:
    for one, other in zip(open_snapshot(store, ours).files, open_snapshot(store, theirs).files, strict=True):
        for name in _SAME:
            assert one.column(name).equals(other.column(name)), name
        for name in ("rhythm", "last_order", "summary"):
            np.testing.assert_array_equal(*(file.column(name).flatten().to_numpy() for file in (one, other)))
        for name in _SCORES:
            values = [_numbers(file.column(name)) for file in (one, other)]
            assert np.abs(values[0] - values[1]).max(initial=0.0) <= within * max(1.0, np.abs(values[1]).max(initial=0.0)), name


def _numbers(column: pa.Array) -> np.ndarray:
    return (column.flatten() if isinstance(column, pa.FixedSizeListArray) else column).to_numpy()


def ingest_lines(store: Path, *lines: str, columns: str = "customer_id,timestamp,order_id,amount,store_id") -> None:
    source = store / "more.csv"
    source.write_text("\n".join([columns, *lines]))
    ingest(store, [source])


def at(as_of_us: int, days: float) -> str:
    return format_instant(as_of_us + round(days * DAY_US))


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    """A copy of the trained store without snapshots; its orders go on for sixty days after the instant of the training."""
    copy = tmp_path / "store"
    shutil.copytree(trained_store, copy, ignore=shutil.ignore_patterns("snapshots"))
    return copy


def first_customer(store: Path) -> str:
    """Somebody who is scored as of the training's instant."""
    batch = next(file for file in open_snapshot(store, run(store, TRAINED_AS_OF_US).snapshot_id).files if file.num_rows)
    return str(batch.column("customer_id")[0])


def new_orders(store: Path, as_of_us: int) -> None:
    ingest_lines(store, *(f"customer {n},{at(as_of_us, -2)},new{as_of_us}-{n},9,east" for n in range(0, 60, 3)))


def late_orders(store: Path, as_of_us: int) -> None:
    ingest_lines(store, *(f"customer {n},{at(as_of_us, -30)},late{as_of_us}-{n},9,north" for n in range(0, 60, 7)))


def corrections(store: Path, as_of_us: int) -> None:
    ingest_lines(store, f"customer 1,{at(as_of_us, -40)},o1,5,south", f"customer 2,{at(as_of_us, -41)},o2,5,south")
    run(store, as_of_us - _WEEK_US)
    ingest_lines(store, f"customer 1,{at(as_of_us, -40)},o1,77,south", f"customer 2,{at(as_of_us, -35)},o2,5,south")


def forgetting(store: Path, as_of_us: int) -> None:
    customer = first_customer(store)
    erase_from_history(store, customer)
    erase_from_snapshots(store, customer)


def coming_back_after_forgetting(store: Path, as_of_us: int) -> None:
    forgetting(store, as_of_us)
    ingest_lines(store, f"customer 5,{at(as_of_us, -3)},back,9,east")


def compaction(store: Path, as_of_us: int) -> None:
    new_orders(store, as_of_us)
    compact(store)


@pytest.mark.parametrize(
    "happen",
    [new_orders, late_orders, corrections, forgetting, coming_back_after_forgetting, compaction],
    ids=lambda one: one.__name__,
)
def test_the_scores_are_those_of_a_full_rescoring_whatever_happened(store: Path, happen: Callable[[Path, int], None]) -> None:
    before = run(store, TRAINED_AS_OF_US)
    as_of_us = TRAINED_AS_OF_US + _WEEK_US
    happen(store, as_of_us)
    rolled, full = run_both(store, as_of_us)
    assert rolled.begun_from
    assert not full.begun_from
    assert rolled.snapshot_id != full.snapshot_id
    assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)
    for report in (rolled, full):
        assert report.num_rolled_on + report.num_unchanged + report.num_begun_anew == report.num_customers
    assert full.num_begun_anew == full.num_customers
    assert rolled.num_rolled_on > 10 < rolled.num_unchanged
    assert 0 < rolled.num_begun_anew < 40
    assert rolled.num_events_read < full.num_events_read / 2
    assert before.num_begun_anew == before.num_customers


def test_the_last_order_is_that_of_the_history_whatever_happened_to_it(store: Path) -> None:
    run(store, TRAINED_AS_OF_US)
    columns = "customer_id,timestamp,order_id,amount,quantity,discount,store_id"
    as_of_us = TRAINED_AS_OF_US
    for amount, days in ((41.25, -2), (7.5, -2), (7.5, -30), (1234.56, -1)):  # new, corrected, moved into the past, back again
        as_of_us += DAY_US
        ingest_lines(
            store,
            *(f"customer {n},{at(as_of_us, days)},last-{n},{amount + n},{n + 1},0.75,east" for n in range(40)),
            columns=columns,
        )
        rolled, full = run_both(store, as_of_us)
        assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)
        snapshot, history = open_snapshot(store, rolled.snapshot_id), History.open(store)
        for file in snapshot.files:
            kept = dict(zip(file.column("customer_id").to_pylist(), floats(file, "last_order"), strict=True))
            for customer_id, last_order in kept.items():
                partition, customer = history.find(customer_id)
                rows = np.arange(partition.offsets[customer], partition.offsets[customer + 1])
                last = rows[partition.is_purchase[rows] & (partition.timestamp_us[rows] < as_of_us)][-1:]
                np.testing.assert_array_equal(last_order[None], read_orders(partition, last))


def test_weeks_of_it_do_not_drift(store: Path) -> None:
    for week in range(8):
        as_of_us = TRAINED_AS_OF_US + week * _WEEK_US
        [new_orders, late_orders, corrections, compaction][week % 4](store, as_of_us)
        rolled, full = run_both(store, as_of_us)
        assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)


def test_ten_nights_do_not_drift(store: Path) -> None:
    reports = [run(store, TRAINED_AS_OF_US + night * DAY_US) for night in range(11)]
    assert [report.begun_from for report in reports[1:]] == [report.snapshot_id for report in reports[:-1]]
    full = run(store, TRAINED_AS_OF_US + 10 * DAY_US, full=True)
    assert_same_scores(store, reports[-1].snapshot_id, full.snapshot_id)


def test_the_same_history_at_the_same_instant_is_not_scored_twice(store: Path) -> None:
    run(store, TRAINED_AS_OF_US)
    rolled = run(store, TRAINED_AS_OF_US + DAY_US)
    again = run(store, TRAINED_AS_OF_US + DAY_US)
    assert (again.snapshot_id, again.num_buckets_scored) == (rolled.snapshot_id, 0)
    full = run(store, TRAINED_AS_OF_US + DAY_US, full=True)
    assert full.num_buckets_scored == full.num_buckets
    assert run(store, TRAINED_AS_OF_US + DAY_US, full=True).num_buckets_scored == 0


def test_a_later_snapshot_is_not_begun_from(store: Path) -> None:
    run(store, TRAINED_AS_OF_US + _WEEK_US)
    assert run(store, TRAINED_AS_OF_US).begun_from == ""


def test_a_damaged_bucket_of_the_last_snapshot_begins_anew_and_is_told_of(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = run(store, TRAINED_AS_OF_US)
    path = snapshot_folder(store, first.snapshot_id) / "bucket=0001.arrow"
    num_there = open_snapshot(store, first.snapshot_id).files[1].num_rows
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        rolled = run(store, TRAINED_AS_OF_US + DAY_US)
    assert len(caplog.messages) == 1
    assert str(path) in caplog.messages[0]
    assert rolled.num_begun_anew >= num_there - 3
    assert rolled.num_unchanged > 10
    full = run(store, TRAINED_AS_OF_US + DAY_US, full=True)
    assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)


def test_a_last_snapshot_that_cannot_be_read_is_told_of_and_everybody_begins_anew(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(store, TRAINED_AS_OF_US)
    (snapshot_folder(store, first.snapshot_id) / "manifest.json").write_text('{"schema_version": 2}')
    with caplog.at_level(logging.WARNING):
        report = run(store, TRAINED_AS_OF_US + DAY_US)
    assert report.begun_from == ""
    assert len(caplog.messages) == 1
    assert first.snapshot_id in caplog.messages[0]


def test_a_damaged_snapshot_is_mended_from_what_it_began_from(store: Path) -> None:
    run(store, TRAINED_AS_OF_US)
    rolled = run(store, TRAINED_AS_OF_US + DAY_US)
    path = snapshot_folder(store, rolled.snapshot_id) / "bucket=0002.arrow"
    before = path.read_bytes()
    path.write_bytes(b"damaged")
    mended = run(store, TRAINED_AS_OF_US + DAY_US)
    assert (mended.snapshot_id, mended.num_buckets_scored) == (rolled.snapshot_id, 1)
    assert path.read_bytes() == before


def test_a_part_that_changed_since_it_was_hashed_is_refused_and_named(store: Path) -> None:
    run(store, TRAINED_AS_OF_US)
    history = History.open(store)
    path = store / "history" / history.manifest.parts[0].files[1][0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=history.manifest.parts[0].path):
        run(store, TRAINED_AS_OF_US + DAY_US)


def test_a_part_that_rots_without_a_trace_is_found_in_its_turn(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_identities", lambda history, part: [])  # the file system says nothing
    monkeypatch.setattr(bucket_task, "_NIGHTS_OF_A_ROUND", 3)
    run(store, TRAINED_AS_OF_US)
    history = History.open(store)
    path = store / "history" / history.manifest.parts[0].files[1][0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    bucket = history.manifest.parts[0].bucket
    nights = [TRAINED_AS_OF_US + night * DAY_US for night in range(1, 4)]
    turn = next(as_of_us for as_of_us in nights if (as_of_us // DAY_US + bucket) % 3 == 0)
    with pytest.raises(IntegrityError, match=history.manifest.parts[0].path):
        run(store, turn)


def test_nights_that_correct_the_night_before_give_the_scores_of_a_full_rescoring(store: Path) -> None:
    run(store, TRAINED_AS_OF_US)
    for night in range(1, 5):
        as_of_us = TRAINED_AS_OF_US + night * DAY_US
        ingest_lines(
            store,
            *(f"customer {n},{at(as_of_us, -0.5)},night{night}-{n},9,east" for n in range(0, 60, 2)),
            *(f"customer {n},{at(as_of_us, -1.5)},night{night - 1}-{n},5,west" for n in range(0, 60, 6)),
            *(f"customer {n},{at(as_of_us, -1.6)},before{night}-{n},5,west" for n in range(2, 60, 6)),
        )
        rolled, full = run_both(store, as_of_us)
        assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)
        assert rolled.num_rolled_on > 5


def test_who_is_settled_has_no_event_read_that_its_state_covers(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, TRAINED_AS_OF_US)
    walked = []

    def count(*arguments: np.ndarray) -> np.ndarray:
        walked.append(len(arguments[-1]))
        return fingerprint_events(*arguments)

    monkeypatch.setattr(memory, "fingerprint_events", count)
    report = run(store, TRAINED_AS_OF_US + _WEEK_US)
    assert sum(walked) == report.num_begun_anew < report.num_rolled_on


def test_a_snapshot_that_does_not_tell_its_parts_is_begun_from_all_the_same(store: Path) -> None:
    first = run(store, TRAINED_AS_OF_US)
    path = snapshot_folder(store, first.snapshot_id) / "manifest.json"
    manifest = json.loads(path.read_bytes())
    assert all(file.pop("parts") for file in manifest["files"])
    path.write_text(json.dumps(manifest))
    set_current(store, first.snapshot_id)
    new_orders(store, TRAINED_AS_OF_US + DAY_US)
    rolled, full = run_both(store, TRAINED_AS_OF_US + DAY_US)
    assert rolled.begun_from == first.snapshot_id
    assert rolled.num_rolled_on + rolled.num_unchanged > 10
    assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)


def test_what_lies_further_back_than_a_year_is_not_put_together_and_not_missed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[tuple[int, int]] = []
    join = Continuation.join

    def count(self: Continuation, chosen: np.ndarray, *rest: Reach | Buffers) -> Partition:
        partition = join(self, chosen, *rest)
        older_begin, older_end, newer_begin, newer_end = (rows[chosen] for rows in self.runs)
        joined.append((partition.num_events, int((older_end - older_begin + newer_end - newer_begin).sum())))
        return partition

    for month in range(18):
        as_of_us = TRAINED_AS_OF_US + month * 30 * DAY_US
        ingest_lines(store, *(f"customer {n},{at(as_of_us, -0.5 - n / 40)},month{month}-{n},9,east" for n in range(0, 60, 2)))
        run(store, as_of_us)
    as_of_us += _WEEK_US
    ingest_lines(store, *(f"customer {n},{at(as_of_us, -0.5)},last{n},9,east" for n in range(0, 60, 3)))
    monkeypatch.setattr(Continuation, "join", count)
    rolled = run(store, as_of_us)
    monkeypatch.undo()
    full = run(store, as_of_us, full=True)
    assert rolled.num_rolled_on >= 10
    assert 0 < sum(there for there, _ in joined) < 0.9 * sum(of_all for _, of_all in joined)
    assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)


def test_a_history_that_was_split_has_the_same_scores_and_begins_anew_once(store: Path) -> None:
    def scores(snapshot_id: str) -> pa.Table:
        columns = ["customer_id", *_SCORES[:2], *_SAME[1:]]
        batches = [file.select(columns) for file in open_snapshot(store, snapshot_id).files]
        return pa.Table.from_batches(batches).sort_by("customer_id")

    before = run(store, TRAINED_AS_OF_US)
    compact(store, num_buckets=3 * History.open(store).num_buckets)
    after = run(store, TRAINED_AS_OF_US)
    assert (after.begun_from, after.num_buckets) == ("", 3 * before.num_buckets)
    assert scores(after.snapshot_id).equals(scores(before.snapshot_id))
    new_orders(store, TRAINED_AS_OF_US + DAY_US)
    rolled, full = run_both(store, TRAINED_AS_OF_US + DAY_US)
    assert rolled.begun_from == after.snapshot_id
    assert_same_scores(store, rolled.snapshot_id, full.snapshot_id)


def test_the_report_says_where_the_time_went_and_what_it_took(store: Path) -> None:
    report = run(store, TRAINED_AS_OF_US)
    assert set(report.stage_s) == {"read", "match", "states", "summaries", "head", "write"}
    assert min(report.stage_s.values()) > 0
    assert report.peak_bytes > 2**24
    assert (report.num_buckets_fallen_back, report.num_rolled_on, report.num_unchanged) == (0, 0, 0)
