"""`ebbtide backtest`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from operator import neg
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import Instant, active_option, seed_option, store_option
from serving.cli.output import console, json_option, literal, print_json, print_prose, stage, table

if TYPE_CHECKING:
    from training.backtest import Backtest, Judgement, Window

_METRICS: tuple[tuple[str, str, int, Callable[[float], float]], ...] = (
    # key in metrics.json, heading, decimals, how good a value is; the first six fit beside the longest name within 80 columns
    ("auc", "ROC-AUC", 4, float),
    ("average_precision", "avg. prec.", 4, float),
    ("brier", "Brier", 4, neg),
    ("log_loss", "log loss", 4, neg),
    ("ece", "ECE", 4, neg),
    ("calibration_slope", "cal. slope", 2, lambda slope: -abs(slope - 1)),
    ("top_decile_lift", "decile lift", 2, float),
    ("expected_maximum_profit", "max. profit", 3, float),
)
# Columns of a terminal from which all of them fit.
_WIDE, _NUM_NARROW = 100, 6
_VALUE_METRICS = (
    # key in metrics.json, heading, decimals
    ("mean_absolute_error", "mean abs. error", 2),
    ("root_mean_square_error", "RMSE", 2),
    ("spearman", "rank corr.", 3),
    ("total_ratio", "predicted/actual", 3),
)
_QUICK, _ALL = "quick", "all"


@click.command()
@store_option
@click.option(
    "--as-of",
    "as_of_us",
    type=Instant(),
    multiple=True,
    required=True,
    help="Forecast origin, UTC: 2017-12-02 or 2017-12-02T08:00:00Z. Repeat it for rolling origins; a model is trained for each.",
)
@click.option(
    "--horizon-days",
    type=click.IntRange(1, 365),
    metavar="DAYS",
    multiple=True,
    default=(30,),
    show_default=True,
    help="Churn means no purchase within this many days. Repeat it to judge more horizons with the same models, which are "
    "trained for the first.",
)
@active_option
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR", help="Folder for the results."
)
@click.option(
    "--baselines",
    default=_QUICK,
    show_default=True,
    metavar="LIST",
    help="What to compare with: quick, all (quick plus lightgbm_tuned, which takes minutes), or a comma-separated list.",
)
@click.option(
    "--tuning-trials",
    type=click.IntRange(0, 10_000),
    metavar="N",
    default=40,
    show_default=True,
    help="Trials of lightgbm_tuned at each origin.",
)
@click.option(
    "--tuned",
    "study_name",
    metavar="STUDY",
    help="Train with the best settings of this `ebbtide tune` study, whose as-of must not be later than any origin. Adds "
    "lightgbm_tuned to the baselines, with as many trials as the study has.",
)
@click.option(
    "--resamples", type=click.IntRange(10, 1_000_000), default=1000, show_default=True, metavar="N", help="Bootstrap resamples."
)
@click.option(
    "--customer-value",
    type=float,
    default=200.0,
    show_default=True,
    metavar="MONEY",
    help="Worth of a customer who stays; with the two costs, the basis of the expected profit.",
)
@click.option(
    "--offer-cost",
    type=float,
    default=10.0,
    show_default=True,
    metavar="MONEY",
    help="Cost of the offer for each customer who accepts it.",
)
@click.option("--contact-cost", type=float, default=1.0, show_default=True, metavar="MONEY", help="Cost of each contact.")
@seed_option
@json_option
def backtest(
    store: Place,
    as_of_us: tuple[int, ...],
    horizon_days: tuple[int, ...],
    active_within_days: int,
    out: Path,
    baselines: str,
    tuning_trials: int,
    study_name: str | None,
    resamples: int,
    customer_value: float,
    offer_cost: float,
    contact_cost: float,
    seed: int,
    as_json: bool,
) -> None:
    """Train on events before the as-of, score at the as-of, and compare with what happened after it.

    Baselines answer the same question: LightGBM (tuned or not), logistic regression, MBG/NBD, recency, frequency and a constant.
    Writes DIR/report.html for people, DIR/metrics.json for programs and DIR/predictions.parquet (customer_id, churn_probability,
    churned, as_of, horizon_days).
    """
    from engine.history import History
    from serving.risk import DEFAULT_THRESHOLDS
    from training.backtest import BacktestConfig, run_backtest
    from training.config import TrainConfig
    from training.evaluation.profit import ProfitConfig
    from training.report import METRICS_FILE, check_can_write, write_backtest

    names = _names(baselines)
    train = TrainConfig(horizon_days=horizon_days[0], active_within_days=active_within_days, seed=seed)
    if study_name is not None:
        from training.baselines.catalogue import TUNED
        from training.tuning.best import tuned_config
        from training.tuning.study import read_study, study_folder

        train = tuned_config(store, as_of_us=min(as_of_us), config=train, name=study_name)
        names, tuning_trials = (*names, TUNED), len(read_study(study_folder(store, study_name)).trials)
    config = BacktestConfig(
        as_of_us=as_of_us,
        train=train,
        further_horizons_days=horizon_days[1:],
        baselines=names,
        num_tuning_trials=tuning_trials,
        num_resamples=resamples,
        grades=DEFAULT_THRESHOLDS.named(),
        profit=ProfitConfig(customer_value=customer_value, offer_cost=offer_cost, contact_cost=contact_cost),
    )
    history = History.open(store)
    check_can_write(out)
    with stage("Backtesting", as_json=as_json) as progress:
        result = run_backtest(history, config, progress=lambda at: progress.update(done=at.done, total=at.total, note=at.step))
    write_backtest(result, out)
    if as_json:
        print_json(json.loads((out / METRICS_FILE).read_text()) | {"out": str(out)})
        return
    print_backtest(result)
    console().print(f"Written: {literal(out)}/report.html, metrics.json and predictions.parquet")


def print_backtest(result: Backtest) -> None:
    """The metrics of every model side by side, over all origins of each horizon, and what can be told from them."""
    for window, judgement in result.pooled:
        _print_pooled(result, window, judgement)
    _print_value(result)
    _print_lead_time(result)


def _print_pooled(result: Backtest, window: Window, judgement: Judgement) -> None:
    out = console()
    shown = _METRICS if out.width >= _WIDE else _METRICS[:_NUM_NARROW]
    rows = []
    for model, metrics in judgement.metrics.items():
        cells = [model]
        for key, _, decimals, goodness in shown:
            value = metrics[key]
            if not math.isfinite(value):
                cells.append("–")
                continue
            others = (other[key] for other in judgement.metrics.values() if math.isfinite(other[key]))
            is_best = goodness(value) == max(map(goodness, others))
            cells.append(f"[bold]{value:.{decimals}f}[/]" if is_best else f"{value:.{decimals}f}")
        rows.append(tuple(cells))
    first = next(iter(judgement.metrics.values()))
    dates = ", ".join(format_instant(instant) for instant in window.as_of_us)
    print_prose(
        f"As of {dates}: {first['num_customers']:,} customers active in the last {result.config.active_within_days} days; "
        f"{100 * first['base_rate']:.1f} % did not buy in the next {window.horizon_days}."
    )
    out.print(table((("", "left"), *(heading for _, heading, _, _ in shown)), rows))
    if len(shown) < len(_METRICS):
        out.print(f"[dim]Lift and profit need a terminal of {_WIDE} columns; the report has them too.[/]")
    if judgement.best_baseline is not None:
        value, (low, high) = judgement.estimates.difference("ebbtide", judgement.best_baseline, "auc")
        verdict = "ahead of" if low > 0 else "behind" if high < 0 else "level with"
        print_prose(
            f"ebbtide is {verdict} {judgement.best_baseline}, the best baseline: ROC-AUC {value:+.4f}, "
            f"95 % interval {low:+.4f} to {high:+.4f}."
        )


def _print_value(result: Backtest) -> None:
    out = console()
    for judgement in result.value:
        thing = "spend" if judgement.unit == "currency" else "number of orders"
        out.print(f"Expected {thing} within {judgement.days} days; the actual mean was {judgement.mean_spent:,.2f} per customer.")
        rows = [
            (model, *(f"{metrics[key]:,.{decimals}f}" for key, _, decimals in _VALUE_METRICS))
            for model, metrics in judgement.metrics.items()
        ]
        out.print(table((("", "left"), *(heading for _, heading, _ in _VALUE_METRICS)), rows))


def _print_lead_time(result: Backtest) -> None:
    if result.walk is None:
        print_prose(literal(result.no_walk))
        return
    walk = result.walk
    found = walk.by_ranker["ebbtide"]
    if found.num_left == 0 or found.num_right + found.num_false == 0:
        print_prose(f"Lead time: unknown; {found.num_left:,} customers left, and {found.num_undecided:,} alarms are still open.")
        return
    print_prose(
        f"Lead time: of {found.num_left:,} customers who left, {100 * found.share_in_time:.0f} % were flagged (top decile of "
        f"risk) at least {walk.config.goal_days} days before they had gone {walk.config.rule_days} days without a purchase; "
        f"{100 * found.accuracy:.0f} % of the alarms were right, {found.num_false:,} were false."
    )
    recency = walk.matched["recency"]
    print_prose(
        f"Recency alone, at the same number of false alarms ({recency.num_false:,}): {100 * recency.share_in_time:.0f} % in time"
        + (f", {100 * recency.accuracy:.0f} % of the alarms right." if math.isfinite(recency.accuracy) else ".")
    )


def _names(text: str) -> tuple[str, ...]:
    from training.baselines import BASELINE_NAMES, QUICK_BASELINES

    if text in (_QUICK, _ALL):
        return QUICK_BASELINES if text == _QUICK else BASELINE_NAMES
    return tuple(name.strip() for name in text.split(",") if name.strip())
