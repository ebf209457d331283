"""The columns of `describe_events` and `describe_situations`, as they lie, and the constants that both backends need."""

from __future__ import annotations

from typing import Final

from kernels.summary_columns import SUMMARY_COLUMNS

TOKEN_COLUMNS: tuple[str, ...] = (
    "log_gap_days",
    "is_first",
    "log_amount",
    "log_amount_change",
    "log_quantity",
    "log_lines",
    "log_products",
    "log_categories",
    "discount_share",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "year_sin",
    "year_cos",
    "same_store",
    "same_channel",
    "log_index",
    "log_tenure_days",
    "rating",
    # in the order of kernels.kinds
    "is_purchase",
    "is_return",
    "is_visit",
    "is_login",
    "is_feedback",
    "is_complaint",
    "is_contact",
)

# What depends on the instant alone, the same for every customer.
CALENDAR_COLUMNS: tuple[str, ...] = (
    "weekday_sin",
    "weekday_cos",
    "half_week_sin",
    "half_week_cos",
    "third_week_sin",
    "third_week_cos",
    "log_season_month",
    "log_season_quarter",
    "log_chain_week_over_month",
    "log_chain_month_over_quarter",
)

_VALUES: tuple[str, ...] = (
    "log_days_since_event",
    "log_days_since_purchase",
    "log_days_over_mean_gap",
    "log_days_over_longest_gap",
    *CALENDAR_COLUMNS,
    *SUMMARY_COLUMNS,
)
SITUATION_COLUMNS: tuple[str, ...] = (*_VALUES, *(f"{name}_missing" for name in _VALUES))

# The time of the last event of a customer who has none.
NO_EVENT: Final = -(2**63)
# Half a day: below it, ratios of gaps tell the hour of the visit rather than the habit.
SHORTEST_GAP_DAYS: Final = 0.5
# A log younger than this is taken for this old: of two days no month can be told.
SHORTEST_LOG_DAYS: Final = 7.0
