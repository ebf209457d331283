"""The customers of two snapshots beside each other: the same ones, newcomers, leavers.

A customer's bucket is a hash modulo the number of buckets. Bucket r of the greatest common divisor of two numbers of buckets is
therefore made of whole buckets on both sides, so that both snapshots are walked at once whatever their buckets, and memory holds
the few columns that are compared of one such group. With equal numbers that is one bucket of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.storage import StoreLike
from serving.risk import DEFAULT_THRESHOLDS, Grade, risk_scores
from serving.snapshots.committed import open_bucket
from serving.snapshots.manifest import SnapshotManifest
from serving.snapshots.snapshot import survival

MOVES_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("store_id", pa.string()),  # where the customer last bought, by the later news; null where not known
        pa.field("presence", pa.string(), nullable=False),  # "both", "new" or "left"
        pa.field("churn_probability_before", pa.float32()),  # null for a newcomer
        pa.field("churn_probability_after", pa.float32()),  # null for a leaver
        pa.field("change", pa.float32()),  # after - before
        pa.field("grade_before", pa.string()),
        pa.field("grade_after", pa.string()),
    ]
)

_GRADE_NAMES = pa.array([grade.name for grade in Grade])


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Customers of some buckets of one snapshot."""

    customer_ids: pa.StringArray
    store_ids: pa.StringArray
    probability: NDArray[np.float32]
    grade: NDArray[np.int8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """A group of buckets on both sides: row both_before[k] of one is the customer of row both_after[k] of the other."""

    before: Side
    after: Side
    both_before: NDArray[np.int64]
    both_after: NDArray[np.int64]
    left: NDArray[np.int64]  # rows of before
    came: NDArray[np.int64]  # rows of after

    @property
    def change(self) -> NDArray[np.float64]:
        """Probability after less before, of both."""
        return self.after.probability[self.both_after].astype(np.float64) - self.before.probability[self.both_before]


def num_groups(before: SnapshotManifest, after: SnapshotManifest) -> int:
    """How many pairings two snapshots make."""
    return math.gcd(before.inputs.num_buckets, after.inputs.num_buckets)


def pair_up(store: StoreLike, before: SnapshotManifest, after: SnapshotManifest, horizon_days: int) -> Iterator[Pairing]:
    """Two committed snapshots group by group.

    horizon_days : of the probabilities and grades on both sides; up to the last edge of both
    raises       : IntegrityError naming the file
    """
    for group in range(num_groups(before, after)):
        sides = [
            _read_side(store, side, range(group, side.inputs.num_buckets, num_groups(before, after)), horizon_days)
            for side in (before, after)
        ]
        yield _pair(*sides)


def moves_batch(pairing: Pairing) -> pa.RecordBatch:
    """Rows of MOVES_SCHEMA: customers of both, newcomers, leavers."""
    num_both, num_came, num_left = len(pairing.both_after), len(pairing.came), len(pairing.left)
    of_after = pa.array(np.concatenate([pairing.both_after, pairing.came]))
    of_before = pa.array(pairing.left)

    def stacked(name: str) -> pa.Array:
        return pa.concat_arrays([getattr(pairing.after, name).take(of_after), getattr(pairing.before, name).take(of_before)])

    # Rows on each side, -1 where the customer is not there: a null.
    rows_before = np.concatenate([pairing.both_before, np.full(num_came, -1), pairing.left])
    rows_after = np.concatenate([pairing.both_after, pairing.came, np.full(num_left, -1)])
    before, after = _known(pairing.before.probability, rows_before), _known(pairing.after.probability, rows_after)
    store_ids = stacked("store_ids")
    return pa.record_batch(
        [
            stacked("customer_ids"),
            pc.if_else(pc.equal(store_ids, ""), pa.scalar(None, pa.string()), store_ids),
            pa.array(np.repeat(["both", "new", "left"], [num_both, num_came, num_left]), pa.string()),
            before,
            after,
            pc.subtract(after, before),
            _names(pairing.before.grade, rows_before),
            _names(pairing.after.grade, rows_after),
        ],
        schema=MOVES_SCHEMA,
    )


def _read_side(store: StoreLike, manifest: SnapshotManifest, buckets: range, horizon_days: int) -> Side:
    ids, store_ids, probabilities = [], [], []
    for bucket in buckets:
        batch = open_bucket(store, manifest, bucket)
        ids.append(batch.column("customer_id"))
        store_ids.append(batch.column("store_id"))
        probabilities.append(_probability(manifest, batch, horizon_days))
    probability = np.concatenate(probabilities)
    return Side(
        customer_ids=pa.concat_arrays(ids),
        store_ids=pa.concat_arrays(store_ids),
        probability=probability,
        grade=DEFAULT_THRESHOLDS.grades(risk_scores(probability)),
    )


def _probability(manifest: SnapshotManifest, batch: pa.RecordBatch, horizon_days: int) -> NDArray[np.float32]:
    if manifest.inputs.horizon_days == horizon_days:
        own: NDArray[np.float32] = batch.column("churn_probability").to_numpy()
        return own
    from training.predict import churn_probability  # takes torch along, which few comparisons need

    return churn_probability(np.asarray(manifest.inputs.edges_days), survival(batch), horizon_days).astype(np.float32)


def _pair(before: Side, after: Side) -> Pairing:
    found = pc.index_in(after.customer_ids, value_set=before.customer_ids)
    row_before = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    both_after = np.flatnonzero(row_before >= 0)
    both_before = row_before[both_after]
    stays = np.zeros(len(before.probability), np.bool_)
    stays[both_before] = True
    return Pairing(
        before=before,
        after=after,
        both_before=both_before,
        both_after=both_after,
        left=np.flatnonzero(~stays),
        came=np.flatnonzero(row_before < 0),
    )


def _known(probability: NDArray[np.float32], rows: NDArray[np.int64]) -> pa.FloatArray:
    return pa.array(np.append(probability, np.float32(0))[rows], mask=rows < 0)


def _names(grade: NDArray[np.int8], rows: NDArray[np.int64]) -> pa.StringArray:
    return _GRADE_NAMES.take(pa.array(np.append(grade, np.int8(1))[rows] - 1, mask=rows < 0))
