"""Segments: who is like whom, and what is usual among them."""

from __future__ import annotations

import numpy as np

from engine.last_orders import LAST_ORDER_COLUMNS
from kernels import SUMMARY_COLUMNS
from training.network.situation import NUM_SITUATION_FEATURES, SITUATION_NAMES
from training.reasons import Kept
from training.reasons.last_order import AMOUNT, DISCOUNT, NUM_FEATURES, TIME
from training.reasons.segments import CHAIN, FEWEST_CUSTOMERS, ONE_DAY, Usual, measure_usual

HOUR_US = 3_600_000_000
GAP, RECENCY, RATING = (SUMMARY_COLUMNS.index(name) for name in ("gap_mean_days", "recency_days", "rating_mean_180d"))


def _chain(*, num_regular: int, num_one_day: int, seed: int = 0) -> tuple[np.ndarray, Usual]:
    random = np.random.default_rng(seed)
    num_customers = num_regular + num_one_day
    summary = np.zeros((num_customers, len(SUMMARY_COLUMNS)), np.float32)
    summary[:num_regular, GAP] = random.uniform(1, 60, num_regular)
    summary[num_regular:, GAP] = np.nan
    summary[:, RECENCY] = np.nan_to_num(summary[:, GAP], nan=80.0) / 2
    summary[:, RATING] = np.where(random.random(num_customers) < 0.3, 4.0, np.nan)
    states = random.normal(size=(num_customers, 4)).astype(np.float32)
    standardised = random.normal(size=(num_customers, NUM_SITUATION_FEATURES)).astype(np.float32)
    return summary, measure_usual(_kept(summary, states), standardised)


def _kept(summary: np.ndarray, states: np.ndarray, last_order: np.ndarray | None = None) -> Kept:
    """Customers whose last orders are all the same, if none are given, and one hour after each other."""
    numbers = np.arange(len(summary))
    return Kept(
        states=states,
        summary=summary,
        last_order=np.ones((len(summary), len(LAST_ORDER_COLUMNS)), np.float32) if last_order is None else last_order,
        last_event_us=numbers.astype(np.int64),
        last_purchase_us=numbers * HOUR_US,
        num_events=numbers.astype(np.int32),
        num_orders=numbers.astype(np.int32),
    )


def test_customers_are_with_those_who_come_about_as_often() -> None:
    summary, usual = _chain(num_regular=2000, num_one_day=500)
    segment = usual.segment_of(summary)
    assert (segment[2000:] == ONE_DAY).all()
    assert set(segment[:2000]) == set(range(2, 7))
    for which in range(2, 7):
        gaps = summary[segment == which, GAP]
        assert usual.summary[which, GAP] == np.sort(gaps)[(len(gaps) - 1) // 2]
        assert gaps.max() <= summary[:2000][segment[:2000] > which, GAP].min(initial=np.inf)


def test_what_most_of_them_lack_is_not_known_to_be_usual() -> None:
    _, usual = _chain(num_regular=2000, num_one_day=500)
    assert np.isnan(usual.summary[:, RATING]).all()
    assert np.isnan(usual.summary[ONE_DAY, GAP])
    assert not np.isnan(usual.summary[CHAIN, GAP])


def test_one_time_buyers_who_are_few_stand_with_the_slowest() -> None:
    summary, usual = _chain(num_regular=2000, num_one_day=FEWEST_CUSTOMERS - 1)
    assert (usual.segment_of(summary)[2000:] == len(usual.summary) - 1).all()


def test_a_small_chain_is_one_segment() -> None:
    summary, usual = _chain(num_regular=20, num_one_day=3)
    assert (usual.segment_of(summary) == CHAIN).all()
    assert np.isfinite(usual.states).all()


def test_a_chain_without_a_second_purchase_has_its_one_segment() -> None:
    summary, usual = _chain(num_regular=0, num_one_day=300)
    assert (usual.segment_of(summary) == ONE_DAY).all()
    assert usual.describe(2) == "who bought on several days"


def test_segments_are_told_in_words() -> None:
    _, usual = _chain(num_regular=2000, num_one_day=500)
    first, *_, last = (f"{days:g}" for days in usual.bounds_days)
    assert usual.describe(CHAIN) == "of the chain"
    assert usual.describe(ONE_DAY) == "who bought on one day only"
    assert usual.describe(2) == f"who buy every {first} days or more often"
    assert usual.describe(3).startswith(f"who buy every {first} to ")
    assert usual.describe(6) == f"who buy every {last} days or less often"


def test_how_a_state_goes_with_the_situation_is_learnt_but_not_from_what_passes_by_itself() -> None:
    random = np.random.default_rng(0)
    num_customers = 4000
    standardised = random.normal(size=(num_customers, NUM_SITUATION_FEATURES)).astype(np.float32)
    tenure, recency, season = (SITUATION_NAMES.index(name) for name in ("tenure_days", "recency_days", "weekday_sin"))
    noise = random.normal(size=num_customers)
    states = np.stack([3 * standardised[:, tenure] + standardised[:, recency] + standardised[:, season], noise], axis=1)
    summary = np.zeros((num_customers, len(SUMMARY_COLUMNS)), np.float32)
    found = measure_usual(_kept(summary, states.astype(np.float32)), standardised).state_by_known
    assert 2.5 < found[tenure, 0] < 3
    assert not found[[recency, season]].any()
    assert np.abs(np.delete(found[:, 0], tenure)).max() < 0.1
    assert np.abs(found[:, 1]).max() < 0.1


def test_how_a_state_goes_with_the_last_order_is_learnt_of_one_time_buyers_by_itself() -> None:
    random = np.random.default_rng(0)
    num_customers = 4000
    summary = np.zeros((num_customers, len(SUMMARY_COLUMNS)), np.float32)
    summary[: num_customers // 4, GAP] = np.nan
    last_order = np.ones((num_customers, len(LAST_ORDER_COLUMNS)), np.float32)
    last_order[:, AMOUNT], last_order[:, DISCOUNT] = random.lognormal(3, 1, num_customers), 0
    log_amount = np.log1p(last_order[:, AMOUNT])
    on_one_day = np.isnan(summary[:, GAP])
    states = np.where(on_one_day, 3 * log_amount, log_amount)[:, None].astype(np.float32)
    standardised = random.normal(size=(num_customers, NUM_SITUATION_FEATURES)).astype(np.float32)
    standardised[:, SITUATION_NAMES.index("gap_mean_days_missing")] = on_one_day
    usual = measure_usual(_kept(summary, states, last_order), standardised)
    by_amount, more_by_amount = usual.state_by_known[NUM_SITUATION_FEATURES + AMOUNT :: NUM_FEATURES // 2, 0][:2]
    assert 0.9 < by_amount < 1.1
    assert 2.7 < by_amount + more_by_amount < 3.1
    # What the log does not have is not told, and changes nothing.
    assert usual.is_told.tolist() == [True, False, False, False, True]
    assert np.isnan(usual.last_order[:, ~usual.is_told]).all()
    # Of times none is usual.
    assert np.isnan(usual.last_order[:, TIME]).all()
