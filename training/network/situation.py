"""The situation at an instant: what the head sees beside the GRU's state."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.activity import SEASON_BASE_DAYS, DailyActivity
from engine.indicators import compute_summary
from engine.instants import DAY_US
from engine.partition import Partition
from kernels import NO_EVENT, SITUATION_COLUMNS, TOTAL_DAYS, describe_situations, locate_instants, resolve
from training.network.tokens import circle

SITUATION_NAMES: tuple[str, ...] = SITUATION_COLUMNS
NUM_SITUATION_FEATURES = len(SITUATION_NAMES)
# Days ahead that the season is told of, and where (training.network.season).
SEASON_DAYS = (28, 91)
SEASON_AHEAD: tuple[int, ...] = (SITUATION_NAMES.index("log_season_month"), SITUATION_NAMES.index("log_season_quarter"))
# What the head is not shown: the season, and whether it is known, which is to say whether the instant is an early one.
NOT_OF_THE_HEAD: tuple[int, ...] = tuple(place for place, name in enumerate(SITUATION_NAMES) if name.startswith("log_season_"))

# Turns a week. One sees the week as a wave; with three each of seven days can stand out by itself, as a closed Sunday does.
_WEEK_HARMONICS = (1, 2, 3)
# Windows of the chain's activity, in days.
_CHAIN_WINDOWS = (7, 28, 91)
# How much of it is looked at: the windows, whether the log is younger than the longest total, and the same season a year ago.
LONGEST_CHAIN_WINDOW = int(max(*_CHAIN_WINDOWS, *TOTAL_DAYS, 366 + SEASON_BASE_DAYS))
_FIRST = np.zeros(1, np.int64)


def describe_situation(
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    known_until_us: int | None = None,
) -> NDArray[np.float32]:
    """Raw features of each query, from events strictly before its instant.

    customer_index, as_of_us : int64[num_queries]
    known_until_us           : to learn from; the season may then be told from the year after an instant, up to there
    returns                  : float32[num_queries, NUM_SITUATION_FEATURES]; NaN where undefined, flagged in the *_missing columns
    """
    summary, last_event_us = summarise(partition, customer_index, as_of_us)
    return situation_of(summary, last_event_us, as_of_us, activity, known_until_us=known_until_us)


def situation_of(
    summary: NDArray[np.float32],
    last_event_us: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    activity: DailyActivity,
    *,
    known_until_us: int | None = None,
) -> NDArray[np.float32]:
    """The same from a summary that is kept: what `describe_situation` reads off the events is in it and in the last event's time.

    summary       : float32[num_queries, len(SUMMARY_COLUMNS)]    at the instant, as `engine.indicators.compute_summary` gives it
    last_event_us : int64[num_queries]                            before the instant; NO_EVENT where there is none
    """
    calendar, log_days, calendar_row = describe_instants(as_of_us, activity, known_until_us=known_until_us)
    return describe_situations(summary, last_event_us, as_of_us, calendar, log_days, calendar_row)


def situation_of_one(
    summary: NDArray[np.float32], last_event_us: int, as_of_us: int, activity: DailyActivity
) -> NDArray[np.float32]:
    """`situation_of` for one query, whose arguments nobody need check: float32[1, NUM_SITUATION_FEATURES]."""
    calendar = np.array([_describe_instant(as_of_us, activity)], np.float32)
    times_us = np.array([[last_event_us], [as_of_us]], np.int64)
    log_days = activity.days_before(times_us[1]).astype(np.float32)
    return resolve("cpu").describe_situations(summary, times_us[0], times_us[1], calendar, log_days, _FIRST)


def _describe_instant(as_of_us: int, activity: DailyActivity) -> tuple[float, ...]:
    """`describe_instants` for one: by the C library, as twenty calls of NumPy for ten numbers would take 30 us."""
    week, month, quarter = (
        math.log(mean) if mean > 0 else -math.inf if mean == 0 else math.nan
        for mean in activity.means_before(as_of_us, _CHAIN_WINDOWS)
    )
    weeks = as_of_us / (7 * DAY_US)
    angles = [2 * math.pi * (number * weeks % 1.0) for number in _WEEK_HARMONICS]
    season = activity.seasons_ahead(as_of_us, SEASON_DAYS)
    circles = (part for angle in angles for part in (math.sin(angle), math.cos(angle)))
    return *circles, *season, week - month, month - quarter


def summarise(
    partition: Partition, customer_index: NDArray[np.int64], as_of_us: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What `situation_of` takes of each query: the summary, and the time of the last event strictly before its instant."""
    summary = compute_summary(partition, customer_index, as_of_us)
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, as_of_us)
    if partition.num_events == 0:
        return summary, np.full(len(end), NO_EVENT, np.int64)
    has_event = end > partition.offsets[customer_index]
    return summary, np.where(has_event, partition.timestamp_us[np.maximum(end - 1, 0)], NO_EVENT)


def describe_instants(
    as_of_us: NDArray[np.int64], activity: DailyActivity, *, known_until_us: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """What depends on the instant alone, for `kernels.describe_situations`; one row where all queries share an instant.

    returns : float32[num_instants, len(CALENDAR_COLUMNS)], float32[num_instants] days from the beginning of the log, and the row
              of each query
    """
    if len(as_of_us) and (as_of_us == as_of_us[0]).all():
        instants_us, row = as_of_us[:1], np.zeros(len(as_of_us), np.int64)
    else:
        instants_us, row = as_of_us, np.arange(len(as_of_us))
    weeks = instants_us / (7 * DAY_US)
    with np.errstate(invalid="ignore", divide="ignore"):
        week, month, quarter = (np.log(activity.orders_before(instants_us, days)) for days in _CHAIN_WINDOWS)
        columns = [
            *(part for number in _WEEK_HARMONICS for part in circle(number * weeks)),
            *(activity.season_ahead(instants_us, days, known_until_us=known_until_us) for days in SEASON_DAYS),
            week - month,
            month - quarter,
        ]
    return np.stack(columns, axis=1).astype(np.float32), activity.days_before(instants_us).astype(np.float32), row
