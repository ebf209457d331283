"""What a baseline is told: the past and nothing else, whom to score, and outcomes of the past to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import AsOfError
from engine.indicators import compute_summary
from engine.instants import DAY_US, format_instant
from engine.labels import eligible
from engine.partition import Partition
from training.data.queries import queries_at

_NUM_INSTANTS = 12
# Days between instants: closer ones repeat each other, and monthly ones leave a year's data with too few.
_STEP_DAYS = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class PastOutcomes:
    """Who was eligible at instants of the past, and what came of them, all of it known before the as-of.

    customer_index : int64[n]    into the past
    as_of_us       : int64[n]
    indicators     : float32[n, len(SUMMARY_COLUMNS)]
    churned        : bool[n]
    """

    customer_index: NDArray[np.int64]
    as_of_us: NDArray[np.int64]
    indicators: NDArray[np.float32]
    churned: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """How likely is each of these customers not to buy within the horizon?

    past           : events strictly before as_of_us, no others
    customer_index : int64[n]    the eligible customers, into the past
    indicators     : float32[n, len(SUMMARY_COLUMNS)]  theirs, at as_of_us
    outcomes       : to learn from
    """

    past: Partition
    as_of_us: int
    horizon_days: int
    active_within_days: int
    customer_index: NDArray[np.int64]
    indicators: NDArray[np.float32]
    outcomes: PastOutcomes


def pose_question(past: Partition, *, as_of_us: int, horizon_days: int, active_within_days: int) -> Question:
    """Ask about every customer who is eligible at the as-of.

    past   : only events strictly before as_of_us
    raises : AsOfError where the past holds no outcome to learn from
    """
    customers = eligible(past, as_of_us, active_within_days)
    return Question(
        past=past,
        as_of_us=as_of_us,
        horizon_days=horizon_days,
        active_within_days=active_within_days,
        customer_index=customers,
        indicators=compute_summary(past, customers, as_of_us),
        outcomes=collect_outcomes(past, as_of_us=as_of_us, horizon_days=horizon_days, active_within_days=active_within_days),
    )


def collect_outcomes(past: Partition, *, as_of_us: int, horizon_days: int, active_within_days: int) -> PastOutcomes:
    """Every eligible customer at up to twelve instants, the last a horizon before the as-of.

    past   : only events strictly before as_of_us
    raises : AsOfError where there is none
    """
    last_us = as_of_us - horizon_days * DAY_US
    first_us = int(past.timestamp_us.min()) if past.num_events else as_of_us
    instants = [last_us - step * _STEP_DAYS * DAY_US for step in range(_NUM_INSTANTS)]
    instants = [instant for instant in instants if instant > first_us]
    queries = queries_at(past, instants, known_until_us=as_of_us, active_within_days=active_within_days)
    if len(queries) == 0:
        raise AsOfError(
            f"as-of {format_instant(as_of_us)}: found no past outcomes that the baselines could learn from, expected customers "
            f"with a purchase in the {active_within_days} days before {format_instant(last_us)}, where the last {horizon_days} "
            "days begin; choose a later as-of date, or a shorter horizon"
        )
    return PastOutcomes(
        customer_index=queries.customer_index,
        as_of_us=queries.as_of_us,
        indicators=compute_summary(past, queries.customer_index, queries.as_of_us),
        churned=queries.wait_days >= horizon_days,
    )
