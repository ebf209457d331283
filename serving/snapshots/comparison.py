"""What changed from one snapshot to another: who moved, by how much, who came and who left."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from engine.storage import StoreLike
from engine.table_files import TableFile, table_file
from serving.risk import Grade
from serving.snapshots.manifest import SnapshotManifest
from serving.snapshots.pairing import MOVES_SCHEMA, Pairing, moves_batch, num_groups, pair_up

NUM_GRADES = len(Grade)


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """A customer of both snapshots whose risk changed."""

    customer_id: str
    store_id: str  # "" where not known
    probability_before: float
    probability_after: float
    grade_before: Grade
    grade_after: Grade

    @property
    def change(self) -> float:
        return self.probability_after - self.probability_before


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What changed from one snapshot to another.

    horizon_days : of every probability and grade on both sides
    transitions  : int64[9, 9], customers of both by grade before and after
    left, came   : int64[9], customers of one only, by their grade there: no longer, or newly, active (or forgotten)
    mean_*       : mean churn probability; all customers of a snapshot, or those of both; NaN of nobody
    risen        : whose risk rose most, the largest rise first; equal ones by id
    fallen       : whose risk fell most
    num_marked   : texts that the file, if it is a CSV, holds with a ' in front (`engine.table_files`)
    """

    before: SnapshotManifest
    after: SnapshotManifest
    horizon_days: int
    transitions: NDArray[np.int64]
    left: NDArray[np.int64]
    came: NDArray[np.int64]
    mean_before: float
    mean_after: float
    mean_before_of_both: float
    mean_after_of_both: float
    risen: tuple[Move, ...]
    fallen: tuple[Move, ...]
    num_marked: int

    @property
    def num_both(self) -> int:
        return int(self.transitions.sum())


def compare_snapshots(
    store: StoreLike,
    before: SnapshotManifest,
    after: SnapshotManifest,
    *,
    limit: int = 10,
    out: Path | None = None,
    may_replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two committed snapshots of a store at the horizon of the later named one.

    limit       : how many of the risen, and of the fallen
    out         : a file for every customer of either, with the columns of MOVES_SCHEMA; written as `table_file` does
    may_replace : an old file of that name is replaced
    progress    : called with groups of buckets done and in all
    raises      : IntegrityError naming the file; InvalidArgumentError for a file that cannot be, or a horizon that the first
                  snapshot does not reach; StorageError where the disk refuses

    One horizon for both, so that like is compared with like though the bundles were trained for different ones.
    """
    horizon_days = after.inputs.horizon_days
    if horizon_days > before.inputs.edges_days[-1]:
        raise InvalidArgumentError(
            "snapshot", f"{before.snapshot_id} looks {before.inputs.edges_days[-1]:g} days ahead, expected {horizon_days} or more"
        )
    tally = _Tally(limit)

    def walk(table: TableFile | None) -> None:
        for done, pairing in enumerate(pair_up(store, before, after, horizon_days), start=1):
            tally.add(pairing)
            if table is not None:
                table.write(moves_batch(pairing))
            if progress is not None:
                progress(done, num_groups(before, after))

    if out is None:
        walk(None)
        num_marked = 0
    else:
        with table_file(
            out, MOVES_SCHEMA.with_metadata(_metadata(before, after, horizon_days)), may_replace=may_replace
        ) as table:
            walk(table)
        num_marked = table.num_marked
    return tally.result(before, after, horizon_days, num_marked)


class _Tally:
    """What is added up over the groups."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._transitions = np.zeros((NUM_GRADES, NUM_GRADES), np.int64)
        self._left, self._came = np.zeros(NUM_GRADES, np.int64), np.zeros(NUM_GRADES, np.int64)
        self._sums = np.zeros(4)  # before, after, before of both, after of both
        self._risen: list[Move] = []
        self._fallen: list[Move] = []

    def add(self, pairing: Pairing) -> None:
        before, after = pairing.before, pairing.after
        grades = (before.grade[pairing.both_before].astype(np.int64) - 1) * NUM_GRADES + after.grade[pairing.both_after] - 1
        self._transitions += np.bincount(grades, minlength=NUM_GRADES**2).reshape(NUM_GRADES, NUM_GRADES)
        self._left += _count_grades(before.grade[pairing.left])
        self._came += _count_grades(after.grade[pairing.came])
        pieces = (before.probability, after.probability)
        of_both = (before.probability[pairing.both_before], after.probability[pairing.both_after])
        self._sums += [values.sum(dtype=np.float64) for values in (*pieces, *of_both)]
        change = pairing.change
        self._risen = self._furthest(self._risen, pairing, change)
        self._fallen = self._furthest(self._fallen, pairing, -change)

    def _furthest(self, held: list[Move], pairing: Pairing, by: NDArray[np.float64]) -> list[Move]:
        """The held ones and those of the group who moved furthest, as many as are asked for."""
        if self._limit == 0:
            return []
        candidates = np.flatnonzero(by > 0)
        if len(candidates) > self._limit:
            # All that reach the last place, so that ties are decided by id and not by bucket.
            last = np.partition(by[candidates], -self._limit)[-self._limit]
            candidates = candidates[by[candidates] >= last]
            if len(candidates) > self._limit:
                rows = pa.array(pairing.both_after[candidates])
                keys = pa.table({"by": by[candidates], "id": pairing.after.customer_ids.take(rows)})
                order = pc.sort_indices(keys, sort_keys=[("by", "descending"), ("id", "ascending")])
                candidates = candidates[order.to_numpy()[: self._limit]]
        moves = held + [_move(pairing, int(place)) for place in candidates]
        return heapq.nsmallest(self._limit, moves, key=lambda move: (-abs(move.change), move.customer_id))

    def result(self, before: SnapshotManifest, after: SnapshotManifest, horizon_days: int, num_marked: int) -> Comparison:
        num_both = int(self._transitions.sum())
        counts = (before.num_customers, after.num_customers, num_both, num_both)
        means = [float(total / number) if number else math.nan for total, number in zip(self._sums, counts, strict=True)]
        return Comparison(
            before=before,
            after=after,
            horizon_days=horizon_days,
            transitions=self._transitions,
            left=self._left,
            came=self._came,
            mean_before=means[0],
            mean_after=means[1],
            mean_before_of_both=means[2],
            mean_after_of_both=means[3],
            risen=tuple(self._risen),
            fallen=tuple(self._fallen),
            num_marked=num_marked,
        )


def _count_grades(grade: NDArray[np.int8]) -> NDArray[np.int64]:
    return np.bincount(grade - 1, minlength=NUM_GRADES).astype(np.int64)


def _move(pairing: Pairing, place: int) -> Move:
    before, after = int(pairing.both_before[place]), int(pairing.both_after[place])
    return Move(
        customer_id=pairing.after.customer_ids[after].as_py(),
        store_id=pairing.after.store_ids[after].as_py(),
        probability_before=float(pairing.before.probability[before]),
        probability_after=float(pairing.after.probability[after]),
        grade_before=Grade(int(pairing.before.grade[before])),
        grade_after=Grade(int(pairing.after.grade[after])),
    )


def _metadata(before: SnapshotManifest, after: SnapshotManifest, horizon_days: int) -> dict[str, str]:
    return {
        "ebbtide.before": before.snapshot_id,
        "ebbtide.after": after.snapshot_id,
        "ebbtide.horizon_days": str(horizon_days),
    }
