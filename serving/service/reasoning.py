"""Reasons as columns; those of a snapshot from its rows, the bundle and the activity in its manifest, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.errors import IntegrityError
from engine.storage import StoreLike
from serving.answers import ReasonKind
from serving.service.bundles import find_bundle
from serving.snapshots import Snapshot, SnapshotManifest, floats, open_bucket
from serving.wire.reasons import KIND_NAMES, REASON_FIELDS, REASON_TYPE
from training.bundles.bundle import Bundle
from training.inference import FittedModel
from training.network.situation import situation_of
from training.reasons import (
    NUM_SUBJECTS,
    RECENT_EVENTS,
    SUBJECTS,
    THEMES,
    Explainer,
    Explanations,
    Kept,
    Usual,
    measure_usual,
    write_sentences,
)

# Medians of this many are within a percent or two of those of all.
_SAMPLED_CUSTOMERS = 20_000

_WITHOUT_ACTIVITY = "was written without the chain's activity; run `ebbtide rescore` for a newer one"

_INDICATORS = pa.array([subject.name for subject in SUBJECTS], pa.string())
_UNITS = pa.array([subject.unit for subject in SUBJECTS], pa.string())
_KINDS = pa.array(KIND_NAMES, pa.string())
_THEMES = pa.array(THEMES, pa.string())
_KIND_OF = np.full(NUM_SUBJECTS, KIND_NAMES.index(ReasonKind.INDICATOR.name.lower()), np.int8)
_KIND_OF[RECENT_EVENTS] = KIND_NAMES.index(ReasonKind.RECENT_EVENTS.name.lower())


class SnapshotReasons:
    """Gives reasons for the customers of one snapshot; what is usual is measured once, on a sample spread evenly over it."""

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer

    def columns(self, rows: pa.RecordBatch) -> list[pa.Array]:
        """Arrays of REASON_FIELDS.

        rows : columns of `snapshot_schema`, with MEMORY_COLUMNS
        """
        return reason_columns(self._explainer, kept_of(rows))


def kept_of(rows: pa.RecordBatch) -> Kept:
    """What reasons are made of, as views of rows with MEMORY_COLUMNS."""
    return Kept(
        states=floats(rows, "state"),
        summary=floats(rows, "summary"),
        last_order=floats(rows, "last_order"),
        **{name: rows.column(name).to_numpy() for name in ("last_event_us", "last_purchase_us", "num_events", "num_orders")},
    )


def reason_columns(explainer: Explainer, kept: Kept) -> list[pa.Array]:
    """Arrays of REASON_FIELDS."""
    found = explainer.explain(kept)
    sentences = write_sentences(found, explainer.usual, num_orders=kept.num_orders, last_purchase_us=kept.last_purchase_us)
    chain = np.full(len(kept), found.chain / 100, np.float32)
    described = pa.array([f"customers {explainer.usual.describe(which)}" for which in range(len(explainer.usual.num_customers))])
    segment = pa.DictionaryArray.from_arrays(pa.array(found.segment.astype(np.int8)), described)
    reasons = pa.FixedSizeListArray.from_arrays(_entries(found, sentences), type=REASON_FIELDS[-1].type)
    return [pa.array(found.baseline / 100), pa.array(chain), segment, pa.array(found.other), reasons]


def reasons_of(snapshot: Snapshot, bundle: Bundle | None) -> SnapshotReasons | None:
    """What gives reasons for a snapshot's customers; None without the bundle, the chain's activity, or anybody scored."""
    return _reasons_from(snapshot.manifest, snapshot.files, bundle)


def stored_reasons(store: StoreLike, manifest: SnapshotManifest) -> SnapshotReasons | None:
    """The same for a snapshot that is not open, of which one bucket at a time is read; None where nobody was scored.

    raises : NoBundleError, IntegrityError: what stands in the way of reasons
    """
    if manifest.activity is None:
        raise IntegrityError(f"snapshot {manifest.snapshot_id} {_WITHOUT_ACTIVITY}")
    bundle = find_bundle(store, manifest.inputs)
    files = (open_bucket(store, manifest, bucket) for bucket in range(manifest.inputs.num_buckets))
    return _reasons_from(manifest, files, bundle)


def _reasons_from(manifest: SnapshotManifest, files: Iterable[pa.RecordBatch], bundle: Bundle | None) -> SnapshotReasons | None:
    activity = manifest.activity
    if bundle is None or activity is None:
        return None
    usual = usual_of(manifest, files, bundle.model, activity.daily())
    if usual is None:
        return None
    explainer = Explainer(
        bundle.model,
        horizon_days=bundle.horizon_days,
        usual=usual,
        as_of_us=manifest.inputs.as_of_us,
        activity=activity.daily(),
    )
    return SnapshotReasons(explainer)


def usual_of(
    manifest: SnapshotManifest, files: Iterable[pa.RecordBatch], model: FittedModel, activity: DailyActivity
) -> Usual | None:
    """What is usual among a snapshot's customers; None where there are none.

    files    : of every bucket in order, each looked at once
    activity : of the chain's days before the snapshot's instant, later ones do not matter
    """
    num_customers = manifest.num_customers
    if num_customers == 0:
        return None
    sample = np.linspace(0, num_customers - 1, min(num_customers, _SAMPLED_CUSTOMERS)).astype(np.int64)
    sampled, begin = [], 0
    for file in files:
        first, end = np.searchsorted(sample, (begin, begin + file.num_rows))
        sampled.append(file.take(pa.array(sample[first:end] - begin)))
        begin += file.num_rows
    kept = kept_of(pa.concat_batches(sampled))
    situation = situation_of(kept.summary, kept.last_event_us, np.full(len(kept), manifest.inputs.as_of_us), activity)
    return measure_usual(kept, model.situation_normaliser.apply(situation))


def why_no_reasons(snapshot: Snapshot) -> str:
    """What an answer says in the place of reasons."""
    if snapshot.manifest.activity is None:
        return f"the snapshot {_WITHOUT_ACTIVITY}"
    return f"this server has the snapshot and not its model, {snapshot.inputs.model_version}"


def _entries(found: Explanations, sentences: pa.StringArray) -> pa.StructArray:
    subject, theme = found.subject.ravel().astype(np.int8), found.theme.ravel().astype(np.int8)
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array(subject), _INDICATORS),
        pa.DictionaryArray.from_arrays(pa.array(_KIND_OF[subject]), _KINDS),
        pa.array(found.points.ravel()),
        _known(found.value),
        _known(found.usual),
        pa.DictionaryArray.from_arrays(pa.array(subject), _UNITS),
        sentences,
        pa.DictionaryArray.from_arrays(pa.array(theme), _THEMES),
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(REASON_TYPE))


def _known(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values.ravel(), from_pandas=True)
