"""Expected spend beside what was spent: of ebbtide, of going on as lately, and of MBG/NBD with gamma-gamma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.labels import eligible
from engine.partition import Partition
from training.backtest.config import BacktestConfig
from training.backtest.judging import MODEL
from training.baselines.spend import spend_by_mbg_nbd, spend_by_past_rate
from training.evaluation.value import value_metrics
from training.network.spend import expected_spend, fit_spend_scale

# A quarter and a year, beside the horizons: what customer value is usually asked for, and what every answer tells.
VALUE_DAYS = (90, 365)
PAST_RATE, MBG_NBD = "past_rate", "mbg_nbd_gamma_gamma"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendAnswer:
    """What the baselines say at one origin.

    days        : of each entry of by_baseline's lists
    by_baseline : float64[n] for each number of days, of the eligible customers
    has_amounts : else orders were counted in place of money
    """

    days: tuple[int, ...]
    by_baseline: dict[str, list[NDArray[np.float64]]]
    has_amounts: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendWindow:
    """Everybody who was eligible at one origin, what every model expected of the days after it, and what came of it.

    spent    : float64[n]
    expected : by model ("ebbtide" first), float64[n]
    """

    as_of_us: int
    days: int
    has_amounts: bool
    spent: NDArray[np.float64]
    expected: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueJudgement:
    """How well spend was foreseen, over all origins whose days are known to their end.

    unit       : "currency", or "orders" where the chain gave no amounts
    mean_spent : what a customer really spent
    metrics    : by model, those of VALUE_METRIC_NAMES
    """

    as_of_us: tuple[int, ...]
    days: int
    unit: str
    num_customers: int
    mean_spent: float
    metrics: dict[str, dict[str, float]]


def days_to_judge(config: BacktestConfig, known_days: float) -> tuple[int, ...]:
    """The horizons, and a quarter and a year where they are known to their end and the curves reach so far."""
    reach_days = min(known_days, config.train.model.edges_days[-1])
    return tuple(sorted(days for days in {*config.horizons_days, *VALUE_DAYS} if days <= reach_days))


def ask_spend_baselines(past: Partition, as_of_us: int, active_within_days: int, days: tuple[int, ...]) -> SpendAnswer:
    """Both baselines, from events strictly before the as-of."""
    has_amounts, customers = fit_spend_scale(past).has_amounts, eligible(past, as_of_us, active_within_days)
    return SpendAnswer(
        days=days,
        by_baseline={
            PAST_RATE: [
                spend_by_past_rate(past, customers, as_of_us, active_within_days, ahead, has_amounts=has_amounts)
                for ahead in days
            ],
            MBG_NBD: spend_by_mbg_nbd(past, customers, as_of_us, days, has_amounts=has_amounts),
        },
        has_amounts=has_amounts,
    )


def compare_spend(
    answer: SpendAnswer,
    as_of_us: int,
    edges_days: NDArray[np.float64],
    spend: NDArray[np.float64],
    spent: Sequence[NDArray[np.float64]],
) -> list[SpendWindow]:
    """A window for each number of days.

    spend : float64[n, num_bins]  what the model expects, by each edge
    spent : float64[n] for each of the answer's days
    """
    return [
        SpendWindow(
            as_of_us=as_of_us,
            days=days,
            has_amounts=answer.has_amounts,
            spent=spent[place],
            expected={
                MODEL: expected_spend(edges_days, spend, days),
                **{name: found[place] for name, found in answer.by_baseline.items()},
            },
        )
        for place, days in enumerate(answer.days)
    ]


def judge_value(windows: Sequence[SpendWindow]) -> tuple[ValueJudgement, ...]:
    """A judgement for each number of days, the windows of all origins together."""
    return tuple(
        _judge([window for window in windows if window.days == days]) for days in sorted({window.days for window in windows})
    )


def _judge(windows: Sequence[SpendWindow]) -> ValueJudgement:
    spent = np.concatenate([window.spent for window in windows])
    names = (MODEL, PAST_RATE, MBG_NBD)
    return ValueJudgement(
        as_of_us=tuple(window.as_of_us for window in windows),
        days=windows[0].days,
        unit="currency" if all(window.has_amounts for window in windows) else "orders",
        num_customers=len(spent),
        mean_spent=float(spent.mean()),
        metrics={name: value_metrics(spent, np.concatenate([window.expected[name] for window in windows])) for name in names},
    )
