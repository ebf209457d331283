"""What the head sees of an instant."""

from __future__ import annotations

import numpy as np
import pytest

from engine.activity import DailyActivity
from engine.instants import DAY_US
from kernels import SUMMARY_COLUMNS
from training.network.situation import LONGEST_CHAIN_WINDOW, SITUATION_NAMES, situation_of, situation_of_one

_DAY = 17_000
_AS_OF_US = _DAY * DAY_US


def _situation(log_days: int, *, activity: DailyActivity | None = None, **known: float) -> dict[str, float]:
    """Of a customer of whom these numbers are known, in a log that began so many days ago."""
    summary = np.full((1, len(SUMMARY_COLUMNS)), np.nan, np.float32)
    for name, value in known.items():
        summary[0, SUMMARY_COLUMNS.index(name)] = value
    if activity is None:
        activity = DailyActivity(first_day=_DAY - log_days, num_orders=np.ones(log_days, np.int64))
    last_us = np.array([_AS_OF_US - 5 * DAY_US])
    found = situation_of(summary, last_us, np.array([_AS_OF_US]), activity)
    alone = situation_of_one(summary, int(last_us[0]), _AS_OF_US, activity)
    np.testing.assert_array_equal(found, alone)
    return dict(zip(SITUATION_NAMES, np.expm1(found[0]).tolist(), strict=True))


def test_a_habit_looks_the_same_however_young_the_log() -> None:
    """An order every ten days: 3 in a log of thirty days, 9 in one of ninety, 36 in one of a year."""
    young = _situation(30, orders_30d=3, orders_90d=3, orders_180d=3, orders_365d=3, spend_90d=60)
    older = _situation(90, orders_30d=3, orders_90d=9, orders_180d=9, orders_365d=9, spend_90d=180)
    old = _situation(3650, orders_30d=3, orders_90d=9, orders_180d=18, orders_365d=36.5, spend_90d=180)
    for name in ("orders_30d", "orders_90d", "orders_180d", "orders_365d", "spend_90d"):
        assert young[name] == pytest.approx(older[name], rel=1e-5) == pytest.approx(old[name], rel=1e-5)


def test_what_is_no_total_is_left_as_it_is() -> None:
    values = {"recency_days": 5.0, "gap_mean_days": 10.0, "tenure_days": 25.0, "basket_90d": 20.0, "store_share_90d": 0.5}
    young, old = _situation(30, **values), _situation(3650, **values)
    assert {name: young[name] for name in values} == {name: old[name] for name in values} == pytest.approx(values, rel=1e-5)


def test_of_a_log_of_hours_no_year_is_made() -> None:
    assert _situation(1, orders_365d=1)["orders_365d"] == pytest.approx(365 / 7, rel=1e-5)


def test_as_much_of_the_chains_activity_as_a_snapshot_keeps_gives_the_same() -> None:
    for log_days in (40, 364, 365, 366, 3650):
        activity = DailyActivity(first_day=_DAY - log_days, num_orders=np.arange(log_days) % 7 + 1)
        kept = activity.before(_AS_OF_US, LONGEST_CHAIN_WINDOW)
        values = {"orders_90d": 4.0, "orders_365d": 11.0}
        assert str(_situation(log_days, activity=activity, **values)) == str(_situation(log_days, activity=kept, **values))


def test_any_day_of_the_week_can_stand_out_by_itself() -> None:
    """A linear layer can tell each weekday from the six others, at any one time of the day."""
    days = [f"{part}_{turn}" for part in ("weekday", "half_week", "third_week") for turn in ("sin", "cos")]
    places = [SITUATION_NAMES.index(name) for name in days]
    instants = _AS_OF_US + np.arange(7) * DAY_US
    summary = np.full((7, len(SUMMARY_COLUMNS)), np.nan, np.float32)
    activity = DailyActivity(first_day=_DAY - 30, num_orders=np.ones(30, np.int64))
    found = situation_of(summary, instants, instants, activity)[:, places]
    assert np.linalg.matrix_rank(np.column_stack([np.ones(7), found])) == 7
    again = situation_of(summary[:1], instants[:1], instants[:1] + 7 * DAY_US, activity)[:, places]
    np.testing.assert_allclose(again, found[:1], atol=1e-6)
