"""Inspection: every part against its hash, its sort order and the totals of the manifest; what is broken, and what mends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from engine.errors import EbbtideError, IntegrityError, NoHistoryError
from engine.hashing import bucket_of
from engine.history import HISTORY_FOLDER
from engine.history.events import CODE_COLUMNS
from engine.history.folding import fold
from engine.history.manifest import MANIFEST_NAME, Manifest, PartRecord, read_manifest
from engine.history.parts import find_part_problems, map_part, names_of, read_events
from engine.history.totals import measure_events
from engine.schema import EventKind
from engine.storage import Place, StoreLike, resolve

_NEW_STORE = "ingest the sources again into a new store"
_RESTORE = f"restore the file from a backup, or {_NEW_STORE}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that is not as it was written.

    where  : the file, or what it is part of
    what   : what was found and what was expected
    remedy : what to do
    """

    where: str
    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryInspection:
    """What an inspection of the history looked at, and what it found."""

    num_parts: int
    num_bytes: int
    problems: tuple[Problem, ...]


def inspect_history(store: StoreLike, *, progress: Callable[[int, int], None] | None = None) -> HistoryInspection:
    """Read every byte of every part of the history.

    progress : called with (buckets looked at, buckets)
    raises   : NoHistoryError where there is no manifest and no part either
    """
    folder = resolve(store) / HISTORY_FOLDER
    try:
        manifest, _ = read_manifest(folder)
    except NoHistoryError:
        if not any(folder.glob("bucket=*/*.arrow")):
            raise
        lost = Problem(where=str(folder / MANIFEST_NAME), what="is missing, though there are parts", remedy=_RESTORE)
        return HistoryInspection(num_parts=0, num_bytes=0, problems=(lost,))
    except IntegrityError as error:
        return HistoryInspection(num_parts=0, num_bytes=0, problems=(problem_of(error, str(folder / MANIFEST_NAME)),))
    problems: list[Problem] = []
    buckets = manifest.parts_by_bucket()
    for num_done, (bucket, parts) in enumerate(buckets.items(), 1):
        found = [problem for part in parts for problem in _inspect_part(folder, part, manifest.num_buckets)]
        problems += found or _inspect_totals(folder, manifest, bucket, parts)
        if progress:
            progress(num_done, len(buckets))
    return HistoryInspection(
        num_parts=len(manifest.parts),
        num_bytes=sum(num_bytes for part in manifest.parts for _, num_bytes in part.files),
        problems=tuple(problems),
    )


def problem_of(error: EbbtideError, where: str) -> Problem:
    """An error as a problem: what stands behind the last semicolon of its message is what to do."""
    what, _, remedy = str(error).rpartition("; ")
    return Problem(where=where, what=what or remedy, remedy=remedy)


def _inspect_part(folder: Place, part: PartRecord, num_buckets: int) -> list[Problem]:
    damage = find_part_problems(folder, part)
    if damage:
        return [Problem(where=str(folder / part.path), what=what, remedy=_RESTORE) for what in damage]
    try:
        faults = list(_find_faults(folder, part, num_buckets))
    except IntegrityError as error:
        return [problem_of(error, str(folder / part.path))]
    remedy = f"its bytes are those that were written, so that they were written wrong: {_NEW_STORE}, and report it"
    return [Problem(where=str(folder / part.path), what=fault, remedy=remedy) for fault in faults]


def _find_faults(folder: Place, part: PartRecord, num_buckets: int) -> Iterator[str]:
    """What breaks the rules of a part, a line each."""
    customers, events = map_part(folder, part)
    ids = customers.column("customer_id")
    if len(ids) > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        yield "customers are not strictly ascending"
    if (bucket_of(ids, num_buckets) != part.bucket).any():
        yield f"found customers of other buckets than {part.bucket}"
    first_event = np.asarray(customers.column("first_event"))
    if first_event[0] != 0 or (np.diff(np.append(first_event, events.num_rows)) <= 0).any():
        yield "the customers' first events do not ascend from 0"
        return

    columns = {name: np.asarray(events.column(name)) for name in events.schema.names}
    begins = np.zeros(events.num_rows, bool)
    begins[first_event] = True
    is_before = np.zeros(max(events.num_rows - 1, 0), bool)
    for name in ("kind", "order_key", "timestamp_us"):  # the least significant first
        earlier, later = columns[name][:-1], columns[name][1:]
        is_before = (earlier < later) | ((earlier == later) & is_before)
    num_misplaced = int((~is_before & ~begins[1:]).sum())
    if num_misplaced:
        yield f"{num_misplaced:,} events are out of order, expected them by time, order and kind within a customer"
    if not np.isin(columns["kind"], list(EventKind)).all():
        yield "found kinds of events that there are not"
    names = names_of(events, folder / part.files[1][0])
    for name in CODE_COLUMNS:
        if ((columns[name] < -1) | (columns[name] >= len(names[name]))).any():
            yield f"{name}: found codes without a name"


def _inspect_totals(folder: Place, manifest: Manifest, bucket: int, parts: tuple[PartRecord, ...]) -> list[Problem]:
    found = measure_events(bucket, fold([read_events(folder, part) for part in parts]))
    expected = next((totals for totals in manifest.totals if totals.bucket == bucket), None)
    if expected is not None and expected.purchases_by_day is None:  # of a store that was made before these were kept
        found = dataclasses.replace(found, purchases_by_day=None)
    if found == expected:
        return []
    what = f"bucket {bucket} holds {found}, expected {expected}"
    return [Problem(where=str(folder / MANIFEST_NAME), what=what, remedy=f"{_NEW_STORE}, and report it")]
