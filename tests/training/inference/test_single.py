"""One customer at a time: the numbers of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from engine.history import History
from engine.history.customers import CustomerLookup
from training.inference import SingleForward, encode_states, look_ahead
from training.situation import describe_situation
from training.trained import TrainedModel


@pytest.mark.parametrize("num_first", [0, 3])
def test_one_customer_has_the_state_and_the_outlook_of_the_batch(trained: TrainedModel, history: History, num_first: int) -> None:
    partition, activity, model = history.partition(0), history.activity(), trained.model
    customers = np.arange(min(partition.num_customers, 40))
    begin, end = partition.offsets[customers], partition.offsets[customers + 1]
    instants = np.full(len(customers), int(partition.timestamp_us.max()) + 1)
    states = encode_states(model, partition, customers, begin, end)
    situation = describe_situation(partition, activity, customers, instants)
    outlook = look_ahead(model, states, situation)

    lookup, forward = CustomerLookup(history), SingleForward(model)
    middle = np.minimum(begin + num_first, end)
    halves = encode_states(model, partition, customers, begin, middle)
    for row in customers:
        found = lookup.find(partition.customer_ids[int(row)].as_py(), 0, settled={})
        assert found is not None
        alone = found.events.to_partition(partition.coverage)
        state = forward.roll(halves[row], alone, int(middle[row] - begin[row]), int(end[row] - begin[row]))
        assert np.abs(state - states[row]).max() <= 1e-6
        ahead = forward.look_ahead(state, situation[row])
        assert np.abs(ahead.survival[0] - outlook.survival[row]).max() <= 1e-6
        assert np.allclose(ahead.spend[0], outlook.spend[row], rtol=1e-5)


def test_nothing_to_roll_over_leaves_the_state_as_it_is(trained: TrainedModel, history: History) -> None:
    state = np.ones(trained.model.state_size, np.float32)
    assert SingleForward(trained.model).roll(state, history.partition(0), 2, 2) is state
