"""`ebbtide train` and `ebbtide backtest`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import active_option, as_of_option, horizon_option, seed_option, store_option
from serving.cli.output import Stage, console, json_option, literal, print_json, stage, table

if TYPE_CHECKING:
    from training.backtest import BacktestResult
    from training.bundle import Bundle
    from training.config import TrainConfig
    from training.trained import TrainProgress

_METRICS = (
    # key in metrics.json, heading, decimals, which is best
    ("auc", "ROC-AUC", 4, max),
    ("average_precision", "avg. precision", 4, max),
    ("brier", "Brier", 4, min),
    ("log_loss", "log loss", 4, min),
    ("ece", "ECE", 4, min),
    ("top_decile_lift", "top-decile lift", 2, max),
)


@click.command()
@store_option
@as_of_option
@click.option("--name", default="default", show_default=True, help="Under which name the bundle is registered.")
@horizon_option
@active_option
@seed_option
@json_option
def train(store: Place, as_of_us: int, name: str, horizon_days: int, active_within_days: int, seed: int, as_json: bool) -> None:
    """Train a model on everything before the as-of, and register it as the champion."""
    from training.config import TrainConfig

    config = TrainConfig(horizon_days=horizon_days, active_within_days=active_within_days, seed=seed)
    started_s = time.perf_counter()
    bundle = run_train(store, as_of_us=as_of_us, config=config, name=name, as_json=as_json)
    seconds = time.perf_counter() - started_s
    if as_json:
        print_json(
            {
                "model_version": f"{bundle.name}/{bundle.version}",
                "model_hash": bundle.content_hash,
                "path": str(bundle.folder),
                "as_of": format_instant(bundle.as_of_us),
                "horizon_days": bundle.horizon_days,
                "active_within_days": bundle.active_within_days,
                "seconds": round(seconds, 1),
            }
        )
        return
    print_train(bundle, seconds)
    console().print(f"Next: ebbtide rescore --store {literal(store)} --as-of {format_instant(as_of_us)}")


@click.command()
@store_option
@as_of_option
@horizon_option
@active_option
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR", help="For the results.")
@seed_option
@json_option
def backtest(
    store: Place, as_of_us: int, horizon_days: int, active_within_days: int, out: Path, seed: int, as_json: bool
) -> None:
    """Train on what was known before the as-of, score at the as-of, and compare with what then happened.

    Beside ebbtide, the same is done with LightGBM on window features, with recency alone and with a constant. Writes
    DIR/predictions.parquet (customer_id, churn_probability, churned) and DIR/metrics.json.
    """
    from engine.history import History
    from training.backtest import run_backtest, write_backtest

    history = History.open(store)
    with stage("Backtesting", as_json=as_json) as progress:
        result = run_backtest(
            history,
            as_of_us=as_of_us,
            horizon_days=horizon_days,
            active_within_days=active_within_days,
            seed=seed,
            progress=lambda at: _show_epoch(progress, at),
        )
    write_backtest(result, out)
    if as_json:
        print_json(json.loads((out / "metrics.json").read_text()) | {"out": str(out)})
        return
    print_backtest(result)
    console().print(f"Written: {out / 'predictions.parquet'} and {out / 'metrics.json'}")


def run_train(store: Place, *, as_of_us: int, config: TrainConfig, name: str, as_json: bool) -> Bundle:
    """Train with a progress bar over the epochs, and register."""
    from engine.history import History
    from training.registry import check_name, register
    from training.train import train as run

    check_name(name)
    history = History.open(store)
    with stage("Training", as_json=as_json) as progress:
        trained = run(history, as_of_us=as_of_us, config=config, progress=lambda at: _show_epoch(progress, at))
    return register(store, trained, name=name)


def print_train(bundle: Bundle, seconds: float) -> None:
    """What came of a training, for a person."""
    out = console()
    out.print(
        f"Trained [bold]{bundle.name}/{bundle.version}[/] in {seconds:.0f} s on what was known before "
        f"{format_instant(bundle.as_of_us)}: churn within {bundle.horizon_days} days, of customers active within "
        f"{bundle.active_within_days}."
    )
    out.print(f"Bundle: {literal(bundle.folder)}")


def print_backtest(result: BacktestResult) -> None:
    """The metrics of every model side by side, the best of each in bold."""
    rows = []
    for model, metrics in result.metrics.items():
        cells = [model]
        for key, _, decimals, best in _METRICS:
            value = metrics[key]
            is_best = value == best(other[key] for other in result.metrics.values())
            cells.append(f"[bold]{value:.{decimals}f}[/]" if is_best else f"{value:.{decimals}f}")
        rows.append(tuple(cells))
    first = next(iter(result.metrics.values()))
    out = console()
    out.print(
        f"As of {format_instant(result.as_of_us)}: {first['num_customers']:,} customers active within "
        f"{result.active_within_days} days; {100 * first['base_rate']:.1f} % did not buy in the {result.horizon_days} days after."
    )
    out.print(table((("", "left"), *(heading for _, heading, _, _ in _METRICS)), rows))


def _show_epoch(progress: Stage, at: TrainProgress) -> None:
    progress.update(done=at.epoch, total=at.num_epochs, note=f"epochs, loss {at.loss:.4f}")
