"""Real data through the wire: at the snapshot's instant every customer of Complete Journey scores live as in the snapshot."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest
import torch

from engine.datasets import locate
from engine.errors import PrerequisiteError
from engine.executors import InlineExecutor
from engine.history import History
from engine.indicators import compute_indicators
from engine.ingest import ingest
from engine.instants import parse_instant
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.rescoring.rescore import rescore
from serving.service.server import ServerConfig
from serving.snapshots import open_current
from serving.wire.messages import timestamp
from tests.serving.server_thread import ServerThread
from training.config import TrainConfig
from training.drift.reference import measure_reference
from training.inference import FittedModel
from training.network.calibration import Calibration
from training.network.model import SequenceModel
from training.network.normaliser import fit_normaliser
from training.network.situation import describe_situation
from training.network.spend import fit_spend_scale
from training.network.tokens import all_event_tokens
from training.registry import register
from training.trained import TrainedModel

AS_OF_US = parse_instant("2017-12-02")
_IN_FLIGHT = 64


def untrained(history: History) -> TrainedModel:
    """A model of the usual size whose weights are chance: what is asked here is not how good it is."""
    partition = history.partition(0)
    customers = np.arange(partition.num_customers)
    instants = np.full(len(customers), AS_OF_US)
    config = TrainConfig()
    torch.manual_seed(0)
    network = SequenceModel(config.model)
    torch.nn.init.normal_(network.rates.weight, std=0.5)
    torch.nn.init.constant_(network.rates.bias, -4.0)  # a purchase in 55 days
    model = FittedModel(
        config=config,
        network=network.requires_grad_(False).eval(),
        token_normaliser=fit_normaliser(all_event_tokens(partition)),
        situation_normaliser=fit_normaliser(describe_situation(partition, history.activity(), customers, instants)),
        calibration=Calibration(shift=0.1, slope=0.9),
        spend_scale=fit_spend_scale(partition),
    )
    even = np.full(len(customers), 0.5)
    return TrainedModel(
        model=model,
        as_of_us=AS_OF_US,
        first_event_us=history.manifest.first_event_us,
        history_hash=history.manifest_hash,
        num_customers=history.manifest.num_customers,
        num_events=history.manifest.num_events,
        validation={},
        reference=measure_reference(compute_indicators(partition, customers, instants), even, even > 0.4, log_days=270.0),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("complete-journey")
    try:
        source = locate("complete-journey")
    except PrerequisiteError as missing:
        pytest.skip(str(missing))
    ingest(folder, source.files, columns=source.columns)
    register(folder, untrained(History.open(folder)))
    with InlineExecutor() as executor:
        rescore(folder, as_of_us=AS_OF_US, executor=executor, device="cpu")
    return folder


def test_every_customer_scores_live_as_in_the_snapshot(store: Path, server_thread: ServerThread) -> None:
    rows = [row for batch in open_current(store).batches for row in batch.to_pylist()]
    assert len(rows) > 2000
    server = server_thread.start(ServerConfig(store=store, listen="127.0.0.1:0", stop_grace_s=1.0))
    with grpc.insecure_channel(server.target) as channel:
        stub = pb_grpc.ScoringServiceStub(channel)
        waiting = []
        answers = []
        for row in rows:
            request = pb.ScoreCustomerRequest(customer_id=row["customer_id"], as_of=timestamp(AS_OF_US))
            waiting.append(stub.ScoreCustomer.future(request))
            if len(waiting) == _IN_FLIGHT:
                answers += [call.result() for call in waiting]
                waiting = []
        answers += [call.result() for call in waiting]
    server_thread.stop(server)
    assert all(answer.context.is_live for answer in answers)
    live, kept = (
        np.array([(one[0], one[1] / 365) for one in pairs])
        for pairs in (
            [(answer.customer.churn_probability, answer.customer.expected_days_to_purchase) for answer in answers],
            [(row["churn_probability"], row["expected_days_to_purchase"]) for row in rows],
        )
    )
    assert np.ptp(kept[:, 0]) > 0.1  # chance, but not the same for all
    assert np.abs(live - kept).max() <= 1e-6
    for answer, row in zip(answers, rows, strict=True):
        assert (answer.customer.customer_id, answer.customer.num_orders) == (row["customer_id"], row["num_orders"])
        assert (answer.customer.store_id, answer.customer.last_purchase_time) == (
            row["store_id"],
            timestamp(row["last_purchase_us"]),
        )
