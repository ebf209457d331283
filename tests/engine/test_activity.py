"""The chain's pulse, against counting by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.activity import DailyActivity, add_activities, count_orders, measure_activity
from engine.history import History
from engine.history.manifest import read_manifest, write_manifest
from engine.ingest import ingest
from engine.instants import DAY_US, parse_instant
from engine.upkeep import inspect_history
from tests.engine.conftest import WriteSource


@settings(deadline=None)
@given(
    num_orders=st.lists(st.integers(0, 9), max_size=12),
    day=st.integers(-3, 15),
    hour=st.integers(0, 23),
    window=st.integers(1, 10),
)
def test_the_mean_is_over_whole_days_before_the_day_of_the_instant(
    num_orders: list[int], day: int, hour: int, window: int
) -> None:
    activity = DailyActivity(first_day=100, num_orders=np.array(num_orders, np.int64))
    as_of_us = np.array([(100 + day) * DAY_US + hour * DAY_US // 24])
    seen = [count for index, count in enumerate(num_orders) if max(0, min(day, len(num_orders)) - window) <= index < day]
    expected = np.mean(seen) if seen else np.nan
    np.testing.assert_allclose(activity.orders_before(as_of_us, window), [expected])
    np.testing.assert_allclose(activity.orders_before(np.repeat(as_of_us, 2), window), [expected, expected])


@settings(deadline=None)
@given(num_orders=st.lists(st.integers(0, 9), max_size=20), day=st.integers(-3, 25), window=st.integers(1, 6))
def test_the_last_days_before_an_instant_are_all_that_shorter_windows_look_at(
    num_orders: list[int], day: int, window: int
) -> None:
    activity = DailyActivity(first_day=100, num_orders=np.array(num_orders, np.int64))
    as_of_us = np.array([(100 + day) * DAY_US])
    recent = activity.before(int(as_of_us[0]), 6)
    assert len(recent.num_orders) <= 6
    np.testing.assert_array_equal(recent.orders_before(as_of_us, window), activity.orders_before(as_of_us, window))


def test_only_orders_before_the_instant_are_counted(store: Path, write_text: WriteSource) -> None:
    lines = ["a,2017-01-01 10:00,1", "b,2017-01-01 23:59,1", "a,2017-01-03 00:00,1", "b,2017-01-03 12:00,-1", "c,2017-01-04,1"]
    ingest(store, [write_text("t.csv", "customer_id,timestamp,amount", *lines)], num_buckets=4)
    history = History.open(store)
    assert measure_activity(history.partitions()).num_orders.tolist() == [2, 0, 1, 1]
    before = measure_activity(history.partitions(), before_us=parse_instant("2017-01-03"))
    assert before.num_orders.tolist() == [2]
    assert before.first_day * DAY_US == parse_instant("2017-01-01")


@pytest.mark.parametrize("before_us", [None, 0])
def test_no_orders_at_all(before_us: int | None) -> None:
    activity = measure_activity([], before_us=before_us)
    assert np.isnan(activity.orders_before(np.array([0, DAY_US]), 7)).all()


DAYS = st.lists(st.integers(-3, 9), max_size=12)


@given(first=DAYS, second=DAYS)
def test_activities_are_added_and_taken_off_day_by_day(first: list[int], second: list[int]) -> None:
    one, other, both = (count_orders(np.array(days, np.int64) * DAY_US + 5) for days in (first, second, first + second))
    assert add_activities([one, other]).to_text() == both.to_text()
    assert add_activities([both], less=[other]).to_text() == one.to_text()
    assert DailyActivity.from_text(both.to_text()).to_text() == both.to_text()


def test_the_activity_that_the_manifest_keeps_is_that_of_the_events(store: Path, write_text: WriteSource) -> None:
    header = "customer_id,timestamp,order_id,amount"
    lines = [f"c{number % 7},2017-01-{1 + number % 9:02d} 10:00,o{number},1" for number in range(60)]
    ingest(store, [write_text("t.csv", header, *lines)], num_buckets=4)
    ingest(store, [write_text("u.csv", header, "c0,2017-01-20,o0,1", "c1,2017-01-03,late,1", "new,2016-12-30,n,1")])
    history = History.open(store)
    assert history.manifest.activity is not None
    assert history.activity().to_text() == measure_activity(history.partitions()).to_text()
    assert history.activity().num_orders.sum() == 62


def test_a_manifest_that_keeps_no_activity_is_counted_and_goes_on(store: Path, write_text: WriteSource) -> None:
    header = "customer_id,timestamp,amount"
    ingest(store, [write_text("t.csv", header, "a,2017-01-01,1", "b,2017-01-03,1")], num_buckets=4)
    manifest, _ = read_manifest(store / "history")
    old = tuple(replace(totals, purchases_by_day=None) for totals in manifest.totals)
    write_manifest(store / "history", replace(manifest, totals=old))
    ingest(store, [write_text("u.csv", header, "a,2017-01-03,1")])
    history = History.open(store)
    assert history.manifest.activity is None
    assert history.activity().num_orders.tolist() == [1, 0, 2]
    assert inspect_history(store).problems == ()


def test_a_log_can_be_asked_from_its_first_day_on_however_much_of_it_is_kept() -> None:
    activity = DailyActivity(first_day=100, num_orders=np.array([3, 0, 1, 2, 2, 0, 5], np.int64))
    instants_us = np.array([100, 103, 107, 400]) * DAY_US + DAY_US // 2
    assert activity.days_before(instants_us).tolist() == [0.5, 3.5, 7.5, 300.5]
    assert activity.before(int(instants_us[2]), 4).days_before(instants_us[2:]).tolist() == [4.5, 297.5]
    assert np.isinf(DailyActivity(first_day=0, num_orders=np.zeros(0, np.int64)).days_before(instants_us)).all()


def _season(num_orders: np.ndarray, day: int, num_days: int, *, known_until: int | None = None) -> float:
    activity = DailyActivity(first_day=100, num_orders=num_orders)
    known_until_us = None if known_until is None else (100 + known_until) * DAY_US
    found = activity.season_ahead(np.array([(100 + day) * DAY_US + 5]), num_days, known_until_us=known_until_us)
    return float(found[0])


def test_the_year_before_tells_how_much_busier_the_days_ahead_are() -> None:
    num_orders = np.full(600, 10_000)
    num_orders[200:228] = 20_000
    assert _season(num_orders, 364 + 200, 28) == pytest.approx(np.log(2), rel=1e-3)
    assert _season(num_orders, 364 + 200, 56) == pytest.approx(np.log(1.5), rel=1e-3)
    assert _season(num_orders, 364 + 100, 28) == pytest.approx(0, abs=1e-4)


def test_a_season_that_was_not_seen_is_not_known() -> None:
    num_orders = np.full(600, 10)
    assert np.isnan(_season(num_orders, 364 + 90, 28))  # the quarter before begins a day before the log
    assert np.isfinite(_season(num_orders, 364 + 91, 28))
    assert np.isnan(_season(np.zeros(0, np.int64), 364 + 91, 28))


@settings(deadline=None, max_examples=50)
@given(day=st.integers(0, 900), data=st.data())
def test_nothing_of_the_instants_day_or_later_is_looked_at(day: int, data: st.DataObject) -> None:
    num_orders = np.arange(900) % 17 * 5
    changed = num_orders.copy()
    changed[day:] = data.draw(st.integers(0, 1000))
    np.testing.assert_equal(_season(num_orders, day, 91), _season(changed, day, 91))


def test_to_learn_from_an_instant_the_year_after_may_tell() -> None:
    num_orders = np.full(900, 10_000)
    num_orders[464:492] = 20_000
    assert _season(num_orders, 100, 28, known_until=900) == pytest.approx(np.log(2), rel=1e-3)
    assert _season(num_orders, 100, 28, known_until=492) == pytest.approx(np.log(2), rel=1e-3)
    assert np.isnan(_season(num_orders, 100, 28, known_until=491))
    assert _season(num_orders, 464, 28, known_until=900) == pytest.approx(0, abs=1e-4)  # the year before goes first


def test_few_orders_promise_little() -> None:
    counts = [np.repeat([1, 2], [291, 309]) * times for times in (1, 10, 1000)]
    levels = [_season(count, 364 + 291, 28) for count in counts]
    assert 0 < levels[0] < levels[1] < levels[2] <= np.log(2)
    assert _season(np.zeros(600, np.int64), 500, 28) == pytest.approx(0, abs=0.1)


@settings(deadline=None, max_examples=100)
@given(num_days=st.integers(0, 700), day=st.integers(-5, 900), seed=st.integers(0, 9))
def test_the_season_of_one_instant_is_that_of_many(num_days: int, day: int, seed: int) -> None:
    activity = DailyActivity(first_day=100, num_orders=np.random.default_rng(seed).integers(0, 9, num_days))
    as_of_us = (100 + day) * DAY_US + 7
    expected = [float(activity.season_ahead(np.array([as_of_us]), days)[0]) for days in (28, 91)]
    np.testing.assert_allclose(activity.seasons_ahead(as_of_us, (28, 91)), expected, rtol=1e-12)
