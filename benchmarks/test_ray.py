"""Rescoring a generated chain in 64 buckets: Ray on this machine against one process, on the same cores.

What starts before the first bucket (Ray's own processes, the imports of its workers, the model in each of them) is told apart: a
warm-up as of another day comes first in the same executor. Both write the same bytes, which is proven.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chain import ChainConfig, write_chain
from benchmarks.conftest import Report
from engine.executors import Executor, RayConfig, make_executor
from engine.files import sha256_file
from engine.history import History
from engine.ingest import ingest
from engine.instants import DAY_US, next_midnight
from serving.rescoring.rescore import RescoreReport, rescore
from training.config import TrainConfig
from training.registry import register
from training.train import train

_NUM_BUCKETS = 64
_BAR = 0.8
_ROUNDS = 3


@pytest.fixture(scope="module")
def store(quick: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain ingested and trained on for a moment; how well it predicts does not matter for how fast."""
    folder = tmp_path_factory.mktemp("chain")
    num_customers = 2_000 if quick else 20_000
    write_chain(ChainConfig(num_customers=num_customers), folder / "log")
    store = folder / "store"
    ingest(store, sorted((folder / "log").glob("purchases-*.parquet")), num_buckets=_NUM_BUCKETS)
    history = History.open(store)
    config = TrainConfig(num_epochs=1, instants_per_epoch=4)
    register(store, train(history, as_of_us=last_as_of_us(store), config=config))
    return store


def last_as_of_us(store: Path) -> int:
    last_us = History.open(store).manifest.last_order_us
    assert last_us is not None
    return next_midnight(last_us)


def measure(store: Path, executor: Executor, rounds: int) -> tuple[float, list[RescoreReport]]:
    """Seconds of a first rescoring, start-up included, and reports of as many rescorings of the last day from nothing."""
    as_of_us = last_as_of_us(store)
    started_s = time.perf_counter()
    rescore(store, as_of_us=as_of_us - 7 * DAY_US, executor=executor, device="cpu")
    first_run_s = time.perf_counter() - started_s
    reports = []
    for _ in range(rounds):
        shutil.rmtree(store / "snapshots")
        reports.append(rescore(store, as_of_us=as_of_us, executor=executor, device="cpu"))
    return first_run_s, reports


def test_rescoring_on_ray_keeps_up_with_one_process(store: Path, quick: bool, report: Report) -> None:
    rounds = 1 if quick else _ROUNDS
    num_cores = len(os.sched_getaffinity(0))
    rows: list[dict[str, Any]] = []
    hashes = []
    for name in ("inline", "ray"):
        with make_executor(name, ray=RayConfig(num_workers=num_cores)) as executor:
            first_run_s, reports = measure(store, executor, rounds)
        folder = reports[-1].folder
        hashes.append({path.name: sha256_file(path) for path in folder.glob("bucket=*.arrow")})
        score_s = sorted(one.score_s for one in reports)[rounds // 2]
        num_customers = reports[0].num_customers
        rows.append(
            {
                "executor": name,
                "score_s": score_s,
                "customers_per_s": num_customers / score_s,
                "first_run_s": first_run_s,
                "rounds": rounds,
            }
        )
    for row in rows:
        row["times_inline"] = row["customers_per_s"] / rows[0]["customers_per_s"]
    title = f"Rescoring {num_customers:,} customers in {_NUM_BUCKETS} buckets on {num_cores} cores (bar: {_BAR} x inline)"
    report("ray_rescore", title, rows)
    assert hashes[0] == hashes[1]
