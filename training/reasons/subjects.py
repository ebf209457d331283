"""What a reason may speak of, and which of the head's inputs belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.catalogue_entry import Worry
from engine.indicators import INDICATORS
from kernels import CALENDAR_COLUMNS, SUMMARY_COLUMNS
from training.network.situation import SITUATION_NAMES
from training.reasons.last_order import FACT_OF_FEATURE


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a reason speaks of: a number of the summary, or what no number says.

    worry : on which side of what is usual one expects the risk to be higher
    """

    name: str
    unit: str
    worry: Worry


def _further(name: str, unit: str, worry: Worry) -> Subject:
    return Subject(name=name, unit=unit, worry=worry)


# The catalogue, and what else the summary has, in the order of the summary; then what is behind it.
SUBJECTS: tuple[Subject, ...] = (
    *(
        Subject(name=column.name, unit=indicator.unit, worry=column.worry)
        for indicator in INDICATORS
        for column in indicator.columns
    ),
    _further("orders_180d", "orders", Worry.BELOW),
    _further("orders_365d", "orders", Worry.BELOW),
    _further("shopping_days_90d", "days", Worry.BELOW),
    _further("shopping_weeks_13w", "weeks", Worry.BELOW),
    _further("gap_longest_90d_days", "days", Worry.ABOVE),
    _further("gap_latest_days", "days", Worry.ABOVE),
    _further("lines_per_order_90d", "per order", Worry.BELOW),
    _further("returns_90d", "returns", Worry.ABOVE),
    # of the last order, in the order of FACT_NAMES
    _further("last_order_amount", "major units", Worry.BELOW),
    _further("last_order_discount_share", "share", Worry.ABOVE),
    _further("last_order_quantity", "items", Worry.BELOW),
    _further("last_order_lines", "lines", Worry.BELOW),
    _further("last_order_time", "hours since Monday 0:00", Worry.ABOVE),
    _further("recent_events", "events", Worry.BELOW),  # what the state holds beyond what usually goes with the numbers above
)
NUM_SUBJECTS = len(SUBJECTS)
RECENT_EVENTS = NUM_SUBJECTS - 1
FIRST_FACT = len(SUMMARY_COLUMNS)  # of the last order

# Inputs that are no number of the summary go to the one that says most nearly the same.
_BELONGS_TO: dict[str, str] = {
    "log_days_since_event": "recency_days",
    "log_days_since_purchase": "recency_days",
    "log_days_over_mean_gap": "lateness",
    "log_days_over_longest_gap": "lateness",
}
# The same for every customer at an instant, and so no reason why one differs from another.
_CONTEXT: frozenset[str] = frozenset(CALENDAR_COLUMNS)


def subject_of_situation() -> NDArray[np.int64]:
    """Place in SUBJECTS of each feature of a situation, -1 for what all customers share: int64[NUM_SITUATION_FEATURES]."""
    return np.array([_subject_of(name.removesuffix("_missing")) for name in SITUATION_NAMES])


def subject_of_coordinates(state_size: int) -> NDArray[np.int64]:
    """The same of each column of `risk.coordinates`: int64[state_size + NUM_SITUATION_FEATURES + NUM_FEATURES]."""
    of_last_order = FIRST_FACT + np.array(FACT_OF_FEATURE)
    return np.concatenate([np.full(state_size, RECENT_EVENTS), subject_of_situation(), of_last_order])


def _subject_of(name: str) -> int:
    return -1 if name in _CONTEXT else SUMMARY_COLUMNS.index(_BELONGS_TO.get(name, name))
