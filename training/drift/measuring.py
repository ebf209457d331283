"""Drift: how far the chain has moved from the one that the champion was trained on, and whether to train again.

Three things are looked at: whether customers look different (population stability index of every indicator and of the score),
whether promises are kept (calibration on the newest window that is known to its end), and whether more of them leave.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.indicators import INDICATOR_COLUMNS
from engine.instants import DAY_US, format_instant
from training.bundles.bundle import Bundle
from training.data.panel import Panel, ask_panel
from training.drift.histogram import Histogram, stability_index
from training.drift.reference import as_compared
from training.evaluation.metrics import measure_everybody
from training.evaluation.weighted import Ranking

SCORE = "score"
_MONTH_DAYS = 30
# Standard normal quantile of a one-sided test at 5 %.
_Z = 1.644854


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftConfig:
    """The thresholds that call for training again."""

    psi: float = 0.25
    """Highest population stability index of an indicator or of the score that is borne."""

    repurchase_fall: float = 0.15
    """Fall of the repurchase rate (1 - churn rate) against the reference, as a share of it."""

    months_over: int = 3
    """Months in a row in which the churn rate lies above the reference, by more than chance."""

    ignored: tuple[str, ...] = ()
    """Indicators that are shown and do not count."""

    least_customers: int = 50
    """With fewer customers at an instant nothing is said of it."""

    def __post_init__(self) -> None:
        if not 0 < self.psi < math.inf:
            raise InvalidArgumentError("psi", f"found {self.psi}, expected a number above 0")
        if not 0 < self.repurchase_fall <= 1:
            raise InvalidArgumentError("repurchase_fall", f"found {self.repurchase_fall}, expected a share above 0, at most 1")
        if not 1 <= self.months_over <= 24:
            raise InvalidArgumentError("months_over", f"found {self.months_over}, expected 1 to 24")
        if self.least_customers < 1:
            raise InvalidArgumentError("least_customers", f"found {self.least_customers}, expected 1 or more")
        known = (*INDICATOR_COLUMNS, SCORE)
        for name in self.ignored:
            if name not in known:
                raise InvalidArgumentError("ignored", f"found {name!r}, expected one of {', '.join(known)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """How an indicator, or the score, is distributed now and was then.

    unknown_before, unknown_now : share of customers of whom it is not known
    """

    name: str
    psi: float
    unknown_before: float
    unknown_now: float
    is_over: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowRate:
    """What happened in a window of one horizon.

    promised : mean churn probability by the champion
    is_seen  : whether the champion had learnt from outcomes in it
    is_over  : whether the churn rate is above the reference, beyond chance
    """

    as_of_us: int
    num_customers: int
    promised: float
    churn_rate: float
    is_seen: bool
    is_over: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftReport:
    """What was found.

    shifts            : the score first, then the indicators, the furthest first; empty where there are too few customers
    windows           : newest first, a month apart, none older than what the reference knows
    calibration_slope : on the newest window; NaN where it is not defined. 1 is right, below 1 promises are too bold
    calibration_error : of the newest window, ten groups of equal size; NaN likewise
    reasons           : the thresholds that are crossed, in words; any of them calls for training again
    not_judged        : what could not be looked at, in words
    """

    name: str
    version: str
    as_of_us: int
    model_as_of_us: int
    horizon_days: int
    num_customers: int
    num_customers_before: int
    shifts: tuple[Shift, ...]
    windows: tuple[WindowRate, ...]
    reference_churn_rate: float
    repurchase_fall: float
    num_months_over: int
    calibration_slope: float
    calibration_error: float
    reasons: tuple[str, ...]
    not_judged: tuple[str, ...]

    @property
    def calls_for_training(self) -> bool:
        return bool(self.reasons)

    @property
    def is_judged(self) -> bool:
        """Whether anything could be looked at."""
        return bool(self.shifts or self.windows)


def measure_drift(history: History, bundle: Bundle, *, as_of_us: int, config: DriftConfig | None = None) -> DriftReport:
    """Compare the chain as of an instant with the reference in the bundle; nothing at or after the instant is looked at.

    raises : AsOfError for an instant that the history does not reach, or one before that of the training
    """
    config = DriftConfig() if config is None else config
    history.check_as_of(as_of_us)
    if as_of_us < bundle.as_of_us:
        raise AsOfError(
            f"as-of {format_instant(as_of_us)} lies before that of {bundle.name}/{bundle.version}, "
            f"{format_instant(bundle.as_of_us)}: drift is measured from there on; choose a later date"
        )
    not_judged: list[str] = []
    now = _ask_as_then(history, bundle, as_of_us)
    shifts = _shifts(now, bundle, config, not_judged)
    windows, newest = _windows(history, bundle, as_of_us, config, not_judged)
    fall = _repurchase_fall(windows, bundle.trained.reference.churn_rate)
    months = next((place for place, window in enumerate(windows) if not window.is_over), len(windows))
    slope, error = _calibration(newest)
    return DriftReport(
        name=bundle.name,
        version=bundle.version,
        as_of_us=as_of_us,
        model_as_of_us=bundle.as_of_us,
        horizon_days=bundle.horizon_days,
        num_customers=len(now),
        num_customers_before=bundle.trained.reference.num_customers,
        shifts=shifts,
        windows=windows,
        reference_churn_rate=bundle.trained.reference.churn_rate,
        repurchase_fall=fall,
        num_months_over=months,
        calibration_slope=slope,
        calibration_error=error,
        reasons=tuple(_reasons(shifts, fall, months, config)),
        not_judged=tuple(not_judged),
    )


def _ask(history: History, bundle: Bundle, as_of_us: int) -> Panel:
    return ask_panel(
        history,
        {SCORE: bundle.model},
        as_of_us=as_of_us,
        horizon_days=bundle.horizon_days,
        active_within_days=bundle.active_within_days,
    )


def _ask_as_then(history: History, bundle: Bundle, as_of_us: int) -> Panel:
    """Through as many days of the log as the reference had: the same chain would otherwise look another as its log gets older."""
    log_days = bundle.trained.reference.log_days
    return ask_panel(
        history,
        {SCORE: bundle.model},
        as_of_us=as_of_us,
        horizon_days=bundle.horizon_days,
        # Nobody could be known then to have bought longer ago than the log was old.
        active_within_days=min(bundle.active_within_days, math.ceil(log_days)),
        indicators_since_us=as_of_us - round(log_days * DAY_US),
    )


def _shifts(now: Panel, bundle: Bundle, config: DriftConfig, not_judged: list[str]) -> tuple[Shift, ...]:
    reference = bundle.trained.reference
    for num_customers, instant_us in ((len(now), now.as_of_us), (reference.num_customers, bundle.as_of_us)):
        if num_customers < config.least_customers:
            not_judged.append(
                f"the stability index: {num_customers} customers are eligible as of {format_instant(instant_us)}, expected "
                f"at least {config.least_customers}"
            )
            return ()

    def compare(name: str, before: Histogram, values: NDArray[np.floating]) -> Shift:
        found = before.shares_of(values)
        index = stability_index(before.shares, found)
        return Shift(
            name=name,
            psi=index,
            unknown_before=before.unknown_share,
            unknown_now=found[-1],
            is_over=index > config.psi and name not in config.ignored,
        )

    score = compare(SCORE, reference.score, now.probability[SCORE])
    found = as_compared(now.indicators, log_days=reference.log_days)
    indicators = [compare(name, reference.indicators[name], found[:, column]) for column, name in enumerate(INDICATOR_COLUMNS)]
    return score, *sorted(indicators, key=lambda shift: -shift.psi)


def _windows(
    history: History, bundle: Bundle, as_of_us: int, config: DriftConfig, not_judged: list[str]
) -> tuple[tuple[WindowRate, ...], Panel | None]:
    """The windows that end by the as-of, newest first, and the customers of the newest."""
    reference = bundle.trained.reference
    horizon_us = bundle.horizon_days * DAY_US
    windows: list[WindowRate] = []
    newest: Panel | None = None
    for month in range(config.months_over):
        start_us = as_of_us - horizon_us - month * _MONTH_DAYS * DAY_US
        # The reference's own window begins a horizon before the training: it, and what is older, cannot be over it.
        if start_us <= bundle.as_of_us - horizon_us:
            break
        panel = _ask(history, bundle, start_us)
        if len(panel) < config.least_customers:
            not_judged.append(f"the window from {format_instant(start_us)}: it holds {len(panel)} customers")
            break
        newest = panel if newest is None else newest
        rate = float(panel.churned.mean())
        windows.append(
            WindowRate(
                as_of_us=start_us,
                num_customers=len(panel),
                promised=float(panel.probability[SCORE].mean()),
                churn_rate=rate,
                is_seen=start_us < bundle.as_of_us,
                is_over=_is_over(rate, len(panel), reference.churn_rate, reference.num_outcomes),
            )
        )
    if not windows and not not_judged:
        not_judged.append("churn and calibration: no window has been completed since the training")
    return tuple(windows), newest


def _is_over(rate: float, num: int, before: float, num_before: int) -> bool:
    """Whether a share is above another beyond chance, one-sided, by the pooled two-proportion test."""
    pooled = (rate * num + before * num_before) / (num + num_before)
    return rate - before > _Z * math.sqrt(pooled * (1 - pooled) * (1 / num + 1 / num_before))


def _repurchase_fall(windows: Sequence[WindowRate], before: float) -> float:
    """How much less of the customers buy again, as a share of before; below 0 where it is more, NaN where it is not known."""
    if not windows or before >= 1:
        return float("nan")
    return 1 - (1 - windows[0].churn_rate) / (1 - before)


def _calibration(newest: Panel | None) -> tuple[float, float]:
    if newest is None:
        return float("nan"), float("nan")
    found = measure_everybody(Ranking(newest.churned, newest.probability[SCORE]))
    return found["calibration_slope"], found["ece"]


def _reasons(shifts: Sequence[Shift], fall: float, months: int, config: DriftConfig) -> list[str]:
    reasons = [
        f"the stability index of {shift.name} is {shift.psi:.2f}, above {config.psi:g}" for shift in shifts if shift.is_over
    ]
    if fall >= config.repurchase_fall:
        reasons.append(f"the repurchase rate has fallen by {100 * fall:.1f} %, the limit is {100 * config.repurchase_fall:g} %")
    if months >= config.months_over:
        reasons.append(f"the churn rate has been above the reference for {months} months in a row")
    return reasons
