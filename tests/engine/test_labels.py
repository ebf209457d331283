"""Who could churn and who did: half-open windows, purchases only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US
from engine.labels import churned, eligible, next_purchase_us
from engine.schema import EventKind
from tests.reference import Event, build_partition

AS_OF_US = 100 * DAY_US


def _bought_on(*days: float) -> list[Event]:
    return [Event(time_us=round(day * DAY_US)) for day in days]


def test_a_purchase_at_the_instant_comes_after_it() -> None:
    partition = build_partition([_bought_on(99, 100, 101), _bought_on(99), []])
    assert next_purchase_us(partition, np.arange(3), AS_OF_US).tolist() == [AS_OF_US, -1, -1]


def test_other_kinds_of_event_are_no_purchases() -> None:
    orders = [Event(time_us=95 * DAY_US, kind=EventKind.RETURN), Event(time_us=105 * DAY_US, kind=EventKind.VISIT)]
    partition = build_partition([orders])
    assert eligible(partition, AS_OF_US, 30).tolist() == []
    assert churned(partition, np.array([0]), AS_OF_US, 30).tolist() == [True]


def test_who_bought_at_the_first_instant_of_the_active_days_is_eligible_and_who_bought_at_the_as_of_is_not() -> None:
    partition = build_partition([_bought_on(70), _bought_on(69.999), _bought_on(100), _bought_on(10, 99, 120), []])
    assert eligible(partition, AS_OF_US, 30).tolist() == [0, 3]


def test_a_purchase_at_the_end_of_the_horizon_is_too_late() -> None:
    partition = build_partition([_bought_on(129.999), _bought_on(130), _bought_on(100), _bought_on(99)])
    assert churned(partition, np.arange(4), AS_OF_US, 30).tolist() == [False, True, False, True]


def test_each_query_has_its_own_instant() -> None:
    partition = build_partition([_bought_on(10, 50)])
    instants_us = np.array([0, 11, 51]) * DAY_US
    assert churned(partition, np.zeros(3, np.int64), instants_us, 30).tolist() == [False, True, True]


@given(
    days=st.lists(st.lists(st.integers(0, 40), max_size=5), max_size=5),
    as_of_day=st.integers(0, 41),
    num_days=st.integers(1, 20),
)
def test_labels_are_those_of_a_search_through_all_purchases(days: list[list[int]], as_of_day: int, num_days: int) -> None:
    partition = build_partition([_bought_on(*sorted(times)) for times in days])
    customers = np.arange(len(days))
    found_eligible = eligible(partition, as_of_day * DAY_US, num_days).tolist()
    found_churned = churned(partition, customers, as_of_day * DAY_US, num_days).tolist()
    assert found_eligible == [
        customer for customer, times in enumerate(days) if any(as_of_day - num_days <= day < as_of_day for day in times)
    ]
    assert found_churned == [not any(as_of_day <= day < as_of_day + num_days for day in times) for times in days]


@pytest.mark.parametrize("num_days", [0, -1, float("nan")])
def test_days_that_are_not_positive_are_refused(num_days: float) -> None:
    partition = build_partition([_bought_on(1)])
    with pytest.raises(InvalidArgumentError, match=r"active_within_days: found .*expected"):
        eligible(partition, AS_OF_US, num_days)
    with pytest.raises(InvalidArgumentError, match=r"horizon_days: found .*expected"):
        churned(partition, np.array([0]), AS_OF_US, num_days)
