"""Indicators are those of the plain version, see nothing at or after the instant, and do not depend on their company."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.coverage import Coverage
from engine.indicators import (
    COLUMNS,
    INDICATOR_COLUMNS,
    INDICATORS,
    NUM_COLUMNS,
    NUM_INDICATORS,
    compute_indicators,
    compute_summary,
    summarise_customer,
)
from engine.instants import DAY_US, HOUR_US
from engine.schema import EventKind
from kernels import SUMMARY_COLUMNS, WINDOWS_DAYS, backend_names
from tests import reference
from tests.reference import Event, build_partition

events = st.builds(
    Event,
    time_us=st.one_of(
        st.integers(0, 500).map(lambda day: day * DAY_US), st.integers(0, 500 * 24).map(lambda hour: hour * HOUR_US)
    ),
    kind=st.sampled_from([EventKind.PURCHASE] * 8 + list(EventKind)),
    amount=st.integers(-500, 10**6),
    discount=st.integers(-2000, 2000),
    num_lines=st.integers(1, 9),
    num_categories=st.integers(0, 3),
    rating=st.one_of(st.none(), st.integers(0, 10).map(lambda half: half / 2)),
    store=st.one_of(st.none(), st.integers(0, 2)),
    channel=st.one_of(st.none(), st.integers(0, 1)),
)
histories = st.lists(st.lists(events, max_size=20).map(lambda drawn: sorted(drawn, key=lambda event: event.time_us)), max_size=4)
instants = st.integers(0, 520 * 24).map(lambda hour: hour * HOUR_US)
every_backend = pytest.mark.parametrize("backend", backend_names())


@every_backend
@given(customers=histories, as_of_us=instants)
def test_every_number_is_that_of_the_plain_version(customers: list[list[Event]], as_of_us: int, backend: str) -> None:
    found = compute_summary(build_partition(customers), np.arange(len(customers)), as_of_us, backend=backend)
    assert found.dtype == np.float32
    assert found.shape == (len(customers), len(SUMMARY_COLUMNS))
    for row, of_customer in zip(found, customers, strict=True):
        expected = reference.summary(of_customer, as_of_us)
        assert set(expected) == set(SUMMARY_COLUMNS)
        for name, value in zip(SUMMARY_COLUMNS, row.tolist(), strict=True):
            assert value == pytest.approx(expected[name], rel=1e-5, abs=1e-6, nan_ok=True), name


@given(customers=histories, as_of_us=instants)
def test_what_happens_at_or_after_the_instant_changes_nothing(customers: list[list[Event]], as_of_us: int) -> None:
    before = [[event for event in of_customer if event.time_us < as_of_us] for of_customer in customers]
    index = np.arange(len(customers))
    np.testing.assert_array_equal(
        compute_summary(build_partition(customers), index, as_of_us),
        compute_summary(build_partition(before), index, as_of_us),
    )


@given(customers=histories, as_of_us=instants, since_us=instants)
def test_a_log_may_be_looked_at_as_if_it_began_later(customers: list[list[Event]], as_of_us: int, since_us: int) -> None:
    after = [[event for event in of_customer if event.time_us >= since_us] for of_customer in customers]
    index = np.arange(len(customers))
    np.testing.assert_array_equal(
        compute_indicators(build_partition(customers), index, as_of_us, since_us=since_us),
        compute_indicators(build_partition(after), index, as_of_us),
    )


@given(customers=histories, queries=st.lists(st.tuples(st.integers(0, 3), instants), max_size=6))
def test_a_query_gets_the_same_bits_alone_as_in_company(customers: list[list[Event]], queries: list[tuple[int, int]]) -> None:
    partition = build_partition([*customers, *[[]] * (40 - len(customers))])
    customer = np.array([number for number, _ in queries] + [39] * bool(queries), np.int64)
    as_of_us = np.array([instant_us for _, instant_us in queries] + [0] * bool(queries), np.int64)
    together = compute_summary(partition, customer, as_of_us)
    for query in range(len(customer)):
        alone = compute_summary(partition, customer[query : query + 1], as_of_us[query : query + 1])
        assert alone.tobytes() == together[query].tobytes()


@given(customers=histories, as_of_us=instants)
def test_one_customer_has_the_bits_of_many(customers: list[list[Event]], as_of_us: int) -> None:
    for of_customer in customers:
        partition = build_partition([of_customer])
        num_events = sum(event.time_us < as_of_us for event in of_customer)
        alone = summarise_customer(partition, num_events, as_of_us)
        assert alone.tobytes() == compute_summary(partition, np.zeros(1, np.int64), as_of_us).tobytes()


@given(customers=histories, as_of_us=instants, num_weeks=st.integers(-3, 400))
def test_shifting_everything_by_whole_weeks_changes_nothing(customers: list[list[Event]], as_of_us: int, num_weeks: int) -> None:
    shift_us = num_weeks * 7 * DAY_US
    shifted = [
        [dataclasses.replace(event, time_us=event.time_us + shift_us) for event in of_customer] for of_customer in customers
    ]
    index = np.arange(len(customers))
    np.testing.assert_array_equal(
        compute_summary(build_partition(customers), index, as_of_us),
        compute_summary(build_partition(shifted), index, as_of_us + shift_us),
    )


def test_the_last_thing_that_happened_may_be_years_ago() -> None:
    kinds = (EventKind.VISIT, EventKind.LOGIN, EventKind.PURCHASE)
    partition = build_partition([[Event(time_us=day * DAY_US, kind=kind) for day, kind in enumerate(kinds)]])
    row = named(compute_indicators(partition, np.array([0]), 1000 * DAY_US)[0])
    assert (row["days_since_visit"], row["days_since_login"], row["recency_days"]) == (1000, 999, 998)
    assert (row["orders_90d"], row["orders_change_30d"]) == (0, pytest.approx(math.nan, nan_ok=True))


def test_what_the_log_does_not_cover_is_not_known_and_not_zero() -> None:
    purchases = [Event(time_us=day * DAY_US, num_categories=2) for day in range(80)]
    index, as_of_us = np.array([0]), 81 * DAY_US
    everything = named(compute_indicators(build_partition([purchases]), index, as_of_us)[0])
    assert (everything["complaints_90d"], everything["return_rate_180d"], everything["discount_share_90d"]) == (0, 0, 0)
    nothing = Coverage(has_amounts=False, has_discounts=False)
    bare = named(compute_indicators(build_partition([purchases], nothing), index, as_of_us)[0])
    unknown = {name for name in bare if math.isnan(bare[name]) and not math.isnan(everything[name])}
    of_money = {f"spend_{days}d" for days in WINDOWS_DAYS} | {"spend_change_30d", "basket_90d", "discount_share_90d"}
    assert unknown == of_money | {"complaints_90d", "return_rate_180d", "visits_30d", "logins_30d", "contacts_90d"}


@pytest.mark.parametrize(("start_day", "expected"), [(79, 0.0), (81, math.nan), (90, math.nan)])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EventKind.COMPLAINT, "complaints_90d"),
        (EventKind.VISIT, "visits_30d"),
        (EventKind.LOGIN, "logins_30d"),
        (EventKind.CONTACT, "contacts_90d"),
        (EventKind.RETURN, "return_rate_180d"),
    ],
)
def test_a_source_that_began_later_is_not_known_before(kind: EventKind, name: str, start_day: int, expected: float) -> None:
    coverage = Coverage(since_us={kind: start_day * DAY_US})
    partition = build_partition([[Event(time_us=0)]], coverage)
    row = named(compute_indicators(partition, np.array([0]), 81 * DAY_US)[0])
    assert row[name] == pytest.approx(expected, nan_ok=True)
    counts = {"complaints_90d", "visits_30d", "logins_30d", "contacts_90d"} - {name}
    assert all(math.isnan(row[other]) for other in counts)


def test_store_and_channel_speak_for_themselves() -> None:
    shops = [(0, 0), (1, 0), (None, 1), (1, None), (1, 0)]
    orders = [Event(time_us=day * DAY_US, store=store, channel=channel) for day, (store, channel) in enumerate(shops)]
    row = named(compute_indicators(build_partition([orders]), np.array([0]), 10 * DAY_US)[0])
    # of the five orders three at store 1 and three by channel 0; neighbours that both are known are two pairs of either
    assert (row["store_share_90d"], row["channel_share_90d"]) == (pytest.approx(0.6), pytest.approx(0.6))
    assert (row["store_switch_rate_90d"], row["channel_switch_rate_90d"]) == (0.5, 0.5)


def test_where_no_store_is_known_the_channel_still_is() -> None:
    orders = [Event(time_us=day * DAY_US, channel=day % 2) for day in range(4)]
    row = named(compute_indicators(build_partition([orders]), np.array([0]), 10 * DAY_US)[0])
    assert math.isnan(row["store_share_90d"])
    assert math.isnan(row["store_switch_rate_90d"])
    assert (row["channel_share_90d"], row["channel_switch_rate_90d"]) == (0.5, 1)


def test_a_customer_without_a_purchase_has_counts_of_zero_and_nothing_else() -> None:
    partition = build_partition([[Event(time_us=0, kind=EventKind.COMPLAINT)]])
    row = named(compute_indicators(partition, np.array([0]), DAY_US)[0])
    known = {name: value for name, value in row.items() if not math.isnan(value)}
    windows = {f"{what}_{days}d": 0 for what in ("orders", "spend") for days in WINDOWS_DAYS}
    assert known == {**windows, "visits_30d": 0, "logins_30d": 0, "complaints_90d": 1, "contacts_90d": 0}


def test_no_queries_give_no_rows() -> None:
    nothing = np.zeros(0, np.int64)
    for customers in ([], [[Event(time_us=0)]]):
        assert compute_indicators(build_partition(customers), nothing, nothing).shape == (0, NUM_COLUMNS)


@pytest.mark.parametrize("customer", [-1, 1])
def test_a_customer_that_there_is_not_is_refused(customer: int) -> None:
    with pytest.raises(ValueError, match=r"customer_index: found .*expected 0 to 0"):
        compute_indicators(build_partition([[Event(time_us=0)]]), np.array([customer]), DAY_US)


def test_the_catalogue_has_thirty_entries_and_a_column_for_each_window() -> None:
    assert len({indicator.name for indicator in INDICATORS}) == NUM_INDICATORS == 30
    assert len(set(INDICATOR_COLUMNS)) == NUM_COLUMNS == 38
    assert SUMMARY_COLUMNS[:NUM_COLUMNS] == INDICATOR_COLUMNS
    families = {indicator.name: indicator.windows_days for indicator in INDICATORS if indicator.windows_days}
    assert families == {"orders": (7, 14, 30, 60, 90), "spend": (7, 14, 30, 60, 90)}
    assert all(indicator.unit and indicator.meaning.endswith(".") for indicator in INDICATORS)
    assert all([column.name for column in one.columns] == [one.name] for one in INDICATORS if not one.windows_days)


def test_a_warning_is_due_on_the_worrying_side_and_never_for_the_unknown() -> None:
    warns = {column.name: column.warns for column in COLUMNS}
    assert warns["recency_days"](np.array([19.9, 20.0, math.nan])).tolist() == [False, True, False]
    assert warns["rating_mean_180d"](np.array([2.9, 3.0, math.nan])).tolist() == [True, False, False]
    assert [warns[f"orders_{days}d"](np.array([1.0])).item() for days in WINDOWS_DAYS] == [False, False, False, True, True]


def named(row: np.ndarray) -> dict[str, float]:
    return dict(zip(INDICATOR_COLUMNS, row.tolist(), strict=True))
