"""One live score: events folded, the state rolled on, the situation read, the head asked."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.activity import DailyActivity
from engine.coverage import Coverage
from engine.errors import UnknownCustomerError
from engine.hashing import hash_text
from engine.history.customer_events import Columns, CustomerEvents, merge
from engine.indicators import summarise_customer
from engine.instants import DAY_US
from engine.last_orders import read_orders
from engine.schema import EventKind
from serving.answers import CustomerAnswer, CustomerScore, IneligibleReason
from serving.risk import DEFAULT_THRESHOLDS, risk_scores
from serving.service.live.reasons import explain_live
from serving.service.live.state import LiveState, Memory
from serving.service.queries import context_of
from serving.wire.events import BroughtEvents
from training.network.situation import situation_of_one
from training.network.spend import expected_spend
from training.predict import churn_probability_of_one, clip_survival, expected_days_of_one
from training.reasons import Kept


def score_known(
    state: LiveState, customer_id: str, brought: BroughtEvents, *, as_of_us: int, horizon_days: int, include_reasons: bool
) -> CustomerAnswer:
    """The score of a customer of the store, or of one who is in none and brings events.

    brought : all before as_of_us
    raises  : UnknownCustomerError; IntegrityError where a part of the history is gone
    """
    hashed = hash_text(customer_id)
    found = state.lookup.find(customer_id, hashed % state.num_buckets, settled=state.settled)
    if found is None and brought.num_events == 0:
        raise UnknownCustomerError(customer_id)
    if found is None:
        return score_stranger(
            state, customer_id, brought, as_of_us=as_of_us, horizon_days=horizon_days, include_reasons=include_reasons
        )
    events, num_settled, activity, num_added = found.events, found.num_settled, state.activity, 0
    if brought.num_events:
        merged = merge(events, brought.events)
        events, num_settled = merged.events, min(num_settled, merged.num_kept)
        activity = _count_orders(activity, added=merged.added, replaced=merged.replaced)
        num_added = len(merged.added["kind"])
    memory = state.recall(customer_id, hashed)
    if memory is not None and memory.num_events > num_settled:
        memory = None  # what it has seen is not what happened, or nobody can tell: begin anew
    return _score(
        state,
        customer_id,
        events,
        memory,
        coverage=_widen(state.coverage, brought),
        activity=activity,
        as_of_us=as_of_us,
        horizon_days=horizon_days,
        num_added=num_added,
        include_reasons=include_reasons,
    )


def score_stranger(
    state: LiveState, customer_id: str, brought: BroughtEvents, *, as_of_us: int, horizon_days: int, include_reasons: bool
) -> CustomerAnswer:
    """The score of somebody of whom all events were brought, one or more; what the store may know of them is not looked at."""
    columns = brought.events.columns
    return _score(
        state,
        customer_id,
        brought.events,
        None,
        coverage=_widen(state.coverage, brought),
        activity=_count_orders(state.activity, added=columns, replaced={name: values[:0] for name, values in columns.items()}),
        as_of_us=as_of_us,
        horizon_days=horizon_days,
        num_added=brought.num_events,
        include_reasons=include_reasons,
    )


def _widen(coverage: Coverage, brought: BroughtEvents) -> Coverage:
    """What the chain's log covers with the events in it."""
    columns = brought.events.columns
    since_us: dict[EventKind, int] = {}
    for code, time_us in zip(columns["kind"].tolist(), columns["timestamp_us"].tolist(), strict=True):
        kind = EventKind(code)
        if time_us < min(coverage.start_us(kind), since_us.get(kind, time_us + 1)):
            since_us[kind] = time_us
    has_amounts = coverage.has_amounts or brought.has_amounts
    has_discounts = coverage.has_discounts or brought.has_discounts
    if not since_us and (has_amounts, has_discounts) == (coverage.has_amounts, coverage.has_discounts):
        return coverage
    return Coverage(since_us={**coverage.since_us, **since_us}, has_amounts=has_amounts, has_discounts=has_discounts)


def _count_orders(activity: DailyActivity, *, added: Columns, replaced: Columns) -> DailyActivity:
    """The chain's orders a day with those that come and without those that go, on the days that the history covers.

    Later days stay out: of these the caller's orders are known and nobody else's, and the chain would seem to have died.
    """
    changes: dict[int, int] = {}
    for columns, change in ((added, 1), (replaced, -1)):
        for kind, time_us in zip(columns["kind"].tolist(), columns["timestamp_us"].tolist(), strict=True):
            day = time_us // DAY_US - activity.first_day
            if kind == EventKind.PURCHASE and 0 <= day < len(activity.num_orders):
                changes[day] = changes.get(day, 0) + change
    if not changes:
        return activity
    num_orders = activity.num_orders.copy()
    for day, change in changes.items():
        num_orders[day] += change
    return dataclasses.replace(activity, num_orders=num_orders)


def _score(
    state: LiveState,
    customer_id: str,
    events: CustomerEvents,
    memory: Memory | None,
    *,
    coverage: Coverage,
    activity: DailyActivity,
    as_of_us: int,
    horizon_days: int,
    num_added: int,
    include_reasons: bool,
) -> CustomerAnswer:
    inputs = state.snapshot.inputs
    of_snapshot = context_of(state.snapshot, horizon_days)
    context = dataclasses.replace(of_snapshot, as_of_us=as_of_us, is_live=True, num_events_added=num_added)
    timestamp_us = events.columns["timestamp_us"].astype(np.int64, copy=False)
    end = int(np.searchsorted(timestamp_us, as_of_us))
    purchases = np.flatnonzero(events.columns["kind"][:end] == EventKind.PURCHASE)
    if len(purchases) == 0:
        return CustomerAnswer(customer=None, ineligible_reason=IneligibleReason.NO_PURCHASE_BEFORE_AS_OF, context=context)
    latest = int(purchases[-1])
    if timestamp_us[latest] < as_of_us - inputs.active_within_days * DAY_US:
        return CustomerAnswer(customer=None, ineligible_reason=IneligibleReason.NO_RECENT_PURCHASE, context=context)

    partition = events.to_partition(coverage)
    if memory is None or memory.num_events > end:
        memory = Memory(num_events=0, state=np.zeros(state.state_size, np.float32))
    rolled = state.forward.roll(memory.state, partition, memory.num_events, end)
    summary = summarise_customer(partition, end, as_of_us)
    last_event_us, last_purchase_us = int(timestamp_us[end - 1]), int(timestamp_us[latest])
    situation = situation_of_one(summary, last_event_us, as_of_us, activity)
    outlook = state.forward.look_ahead(rolled, situation[0])
    survival = clip_survival(outlook.survival)[0]
    edges_days = state.edges_days
    at_own_horizon = np.float32(churn_probability_of_one(edges_days, survival, inputs.horizon_days))
    probability = at_own_horizon
    if horizon_days != inputs.horizon_days:
        probability = np.float32(churn_probability_of_one(edges_days, survival, horizon_days))
    risk = float(risk_scores(at_own_horizon))
    grade = DEFAULT_THRESHOLDS.grade(risk)
    reasons = None
    if include_reasons:
        kept = Kept(
            states=rolled[None],
            summary=summary,
            last_order=read_orders(partition, purchases[-1:]),
            last_event_us=np.array([last_event_us], np.int64),
            last_purchase_us=np.array([last_purchase_us], np.int64),
            num_events=np.array([end], np.int32),
            num_orders=np.array([len(purchases)], np.int32),
        )
        reasons = explain_live(state, kept, as_of_us=as_of_us, activity=activity)
    score = CustomerScore(
        customer_id=customer_id,
        churn_probability=float(probability),
        risk_score=risk,
        grade=grade,
        tier=grade.tier,
        last_purchase_us=last_purchase_us,
        num_orders=len(purchases),
        store_id=events.books["store_code"].name(int(events.columns["store_code"][latest])),
        expected_days_to_purchase=float(np.float32(expected_days_of_one(state.widths_days, survival))),
        expected_spend_90d=float(expected_spend(edges_days, outlook.spend, 90).astype(np.float32)[0]),
        expected_spend_365d=float(expected_spend(edges_days, outlook.spend, 365).astype(np.float32)[0]),
        reasons=reasons,
    )
    return CustomerAnswer(customer=score, ineligible_reason=None, context=context)
