"""Which snapshot a name means, and which one was served before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import IntegrityError, InvalidArgumentError, NoSnapshotError
from engine.storage import Place, write_bytes
from serving.snapshots import (
    current_path,
    erase_from_snapshots,
    find_snapshot,
    list_snapshots,
    list_unfinished,
    open_current,
    set_current,
    snapshot_folder,
)
from tests.serving.made_snapshots import inputs_of, make_snapshot

WHO = {"a1": 0.5, "b2": 0.25}


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Three snapshots of rising as-of, the newest current."""
    return [make_snapshot(tmp_path, WHO, inputs_of(days_later=days)).snapshot_id for days in (0, 1, 7)]


def marks(store: Place) -> list[tuple[str, bool, bool]]:
    return [(info.snapshot_id, info.is_current, info.is_previous) for info in list_snapshots(store)]


def test_a_listing_is_by_as_of_and_marks_what_is_served_and_what_was(any_store: Place) -> None:
    older, newer = (make_snapshot(any_store, WHO, inputs_of(days_later=days)).snapshot_id for days in (0, 1))
    assert marks(any_store) == [(older, False, True), (newer, True, False)]
    set_current(any_store, older)
    set_current(any_store, older)
    assert marks(any_store) == [(older, True, False), (newer, False, True)]
    (info, _) = list_snapshots(any_store)
    assert info.manifest is not None
    assert info.num_bytes == sum(
        len((snapshot_folder(any_store, older) / file.path).read_bytes()) for file in info.manifest.files
    )


def test_a_pointer_of_an_older_version_names_no_previous_one_and_the_one_before_is_taken(tmp_path: Path, ids: list[str]) -> None:
    pointer = json.loads(current_path(tmp_path).read_bytes())
    del pointer["previous_id"]
    current_path(tmp_path).write_text(json.dumps(pointer))
    assert find_snapshot(tmp_path, "previous").snapshot_id == ids[1]


@pytest.mark.parametrize(
    ("name", "place"),
    [("current", 2), ("previous", 1), ("20240601", 0), ("2024-06-02", 1), ("20240608T000000Z-def", 2)],
)
def test_a_name_is_an_id_or_its_beginning_or_a_date_or_a_word(tmp_path: Path, ids: list[str], name: str, place: int) -> None:
    assert find_snapshot(tmp_path, name).snapshot_id == ids[place]
    assert find_snapshot(tmp_path, ids[place]).snapshot_id == ids[place]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2024", "found '2024', with which 3 ids begin; expected current, previous, or the beginning of one id: 20240601"),
        ("2023-01-01", "found no snapshot '2023-01-01'"),
        ("", "found no snapshot ''"),
        ("../models", r"found no snapshot '\.\./models'"),
        ("current.json", "found no snapshot"),
    ],
)
def test_a_name_that_fits_none_or_several_is_refused(tmp_path: Path, ids: list[str], name: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        find_snapshot(tmp_path, name)


def test_without_a_snapshot_or_a_previous_one_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshotError, match="ebbtide rescore"):
        find_snapshot(tmp_path, "current")
    make_snapshot(tmp_path, WHO, inputs_of())
    with pytest.raises(InvalidArgumentError, match="none was served before 20240601"):
        find_snapshot(tmp_path, "previous")


def test_a_damaged_manifest_is_listed_with_its_problem_and_refused_by_name(tmp_path: Path, ids: list[str]) -> None:
    (snapshot_folder(tmp_path, ids[0]) / "manifest.json").write_text("{")
    first = list_snapshots(tmp_path)[0]
    assert (first.snapshot_id, first.manifest, first.num_bytes) == (ids[0], None, None)
    assert "manifest.json" in first.problem
    with pytest.raises(IntegrityError, match="not a snapshot manifest"):
        find_snapshot(tmp_path, ids[0])


def test_a_current_snapshot_without_a_manifest_is_listed_with_its_problem(any_store: Place) -> None:
    older, newer = (make_snapshot(any_store, WHO, inputs_of(days_later=days)).snapshot_id for days in (0, 1))
    (snapshot_folder(any_store, newer) / "manifest.json").unlink()
    lost, _ = list_snapshots(any_store)
    assert marks(any_store) == [(newer, True, False), (older, False, True)]
    assert (lost.manifest, "manifest.json is absent; restore it" in lost.problem) == (None, True)
    assert list_unfinished(any_store) == []
    with pytest.raises(IntegrityError, match=r"manifest\.json is absent; restore it, or run `ebbtide rescore` again"):
        find_snapshot(any_store, "current")
    assert find_snapshot(any_store, "previous").snapshot_id == older


def test_a_damaged_pointer_is_mended_by_the_next_commit(tmp_path: Path, ids: list[str]) -> None:
    current_path(tmp_path).write_text("not json")
    set_current(tmp_path, ids[2])
    assert open_current(tmp_path).snapshot_id == ids[2]


def test_a_snapshot_that_was_removed_meanwhile_does_not_become_current(tmp_path: Path, ids: list[str]) -> None:
    (snapshot_folder(tmp_path, ids[0]) / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match=r"manifest\.json is absent"):
        set_current(tmp_path, ids[0])
    assert open_current(tmp_path).snapshot_id == ids[2]


def test_an_erasure_keeps_the_previous_one_in_mind_unless_it_drops_it(tmp_path: Path, ids: list[str]) -> None:
    set_current(tmp_path, ids[0])
    erase_from_snapshots(tmp_path, "a1")
    assert marks(tmp_path) == [(ids[0], True, False), (ids[1], False, False), (ids[2], False, True)]
    (snapshot_folder(tmp_path, ids[2]) / "manifest.json").write_text("{")
    erase_from_snapshots(tmp_path, "b2")
    assert "previous_id" not in json.loads(current_path(tmp_path).read_bytes())


def test_folders_without_a_manifest_are_told_with_their_size_and_age(any_store: Place) -> None:
    assert list_unfinished(any_store) == []
    make_snapshot(any_store, WHO, inputs_of())
    write_bytes(snapshot_folder(any_store, "20990101T000000Z-default-0001-00000000") / "bucket=0000.arrow", b"12345")
    (entry,) = list_unfinished(any_store)
    assert (entry.snapshot_id[:8], entry.num_bytes) == ("20990101", 5)
    assert entry.written_at_s > 1_700_000_000
