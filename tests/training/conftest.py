"""Small generated chains, and one model trained on them that every test may read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.history import History
from engine.ingest import ingest
from engine.instants import DAY_US, parse_instant
from training.config import ModelConfig, TrainConfig
from training.train import train
from training.trained import TrainedModel

FIRST_US = parse_instant("2024-01-01")
AS_OF_US = parse_instant("2024-07-01")
QUICK = TrainConfig(
    horizon_days=14,
    active_within_days=60,
    adapt_rate=False,
    num_epochs=2,
    instants_per_epoch=6,
    batch_customers=32,
    model=ModelConfig(state_size=8, head_size=16, context_events=16),
)

MakeHistory = Callable[..., History]


def draw_orders(
    *, num_customers: int = 400, num_days: int = 220, seed: int = 0, integer_ids: bool = True, one_time_share: float = 0.1
) -> dict[str, pa.Array]:
    """customer_id, timestamp, amount, store_id of customers who buy at a rate of their own until most of them stop one day."""
    random = np.random.default_rng(seed)
    customers, days, amounts, stores = [], [], [], []
    for customer in range(num_customers):
        first = random.uniform(0, num_days * 0.6)
        last = min(num_days, first + random.exponential(num_days))
        gap = 10 * random.gamma(2.0, 0.5)
        at = first
        while at < last:
            customers.append(customer)
            days.append(at)
            amounts.append(round(random.lognormal(3, 0.6), 2))
            stores.append(customer % 3)
            if random.random() < one_time_share and at == first:
                break
            at += 0.01 + random.exponential(gap)
    instants = FIRST_US + (np.asarray(days) * DAY_US).astype(np.int64)
    ids = pa.array(customers, pa.int64()) if integer_ids else pa.array([f"c{customer:04d}" for customer in customers])
    return {
        "customer_id": ids,
        "timestamp": pa.array(instants, pa.timestamp("us")),
        "amount": pa.array(amounts, pa.float64()),
        "store_id": pa.array(stores, pa.int64()),
    }


@pytest.fixture(scope="session")
def make_history(tmp_path_factory: pytest.TempPathFactory) -> MakeHistory:
    """make_history(columns): a history of one file in a store of its own."""

    def make(columns: dict[str, pa.Array], *, num_buckets: int = 4) -> History:
        folder = tmp_path_factory.mktemp("chain")
        pq.write_table(pa.table(columns), folder / "orders.parquet")
        ingest(folder / "store", [folder / "orders.parquet"], num_buckets=num_buckets)
        return History.open(folder / "store")

    return make


@pytest.fixture(scope="session")
def history(make_history: MakeHistory) -> History:
    """400 customers over 220 days."""
    return make_history(draw_orders())


@pytest.fixture(scope="session")
def trained(history: History) -> TrainedModel:
    return train(history, as_of_us=AS_OF_US, config=QUICK)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"
