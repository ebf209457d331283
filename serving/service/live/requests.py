"""The two live calls from request to answer: limits first, then events, then the score. Runs in a thread; knows no transport."""

from __future__ import annotations

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US, format_instant
from engine.schema import MAX_ID_BYTES
from serving.answers import CustomerAnswer
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.service.live.scoring import score_known, score_stranger
from serving.service.live.state import LiveState
from serving.service.queries import check_horizon
from serving.wire.events import BroughtEvents, read_events, read_instant

MAX_RECENT_EVENTS = 100
MAX_HISTORY_EVENTS = 10_000

# How far after the snapshot a live score may speak: a year, and a month for a snapshot that is overdue. Later than that the
# chain's own pulse is of another time, and nearly everybody has left eligibility.
FARTHEST_DAYS = 400


def is_live(request: pb.ScoreCustomerRequest) -> bool:
    """Whether a request asks for more than the snapshot says."""
    return request.HasField("as_of") or len(request.recent_events) > 0


def answer_customer(state: LiveState, request: pb.ScoreCustomerRequest) -> CustomerAnswer:
    """The answer to ScoreCustomer with as_of or recent_events; the id has been checked.

    raises : InvalidArgumentError, UnknownCustomerError, IntegrityError
    """
    horizon_days = check_horizon(state.snapshot, request.horizon_days if request.HasField("horizon_days") else None)
    asked_us = read_instant(request.as_of, "as_of") if request.HasField("as_of") else None
    before_us = _check_as_of(state, asked_us)
    brought = read_events(
        request.recent_events,
        "recent_events",
        has_amounts=state.coverage.has_amounts,
        max_events=MAX_RECENT_EVENTS,
        before_us=before_us,
    )
    as_of_us = _settle_as_of(state, asked_us, brought)
    return score_known(
        state, request.customer_id, brought, as_of_us=as_of_us, horizon_days=horizon_days, include_reasons=request.include_reasons
    )


def answer_history(state: LiveState, request: pb.ScoreHistoryRequest) -> CustomerAnswer:
    """The answer to ScoreHistory.

    raises : InvalidArgumentError
    """
    if len(request.customer_id.encode()) > MAX_ID_BYTES:
        found = len(request.customer_id.encode())
        raise InvalidArgumentError("customer_id", f"found {found} bytes, expected at most {MAX_ID_BYTES} bytes of UTF-8")
    if not request.events:
        raise InvalidArgumentError("events", "found none, expected one or more")
    horizon_days = check_horizon(state.snapshot, request.horizon_days if request.HasField("horizon_days") else None)
    asked_us = read_instant(request.as_of, "as_of") if request.HasField("as_of") else None
    before_us = _check_as_of(state, asked_us)
    brought = read_events(
        request.events,
        "events",
        has_amounts=state.coverage.has_amounts,
        max_events=MAX_HISTORY_EVENTS,
        before_us=before_us,
    )
    as_of_us = _settle_as_of(state, asked_us, brought)
    return score_stranger(
        state, request.customer_id, brought, as_of_us=as_of_us, horizon_days=horizon_days, include_reasons=request.include_reasons
    )


def _check_as_of(state: LiveState, asked_us: int | None) -> int:
    """The instant that all events have to be before.

    raises : InvalidArgumentError
    """
    farthest_us = state.snapshot.inputs.as_of_us + FARTHEST_DAYS * DAY_US
    if asked_us is None:
        return farthest_us
    if not state.first_order_us < asked_us <= farthest_us:
        raise InvalidArgumentError(
            "as_of",
            f"found {format_instant(asked_us)}, expected a time after {format_instant(state.first_order_us)}, the first order of "
            f"the history, and at most {FARTHEST_DAYS} days after the snapshot, which is {format_instant(farthest_us)}",
        )
    return asked_us


def _settle_as_of(state: LiveState, asked_us: int | None, brought: BroughtEvents) -> int:
    """The instant to speak about: as asked, else that of the snapshot, or just after the last event."""
    if asked_us is not None:
        return asked_us
    snapshot_us = state.snapshot.inputs.as_of_us
    times_us = brought.events.columns["timestamp_us"]
    return max(snapshot_us, int(times_us[-1]) + 1) if len(times_us) else snapshot_us
