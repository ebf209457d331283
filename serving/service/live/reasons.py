"""Reasons for one live score, at its own instant; what is usual stays that of the snapshot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity
from serving.answers import Reasons
from serving.service.live.state import LiveState
from serving.service.reasoning import reason_columns
from serving.wire.reasons import REASON_FIELDS, read_reason_columns
from training.reasons import Explainer

_NOBODY_SCORED = Reasons(
    baseline_churn_probability=0.0,
    other_points=0.0,
    strongest=(),
    unavailable="the snapshot has no customers, so that nobody knows what is usual",
)


def explain_live(
    state: LiveState,
    *,
    rolled: NDArray[np.float32],
    summary: NDArray[np.float32],
    last_event_us: int,
    num_events: int,
    num_orders: int,
    last_purchase_us: int,
    as_of_us: int,
    activity: DailyActivity,
) -> Reasons:
    """Why the head says of a customer what it says.

    rolled                        : float32[state_size], after the last event before the instant
    summary                       : float32[1, len(SUMMARY_COLUMNS)], at the instant
    num_events, num_orders, last_ : before the instant

    The usual customers are those of the snapshot, met as far from their last event as there: who is elsewhere in time is compared
    with what was usual then, and only season and the chain's orders are those of the instant, for both.
    """
    usual = state.usual
    if usual is None:
        return _NOBODY_SCORED
    moved_us = as_of_us - state.snapshot.inputs.as_of_us
    explainer = Explainer(
        state.model,
        horizon_days=state.snapshot.inputs.horizon_days,
        usual=replace(usual, last_event_us=usual.last_event_us + moved_us),
        as_of_us=as_of_us,
        activity=activity,
    )
    columns = reason_columns(
        explainer,
        states=rolled[None],
        summary=summary,
        last_event_us=np.array([last_event_us], np.int64),
        num_events=np.array([num_events], np.int32),
        num_orders=np.array([num_orders], np.int32),
        last_purchase_us=np.array([last_purchase_us], np.int64),
    )
    (reasons,) = read_reason_columns(pa.RecordBatch.from_arrays(columns, schema=pa.schema(REASON_FIELDS)))
    return reasons
