"""Inspection finds every damage, and parts that were written wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.errors import NoHistoryError
from engine.history import History
from engine.history.events import BucketEvents
from engine.history.manifest import write_manifest
from engine.history.parts import read_events, write_part
from engine.ingest import ingest
from engine.storage import Delivery
from engine.upkeep import inspect_history
from tests.engine.conftest import WriteSource

HEADER = "customer_id,timestamp,amount,store_id"


@pytest.fixture
def sound(store: Path, write_text: WriteSource) -> Path:
    for day in (1, 2):
        lines = [f"c{index},2017-01-0{day} 0{index % 10}:00,{index},s{index % 3}" for index in range(20)]
        ingest(store, [write_text(f"{day}.csv", HEADER, *lines)], num_buckets=4)
    return store


def test_a_sound_history_has_no_problem(sound: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = inspect_history(sound, progress=lambda done, total: seen.append((done, total)))
    assert found.problems == ()
    assert found.num_parts == 8
    assert found.num_bytes == sum(path.stat().st_size for path in sound.rglob("*.arrow"))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("which", [0, 3, 9, 15])
def test_any_flipped_byte_is_found_and_named(sound: Path, which: int) -> None:
    path = sorted(sound.rglob("*.arrow"))[which]
    data = bytearray(path.read_bytes())
    for place in (0, len(data) // 2, len(data) - 1):
        data[place] ^= 1
        path.write_bytes(data)
        (problem,) = inspect_history(sound).problems
        assert str(path).startswith(problem.where)
        assert str(path) in problem.what
        assert "expected sha256:" in problem.what
        assert "restore the file from a backup, or ingest the sources again" in problem.remedy
        data[place] ^= 1


def test_missing_and_cut_files_are_all_told_at_once(sound: Path) -> None:
    first, second = sorted(sound.rglob("*.events.arrow"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-8])
    assert [problem.what.removeprefix(str(sound)) for problem in inspect_history(sound).problems] == [
        f"{str(first).removeprefix(str(sound))} is missing",
        f"{str(second).removeprefix(str(sound))} has {second.stat().st_size:,} bytes, expected {second.stat().st_size + 8:,}",
    ]


def test_a_damaged_and_a_lost_manifest(sound: Path, tmp_path: Path) -> None:
    path = sound / "history" / "manifest.json"
    path.write_text("{")
    (problem,) = inspect_history(sound).problems
    assert problem.where == str(path)
    assert "is damaged" in problem.what
    path.unlink()
    (problem,) = inspect_history(sound).problems
    assert problem.what == "is missing, though there are parts"
    with pytest.raises(NoHistoryError):
        inspect_history(tmp_path / "nowhere")


def swap_first_two(events: BucketEvents) -> None:
    for values in events.columns.values():
        values[[0, 1]] = values[[1, 0]]


def name_no_kind(events: BucketEvents) -> None:
    events.columns["kind"][0] = 99


def name_no_store(events: BucketEvents) -> None:
    events.columns["store_code"][0] = 99


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (swap_first_two, "1 events are out of order"),
        (name_no_kind, "kinds of events that there are not"),
        (name_no_store, "store_code: found codes without a name"),
    ],
)
def test_a_part_that_was_written_wrong_is_found_though_its_hash_is_right(
    store: Path, write_text: WriteSource, tmp_path: Path, fault: Callable[[BucketEvents], None], message: str
) -> None:
    ingest(store, [write_text("t.csv", HEADER, "a,2017-01-01,1,s", "a,2017-01-02,2,s", "a,2017-01-03,2,s")], num_buckets=1)
    _rewrite(store, tmp_path, fault)
    problems = inspect_history(store).problems
    assert [message in problem.what for problem in problems] == [True]
    assert "written wrong" in problems[0].remedy


def test_a_customer_of_another_bucket_is_found(sound: Path, tmp_path: Path) -> None:
    history = History.open(sound)
    parts = list(history.manifest.parts)
    moved = dataclasses.replace(parts[0], bucket=3)
    write_manifest(sound / "history", dataclasses.replace(history.manifest, parts=(*parts[1:], moved)))
    whats = [problem.what for problem in inspect_history(sound).problems]
    assert "found customers of other buckets than 3" in whats


def test_wrong_totals_are_found(sound: Path) -> None:
    manifest = History.open(sound).manifest
    wrong = dataclasses.replace(manifest.totals[1], amount_minor_total=1)
    write_manifest(sound / "history", dataclasses.replace(manifest, totals=(manifest.totals[0], wrong, *manifest.totals[2:])))
    (problem,) = inspect_history(sound).problems
    assert "bucket 1 holds BucketTotals" in problem.what


def _rewrite(store: Path, tmp_path: Path, fault: Callable[[BucketEvents], None]) -> None:
    """Put a part with a fault in the place of the only one."""
    manifest = History.open(store).manifest
    events = read_events(store / "history", manifest.parts[0])
    events = dataclasses.replace(events, columns={name: np.array(values) for name, values in events.columns.items()})
    fault(events)
    with Delivery() as sync:
        part = write_part(store / "history", tmp_path, 0, events, sync)
    write_manifest(store / "history", dataclasses.replace(manifest, parts=(part,)))
