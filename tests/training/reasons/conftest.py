"""A small model whose risk bends enough to tell a good integral from a bad one, and customers to explain with it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.activity import DailyActivity
from engine.history import History
from engine.indicators import compute_summary
from engine.labels import eligible
from engine.last_orders import read_orders
from tests.training.conftest import AS_OF_US
from training.inference import FittedModel, encode_states
from training.network.situation import situation_of
from training.reasons import Explainer, Kept, Usual, measure_usual
from training.reasons.last_order import facts_of
from training.reasons.risk import coordinates
from training.trained import TrainedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Customers:
    """What a snapshot keeps of customers, and what it has of the chain."""

    kept: Kept
    activity: DailyActivity

    @property
    def situation(self) -> NDArray[np.float32]:
        return situation_of(self.kept.summary, self.kept.last_event_us, np.full(len(self.kept), AS_OF_US), self.activity)

    def coordinates(self, model: FittedModel, usual: Usual) -> Tensor:
        """Of the customers, as the explainer takes them."""
        facts = facts_of(self.kept.last_order, self.kept.last_purchase_us, usual.is_told)
        orders = usual.describe_orders(facts, self.kept.summary)
        return coordinates(model, self.kept.states, self.situation, orders, usual.state_by_known)


def take(kept: Kept, rows: NDArray[np.int64] | slice) -> Kept:
    """Some of the customers."""
    return Kept(**{field.name: getattr(kept, field.name)[rows] for field in fields(kept)})


@pytest.fixture(scope="session")
def model(trained: TrainedModel) -> FittedModel:
    """The trained model with its head's weights drawn larger than two epochs make them."""
    network = copy.deepcopy(trained.model.network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (*network.body.parameters(), *network.rates.parameters()):
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 1.6 / parameter.shape[1] ** 0.5)
    return replace(trained.model, network=network)


@pytest.fixture(scope="session")
def customers(model: FittedModel, history: History) -> Customers:
    """Every eligible customer of the generated chain."""
    parts = []
    for partition in history.partitions():
        index = eligible(partition, AS_OF_US, 60)
        begin = partition.offsets[index]
        end = np.array(
            [
                partition.offsets[one]
                + (partition.timestamp_us[partition.offsets[one] : partition.offsets[one + 1]] < AS_OF_US).sum()
                for one in index
            ]
        )
        purchases = [np.flatnonzero(partition.is_purchase[first:stop]) for first, stop in zip(begin, end, strict=True)]
        last = begin + np.array([rows[-1] for rows in purchases])
        kept = Kept(
            states=encode_states(model, partition, index, begin, end),
            summary=compute_summary(partition, index, AS_OF_US),
            last_order=read_orders(partition, last),
            last_event_us=partition.timestamp_us[end - 1],
            last_purchase_us=partition.timestamp_us[last],
            num_events=(end - begin).astype(np.int32),
            num_orders=np.array([len(rows) for rows in purchases], np.int32),
        )
        parts.append(kept)
    names = [field.name for field in fields(Kept)]
    everybody = Kept(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    return Customers(kept=everybody, activity=history.activity())


@pytest.fixture(scope="session")
def usual(model: FittedModel, customers: Customers) -> Usual:
    return measure_usual(customers.kept, model.situation_normaliser.apply(customers.situation))


@pytest.fixture(scope="session")
def explainer(model: FittedModel, customers: Customers, usual: Usual) -> Explainer:
    return Explainer(model, horizon_days=14, usual=usual, as_of_us=AS_OF_US, activity=customers.activity)
