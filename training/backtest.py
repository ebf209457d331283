"""Back-test: train on what was known before an instant, score at it, and compare with what then happened."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.errors import AsOfError, InvalidArgumentError
from engine.files import move_into_place, sync_folder, write_json_atomic
from engine.history import History
from engine.indicators import compute_summary
from engine.instants import format_instant
from engine.labels import churned, eligible
from training.baselines import collect_outcomes, predict_by_lightgbm, predict_by_recency, predict_constant
from training.bundle import Bundle
from training.config import TrainConfig
from training.evaluation import metrics
from training.inference import FittedModel, survival_curves
from training.past import take_past
from training.predict import churn_probability
from training.train import train
from training.trained import TrainProgress

PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class BacktestResult:
    """What a back-test found.

    predictions : customer_id, churn_probability (of ebbtide), churned; one row per eligible customer
    metrics     : by model ("ebbtide", "lightgbm", "recency", "constant"), then by name
    model       : what was trained, or the given bundle: its version and content hash where it has them
    """

    as_of_us: int
    horizon_days: int
    active_within_days: int
    predictions: pa.Table
    metrics: dict[str, dict[str, float]]
    model: dict[str, Any]


def run_backtest(
    history: History,
    *,
    as_of_us: int,
    horizon_days: int,
    active_within_days: int,
    seed: int = 0,
    bundle: Bundle | None = None,
    progress: Callable[[TrainProgress], None] | None = None,
) -> BacktestResult:
    """Compare ebbtide and the baselines on the customers eligible at an instant.

    bundle : one trained on what was known before as_of_us, to be used in place of training anew
    raises : AsOfError where the horizon is not known to its end, or the past is too short to learn from;
             InvalidArgumentError for a bundle that saw beyond as_of_us
    """
    history.check_as_of(as_of_us, horizon_days=horizon_days)
    _check_outcomes(history, as_of_us, horizon_days, active_within_days)
    identity: dict[str, Any]
    if bundle is None:
        config = TrainConfig(horizon_days=horizon_days, active_within_days=active_within_days, seed=seed)
        model = train(history, as_of_us=as_of_us, config=config, progress=progress).model
        identity = {"version": None, "content_hash": None, "seed": seed}
    else:
        if bundle.as_of_us > as_of_us:
            raise InvalidArgumentError(
                "bundle",
                f"{bundle.name}/{bundle.version} saw events up to {format_instant(bundle.as_of_us)}, "
                f"expected none from {format_instant(as_of_us)} on; train one with that as-of",
            )
        model = bundle.model
        identity = {
            "version": f"{bundle.name}/{bundle.version}",
            "content_hash": bundle.content_hash,
            "seed": bundle.config.seed,
        }

    customer_ids, is_churned, by_ebbtide, indicators = _ask(history, model, as_of_us, horizon_days, active_within_days)
    past = take_past(history.partitions(), before_us=as_of_us)
    outcomes = collect_outcomes(past, as_of_us=as_of_us, horizon_days=horizon_days, active_within_days=active_within_days)
    by_model = {
        "ebbtide": by_ebbtide,
        "lightgbm": predict_by_lightgbm(outcomes, indicators),
        "recency": predict_by_recency(outcomes, indicators),
        "constant": predict_constant(outcomes, indicators),
    }
    if history.manifest.customer_id_type == "integer":
        customer_ids = pc.cast(customer_ids, pa.int64())
    return BacktestResult(
        as_of_us=as_of_us,
        horizon_days=horizon_days,
        active_within_days=active_within_days,
        predictions=pa.table({"customer_id": customer_ids, "churn_probability": by_ebbtide, "churned": is_churned}),
        metrics={name: metrics(is_churned, probability) for name, probability in by_model.items()},
        model=identity,
    )


def write_backtest(result: BacktestResult, out_dir: str | Path) -> None:
    """Write predictions.parquet and metrics.json into a folder, each whole or not at all; the folder is made if missing."""
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    temporary = out_dir / f".{PREDICTIONS_FILE}.{os.getpid()}.tmp"
    try:
        pq.write_table(result.predictions, temporary)
        move_into_place(temporary, out_dir / PREDICTIONS_FILE)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(out_dir)
    document = {
        "as_of": format_instant(result.as_of_us),
        "horizon_days": result.horizon_days,
        "active_within_days": result.active_within_days,
        "models": result.metrics,
        "bundle": result.model,
    }
    write_json_atomic(out_dir / METRICS_FILE, document)


def _check_outcomes(history: History, as_of_us: int, horizon_days: int, active_within_days: int) -> None:
    """Refuse before the training, and not after it, what could not be judged.

    raises : AsOfError where nobody was active, nobody churned, or everybody did
    """
    num_customers = num_churned = 0
    for partition in history.partitions():
        customers = eligible(partition, as_of_us, active_within_days)
        num_customers += len(customers)
        num_churned += int(churned(partition, customers, as_of_us, horizon_days).sum())
    if num_customers == 0:
        raise AsOfError(
            f"found no customer with a purchase in the {active_within_days} days before {format_instant(as_of_us)}; "
            "choose another as-of date, or a longer time to be active within"
        )
    if num_churned in (0, num_customers):
        raise AsOfError(
            f"{num_churned} of {num_customers} customers did not buy in the {horizon_days} days from {format_instant(as_of_us)}, "
            "expected some and not all, so that there is something to tell apart; choose another as-of date or horizon"
        )


def _ask(
    history: History, model: FittedModel, as_of_us: int, horizon_days: int, active_within_days: int
) -> tuple[pa.Array, NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32]]:
    """Of the eligible customers: ids, outcomes, ebbtide's churn probabilities, indicators."""
    activity = history.activity()
    ids, outcomes, probabilities, indicators = [], [], [], []
    for partition in history.partitions():
        customers = eligible(partition, as_of_us, active_within_days)
        instants = np.full(len(customers), as_of_us, np.int64)
        survival = survival_curves(model, partition, activity, customers, instants)
        ids.append(partition.customer_ids.take(pa.array(customers)))
        outcomes.append(churned(partition, customers, as_of_us, horizon_days))
        probabilities.append(churn_probability(model.edges_days, survival, horizon_days))
        indicators.append(compute_summary(partition, customers, instants))
    return pa.concat_arrays(ids), np.concatenate(outcomes), np.concatenate(probabilities), np.concatenate(indicators)
