"""Themes: what of a customer is told together, since its numbers say the same in several ways.

A month of silence is a long recency, an empty week, fortnight and month, a fallen rate of orders and a long lateness. Shared out
among them none would be told as what it is. The contribution of a theme is the sum over its numbers, which is the Aumann-Shapley
value of the theme as one player: they move together along the path.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from engine.indicators import COLUMNS
from kernels import SUMMARY_COLUMNS, TOTAL_DAYS, WINDOWS_DAYS
from training.reasons.last_order import FACT_NAMES, TIME

_SILENT, _FREQUENT, _RHYTHMIC, _LAST, _REMEMBERED = "silence", "frequency", "rhythm", "last_order", "recent_events"

_MEMBERS: dict[str, tuple[str, ...]] = {
    _SILENT: ("recency_days", "lateness"),
    _FREQUENT: (
        "orders_90d",
        *(f"orders_{days}d" for days in (*WINDOWS_DAYS[:-1], 180, 365)),
        "orders_change_30d",
        "shopping_days_90d",
        "shopping_weeks_13w",
    ),
    "spend": (*(f"spend_{days}d" for days in WINDOWS_DAYS), "spend_change_30d"),
    "basket": (
        "basket_90d",
        "basket_change_90d",
        "lines_per_order_90d",
        "categories_per_order_90d",
        "categories_change_90d",
    ),
    _RHYTHMIC: (
        "gap_mean_days",
        "gap_spread_days",
        "gap_longest_days",
        "gap_longest_90d_days",
        "gap_latest_days",
        "weekday_regularity",
    ),
    "tenure": ("tenure_days",),
    "places": ("store_share_90d", "store_switch_rate_90d", "channel_share_90d", "channel_switch_rate_90d"),
    "discounts": ("discount_share_90d",),
    "returns": ("return_rate_180d", "returns_90d"),
    "visits": ("days_since_visit", "days_since_login", "visits_30d", "logins_30d"),
    "opinion": ("rating_mean_180d", "rating_change_180d", "complaints_90d"),
    "contacts": ("contacts_90d", "contact_response_90d"),
    _LAST: tuple(name for name in FACT_NAMES if name != FACT_NAMES[TIME]),
    "hours": (FACT_NAMES[TIME],),
    _REMEMBERED: (),  # what the state remembers beyond all of them
}
THEMES: tuple[str, ...] = tuple(_MEMBERS)
NUM_THEMES = len(THEMES)
SILENCE, _FREQUENCY, RHYTHM, LAST_ORDER, REMEMBERED = (
    THEMES.index(name) for name in (_SILENT, _FREQUENT, _RHYTHMIC, _LAST, _REMEMBERED)
)
_THEME_OF_NAME = {member: theme for theme, members in _MEMBERS.items() for member in members}

# Of each subject: the numbers, and the recent events behind them.
_NUMBERS = (*SUMMARY_COLUMNS, *FACT_NAMES)
_THEME_OF = np.array([*(THEMES.index(_THEME_OF_NAME[name]) for name in _NUMBERS), REMEMBERED], np.int8)
_IN_THEME = (_THEME_OF[:, None] == np.arange(NUM_THEMES)).astype(np.float32)  # (subjects, themes)
SILENT_SUBJECTS = np.flatnonzero(_THEME_OF == SILENCE)
_RECENCY, _LATENESS, _GAP, _TENURE = (
    SUMMARY_COLUMNS.index(name) for name in ("recency_days", "lateness", "gap_mean_days", "tenure_days")
)
# Two orders in 90 days, or one in each of two spans of them.
_WANTS_ORDERS = tuple(
    SUMMARY_COLUMNS.index(name)
    for name in (
        "basket_change_90d",
        "categories_change_90d",
        "store_switch_rate_90d",
        "channel_switch_rate_90d",
        "gap_longest_90d_days",
    )
)
_SPEND = tuple(SUMMARY_COLUMNS.index(f"spend_{days}d") for days in WINDOWS_DAYS)
# What an average order of 90 days was; of one order it is the last.
_ORDERS_90D = SUMMARY_COLUMNS.index("orders_90d")
_OF_AN_ORDER = np.array(
    [
        SUMMARY_COLUMNS.index(name)
        for name in ("basket_90d", "lines_per_order_90d", "categories_per_order_90d", "discount_share_90d")
    ]
)
_MOST = 0.5  # of a window
_PACE = np.array([SUMMARY_COLUMNS.index(name) for name in _MEMBERS[_RHYTHMIC] if name.startswith("gap_")])
(_OVERDUE,) = (column for column in COLUMNS if column.name == "lateness")
# Of each theme, the subjects that may tell it: its own, and what else may come to belong to it and is no other word for it.
CANDIDATES: tuple[NDArray[np.int64], ...] = tuple(
    np.flatnonzero((theme == _THEME_OF) | ((theme == _FREQUENCY) & np.isin(np.arange(len(_THEME_OF)), _WANTS_ORDERS)))
    for theme in range(NUM_THEMES)
)


def _silent_after(name: str) -> float:
    """Days without a purchase after which a number says little more than that there was none for so long.

    Counts and sums do when the silence has taken most of their window, means and shares when it has taken all of it. What is
    counted of visits, opinions and contacts does not wait for purchases.
    """
    if _THEME_OF_NAME[name] in ("visits", "opinion", "contacts"):
        return np.inf
    if name in FACT_NAMES:
        return np.inf  # it was what it was
    if total_days := TOTAL_DAYS[SUMMARY_COLUMNS.index(name)]:
        return _MOST * total_days
    window = re.search(r"_(\d+)d(_days)?$", name)
    if window is None:
        return np.inf
    is_of_counts = name.startswith(("orders_change_", "spend_change_", "gap_longest_"))
    return (_MOST if is_of_counts else 1.0) * float(window[1])


_SILENT_AFTER_DAYS = np.array([*(_silent_after(name) for name in _NUMBERS), np.inf], np.float32)


def themes_of(summary: NDArray[np.float32], usual_gap_days: NDArray[np.float32]) -> NDArray[np.int8]:
    """Place in THEMES of each subject of each customer: int8[n, num_subjects].

    A window that silence has taken belongs to the silence, and so does the rhythm of a customer who is overdue: it is what makes
    the silence long. What cannot be told for want of orders belongs to their frequency. Of who bought on one day only, among
    others who come again, lateness, tenure and the number of orders are so many words for that; among others of the kind tenure
    is nothing but the silence. The average order of who bought once in 90 days is the last order, and so is what somebody spent
    who bought on one day only.

    summary        : float32[n, len(SUMMARY_COLUMNS)]
    usual_gap_days : float32[n], the usual mean gap in the customer's segment
    """
    themes = np.where(summary[:, _RECENCY, None] >= _SILENT_AFTER_DAYS, np.int8(SILENCE), _THEME_OF)
    on_one_day = np.isnan(summary[:, _GAP])
    themes[np.ix_(np.flatnonzero(summary[:, _ORDERS_90D] == 1), _OF_AN_ORDER)] = LAST_ORDER
    for column in _SPEND:
        themes[on_one_day & (themes[:, column] != SILENCE), column] = LAST_ORDER
    for column in _WANTS_ORDERS:
        themes[np.isnan(summary[:, column]) & (themes[:, column] != SILENCE), column] = _FREQUENCY
    # NaN, where there is no rhythm, is not overdue.
    themes[np.ix_(np.flatnonzero(_OVERDUE.warns(summary[:, _LATENESS])), _PACE)] = SILENCE
    among_their_like = np.isnan(usual_gap_days)
    themes[on_one_day, _LATENESS] = RHYTHM
    themes[on_one_day & among_their_like, _TENURE] = SILENCE
    alone = np.flatnonzero(on_one_day & ~among_their_like)
    themes[alone, _TENURE] = RHYTHM
    themes[alone] = np.where(themes[alone] == _FREQUENCY, np.int8(RHYTHM), themes[alone])
    return themes


def sum_by_theme(by_subject: NDArray[np.float32], themes: NDArray[np.int8]) -> NDArray[np.float32]:
    """float32[n, NUM_THEMES], from float32[n, num_subjects] and int8[n, num_subjects]."""
    moved = np.where(themes == _THEME_OF, np.float32(0), by_subject)
    totals: NDArray[np.float32] = (by_subject - moved) @ _IN_THEME
    for theme in (SILENCE, RHYTHM, _FREQUENCY, LAST_ORDER):  # where any moves to
        totals[:, theme] += np.where(themes == theme, moved, 0).sum(axis=1)
    return totals
