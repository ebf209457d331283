"""The situation at an instant: what the head sees beside the GRU's state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.indicators import compute_summary
from engine.instants import DAY_US
from engine.partition import Partition
from kernels import SUMMARY_COLUMNS, locate_instants
from training.tokens import circle, signed_log

_OWN_NAMES: tuple[str, ...] = (
    "log_days_since_event",
    "log_days_since_purchase",
    "log_days_over_mean_gap",
    "log_days_over_longest_gap",
    "weekday_sin",
    "weekday_cos",
    "year_sin",
    "year_cos",
    "log_chain_week_over_month",
    "log_chain_month_over_quarter",
)
SITUATION_NAMES: tuple[str, ...] = (
    *_OWN_NAMES,
    *SUMMARY_COLUMNS,
    *(f"{name}_missing" for name in (*_OWN_NAMES, *SUMMARY_COLUMNS)),
)
NUM_SITUATION_FEATURES = len(SITUATION_NAMES)
SEASONAL_SITUATION: tuple[int, ...] = (SITUATION_NAMES.index("year_sin"), SITUATION_NAMES.index("year_cos"))

NO_EVENT = np.iinfo(np.int64).min

# Half a day: below it, ratios of gaps tell the hour of the visit rather than the habit.
_SHORTEST_GAP_DAYS = 0.5


def describe_situation(
    partition: Partition, activity: DailyActivity, customer_index: NDArray[np.int64], as_of_us: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Raw features of each query, from events strictly before its instant.

    customer_index, as_of_us : int64[num_queries]
    returns                  : float32[num_queries, NUM_SITUATION_FEATURES]; NaN where undefined, flagged in the *_missing columns
    """
    summary = compute_summary(partition, customer_index, as_of_us)
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, as_of_us)
    has_event = end > partition.offsets[customer_index]
    last_event_us = partition.timestamp_us[np.maximum(end - 1, 0)] if partition.num_events else np.zeros(len(end), np.int64)
    return situation_of(summary, np.where(has_event, last_event_us, NO_EVENT), as_of_us, activity)


def situation_of(
    summary: NDArray[np.float32], last_event_us: NDArray[np.int64], as_of_us: NDArray[np.int64], activity: DailyActivity
) -> NDArray[np.float32]:
    """The same from a summary that is kept: what `describe_situation` reads off the events is in it and in the last event's time.

    summary       : float32[num_queries, len(SUMMARY_COLUMNS)]    at the instant, as `engine.indicators.compute_summary` gives it
    last_event_us : int64[num_queries]                            before the instant; NO_EVENT where there is none
    """
    exact = summary.astype(np.float64)
    own = _own_features(exact, last_event_us, as_of_us, activity)
    values = np.concatenate([own, signed_log(exact)], axis=1).astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return np.concatenate([values, np.isnan(values).astype(np.float32)], axis=1)


def _own_features(
    summary: NDArray[np.float64], last_event_us: NDArray[np.int64], as_of_us: NDArray[np.int64], activity: DailyActivity
) -> NDArray[np.float64]:
    since_purchase, mean_gap, longest_gap = (
        summary[:, SUMMARY_COLUMNS.index(name)] for name in ("recency_days", "gap_mean_days", "gap_longest_days")
    )
    since_event = np.where(last_event_us == NO_EVENT, np.nan, (as_of_us - last_event_us) / DAY_US)
    with np.errstate(invalid="ignore", divide="ignore"):
        week, month, quarter = (np.log(activity.orders_before(as_of_us, days)) for days in (7, 28, 91))
        columns = [
            np.log1p(since_event),
            np.log1p(since_purchase),
            np.log((since_purchase + _SHORTEST_GAP_DAYS) / (mean_gap + _SHORTEST_GAP_DAYS)),
            np.log((since_purchase + _SHORTEST_GAP_DAYS) / (longest_gap + _SHORTEST_GAP_DAYS)),
            *circle(as_of_us / (7 * DAY_US)),
            *circle(as_of_us / (365.2425 * DAY_US)),
            week - month,
            month - quarter,
        ]
    return np.stack(columns, axis=1)
