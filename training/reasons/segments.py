"""Segments: customers who come about as often, and what is usual among them.

What is usual is the median of each number by itself, so that it is somebody's number; a number that most of them lack is usually
not known. The baseline of a segment is the customer to whom all of it applies.

A state repeats much of what the numbers say, and of what the last order was. How it usually goes with them is learnt here by a
linear regression, so that a reason that speaks of the state speaks of what is left.

source : Aas, Jullum & Loland (2021), Artificial Intelligence 298, for contributions under the conditional mean of a Gaussian
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from kernels import SUMMARY_COLUMNS
from training.network.situation import situation_of
from training.reasons.kept import Kept
from training.reasons.last_order import TIME, describe, facts_of, interact, usual_features, which_are_told
from training.reasons.subjects import subject_of_situation
from training.reasons.themes import SILENT_SUBJECTS

# A median of fewer says more of them than of their like: the chain's takes its place.
FEWEST_CUSTOMERS = 50
_MOST_RHYTHMS = 5
_CUSTOMERS_PER_RHYTHM = 200
CHAIN, ONE_DAY = 0, 1
_GAP = SUMMARY_COLUMNS.index("gap_mean_days")
# Of the regression: so many customers' worth of "no connection", and so much of one for each that was measured. On two real
# chains a hundredth of it explains .02 more of the variance of states held out, ten times as much .09 less.
_RIDGE_CUSTOMERS = 10.0
_RIDGE_SHARE = 0.1
# The same of the last order, of which a state was made and which it need not guess at.
_LAST_ORDER_RIDGE_SHARE = 0.01
_LEAST_VARIANCE = 1e-9  # of a feature that says anything


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """What is usual in each segment. Segment 0 is the whole chain, 1 who bought on one day only, the rest by rhythm, fast first.

    bounds_days        : float64[num_segments - 3], mean gaps at which one rhythm ends and the next begins
    summary            : float32[num_segments, len(SUMMARY_COLUMNS)]
    last_order         : float32[num_segments, len(FACT_NAMES)], NaN where the log does not have it, and of its time
    order_features     : float32[num_segments, NUM_FEATURES // 2], the same as features
    is_told            : bool[len(FACT_NAMES)], whether it does
    states             : float32[num_segments, state_size], mean states
    last_event_us      : int64[num_segments]
    num_events         : float32[num_segments]
    num_customers      : int64[num_segments], that it was measured on; the chain's numbers stand in where they are too few
    state_by_known     : float32[NUM_SITUATION_FEATURES + NUM_FEATURES, state_size], by how much a state usually changes with each
                         standardised feature of the situation and each of the last order; 0 for what all customers share and for
                         the time since
    """

    bounds_days: NDArray[np.float64]
    summary: NDArray[np.float32]
    last_order: NDArray[np.float32]
    order_features: NDArray[np.float32]
    is_told: NDArray[np.bool_]
    states: NDArray[np.float32]
    last_event_us: NDArray[np.int64]
    num_events: NDArray[np.float32]
    num_customers: NDArray[np.int64]
    state_by_known: NDArray[np.float32]

    def segment_of(self, summary: NDArray[np.float32]) -> NDArray[np.int64]:
        """int64[n], the segment of each customer, from float32[n, len(SUMMARY_COLUMNS)].

        Where theirs is too small: of who bought on one day that of the slowest rhythm, else, and if that is too small, the chain.
        """
        segment = _place(summary, self.bounds_days)
        is_large = self.num_customers >= FEWEST_CUSTOMERS
        segment = np.where((segment == ONE_DAY) & ~is_large[ONE_DAY], len(is_large) - 1, segment)
        return np.where(is_large[segment], segment, CHAIN)

    def situation(self, as_of_us: int, activity: DailyActivity) -> NDArray[np.float32]:
        """The situations of the baselines: float32[num_segments, NUM_SITUATION_FEATURES]."""
        instants_us = np.full(len(self.summary), as_of_us, np.int64)
        return situation_of(self.summary, self.last_event_us, instants_us, activity)

    def describe_orders(self, facts: NDArray[np.float32], summary: NDArray[np.float32]) -> NDArray[np.float32]:
        """Last orders as features: float32[n, NUM_FEATURES], from float32[n, len(FACT_NAMES)] and the customers' summaries."""
        return describe(facts, np.isnan(summary[:, _GAP]), self.order_features[ONE_DAY])

    def usual_orders(self) -> NDArray[np.float32]:
        """The same of the baselines: float32[num_segments, NUM_FEATURES]."""
        return interact(self.order_features, np.isnan(self.summary[:, _GAP]), self.order_features[ONE_DAY])

    def describe(self, segment: int) -> str:
        """Who is in a segment, to be read after "customers "."""
        if segment == CHAIN:
            return "of the chain"
        if segment == ONE_DAY:
            return "who bought on one day only"
        if len(self.bounds_days) == 0:
            return "who bought on several days"
        place, bounds = segment - 2, [f"{days:g}" for days in self.bounds_days]
        if place == 0:
            return f"who buy every {_days(bounds[0])} or more often"
        if place == len(bounds):
            return f"who buy every {_days(bounds[-1])} or less often"
        return f"who buy every {bounds[place - 1]} to {_days(bounds[place])}"


def measure_usual(kept: Kept, standardised: NDArray[np.float32]) -> Usual:
    """Look at the eligible customers of an instant, one or more, or at a sample of them.

    standardised : float32[n, NUM_SITUATION_FEATURES], their situations as the model's head takes them
    """
    summary, states = kept.summary, kept.states
    is_told = which_are_told(kept.last_order)
    facts = facts_of(kept.last_order, kept.last_purchase_us, is_told)
    bounds_days = _bounds(summary[:, _GAP])
    segment = _place(summary, bounds_days)
    members = [np.arange(len(summary)), *(np.flatnonzero(segment == which) for which in range(1, len(bounds_days) + 3))]
    counts = np.array([len(rows) for rows in members])
    measured = [rows if len(rows) >= FEWEST_CUSTOMERS else members[CHAIN] for rows in members]
    last_order = np.stack([_medians(facts[rows]) for rows in measured])
    last_order[:, TIME] = np.nan
    features = np.stack([usual_features(order, facts[rows]) for order, rows in zip(last_order, measured, strict=True)])
    return Usual(
        bounds_days=bounds_days,
        summary=np.stack([_medians(summary[rows]) for rows in measured]),
        states=np.stack([states[rows].mean(axis=0, dtype=np.float64) for rows in measured]).astype(np.float32),
        last_order=last_order,
        order_features=features,
        is_told=is_told,
        last_event_us=np.array([np.sort(kept.last_event_us[rows])[(len(rows) - 1) // 2] for rows in measured]),
        num_events=np.array([np.sort(kept.num_events[rows])[(len(rows) - 1) // 2] for rows in measured], np.float32),
        num_customers=np.where(np.arange(len(counts)) == CHAIN, np.maximum(counts, FEWEST_CUSTOMERS), counts),
        state_by_known=_regress(states, standardised, describe(facts, np.isnan(summary[:, _GAP]), features[ONE_DAY])),
    )


def _regress(
    states: NDArray[np.float32], standardised: NDArray[np.float32], last_order: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Ridge regression of the states: float32[NUM_SITUATION_FEATURES + NUM_FEATURES, state_size]."""
    subject = subject_of_situation()
    own = np.flatnonzero((subject >= 0) & ~np.isin(subject, SILENT_SUBJECTS))  # time that passes changes no state
    known = np.concatenate([standardised[:, own], last_order], axis=1)
    causes, states_away = (values - values.mean(axis=0, dtype=np.float64) for values in (known, states))
    variance = (causes[:, len(own) :] ** 2).mean(axis=0)
    of_last_order = (_RIDGE_CUSTOMERS + _LAST_ORDER_RIDGE_SHARE * len(states)) * np.where(
        variance > _LEAST_VARIANCE, variance, 1.0
    )
    ridge = np.concatenate([np.full(len(own), _RIDGE_CUSTOMERS + _RIDGE_SHARE * len(states)), of_last_order])
    change = np.zeros((standardised.shape[1] + last_order.shape[1], states.shape[1]), np.float32)
    places = np.concatenate([own, standardised.shape[1] + np.arange(last_order.shape[1])])
    change[places] = np.linalg.solve(causes.T @ causes + np.diag(ridge), causes.T @ states_away)
    return change


def _place(summary: NDArray[np.float32], bounds_days: NDArray[np.float64]) -> NDArray[np.int64]:
    gap_days = summary[:, _GAP].astype(np.float64)
    return np.where(np.isnan(gap_days), ONE_DAY, 2 + np.searchsorted(bounds_days, gap_days))


def _bounds(gap_days: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quantiles, rounded to what a person would say."""
    known = gap_days[~np.isnan(gap_days)].astype(np.float64)
    num_rhythms = int(np.clip(len(known) // _CUSTOMERS_PER_RHYTHM, 1, _MOST_RHYTHMS))
    if num_rhythms == 1:
        return np.zeros(0)
    quantiles = np.quantile(known, np.arange(1, num_rhythms) / num_rhythms)
    return np.unique(np.where(quantiles < 3, np.round(2 * quantiles) / 2, np.round(quantiles)))


def _medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each column, NaN where most are; the lower one of two, so that counts stay counts."""
    ordered = np.sort(values, axis=0)  # NaN last
    num_known = np.count_nonzero(~np.isnan(values), axis=0)
    median = ordered[np.maximum(num_known - 1, 0) // 2, np.arange(values.shape[1])]
    return np.where(2 * num_known > len(values), median, np.float32(np.nan))


def _days(number: str) -> str:
    return "day" if number == "1" else f"{number} days"
