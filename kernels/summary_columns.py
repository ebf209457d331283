"""The columns of `summarise_events`, in the order in which they lie."""

from __future__ import annotations

from typing import Final

# Days of the windows that orders and spend are counted in: a column for each, side by side.
WINDOWS_DAYS: Final = (7, 14, 30, 60, 90)

SUMMARY_COLUMNS: tuple[str, ...] = (
    "recency_days",
    *(f"orders_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_{days}d" for days in WINDOWS_DAYS),
    "orders_change_30d",
    "spend_change_30d",
    "gap_mean_days",
    "gap_spread_days",
    "gap_longest_days",
    "lateness",
    "tenure_days",
    "basket_90d",
    "basket_change_90d",
    "discount_share_90d",
    "categories_per_order_90d",
    "categories_change_90d",
    "store_share_90d",
    "store_switch_rate_90d",
    "channel_share_90d",
    "channel_switch_rate_90d",
    "weekday_regularity",
    "return_rate_180d",
    "days_since_visit",
    "days_since_login",
    "visits_30d",
    "logins_30d",
    "rating_mean_180d",
    "rating_change_180d",
    "complaints_90d",
    "contacts_90d",
    "contact_response_90d",
    # beyond the catalogue of indicators, for models
    "orders_180d",
    "orders_365d",
    "shopping_days_90d",
    "shopping_weeks_13w",
    "gap_longest_90d_days",
    "gap_latest_days",
    "lines_per_order_90d",
    "returns_90d",
)

# Days that each total is taken over; 0 for a column that is no total.
_TOTALS: dict[str, int] = {
    **{f"{total}_{days}d": days for total in ("orders", "spend") for days in WINDOWS_DAYS},
    "visits_30d": 30,
    "logins_30d": 30,
    "complaints_90d": 90,
    "contacts_90d": 90,
    "orders_180d": 180,
    "orders_365d": 365,
    "shopping_days_90d": 90,
    "shopping_weeks_13w": 91,
    "returns_90d": 90,
}
TOTAL_DAYS: tuple[float, ...] = tuple(float(_TOTALS.get(name, 0)) for name in SUMMARY_COLUMNS)
