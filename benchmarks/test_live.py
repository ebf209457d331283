"""A live score of a customer who brings five events: the compute part, and through the wire, beside plain torch from the start.

The peer computes the same number from the customer's whole slice of the history and the five events with torch's own GRU and
layers: nothing cached, and nothing but the arithmetic of the model (no message, no look-up, no merging of events).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from benchmarks.conftest import Report
from benchmarks.server_process import serving_process
from benchmarks.standard_chain import Chain
from engine.executors import InlineExecutor
from engine.hashing import hash_text
from engine.history import History
from engine.history.customer_events import merge
from engine.ingest import ingest
from engine.instants import HOUR_US, next_midnight
from engine.partition import Partition
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.rescoring.rescore import rescore
from serving.service.live.requests import answer_customer
from serving.service.live.source import LiveSource
from serving.service.live.state import LiveState
from serving.snapshots import open_current
from serving.wire.events import read_events
from serving.wire.messages import customer_response, timestamp
from training.config import TrainConfig
from training.inference import survival_curves
from training.predict import churn_probability
from training.registry import champion, register
from training.threads import one_torch_thread
from training.train import train

_NUM_EVENTS = 5
# The bar for the 99th percentile of the compute part, on one core.
_BAR_MS = 1.0


@pytest.fixture(scope="module")
def store(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chain trained on for a moment, and scored; how well that predicts does not matter for how fast."""
    store = tmp_path_factory.mktemp("live") / "store"
    ingest(store, [chain.raw])
    history = History.open(store)
    assert history.manifest.last_order_us is not None
    as_of_us = next_midnight(history.manifest.last_order_us)
    register(store, train(history, as_of_us=as_of_us, config=TrainConfig(num_epochs=1, instants_per_epoch=4)))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=as_of_us, executor=executor, device="cpu")
    return store


@pytest.fixture(scope="module")
def state(store: Path) -> LiveState:
    snapshot = open_current(store)
    source = LiveSource(store, lambda: snapshot)
    source.refresh()
    source.prefault()  # as the server does, beside the first calls
    return source.get()


@pytest.fixture(scope="module")
def requests(state: LiveState, quick: bool) -> list[pb.ScoreCustomerRequest]:
    """Customers at random, each with five orders of the hours before."""
    generator = np.random.default_rng(0)
    rows = generator.integers(0, state.snapshot.num_customers, 200 if quick else 10_000)
    ids = state.snapshot.take(rows).column("customer_id").to_pylist()
    return [_request(customer_id, state.snapshot.inputs.as_of_us, generator) for customer_id in ids]


@pytest.fixture(scope="module")
def rows(report: Report, chain: Chain) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    yield rows
    bar = f"bar: p99 of the compute part {_BAR_MS} ms on one core"
    report("live", f"A live score with {_NUM_EVENTS} recent events, {chain.name} ({bar})", rows)


def test_compute_part(state: LiveState, requests: list[pb.ScoreCustomerRequest], rows: list[dict[str, Any]]) -> None:
    """From the request's message to the response's, as one of the server's threads does it."""
    gc.freeze()  # as the server does
    with one_torch_thread():
        rows.append(_measure("compute part", requests, lambda request: customer_response(answer_customer(state, request))))


def test_peer(state: LiveState, requests: list[pb.ScoreCustomerRequest], rows: list[dict[str, Any]], store: Path) -> None:
    model, activity = champion(store).model, state.activity
    some = requests[: max(50, len(requests) // 10)]
    slices = {id(request): _whole_slice(state, request) for request in some}

    def score(request: pb.ScoreCustomerRequest) -> float:
        partition = slices[id(request)]
        instant = partition.timestamp_us[-1:] + 1
        survival = survival_curves(model, partition, activity, np.zeros(1, np.int64), instant)
        return float(churn_probability(model.edges_days, survival, model.config.horizon_days)[0])

    with one_torch_thread():
        rows.append(_measure("plain torch, whole history, arithmetic alone (peer)", some, score))
        for request in some[:50]:
            assert answer_customer(state, request).customer.churn_probability == pytest.approx(score(request), abs=1e-5)  # type: ignore[union-attr]  # they have just bought


def test_through_the_wire(store: Path, requests: list[pb.ScoreCustomerRequest], rows: list[dict[str, Any]]) -> None:
    plain = [pb.ScoreCustomerRequest(customer_id=request.customer_id) for request in requests]
    with serving_process(store) as target, grpc.insecure_channel(target) as channel:
        call = pb_grpc.ScoringServiceStub(channel).ScoreCustomer
        rows.append(_measure("through the wire", requests, call))
        rows.append(_measure("through the wire, from the snapshot", plain, call))


def _measure(name: str, requests: list[Any], call: Callable[[Any], Any]) -> dict[str, Any]:
    """Wall time, and the processor time of the calling thread, which neighbours on a busy machine do not add to."""
    for request in requests[:100]:
        call(request)
    wall_s, cpu_s = np.empty(len(requests)), np.empty(len(requests))
    for index, request in enumerate(requests):
        started_s, started_cpu_s = time.perf_counter(), time.thread_time()
        call(request)
        wall_s[index], cpu_s[index] = time.perf_counter() - started_s, time.thread_time() - started_cpu_s
    return {
        "what": name,
        "p50_ms": 1000 * float(np.percentile(wall_s, 50)),
        "p99_ms": 1000 * float(np.percentile(wall_s, 99)),
        "p50_cpu_ms": 1000 * float(np.percentile(cpu_s, 50)),
        "p99_cpu_ms": 1000 * float(np.percentile(cpu_s, 99)),
        "calls": len(requests),
    }


def _request(customer_id: str, as_of_us: int, generator: np.random.Generator) -> pb.ScoreCustomerRequest:
    request = pb.ScoreCustomerRequest(customer_id=customer_id)
    for number in range(_NUM_EVENTS):
        request.recent_events.add(
            time=timestamp(as_of_us + number * HOUR_US),
            kind=pb.EVENT_KIND_PURCHASE,
            amount_minor=int(generator.integers(100, 9000)),
            num_lines=3,
            store_id=str(generator.integers(1, 400)),
            channel="web",
            order_id=f"{customer_id}-{number}",
        )
    return request


def _whole_slice(state: LiveState, request: pb.ScoreCustomerRequest) -> Partition:
    """All events of the customer and the five, made outside the clock."""
    known = state.lookup.find(request.customer_id, hash_text(request.customer_id) % state.num_buckets, settled={})
    assert known is not None
    brought = read_events(request.recent_events, "recent_events", has_amounts=True, max_events=100, before_us=2**62)
    return merge(known.events, brought.events).events.to_partition(state.coverage)
