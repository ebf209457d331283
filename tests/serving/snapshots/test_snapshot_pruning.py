"""Pruning: what goes, what stays whatever is asked for, and that a kill or a running server is not hurt."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from engine.errors import IntegrityError, InvalidArgumentError, NoSnapshotError, StoreBusyError
from engine.storage import Place, write_bytes, writer_lock
from serving.service.current import CurrentSnapshot
from serving.snapshots import (
    commit,
    find_done,
    list_snapshots,
    list_unfinished,
    open_current,
    open_snapshot,
    prune_snapshots,
    set_current,
    snapshot_folder,
    snapshots_folder,
)
from tests.breaking_off import break_off_at
from tests.serving.made_snapshots import inputs_of, make_snapshot

WHO = {f"c{number}": 0.01 * number for number in range(1, 60)}
ABANDONED = "20200101T000000Z-default-0001-00000000"


def fill(store: Place, num_snapshots: int) -> list[str]:
    """Snapshots of rising as-of, the newest current; their ids."""
    return [make_snapshot(store, WHO, inputs_of(days_later=days)).snapshot_id for days in range(num_snapshots)]


def names(store: Place) -> list[str]:
    return [info.snapshot_id for info in list_snapshots(store)]


def leave_unfinished(store: Path, *, hours_ago: float) -> Path:
    """What a killed job leaves: a bucket, and no manifest."""
    folder = snapshot_folder(store, ABANDONED)
    write_bytes(folder / "bucket=0000.arrow", b"12345")
    moment_s = time.time() - hours_ago * 3600
    os.utime(folder / "bucket=0000.arrow", (moment_s, moment_s))
    os.utime(folder, (moment_s, moment_s))
    return folder


def test_the_newest_stay_and_what_goes_is_gone_with_its_bytes(any_store: Place) -> None:
    ids = fill(any_store, 5)
    sizes = {info.snapshot_id: info.num_bytes for info in list_snapshots(any_store)}
    pruning = prune_snapshots(any_store, keep=3)
    assert [info.snapshot_id for info in pruning.removed] == ids[:2]
    assert [info.snapshot_id for info in pruning.kept] == names(any_store) == ids[2:]
    assert pruning.num_bytes >= sum(sizes[snapshot_id] or 0 for snapshot_id in ids[:2])
    assert sorted(path.name for path in snapshots_folder(any_store).iterdir() if path.is_dir()) == ids[2:]
    assert open_current(any_store).snapshot_id == ids[4]
    assert prune_snapshots(any_store, keep=3).removed == ()


def test_the_served_one_and_the_one_before_it_stay_however_old_they_are(tmp_path: Path) -> None:
    ids = fill(tmp_path, 5)
    set_current(tmp_path, ids[1])
    set_current(tmp_path, ids[0])
    prune_snapshots(tmp_path, keep=1)
    assert names(tmp_path) == [ids[0], ids[1], ids[4]]


def test_a_running_server_answers_from_the_two_that_it_holds(tmp_path: Path) -> None:
    ids = fill(tmp_path, 1)
    serving = CurrentSnapshot(tmp_path)
    assert serving.refresh()
    make_snapshot(tmp_path, WHO, inputs_of(days_later=1))
    assert serving.refresh()
    # It holds these two; two more come and go by it, as when its endpoint is silent for a while.
    for days in (2, 3):
        make_snapshot(tmp_path, WHO, inputs_of(days_later=days))
    prune_snapshots(tmp_path, keep=1)
    assert len(names(tmp_path)) == 2
    for held in (serving.get(), serving.pinned(ids[0])):
        assert held.lookup("c7") is not None
        assert held.take(held.ranking.order).column("customer_id").to_pylist()[0] == "c59"
    assert serving.refresh()
    assert serving.get().snapshot_id == names(tmp_path)[-1]


def test_a_rehearsal_removes_nothing(tmp_path: Path) -> None:
    ids = fill(tmp_path, 4)
    leave_unfinished(tmp_path, hours_ago=30)
    pruning = prune_snapshots(tmp_path, keep=1, is_rehearsal=True)
    assert [info.snapshot_id for info in pruning.removed] == ids[:2]
    assert [entry.snapshot_id for entry in pruning.cleared] == [ABANDONED]
    assert pruning.num_bytes > 5
    assert names(tmp_path) == ids
    assert len(list_unfinished(tmp_path)) == 1


def test_one_that_cannot_be_read_does_not_count_and_goes(tmp_path: Path) -> None:
    ids = fill(tmp_path, 4)
    (snapshot_folder(tmp_path, ids[1]) / "manifest.json").write_text('{"schema_version": 1}')
    pruning = prune_snapshots(tmp_path, keep=3)
    assert [info.snapshot_id for info in pruning.removed] == [ids[1]]
    assert names(tmp_path) == [ids[0], ids[2], ids[3]]


def test_buckets_of_a_job_that_may_be_running_stay_and_old_ones_go(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    folder = leave_unfinished(tmp_path, hours_ago=23)
    pruning = prune_snapshots(tmp_path, keep=1)
    assert (pruning.cleared, [entry.snapshot_id for entry in pruning.working]) == ((), [ABANDONED])
    assert folder.exists()
    leave_unfinished(tmp_path, hours_ago=25)
    pruning = prune_snapshots(tmp_path, keep=1)
    assert [entry.snapshot_id for entry in pruning.cleared] == [ABANDONED]
    assert (folder.exists(), pruning.num_bytes) == (False, 5)


def test_a_job_whose_buckets_went_meanwhile_commits_nothing(tmp_path: Path) -> None:
    ids = fill(tmp_path, 2)
    inputs, folder = inputs_of(days_later=1), snapshot_folder(tmp_path, ids[1])
    done = [entry for bucket in range(4) if (entry := find_done(folder, inputs, bucket))]
    set_current(tmp_path, ids[0])
    (folder / "manifest.json").unlink()
    (folder / "bucket=0002.arrow").unlink()
    with pytest.raises(IntegrityError, match=r"bucket=0002\.arrow has no bytes, .* run `ebbtide rescore` again"):
        commit(tmp_path, inputs, done, executor="inline")
    assert names(tmp_path) == [ids[0]]
    assert open_current(tmp_path).snapshot_id == ids[0]


def test_it_waits_for_no_rescoring_and_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshotError, match="ebbtide rescore"):
        prune_snapshots(tmp_path / "nowhere", keep=1)
    assert list(tmp_path.iterdir()) == []
    fill(tmp_path, 1)
    with writer_lock(snapshots_folder(tmp_path)), pytest.raises(StoreBusyError):
        prune_snapshots(tmp_path, keep=1)
    for settings in ({"keep": 0}, {"keep": 1, "abandoned_after_hours": -1}):
        with pytest.raises(InvalidArgumentError):
            prune_snapshots(tmp_path, **settings)  # type: ignore[arg-type]


def test_a_pruning_that_breaks_off_anywhere_leaves_whole_snapshots_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in range(1, 30):
        store = tmp_path / str(moment)
        ids = fill(store, 4)
        with monkeypatch.context() as patch:
            is_whole = break_off_at(patch, moment, partial(prune_snapshots, store, keep=1))
        for name in names(store):
            open_snapshot(store, name)
        assert open_current(store).snapshot_id == ids[3]
        prune_snapshots(store, keep=1, abandoned_after_hours=0)
        assert sorted(path.name for path in snapshots_folder(store).iterdir() if path.is_dir()) == ids[2:]
        if is_whole:
            return
    pytest.fail("no run went through")
