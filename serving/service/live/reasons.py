"""Reasons for one live score, at its own instant; what is usual stays that of the snapshot."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from engine.activity import DailyActivity
from serving.answers import Reasons
from serving.service.live.state import LiveState
from serving.service.reasoning import reason_columns
from serving.wire.reasons import REASON_FIELDS, read_reason_columns
from training.reasons import Explainer, Kept

_NOBODY_SCORED = Reasons(
    baseline_churn_probability=0.0,
    other_points=0.0,
    strongest=(),
    unavailable="the snapshot has no customers, so that nobody knows what is usual",
)


def explain_live(state: LiveState, kept: Kept, *, as_of_us: int, activity: DailyActivity) -> Reasons:
    """Why the head says of a customer what it says.

    kept : of the one customer, at the instant

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
    columns = reason_columns(explainer, kept)
    (reasons,) = read_reason_columns(pa.RecordBatch.from_arrays(columns, schema=pa.schema(REASON_FIELDS)))
    return reasons
