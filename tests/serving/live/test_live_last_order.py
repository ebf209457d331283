"""The last order in reasons over a real socket: live as by the snapshot, and with what a call brings."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from engine.executors import InlineExecutor
from engine.history import History
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant
from serving.answers import CustomerEvent, Reason
from serving.client import EbbtideClient
from serving.rescoring.rescore import rescore
from serving.service.server import Server, ServerConfig
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.live.test_live_reasons import assert_they_add_up, reasons_of
from tests.serving.server_thread import ServerThread
from training.config import ModelConfig, TrainConfig
from training.registry import register
from training.train import train

NUM_CUSTOMERS = 150
FIELDS = ("customer_id", "timestamp", "order_id", "amount", "quantity", "discount")


@pytest.fixture(scope="module")
def varied_server(server_thread: ServerThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of a year of customers whose orders differ in all that a last order may be, and who stop after small ones."""
    store = tmp_path_factory.mktemp("varied") / "store"
    store.mkdir()
    with (store / "orders.csv").open("w", newline="") as file:
        csv.writer(file).writerows([FIELDS, *_orders()])
    ingest(store, [store / "orders.csv"], num_buckets=2)
    config = TrainConfig(num_epochs=4, instants_per_epoch=8, model=ModelConfig(state_size=8, head_size=8))
    register(store, train(History.open(store), as_of_us=TRAINED_AS_OF_US, config=config))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
    server = server_thread.start(ServerConfig(store=store, listen="127.0.0.1:0", stop_grace_s=1.0))
    yield server
    server_thread.stop(server)
    shutil.rmtree(store)


def _orders() -> Iterator[tuple[str, str, str, str, int, str]]:
    random = np.random.default_rng(3)
    for number in range(NUM_CUSTOMERS):
        at_us = TRAINED_AS_OF_US - int(random.uniform(30, 360) * DAY_US)
        size = random.lognormal(0, 1)
        while at_us < TRAINED_AS_OF_US:
            size = max(0.05, size * random.lognormal(0, 0.5))
            for line in range(1 + int(3 * size)):
                amount, discount = 10 * random.uniform(0.5, 1.5), random.integers(0, 4)
                order = (
                    f"c{number}",
                    format_instant(at_us),
                    f"{number} {at_us}",
                    f"{amount:.2f}",
                    1 + line % 3,
                    f"{discount}.10",
                )
                yield order
            if size < 0.3:
                break
            at_us += int(random.exponential(20) * DAY_US)


@pytest.fixture
def client(varied_server: Server) -> Iterator[EbbtideClient]:
    with EbbtideClient(varied_server.target) as connected:
        yield connected


def _of_last_order(reasons: tuple[Reason, ...]) -> dict[str, Reason]:
    return {reason.theme: reason for reason in reasons if reason.theme in ("last_order", "hours")}


def test_the_last_order_is_the_same_fact_live_and_in_the_snapshot(client: EbbtideClient) -> None:
    told = set()
    for customer_id in client.batch().read_all().column("customer_id").to_pylist():
        kept = _of_last_order(reasons_of(client.score(customer_id, include_reasons=True)).strongest)
        answer = client.score(customer_id, as_of_us=TRAINED_AS_OF_US, include_reasons=True)
        live = _of_last_order(assert_they_add_up(answer).strongest)
        assert live.keys() == kept.keys()
        for theme, ours in live.items():
            theirs = kept[theme]
            assert (ours.indicator, ours.sentence) == (theirs.indicator, theirs.sentence)
            assert ours.value == theirs.value
            assert ours.usual_value == theirs.usual_value
            assert ours.points == pytest.approx(theirs.points, abs=1e-2)
            told.add(ours.indicator)
    assert len(told) >= 3


def test_the_order_that_a_call_brings_is_the_last_one(client: EbbtideClient) -> None:
    bought = CustomerEvent(time_us=TRAINED_AS_OF_US + 1, amount_minor=1_234_500, num_lines=200, quantity=999.0)
    values = {"last_order_amount": 12_345, "last_order_lines": 200, "last_order_quantity": 999, "last_order_discount_share": 0}
    told = set()
    for number in range(NUM_CUSTOMERS):
        answer = client.score(f"c{number}", recent_events=[bought], include_reasons=True)
        reason = _of_last_order(assert_they_add_up(answer).strongest).get("last_order")
        if reason is not None:
            assert reason.value == pytest.approx(values[reason.indicator])
            told.add(reason.indicator)
    assert told
