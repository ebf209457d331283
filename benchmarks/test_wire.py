"""The wire: one customer beside a bare echo, and 100,000 scores in three encodings.

Client and server are processes of their own, on one machine over loopback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.conftest import Report
from benchmarks.echo_server import METHOD
from benchmarks.server_process import process, serving_process
from engine.hashing import bucket_of
from engine.instants import DAY_US, parse_instant
from serving.client import EbbtideClient
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.service.rows import score_batch
from serving.snapshots import Snapshot, SnapshotInputs, commit, open_current, snapshot_folder, snapshot_schema, write_bucket
from serving.wire.batches import arrow_bytes, columns_message

_INPUTS = SnapshotInputs(
    as_of_us=parse_instant("2024-06-01"),
    model_version="default/0001",
    model_hash="sha256:" + "1" * 64,
    history_hash="sha256:" + "2" * 64,
    horizon_days=30,
    active_within_days=90,
    edges_days=(1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 75, 90, 120, 180, 270, 365),
    num_buckets=16,
    state_size=48,
)
# The bar for the median of ScoreCustomer on loopback.
_BAR_MS = 3.0


@pytest.fixture(scope="module")
def num_customers(quick: bool) -> int:
    return 5_000 if quick else 100_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, num_customers: int) -> Path:
    folder = tmp_path_factory.mktemp("wire")
    ids = pa.array([f"customer-{number:07d}" for number in range(num_customers)])
    buckets = bucket_of(ids, _INPUTS.num_buckets)
    generator = np.random.default_rng(0)
    done = []
    for bucket in range(_INPUTS.num_buckets):
        batch = _random_scores(ids.filter(pa.array(buckets == bucket)), generator)
        done.append(write_bucket(snapshot_folder(folder, _INPUTS.snapshot_id), _INPUTS, bucket, batch, device="cpu"))
    commit(folder, _INPUTS, done, executor="inline")
    return folder


@pytest.fixture(scope="module")
def snapshot(store: Path) -> Snapshot:
    return open_current(store)


@pytest.fixture(scope="module")
def target(store: Path) -> Iterator[str]:
    with serving_process(store) as target:
        yield target


@pytest.fixture(scope="module")
def unary_rows(report: Report) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    yield rows
    report("wire_unary", f"One customer over loopback (bar: median {_BAR_MS} ms)", rows)


@pytest.fixture(scope="module")
def batch_rows(report: Report, num_customers: int) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    yield rows
    report("wire_batch", f"{num_customers:,} scores", rows)


def test_echo(benchmark: BenchmarkFixture, target: str, quick: bool, unary_rows: list[dict[str, Any]]) -> None:
    with grpc.insecure_channel(target) as channel:
        answer = pb_grpc.ScoringServiceStub(channel).ScoreCustomer(_request(0))
    with process("-m", "benchmarks.echo_server", str(answer.ByteSize())) as echo, grpc.insecure_channel(echo) as channel:
        call = channel.unary_unary(METHOD)
        request = _request(0).SerializeToString()
        _measure_unary(benchmark, lambda _: call(request), quick)
    unary_rows.append(_unary_row("bare grpc.aio echo of the same sizes (peer)", benchmark))


def test_score_customer(benchmark: BenchmarkFixture, target: str, quick: bool, unary_rows: list[dict[str, Any]]) -> None:
    with grpc.insecure_channel(target) as channel:
        call = pb_grpc.ScoringServiceStub(channel).ScoreCustomer
        _measure_unary(benchmark, lambda number: call(_request(number)), quick)
    unary_rows.append(_unary_row("ScoreCustomer", benchmark))


def test_score_customer_through_the_client(
    benchmark: BenchmarkFixture, target: str, quick: bool, unary_rows: list[dict[str, Any]]
) -> None:
    with EbbtideClient(target) as client:
        _measure_unary(benchmark, lambda number: client.score(f"customer-{number:07d}"), quick)
    unary_rows.append(_unary_row("ScoreCustomer through EbbtideClient", benchmark))


@pytest.mark.parametrize("encoding", ["repeated messages (peer)", "packed columns", "Arrow IPC"])
def test_encode(
    benchmark: BenchmarkFixture, snapshot: Snapshot, quick: bool, encoding: str, batch_rows: list[dict[str, Any]]
) -> None:
    batch = score_batch(snapshot, snapshot.slice(0, snapshot.num_customers), 30)
    encode: Callable[[], bytes] = {
        "repeated messages (peer)": lambda: _repeated_messages(batch).SerializeToString(),
        "packed columns": lambda: columns_message(batch).SerializeToString(),
        "Arrow IPC": lambda: arrow_bytes(batch),
    }[encoding]
    data = benchmark.pedantic(encode, rounds=1 if quick else 7, warmup_rounds=1)
    batch_rows.append(_batch_row(f"encode: {encoding}", benchmark, len(data)))


@pytest.mark.parametrize("layout", [pb.BATCH_FORMAT_PACKED_COLUMNS, pb.BATCH_FORMAT_ARROW_IPC])
def test_batch_score(
    benchmark: BenchmarkFixture,
    target: str,
    num_customers: int,
    quick: bool,
    layout: pb.BatchFormat.ValueType,
    batch_rows: list[dict[str, Any]],
) -> None:
    ids = [f"customer-{number:07d}" for number in range(num_customers)]
    request = pb.BatchScoreRequest(customer_ids=ids, format=layout)
    with grpc.insecure_channel(target) as channel:
        call = pb_grpc.ScoringServiceStub(channel).BatchScore
        responses = benchmark.pedantic(lambda: list(call(request)), rounds=1 if quick else 7, warmup_rounds=1)
    name = pb.BatchFormat.Name(layout).removeprefix("BATCH_FORMAT_").lower()
    batch_rows.append(
        _batch_row(f"BatchScore by id over loopback: {name}", benchmark, sum(part.ByteSize() for part in responses))
    )


def _repeated_messages(batch: pa.RecordBatch) -> pb.ListAtRiskResponse:
    """One message per customer: what an API without columns would send."""
    columns = columns_message(batch)
    response = pb.ListAtRiskResponse()
    for customer_id, store_id, last_us, num_orders, probability, score, grade, tier, days, quarter, year in zip(
        *(getattr(columns, name) for name in batch.schema.names), strict=True
    ):
        message = response.customers.add(
            customer_id=customer_id,
            store_id=store_id,
            num_orders=num_orders,
            churn_probability=probability,
            risk_score=score,
            grade=grade,
            tier=tier,
            expected_days_to_purchase=days,
            expected_spend_90d=quarter,
            expected_spend_365d=year,
        )
        message.last_purchase_time.seconds = last_us // 1_000_000
    return response


def _request(number: int) -> pb.ScoreCustomerRequest:
    return pb.ScoreCustomerRequest(customer_id=f"customer-{number:07d}")


def _measure_unary(benchmark: BenchmarkFixture, call: Callable[[int], Any], quick: bool) -> None:
    numbers = iter(np.random.default_rng(1).integers(0, 5_000, 10_000).tolist())
    benchmark.pedantic(
        call, setup=lambda: ((next(numbers),), {}), rounds=30 if quick else 3_000, warmup_rounds=5 if quick else 300
    )


def _unary_row(name: str, benchmark: BenchmarkFixture) -> dict[str, Any]:
    times_ms = 1000 * np.asarray(benchmark.stats.stats.data)
    median, p95, p99 = (float(value) for value in np.percentile(times_ms, [50, 95, 99]))
    return {"what": name, "median_ms": median, "p95_ms": p95, "p99_ms": p99, "calls": len(times_ms)}


def _batch_row(name: str, benchmark: BenchmarkFixture, num_bytes: int) -> dict[str, Any]:
    return {"what": name, "median_ms": 1000 * float(benchmark.stats.stats.median), "megabytes": num_bytes / 1e6}


def _random_scores(ids: pa.StringArray, generator: np.random.Generator) -> pa.RecordBatch:
    schema = snapshot_schema(len(_INPUTS.edges_days), _INPUTS.state_size)
    size = len(ids)
    probability = generator.random(size, np.float32)
    curves = probability[:, None].astype(float) ** (np.asarray(_INPUTS.edges_days) / _INPUTS.horizon_days)
    columns = [
        ids,
        pa.array([f"store-{number}" for number in generator.integers(0, 400, size)]),
        pa.array(_INPUTS.as_of_us - generator.integers(1, 90, size) * DAY_US),
        pa.array(generator.integers(1, 200, size).astype(np.int32)),
        pa.array(probability),
        *(pa.array(generator.random(size, np.float32) * most) for most in (90, 500, 2000)),
        pa.FixedSizeListArray.from_arrays(pa.array(curves.astype(np.float32).ravel()), type=schema.field("survival").type),
        *_memory(schema, size),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _memory(schema: pa.Schema, num_customers: int) -> list[pa.Array]:
    """Columns of MEMORY_COLUMNS that no model made."""
    lists = [
        pa.FixedSizeListArray.from_arrays(
            pa.array(np.zeros(num_customers * field.type.list_size), field.type.value_type), type=field.type
        )
        for field in map(schema.field, ("rhythm", "last_order", "state", "summary"))
    ]
    return [
        pa.array(np.ones(num_customers, np.int32)),
        pa.array(np.zeros(num_customers, np.int64)),
        pa.array(np.zeros(num_customers, np.uint64)),
        *lists,
    ]
