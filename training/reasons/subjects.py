"""What a reason may speak of, and which of the head's inputs belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.indicators import INDICATORS
from training.network.situation import SITUATION_NAMES


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a reason speaks of: a column of an indicator, or what no indicator says."""

    name: str
    unit: str


SUBJECTS: tuple[Subject, ...] = (
    *(Subject(name=column.name, unit=indicator.unit) for indicator in INDICATORS for column in indicator.columns),
    Subject(name="lines_per_order_90d", unit="per order"),  # known where neither amounts nor categories are
    Subject(name="recent_events", unit="events"),  # all that the state holds
    Subject(name="buying_rhythm", unit="days"),  # that the customer is of this segment and no other
)
NUM_SUBJECTS = len(SUBJECTS)
LINES_PER_ORDER, RECENT_EVENTS, SEGMENT = NUM_SUBJECTS - 3, NUM_SUBJECTS - 2, NUM_SUBJECTS - 1

# Inputs that are no indicator go to the one that says most nearly the same.
_BELONGS_TO: dict[str, str] = {
    "log_days_since_event": "recency_days",
    "log_days_since_purchase": "recency_days",
    "log_days_over_mean_gap": "lateness",
    "log_days_over_longest_gap": "lateness",
    "orders_180d": "orders_90d",
    "orders_365d": "orders_90d",
    "shopping_days_90d": "orders_90d",
    "shopping_weeks_13w": "orders_90d",
    "gap_longest_90d_days": "gap_longest_days",
    "gap_latest_days": "gap_mean_days",
    "returns_90d": "return_rate_180d",
}
# The same for every customer at an instant, and so no reason why one differs from another.
_CONTEXT: frozenset[str] = frozenset(
    ("weekday_sin", "weekday_cos", "year_sin", "year_cos", "log_chain_week_over_month", "log_chain_month_over_quarter")
)
_PLACE = {subject.name: place for place, subject in enumerate(SUBJECTS)}


def subject_of_inputs(state_size: int) -> NDArray[np.int64]:
    """Place in SUBJECTS of each input of the head, -1 for what all customers share.

    returns : int64[state_size + NUM_SITUATION_FEATURES], in the order in which the head takes them
    """
    return np.array([RECENT_EVENTS] * state_size + [_subject_of(name.removesuffix("_missing")) for name in SITUATION_NAMES])


def _subject_of(name: str) -> int:
    return -1 if name in _CONTEXT else _PLACE[_BELONGS_TO.get(name, name)]
