"""The catalogue of the thirty indicators: what each means, its unit, and where a warning is due.

Most are one number; orders and spend are one for each of five windows, so that thirty entries come to 38 columns.
"""

from __future__ import annotations

from engine.catalogue_entry import Column, Factor, Indicator, Level, Worry
from kernels import WINDOWS_DAYS


def _indicator(
    name: str, level: str, factor: str, unit: str, meaning: str, worry: str, *thresholds: float, windows: tuple[int, ...] = ()
) -> Indicator:
    return Indicator(
        name=name,
        level=Level(level),
        factor=Factor(factor),
        unit=unit,
        meaning=meaning,
        worry=Worry(worry),
        thresholds=thresholds,
        windows_days=windows,
    )


_PER_ORDER = "major units per order"
_BALANCE = "balance, -1 to 1"  # (now - before) / (now + before)

# The order is that of the columns and part of every bundle: a change makes bundles trained before it unreadable.
INDICATORS: tuple[Indicator, ...] = (
    _indicator("recency_days", "behaviour", "time", "days", "Time since the last purchase.", "above", 20),
    _indicator(
        "orders",
        "behaviour",
        "time",
        "orders",
        "Orders in the last 7 to 90 days.",
        "below",
        1,
        1,
        1,
        2,
        3,
        windows=WINDOWS_DAYS,
    ),
    _indicator(
        "spend",
        "value",
        "customer",
        "major units",
        "Amount of the orders in the last 7 to 90 days.",
        "below",
        0.01,
        0.01,
        0.01,
        0.01,
        0.01,
        windows=WINDOWS_DAYS,
    ),
    _indicator(
        "orders_change_30d",
        "behaviour",
        "competition",
        _BALANCE,
        "Orders of the last 30 days against the 30 before.",
        "below",
        -0.5,
    ),
    _indicator(
        "spend_change_30d", "value", "competition", _BALANCE, "Spend of the last 30 days against the 30 before.", "below", -0.5
    ),
    _indicator("gap_mean_days", "behaviour", "time", "days", "Mean time between days with a purchase.", "above", 45),
    _indicator(
        "gap_spread_days", "behaviour", "time", "days", "Standard deviation of time between days with a purchase.", "above", 45
    ),
    _indicator("gap_longest_days", "behaviour", "time", "days", "Longest time between days with a purchase.", "above", 90),
    _indicator("lateness", "behaviour", "time", "mean gaps", "Time since the last purchase, in mean gaps.", "above", 2),
    _indicator("tenure_days", "behaviour", "customer", "days", "Time since the first purchase.", "below", 30),
    _indicator("basket_90d", "value", "product", _PER_ORDER, "Mean amount of an order of the last 90 days.", "below", 0.01),
    _indicator(
        "basket_change_90d", "value", "product", _BALANCE, "Mean order of the last 90 days against the 90 before.", "below", -0.33
    ),
    _indicator(
        "discount_share_90d",
        "value",
        "competition",
        "share",
        "Discount of the last 90 days, of spend and discount.",
        "above",
        0.3,
    ),
    _indicator(
        "categories_per_order_90d",
        "value",
        "product",
        "per order",
        "Distinct categories in an order of the last 90 days.",
        "below",
        1.5,
    ),
    _indicator(
        "categories_change_90d",
        "value",
        "product",
        _BALANCE,
        "Categories per order of the last 90 days against the 90 before.",
        "below",
        -0.33,
    ),
    _indicator(
        "store_share_90d", "behaviour", "channel", "share", "Orders of the last 90 days at the latest one's store.", "below", 0.5
    ),
    _indicator(
        "store_switch_rate_90d",
        "behaviour",
        "channel",
        "share",
        "Orders of the last 90 days at another store than the one before.",
        "above",
        0.5,
    ),
    _indicator(
        "channel_share_90d",
        "behaviour",
        "channel",
        "share",
        "Orders of the last 90 days by the latest one's channel.",
        "below",
        0.5,
    ),
    _indicator(
        "channel_switch_rate_90d",
        "behaviour",
        "channel",
        "share",
        "Orders of the last 90 days by another channel than the one before.",
        "above",
        0.5,
    ),
    _indicator(
        "weekday_regularity",
        "behaviour",
        "time",
        "share",
        "Days with a purchase, of the last 90, on their most common weekday.",
        "below",
        0.2,
    ),
    _indicator("return_rate_180d", "value", "product", "per order", "Returns of the last 180 days per order.", "above", 0.25),
    _indicator("days_since_visit", "behaviour", "channel", "days", "Time since the last visit to a store.", "above", 30),
    _indicator("days_since_login", "behaviour", "channel", "days", "Time since the last login.", "above", 15),
    _indicator("visits_30d", "behaviour", "channel", "visits", "Visits to a store in the last 30 days.", "below", 1),
    _indicator("logins_30d", "behaviour", "channel", "logins", "Logins in the last 30 days.", "below", 1),
    _indicator("rating_mean_180d", "sentiment", "product", "rating", "Mean rating of the last 180 days.", "below", 3),
    _indicator(
        "rating_change_180d",
        "sentiment",
        "product",
        "rating",
        "Latest rating, less the mean of those of 180 days before.",
        "below",
        -1,
    ),
    _indicator("complaints_90d", "sentiment", "customer", "complaints", "Complaints in the last 90 days.", "above", 1),
    # about one a week: from there on it is the chain that wears the customer out
    _indicator("contacts_90d", "sentiment", "context", "contacts", "Contacts by the chain in the last 90 days.", "above", 13),
    _indicator(
        "contact_response_90d",
        "sentiment",
        "context",
        "share",
        "Contacts of the last 90 days with a purchase within 14 days.",
        "below",
        0.1,
    ),
)
NUM_INDICATORS = len(INDICATORS)

# What the entries come to, with a column for each window.
COLUMNS: tuple[Column, ...] = tuple(column for indicator in INDICATORS for column in indicator.columns)
INDICATOR_COLUMNS: tuple[str, ...] = tuple(column.name for column in COLUMNS)
NUM_COLUMNS = len(COLUMNS)
