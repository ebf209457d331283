"""A small model whose risk bends enough to tell a good integral from a bad one, and customers to explain with it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.history import History
from engine.indicators import compute_summary
from engine.labels import eligible
from tests.training.conftest import AS_OF_US
from training.inference import FittedModel, encode_states
from training.network.situation import situation_of
from training.reasons import Explainer, Usual, measure_usual
from training.trained import TrainedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Customers:
    """What a snapshot keeps of customers, and what it has of the chain."""

    states: NDArray[np.float32]
    summary: NDArray[np.float32]
    last_event_us: NDArray[np.int64]
    num_events: NDArray[np.int32]
    activity: DailyActivity

    @property
    def situation(self) -> NDArray[np.float32]:
        return situation_of(self.summary, self.last_event_us, np.full(len(self.states), AS_OF_US), self.activity)


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
        states = encode_states(model, partition, index, begin, end)
        summary = compute_summary(partition, index, AS_OF_US)
        parts.append((states, summary, partition.timestamp_us[end - 1], (end - begin).astype(np.int32)))
    states, summary, last_event_us, num_events = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Customers(
        states=states, summary=summary, last_event_us=last_event_us, num_events=num_events, activity=history.activity()
    )


@pytest.fixture(scope="session")
def usual(model: FittedModel, customers: Customers) -> Usual:
    return measure_usual(
        customers.summary,
        customers.states,
        customers.last_event_us,
        customers.num_events,
        model.situation_normaliser.apply(customers.situation),
    )


@pytest.fixture(scope="session")
def explainer(model: FittedModel, customers: Customers, usual: Usual) -> Explainer:
    return Explainer(model, horizon_days=14, usual=usual, as_of_us=AS_OF_US, activity=customers.activity)
