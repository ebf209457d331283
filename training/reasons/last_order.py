"""The last order: facts about it that reasons tell, and the features by which a state usually goes with them.

The head never sees them. What it sees of the last order is in the state, where nobody can look it up; facts that go with the
state say it in its place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.last_orders import LAST_ORDER_COLUMNS
from training.network.tokens import circle, signed_log

# The time is that of the week, in hours from Monday 0:00 UTC.
FACT_NAMES: tuple[str, ...] = (*(f"last_order_{name}" for name in LAST_ORDER_COLUMNS), "last_order_time")
AMOUNT, DISCOUNT, QUANTITY, LINES, TIME = range(len(FACT_NAMES))
_DESCRIBED = (AMOUNT, DISCOUNT, QUANTITY, LINES, TIME, TIME, TIME, TIME)
# Of each feature the fact that it describes: of everybody, and what it is beyond that of who bought on one day only. One order
# has made their state, which so goes with it in another way.
FACT_OF_FEATURE: tuple[int, ...] = _DESCRIBED + _DESCRIBED
NUM_FEATURES = len(FACT_OF_FEATURE)
_OF_TIME = np.flatnonzero(np.array(_DESCRIBED) == TIME)
_HOURS_OF_DAY, _HOURS_OF_WEEK = 24, 168
_HOUR_US = DAY_US // _HOURS_OF_DAY
_THURSDAY = 3  # 1970-01-01 was one, and weeks begin with Monday


def which_are_told(last_order: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool[len(FACT_NAMES)]: whether the chain's log has each fact. What it lacks stands there all the same, made of the lines.

    last_order : float32[n, len(LAST_ORDER_COLUMNS)], of many customers
    """
    amount, discount, quantity, lines = last_order.T
    return np.array([(amount != lines).any(), discount.any(), (quantity != lines).any(), (lines != 1).any(), True])


def facts_of(
    last_order: NDArray[np.float32], last_purchase_us: NDArray[np.int64], is_told: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """float32[n, len(FACT_NAMES)], NaN where nobody knows."""
    hours = (last_purchase_us / _HOUR_US + _HOURS_OF_DAY * _THURSDAY) % _HOURS_OF_WEEK
    facts = np.column_stack([last_order, hours]).astype(np.float32)
    facts[:, ~is_told] = np.nan
    return facts


def describe(facts: NDArray[np.float32], on_one_day: NDArray[np.bool_], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, NUM_FEATURES].

    facts      : float32[n, len(FACT_NAMES)]
    on_one_day : bool[n], who bought on one day only
    usual      : float32[NUM_FEATURES // 2], features of the usual order among these: to be one of them is no fact about it
    """
    return interact(scale(facts), on_one_day, usual)


def interact(features: NDArray[np.float32], on_one_day: NDArray[np.bool_], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """`describe` of what is scaled: float32[n, NUM_FEATURES]."""
    return np.concatenate([features, (features - usual) * on_one_day[:, None]], axis=1)


def scale(facts: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, NUM_FEATURES // 2], on the scales that tokens have; 0 where a fact is not known."""
    amount, discount, quantity, lines, hours = np.nan_to_num(facts, nan=0.0).astype(np.float64).T
    of_day, of_week = circle(hours / _HOURS_OF_DAY), circle(hours / _HOURS_OF_WEEK)
    columns = [signed_log(amount), discount, signed_log(quantity), signed_log(lines), *of_day, *of_week]
    return np.stack(columns, axis=1).astype(np.float32)


def usual_features(medians: NDArray[np.float32], facts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the usual last order among some customers: float32[NUM_FEATURES // 2], from the medians of their facts and all of them.

    Of times it is their centre, which is no time. Any single one would be a reason for most customers, made up for by the state.
    """
    features: NDArray[np.float32] = scale(medians[None])[0]
    features[_OF_TIME] = scale(facts)[:, _OF_TIME].mean(axis=0, dtype=np.float64)
    return features
