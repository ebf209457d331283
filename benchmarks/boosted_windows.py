"""What a careful analyst has instead of ebbtide: 25 window features by DuckDB, and 300 trees of LightGBM that read them.

`python -m benchmarks.boosted_windows EVENTS_PARQUET AS_OF_US ACTIVE_WITHIN_DAYS MODEL` predicts, and prints what it took as JSON.
Its model is fitted by `fit` before, outside every clock. Features and trees are for all who are eligible, and for nobody
else: five windows of orders, money spent, discounts, returns and visits, each a sum over the events of a window.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray

from benchmarks.duckdb_indicators import connect
from benchmarks.process_usage import Stopwatch, peak_mib
from engine.instants import DAY_US

_WINDOWS_DAYS = (7, 14, 30, 60, 90)
_NUM_TREES = 300
_NUM_THREADS = 2
_SAMPLE_ROWS = 20_000


def compute_features(events: Path, as_of_us: int, active_within_days: float) -> NDArray[np.float32]:
    """float32[num_eligible, 25], from a Parquet file of events as engine.history keeps them."""
    columns = []
    for days in _WINDOWS_DAYS:
        is_within = f"timestamp_us >= {as_of_us - days * DAY_US}"
        bought = f"kind = 'purchase' AND {is_within}"
        columns += [
            f"count(*) FILTER ({bought})",
            f"coalesce(sum(amount_minor) FILTER ({bought}), 0)",
            f"coalesce(sum(discount_minor) FILTER ({bought}), 0)",
            f"count(*) FILTER (kind = 'return' AND {is_within})",
            f"count(*) FILTER (kind = 'visit' AND {is_within})",
        ]
    features = ", ".join(f"({column})::FLOAT AS f{index}" for index, column in enumerate(columns))
    since_us = as_of_us - round(active_within_days * DAY_US)
    table = connect().sql(
        f"SELECT customer_id, {features} FROM read_parquet('{events}') WHERE timestamp_us < {as_of_us} GROUP BY customer_id "
        f"HAVING max(timestamp_us) FILTER (kind = 'purchase') >= {since_us}"
    )
    arrow = table.to_arrow_table()
    return np.stack([np.asarray(arrow[f"f{index}"]) for index in range(len(columns))], axis=1)


def fit(events: Path, as_of_us: int, active_within_days: float, model: Path) -> None:
    """300 trees of the default size on a sample; how well they predict does not matter for how fast."""
    features = compute_features(events, as_of_us, active_within_days)
    random = np.random.default_rng(0)
    sample = features[random.permutation(len(features))[:_SAMPLE_ROWS]]
    churned = random.random(len(sample)) < 1 / (1 + sample[:, 10])
    rows = lightgbm.Dataset(sample, churned)
    options = {"objective": "binary", "num_threads": _NUM_THREADS, "verbose": -1}
    lightgbm.train(options, rows, num_boost_round=_NUM_TREES).save_model(model)


def main() -> None:
    """Command line."""
    events, as_of_us, active_within_days, model = sys.argv[1:]
    booster = lightgbm.Booster(model_file=model)
    with Stopwatch() as features_watch:
        features = compute_features(Path(events), int(as_of_us), float(active_within_days))
    with Stopwatch() as predict_watch:
        booster.predict(features, num_threads=_NUM_THREADS)
    taken = {
        "seconds": features_watch.seconds + predict_watch.seconds,
        "cpu_s": features_watch.cpu_s + predict_watch.cpu_s,
        "features_s": features_watch.seconds,
        "predict_s": predict_watch.seconds,
        "peak_mib": peak_mib(),
        "num_customers": len(features),
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
