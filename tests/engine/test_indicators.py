"""Indicators are those of the plain version, see nothing at or after the instant, and do not depend on their company."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.indicators import INDICATORS, NUM_INDICATORS, compute_indicators
from engine.instants import DAY_US, HOUR_US
from engine.schema import EventKind
from tests import reference
from tests.reference import Order, build_partition

NAMES = [indicator.name for indicator in INDICATORS]

orders = st.builds(
    Order,
    time_us=st.one_of(
        st.integers(0, 500).map(lambda day: day * DAY_US), st.integers(0, 500 * 24).map(lambda hour: hour * HOUR_US)
    ),
    kind=st.sampled_from([EventKind.PURCHASE] * 4 + [EventKind.RETURN, EventKind.VISIT]),
    amount=st.integers(-500, 10**6),
    discount=st.integers(-2000, 2000),
    num_lines=st.integers(1, 9),
    num_products=st.integers(0, 9),
)
histories = st.lists(st.lists(orders, max_size=12).map(lambda drawn: sorted(drawn, key=lambda order: order.time_us)), max_size=4)
instants = st.integers(0, 520 * 24).map(lambda hour: hour * HOUR_US)


@given(customers=histories, as_of_us=instants)
def test_every_indicator_is_that_of_the_plain_version(customers: list[list[Order]], as_of_us: int) -> None:
    found = compute_indicators(build_partition(customers), np.arange(len(customers)), as_of_us)
    assert found.dtype == np.float32
    assert found.shape == (len(customers), NUM_INDICATORS)
    for row, of_customer in zip(found, customers, strict=True):
        expected = reference.indicators(of_customer, as_of_us)
        assert set(expected) == set(NAMES)
        np.testing.assert_allclose(row, [expected[name] for name in NAMES], rtol=1e-6, atol=1e-6)


@given(customers=histories, as_of_us=instants)
def test_what_happens_at_or_after_the_instant_changes_nothing(customers: list[list[Order]], as_of_us: int) -> None:
    before = [[order for order in of_customer if order.time_us < as_of_us] for of_customer in customers]
    index = np.arange(len(customers))
    np.testing.assert_array_equal(
        compute_indicators(build_partition(customers), index, as_of_us),
        compute_indicators(build_partition(before), index, as_of_us),
    )


@given(customers=histories, queries=st.lists(st.tuples(st.integers(0, 3), instants), max_size=6))
def test_a_query_gets_the_same_bits_alone_as_in_company(customers: list[list[Order]], queries: list[tuple[int, int]]) -> None:
    partition = build_partition([*customers, *[[]] * (40 - len(customers))])
    customer = np.array([number for number, _ in queries] + [39] * bool(queries), np.int64)
    as_of_us = np.array([instant_us for _, instant_us in queries] + [0] * bool(queries), np.int64)
    together = compute_indicators(partition, customer, as_of_us)
    for query in range(len(customer)):
        alone = compute_indicators(partition, customer[query : query + 1], as_of_us[query : query + 1])
        assert alone.tobytes() == together[query].tobytes()


@given(customers=histories, as_of_us=instants, num_days=st.integers(-20, 3000))
def test_shifting_everything_by_whole_days_changes_nothing(customers: list[list[Order]], as_of_us: int, num_days: int) -> None:
    shift_us = num_days * DAY_US
    shifted = [
        [
            Order(
                time_us=order.time_us + shift_us,
                kind=order.kind,
                amount=order.amount,
                discount=order.discount,
                num_lines=order.num_lines,
                num_products=order.num_products,
            )
            for order in of_customer
        ]
        for of_customer in customers
    ]
    index = np.arange(len(customers))
    np.testing.assert_array_equal(
        compute_indicators(build_partition(customers), index, as_of_us),
        compute_indicators(build_partition(shifted), index, as_of_us + shift_us),
    )


def test_a_customer_without_a_purchase_has_counts_of_zero_and_nothing_else() -> None:
    partition = build_partition([[Order(time_us=0, kind=EventKind.RETURN)]])
    row = dict(zip(NAMES, compute_indicators(partition, np.array([0]), DAY_US)[0].tolist(), strict=True))
    assert row["orders_365d"] == row["spend_90d"] == row["active_weeks_13w"] == 0
    assert row["returns_90d"] == 1
    undefined = ["recency_days", "tenure_days", "gap_mean_days", "lateness", "basket_mean_90d", "return_rate_365d"]
    assert all(math.isnan(row[name]) for name in undefined)


def test_no_queries_give_no_rows() -> None:
    nothing = np.zeros(0, np.int64)
    for customers in ([], [[Order(time_us=0)]]):
        assert compute_indicators(build_partition(customers), nothing, nothing).shape == (0, NUM_INDICATORS)


@pytest.mark.parametrize("customer", [-1, 1])
def test_a_customer_that_there_is_not_is_refused(customer: int) -> None:
    with pytest.raises(ValueError, match=r"customer_index: found .*expected 0 to 0"):
        compute_indicators(build_partition([[Order(time_us=0)]]), np.array([customer]), DAY_US)


def test_names_are_unique_and_every_indicator_has_a_unit_and_a_sentence() -> None:
    assert len(set(NAMES)) == NUM_INDICATORS == 30
    assert all(indicator.unit and indicator.meaning.endswith(".") for indicator in INDICATORS)
