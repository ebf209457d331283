"""Quality and cost of the model beside the baselines, on real purchases: train before an instant, compare with what came after.

Rolling origin: several instants of each data set, so that no figure speaks of one window. Every model sees the same past and is
asked about the same customers. `--quick` does one instant of a generated chain.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.chain import ChainConfig, write_chain
from benchmarks.conftest import Report
from engine.datasets import locate
from engine.errors import PrerequisiteError
from engine.history import History
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant, parse_instant
from training.backtest import Backtest, BacktestConfig, run_backtest
from training.backtest.windows import Window
from training.config import TrainConfig
from training.evaluation.across import JudgedWindow, mean_differences
from training.evaluation.metrics import METRIC_NAMES
from training.registry import register
from training.train import train

_ONLINE_RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail.parquet"
_SEEDS = (0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a back-test stands."""

    as_of: str
    horizon_days: int
    active_within_days: int


def test_complete_journey(quick: bool, report: Report, tmp_path: Path) -> None:
    if quick:
        pytest.skip("the quick pass takes the generated chain")
    try:
        dataset = locate("complete-journey")
    except PrerequisiteError as error:
        pytest.skip(str(error))
    ingest(tmp_path, dataset.files, columns=dataset.columns)
    origins = [
        Origin(as_of=as_of, horizon_days=30, active_within_days=90) for as_of in ("2017-12-02", "2017-11-01", "2017-10-01")
    ]
    rows = [row for origin in origins for row in _compare(tmp_path, origin, seeds=_SEEDS)]
    report("model_quality_complete_journey", "Churn within 30 days, Complete Journey", rows)


def test_online_retail(quick: bool, report: Report, tmp_path: Path) -> None:
    if quick:
        pytest.skip("the quick pass takes the generated chain")
    if not _ONLINE_RETAIL.exists():
        pytest.skip(f"{_ONLINE_RETAIL.name} is not in shared/data beside the repository")
    ingest(tmp_path, [_ONLINE_RETAIL])
    origins = [Origin(as_of=as_of, horizon_days=60, active_within_days=180) for as_of in ("2011-10-10", "2011-08-15")]
    rows = [row for origin in origins for row in _compare(tmp_path, origin, seeds=_SEEDS)]
    report("model_quality_online_retail", "Churn within 60 days, Online Retail", rows)


def test_generated_chain(quick: bool, report: Report, tmp_path: Path) -> None:
    write_chain(ChainConfig(num_customers=500 if quick else 5_000), tmp_path / "source")
    ingest(tmp_path / "store", sorted((tmp_path / "source").glob("purchases-*.parquet")))
    last_day = History.open(tmp_path / "store").manifest.last_event_us // DAY_US
    origin = Origin(as_of=_date(last_day - 30), horizon_days=30, active_within_days=90)
    rows = _compare(tmp_path / "store", origin, seeds=_SEEDS[:1], num_epochs=2 if quick else None)
    report("model_quality_generated", "Churn within 30 days, a generated chain", rows)


def test_against_a_tuned_lightgbm(quick: bool, report: Report, tmp_path: Path) -> None:
    """The mean over every window of both logs, paired: LightGBM gets a search of its own at each origin."""
    if quick:
        pytest.skip("the search takes minutes")
    if not _ONLINE_RETAIL.exists():
        pytest.skip(f"{_ONLINE_RETAIL.name} is not in shared/data beside the repository")
    try:
        dataset = locate("complete-journey")
    except PrerequisiteError as error:
        pytest.skip(str(error))
    ingest(tmp_path / "Complete Journey", dataset.files, columns=dataset.columns)
    ingest(tmp_path / "Online Retail", [_ONLINE_RETAIL])
    by_log = {
        "Complete Journey": (("2017-08-01", "2017-09-01", "2017-10-01", "2017-11-01", "2017-12-02"), 30, 90),
        "Online Retail": (("2011-08-15", "2011-10-10"), 60, 180),
    }
    windows: list[JudgedWindow] = []
    rows: list[Mapping[str, float | str]] = []
    for log, (origins, horizon_days, active_within_days) in by_log.items():
        config = BacktestConfig(
            as_of_us=tuple(parse_instant(origin) for origin in origins),
            train=TrainConfig(horizon_days=horizon_days, active_within_days=active_within_days),
            baselines=("lightgbm_tuned", "lightgbm"),
        )
        result = run_backtest(History.open(tmp_path / log), config)
        for window, judgement in zip(result.windows, result.judgements, strict=True):
            for model, values in judgement.metrics.items():
                shown = {metric: values[metric] for metric in (*METRIC_NAMES, "calibration_slope")}
                rows.append({"log": log, "as of": format_instant(window.as_of_us[0]), "model": model, **shown})
            windows.append(_judged(log, window))
    for name, chosen in (*((log, [one for one in windows if one.log == log]) for log in by_log), ("both", windows)):
        for metric, (difference, (low, high)) in mean_differences(chosen, ("auc", "average_precision", "brier")).items():
            row = {"log": name, "as of": "mean of windows", "model": f"ebbtide less lightgbm_tuned: {metric}"}
            rows.append({**row, "difference": difference, "low": low, "high": high})
    report("model_quality_tuned", "Churn, beside a LightGBM tuned at each origin", rows)


def _judged(log: str, window: Window) -> JudgedWindow:
    return JudgedWindow(
        log=log,
        customer_ids=window.customer_ids,
        churned=window.churned,
        ours=window.probability["ebbtide"],
        theirs=window.probability["lightgbm_tuned"],
    )


def _compare(
    store: Path, origin: Origin, *, seeds: tuple[int, ...], num_epochs: int | None = None
) -> list[Mapping[str, float | str]]:
    """A row for each seed of ebbtide, and one for each baseline."""
    history = History.open(store)
    as_of_us = parse_instant(origin.as_of)
    rows: list[Mapping[str, float | str]] = []
    for seed in seeds:
        config = TrainConfig(horizon_days=origin.horizon_days, active_within_days=origin.active_within_days, seed=seed)
        if num_epochs is not None:
            config = replace(config, num_epochs=num_epochs)
        started_s = time.perf_counter()
        bundle = register(store, train(history, as_of_us=as_of_us, config=config), name="benchmark")
        train_s = time.perf_counter() - started_s
        result = run_backtest(history, BacktestConfig(as_of_us=(as_of_us,), train=config), bundle=bundle)
        rows.append({"as of": origin.as_of, "model": f"ebbtide, seed {seed}", **_shown(result, "ebbtide"), "train s": train_s})
    baselines = [name for name in result.metrics if name != "ebbtide"]
    rows += [{"as of": origin.as_of, "model": name, **_shown(result, name), "train s": ""} for name in baselines]
    return rows


def _shown(result: Backtest, model: str) -> dict[str, float]:
    """What is defined of every model, a constant included."""
    return {metric: result.metrics[model][metric] for metric in METRIC_NAMES}


def _date(day: int) -> str:
    return format_instant(day * DAY_US)
