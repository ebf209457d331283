"""A back-test as the JSON document that programs read.

The keys of one window stand at the top, so that a program that asks about one as-of needs to know nothing of several: with
several they are those of all origins together, at the first horizon. What is not defined is null.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from engine.instants import format_instant
from training.backtest.judging import MODEL, Judgement
from training.backtest.value import ValueJudgement
from training.backtest.windows import Backtest, Window
from training.evaluation.confusion import GradeOutcome
from training.evaluation.lead_time import LeadTime
from training.evaluation.metrics import JUDGED_NAMES
from training.evaluation.segments import Segment


def describe_backtest(result: Backtest) -> dict[str, Any]:
    """The document; JSON types only, no NaN."""
    first, first_judgement = result.pooled[0]
    document = {
        **_describe_window(result, first, first_judgement),
        "bootstrap": {"num_resamples": result.config.num_resamples, "level": 0.95, "unit": "customer"},
        "profit": asdict(result.config.profit),
        "data": asdict(result.data),
        "lead_time": _describe_walk(result),
        "value": [_describe_value(judgement) for judgement in result.value],
        "windows": [
            _describe_window(result, window, judgement)
            for window, judgement in zip(result.windows, result.judgements, strict=True)
        ],
        "pooled": [_describe_window(result, window, judgement) for window, judgement in result.pooled],
    }
    plain = _plain(document)
    assert isinstance(plain, dict)
    return plain


def _describe_window(result: Backtest, window: Window, judgement: Judgement) -> dict[str, Any]:
    dates = [format_instant(instant) for instant in window.as_of_us]
    estimates = judgement.estimates
    return {
        "as_of": dates[0] if len(dates) == 1 else dates,
        "horizon_days": window.horizon_days,
        "active_within_days": result.config.active_within_days,
        "models": judgement.metrics,
        "bundle": window.bundle,
        "baselines": window.details,
        "intervals": {
            model: {metric: estimates.interval(model, metric) for metric in JUDGED_NAMES} for model in judgement.metrics
        },
        "best_baseline": judgement.best_baseline,
        "differences": {
            baseline: {metric: _describe_difference(judgement, baseline, metric) for metric in JUDGED_NAMES}
            for baseline in judgement.baselines
        },
        "segments": [_describe_segment(segment, judgement.reference) for segment in judgement.segments],
        "grades": [_describe_grade(grade) for grade in judgement.grades],
    }


def _describe_difference(judgement: Judgement, baseline: str, metric: str) -> dict[str, float]:
    value, (low, high) = judgement.estimates.difference(MODEL, baseline, metric)
    return {"difference": value, "low": low, "high": high}


def _describe_segment(segment: Segment, reference: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "dimension": segment.dimension,
        "segment": segment.name,
        "num_customers": segment.num_customers,
        "base_rate": segment.base_rate,
        "models": None,
    }
    estimates = segment.estimates
    if estimates is None:
        return entry
    entry["models"] = estimates.values
    entry["intervals"] = {
        model: {metric: estimates.interval(model, metric) for metric in JUDGED_NAMES} for model in estimates.values
    }
    if reference is not None:
        value, (low, high) = estimates.difference(MODEL, reference, "auc")
        entry["auc_difference"] = {"baseline": reference, "difference": value, "low": low, "high": high}
    return entry


def _describe_grade(grade: GradeOutcome) -> dict[str, Any]:
    return {**asdict(grade), "precision": grade.precision, "recall": grade.recall}


def _describe_value(judgement: ValueJudgement) -> dict[str, Any]:
    return {
        "as_of": [format_instant(instant) for instant in judgement.as_of_us],
        "days": judgement.days,
        "unit": judgement.unit,
        "num_customers": judgement.num_customers,
        "mean_spent": judgement.mean_spent,
        "models": judgement.metrics,
    }


def _describe_walk(result: Backtest) -> dict[str, Any]:
    if result.walk is None:
        return {"available": False, "reason": result.no_walk}
    walk = result.walk
    return {
        "available": True,
        **asdict(walk.config),
        "instants": [format_instant(instant) for instant in walk.instants_us],
        "rule": {"num_right": walk.rule_right, "num_false": walk.rule_false},
        "models": {name: _describe_lead_time(found) for name, found in walk.by_ranker.items()},
        "at_as_many_false_alarms": {name: _describe_lead_time(found) for name, found in walk.matched.items()},
    }


def _describe_lead_time(found: LeadTime) -> dict[str, Any]:
    return {
        "num_left": found.num_left,
        "num_alarmed": found.num_right,
        "median_lead_days": found.median_lead_days,
        "share_in_time": found.share_in_time,
        "num_right": found.num_right,
        "num_false": found.num_false,
        "num_undecided": found.num_undecided,
        "accuracy": found.accuracy,
        "accuracy_in_time": found.accuracy_in_time,
        "false_alarms_per_right": found.false_alarms_per_right,
    }


def _plain(value: Any) -> Any:
    """NaN and infinities become None, tuples lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
