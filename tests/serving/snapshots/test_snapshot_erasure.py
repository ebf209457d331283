"""A customer leaves every snapshot; the others' scores stay, and the server takes the change up."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from engine.errors import StoreBusyError
from engine.files import writer_lock
from serving.service.current import CurrentSnapshot
from serving.snapshots import (
    current_path,
    erase_from_snapshots,
    find_snapshot,
    list_snapshots,
    open_current,
    open_snapshot,
    snapshot_folder,
    snapshots_folder,
)
from tests.breaking_off import break_off_at
from tests.engine.test_erasure import traces
from tests.serving.conftest import WriteSnapshot, probability_of

WHO = "c0123"


@pytest.fixture
def store(tmp_path: Path, write_snapshot: WriteSnapshot) -> Path:
    """Two snapshots that hold the customer, the second current, and what a killed rescoring left."""
    write_snapshot(tmp_path)
    second = snapshot_folder(tmp_path, write_snapshot(tmp_path, history="3").snapshot_id)
    unfinished = snapshots_folder(tmp_path) / "20240701T000000Z-default-0001-00000000"
    shutil.copytree(second, unfinished)
    (unfinished / "manifest.json").unlink()
    (second / ".bucket=0001.arrow.77.tmp").write_text(WHO)
    return tmp_path


def test_no_byte_of_an_erased_customer_is_left_and_everybody_else_is_as_before(store: Path) -> None:
    before = open_current(store)
    others = [f"c{number:04d}" for number in range(500) if number != 123]
    assert len(traces(store, WHO)) == 4
    erased = erase_from_snapshots(store, WHO)
    assert traces(store, WHO) == []
    assert len(erased.rewritten) == 2
    assert erased.dropped == ("20240701T000000Z-default-0001-00000000",)
    after = open_current(store)
    assert after.snapshot_id == before.snapshot_id
    assert (after.num_customers, after.lookup(WHO)) == (499, None)
    for customer_id in others:
        row = after.lookup(customer_id)
        assert row is not None
        assert after.ranking.churn_probability[row] == probability_of(int(customer_id[1:]))
    assert [info.problem for info in list_snapshots(store)] == ["", ""]


def test_erasing_again_rewrites_nothing(store: Path) -> None:
    erase_from_snapshots(store, WHO)
    ids = [info.snapshot_id for info in list_snapshots(store)]
    before = [(snapshot_folder(store, snapshot_id) / "manifest.json").stat().st_ino for snapshot_id in ids]
    assert erase_from_snapshots(store, WHO).rewritten == ()
    assert [(snapshot_folder(store, snapshot_id) / "manifest.json").stat().st_ino for snapshot_id in ids] == before


def test_a_running_server_takes_it_up_and_lets_go_of_the_snapshot_before(store: Path, write_snapshot: WriteSnapshot) -> None:
    serving = CurrentSnapshot(store)
    assert serving.refresh()
    before = serving.get()
    write_snapshot(store, history="4")
    assert serving.refresh()
    assert serving.pinned(before.snapshot_id) is before
    erase_from_snapshots(store, WHO)
    assert serving.refresh()
    assert serving.get().lookup(WHO) is None
    assert serving.get().num_customers == 499
    with pytest.raises(Exception, match="no longer served"):
        serving.pinned(before.snapshot_id)


@pytest.mark.parametrize("damage", ["bucket=0000.arrow", "manifest.json"])
def test_a_damaged_snapshot_is_dropped_and_the_one_before_it_is_the_current_one(store: Path, damage: str) -> None:
    current, previous = open_current(store).snapshot_id, find_snapshot(store, "previous").snapshot_id
    (snapshot_folder(store, current) / damage).unlink()
    serving = CurrentSnapshot(store)
    serving.refresh()
    assert current in erase_from_snapshots(store, WHO).dropped
    assert open_current(store).snapshot_id == previous
    assert len(list_snapshots(store)) == 1
    assert traces(store, WHO) == []
    assert serving.refresh()  # it had fallen back on the one that held the customer
    assert serving.get().lookup(WHO) is None


def test_the_only_snapshot_is_dropped_with_its_pointer_if_it_is_damaged(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    current = write_snapshot(tmp_path).snapshot_id
    (snapshot_folder(tmp_path, current) / "manifest.json").unlink()
    assert erase_from_snapshots(tmp_path, WHO).dropped == (current,)
    assert not current_path(tmp_path).exists()


def test_it_waits_for_no_rescoring(store: Path) -> None:
    with writer_lock(snapshots_folder(store)), pytest.raises(StoreBusyError):
        erase_from_snapshots(store, WHO)


def test_an_erasure_that_breaks_off_anywhere_leaves_snapshots_that_open_and_is_done_by_a_rerun(
    tmp_path: Path, write_snapshot: WriteSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment in range(1, 30):
        store = tmp_path / str(moment)
        manifest = write_snapshot(store, num_customers=150)
        with monkeypatch.context() as patch:
            is_whole = break_off_at(patch, moment, partial(erase_from_snapshots, store, WHO))
        assert open_current(store).snapshot_id == manifest.snapshot_id
        open_snapshot(store, manifest.snapshot_id)
        erase_from_snapshots(store, WHO)
        assert open_current(store).num_customers == 149
        assert traces(store, WHO) == []
        if is_whole:
            return
    pytest.fail("no run went through")
