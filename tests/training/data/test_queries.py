"""Query instants: spread over the time asked for, only where the customer was eligible, with what was known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.history import History
from engine.instants import DAY_US
from engine.labels import churned, eligible
from tests.training.conftest import AS_OF_US
from training.data.past import take_past
from training.data.queries import draw_queries, queries_at


def test_queries_at_an_instant_agree_with_the_labels(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    instant = AS_OF_US - 30 * DAY_US
    queries = queries_at(past, [instant], known_until_us=AS_OF_US, active_within_days=60)
    assert queries.customer_index.tolist() == eligible(past, instant, 60).tolist()
    assert (queries.wait_days >= 30).tolist() == churned(past, queries.customer_index, instant, 30).tolist()
    assert (past.timestamp_us[queries.last_row] < instant).all()
    assert queries.known_days == pytest.approx(np.full(len(queries), 30.0))


def test_a_purchase_after_the_end_of_knowledge_is_not_looked_at(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    instant, end = AS_OF_US - 30 * DAY_US, AS_OF_US - 20 * DAY_US
    queries = queries_at(past, [instant], known_until_us=end, active_within_days=60)
    waits = queries.wait_days[np.isfinite(queries.wait_days)]
    assert waits.max() < 10
    assert np.isinf(queries.wait_days).any()


def test_drawn_instants_cover_the_time_evenly(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    start = AS_OF_US - 100 * DAY_US
    queries = draw_queries(
        past,
        np.random.default_rng(0),
        starts_us=[start],
        known_until_us=AS_OF_US,
        num_instants=10,
        active_within_days=10_000,
    )
    place = (queries.as_of_us - start) // (10 * DAY_US)
    assert set(place.tolist()) == set(range(10))
    always_there = np.flatnonzero(past.timestamp_us[past.offsets[:-1]] < start)
    counts = np.bincount(queries.customer_index, minlength=past.num_customers)
    assert set(counts[always_there].tolist()) == {10}


def test_half_of_the_instants_lie_whole_days_before_the_end_of_knowledge(history: History) -> None:
    end = AS_OF_US - 3 * 3_600_000_000
    past = take_past(history.partitions(), before_us=end)
    early, late = end - round(99.7 * DAY_US), end - round(30.2 * DAY_US)
    queries = draw_queries(
        past,
        np.random.default_rng(0),
        starts_us=[late, early],
        known_until_us=end,
        num_instants=40,
        active_within_days=10_000,
    )
    always_there = past.timestamp_us[past.offsets[:-1]][queries.customer_index] < early
    since_us = end - queries.as_of_us[always_there]
    by_day = since_us % DAY_US == 0
    assert by_day.mean() == pytest.approx(0.5, abs=0.001)
    counts = np.bincount(since_us[by_day] // DAY_US, minlength=100)[1:]
    # Of a customer's twenty by day ten fall on the last 30 days, and the ten others on all 99, on none more than on another.
    on_all = counts[30:].mean()
    assert counts[:30].mean() / on_all == pytest.approx(1 + 99 / 30, rel=0.1)
    assert counts[30:].min() > 0.5 * on_all
    assert counts[:30].min() > 0.8 * counts[:30].mean()
    assert since_us.min() > 0


def test_instants_are_dealt_out_to_the_spans(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    early, late = AS_OF_US - 100 * DAY_US, AS_OF_US - 10 * DAY_US
    queries = draw_queries(
        past,
        np.random.default_rng(0),
        starts_us=[late, early],
        known_until_us=AS_OF_US,
        num_instants=20,
        active_within_days=10_000,
    )
    always_there = past.timestamp_us[past.offsets[:-1]][queries.customer_index] < early
    # Half of them in the late tenth, and a tenth of the other half too.
    assert (queries.as_of_us[always_there] >= late).mean() == pytest.approx(0.55, abs=0.01)
