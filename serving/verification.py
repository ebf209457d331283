"""Verification of a whole store: history, snapshots and bundles, every byte against the hash that was written with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.errors import EbbtideError, IntegrityError, NoBundleError, NoHistoryError, NoSnapshotError
from engine.storage import Place, StoreLike, resolve
from engine.upkeep import Problem, inspect_history, problem_of
from serving.snapshots import current_path, open_current, open_snapshot, snapshot_folder, snapshots_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreVerification:
    """What was looked at, and what is broken."""

    store: Place
    num_parts: int
    num_bytes: int  # of the parts
    num_snapshots: int
    num_bundles: int
    problems: tuple[Problem, ...]


def verify_store(store: StoreLike, *, progress: Callable[[int, int], None] | None = None) -> StoreVerification:
    """Check all that a store holds; a store may lack some of it, as a serving replica does.

    progress : called with (buckets of the history looked at, buckets)
    raises   : NoHistoryError where the store holds nothing
    """
    store = resolve(store)
    snapshot_ids = sorted(path.parent.name for path in snapshots_folder(store).glob("*/manifest.json"))
    bundle_folders = _bundle_folders(store)
    num_parts = num_bytes = 0
    problems: list[Problem] = []
    try:
        history = inspect_history(store, progress=progress)
    except NoHistoryError:
        if not snapshot_ids and not bundle_folders:
            raise
    else:
        num_parts, num_bytes = history.num_parts, history.num_bytes
        problems += history.problems
    problems += _verify_snapshots(store, snapshot_ids)
    problems += _verify_bundles(store, bundle_folders)
    return StoreVerification(
        store=store,
        num_parts=num_parts,
        num_bytes=num_bytes,
        num_snapshots=len(snapshot_ids),
        num_bundles=len(bundle_folders),
        problems=tuple(problems),
    )


def _bundle_folders(store: Place) -> list[Place]:
    if not (store / "models").is_dir():
        return []
    from training.registry import version_folders

    return version_folders(store)


def _verify_snapshots(store: Place, snapshot_ids: list[str]) -> Iterator[Problem]:
    told: set[str] = set()
    for snapshot_id in snapshot_ids:
        try:
            open_snapshot(store, snapshot_id)
        except IntegrityError as error:
            told.add(str(error))
            yield problem_of(error, str(snapshot_folder(store, snapshot_id)))
    try:
        open_current(store)
    except NoSnapshotError:
        return
    except IntegrityError as error:
        if str(error) not in told:
            yield problem_of(error, str(current_path(store)))


def _verify_bundles(store: Place, folders: list[Place]) -> Iterator[Problem]:
    if not folders:
        return
    from training.bundles.bundle import load
    from training.registry import champion

    told: set[str] = set()
    for folder in folders:
        try:
            load(folder)
        except (IntegrityError, NoBundleError) as error:
            told.add(str(error))
            yield problem_of(error, str(folder))
    for name in sorted({folder.parent.name for folder in folders}):
        try:
            champion(store, name)
        except EbbtideError as error:
            if not any(str(error).startswith(problem) for problem in told):  # of a champion it goes on with who else could serve
                yield problem_of(error, str(store / "models" / name))
