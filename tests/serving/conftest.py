"""A small chain to serve: a snapshot written by hand, a history beside it, and a server over both."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pytest

from engine.hashing import bucket_of
from engine.history import History
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant, parse_instant
from serving.client import EbbtideClient
from serving.service.server import Server, ServerConfig
from serving.snapshots import SnapshotInputs, SnapshotManifest, commit, snapshot_folder, snapshot_schema, write_bucket
from tests.serving.server_thread import ServerThread
from training.config import ModelConfig, TrainConfig
from training.registry import register
from training.train import train

AS_OF_US = parse_instant("2024-06-01")
TRAINED_AS_OF_US = parse_instant("2024-01-01")
EDGES_DAYS = (1.0, 7.0, 14.0, 30.0, 60.0, 90.0, 365.0)
INPUTS = SnapshotInputs(
    as_of_us=AS_OF_US,
    model_version="default/0001",
    model_hash="sha256:" + "1" * 64,
    history_hash="sha256:" + "2" * 64,
    horizon_days=30,
    active_within_days=90,
    edges_days=EDGES_DAYS,
    num_buckets=4,
    state_size=3,
)


class WriteSnapshot(Protocol):
    def __call__(self, store: Path, *, num_customers: int = 500, history: str = "2") -> SnapshotManifest: ...


@pytest.fixture(scope="session")
def write_snapshot() -> WriteSnapshot:
    """Writes and commits a snapshot of customers c0000, c0001, … ; `history` makes another one of the same customers."""
    return _write_snapshot


def _write_snapshot(store: Path, *, num_customers: int = 500, history: str = "2") -> SnapshotManifest:
    inputs = replace(INPUTS, history_hash="sha256:" + history * 64)
    ids = pa.array([f"c{number:04d}" for number in range(num_customers)], pa.string())
    buckets = bucket_of(ids, inputs.num_buckets)
    done = [
        write_bucket(
            snapshot_folder(store, inputs.snapshot_id), inputs, bucket, _batch(np.flatnonzero(buckets == bucket)), device="cpu"
        )
        for bucket in range(inputs.num_buckets)
    ]
    return commit(store, inputs, done, executor="inline")


def probability_of(number: int) -> np.float32:
    """At 30 days, with two decimals, so that there are ties."""
    return np.float32((1 + int(number) * 37 % 99) / 100)


def _batch(numbers: np.ndarray) -> pa.RecordBatch:
    schema = snapshot_schema(len(EDGES_DAYS), INPUTS.state_size)
    probability = np.asarray([probability_of(number) for number in numbers], np.float32)
    # A constant rate: churn within h days is p to the power of h / 30.
    survival = (probability[:, None].astype(float) ** (np.asarray(EDGES_DAYS) / 30)).astype(np.float32)
    columns = [
        pa.array([f"c{number:04d}" for number in numbers], pa.string()),
        pa.array(["" if number % 7 == 0 else f"store {number % 3}" for number in numbers], pa.string()),
        pa.array(AS_OF_US - (numbers % 80 + 1) * DAY_US, pa.int64()),
        pa.array(numbers % 20 + 1, pa.int32()),
        pa.array(probability),
        pa.array((numbers % 50 + 0.5).astype(np.float32)),
        pa.array((numbers % 30 + 0.25).astype(np.float32)),
        pa.array((4 * (numbers % 30) + 0.75).astype(np.float32)),
        pa.FixedSizeListArray.from_arrays(pa.array(survival.ravel()), type=schema.field("survival").type),
        *_memory(schema, len(numbers)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@pytest.fixture(scope="session")
def chain_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a snapshot of 500 customers, and a history that knows some others."""
    store = tmp_path_factory.mktemp("chain")
    _write_snapshot(store)
    orders = [("lapsed", "2024-01-05"), ("newcomer", "2024-06-02"), ("late news", "2024-05-30"), ("c0001", "2024-05-30")]
    source = store / "orders.csv"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([("customer_id", "timestamp", "amount"), *((who, when, "10.00") for who, when in orders)])
    ingest(store, [source])
    return store


@pytest.fixture(scope="session")
def server_thread() -> Iterator[ServerThread]:
    with ServerThread() as thread:
        yield thread


@pytest.fixture(scope="session")
def server(server_thread: ServerThread, chain_store: Path) -> Server:
    return server_thread.start(ServerConfig(store=chain_store, listen="127.0.0.1:0", stop_grace_s=1.0))


@pytest.fixture
def client(server: Server) -> Iterator[EbbtideClient]:
    with EbbtideClient(server.target) as connected:
        yield connected


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a year of 150 customers in four buckets, and a champion trained for moments; copy it to write."""
    store = tmp_path_factory.mktemp("trained")
    generator = np.random.default_rng(0)
    lines = []
    for number in range(150):
        gaps_days = generator.exponential(generator.uniform(5, 60), 40)
        when_us = parse_instant("2023-01-01") + (np.cumsum(gaps_days) * DAY_US).astype(np.int64)
        when_us = when_us[when_us < TRAINED_AS_OF_US + 60 * DAY_US]
        shop = ["north", "south", ""][number % 3]
        lines += [(f"customer {number}", format_instant(int(at)), "12.50", shop) for at in when_us]
    source = store / "orders.csv"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([("customer_id", "timestamp", "amount", "store_id"), *lines])
    ingest(store, [source], num_buckets=4)
    config = TrainConfig(num_epochs=1, instants_per_epoch=8, model=ModelConfig(state_size=8, head_size=8))
    register(store, train(History.open(store), as_of_us=TRAINED_AS_OF_US, config=config))
    return store


def _memory(schema: pa.Schema, num_customers: int) -> list[pa.Array]:
    """Columns of MEMORY_COLUMNS that no model made."""
    of_one_length = tuple(schema.field(name).type for name in ("rhythm", "last_order", "state", "summary"))
    lists = [
        pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(num_customers * of.list_size), of.value_type), type=of)
        for of in of_one_length
    ]
    numbers = [np.ones(num_customers, np.int32), np.zeros(num_customers, np.int64), np.zeros(num_customers, np.uint64)]
    return [*map(pa.array, numbers), *lists]
