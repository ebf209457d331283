"""Shares of a batch add up to the batch: the same queries, the same masks, the same loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from engine.history import History
from engine.partition import Partition
from tests.training.conftest import AS_OF_US, QUICK
from training.data.past import take_past
from training.data.queries import queries_at
from training.fitting.batches import EpochBatches, Share
from training.fitting.dropout import SharedRows, share_dropout
from training.fitting.pieces import cut_pieces
from training.fitting.workers import ALONE, Workers
from training.network.model import SequenceModel
from training.network.situation import NUM_SITUATION_FEATURES, SEASON_DAYS
from training.network.spend import fit_spend_scale, spend_targets
from training.network.tokens import all_event_tokens


@dataclass
class One:
    """A worker whose others are elsewhere."""

    rank: int
    num_workers: int

    def add_up(self, values: Sequence[torch.Tensor]) -> None:
        raise NotImplementedError

    def agree(self, value: float) -> float:
        raise NotImplementedError


@pytest.fixture(scope="module")
def past(history: History) -> Partition:
    return take_past(history.partitions(), before_us=AS_OF_US)


def shares_of(past: Partition, workers: Workers) -> list[Share]:
    queries = queries_at(past, [AS_OF_US - 30 * 86_400_000_000], known_until_us=AS_OF_US, active_within_days=60)
    situation = np.random.default_rng(0).standard_normal((len(queries), NUM_SITUATION_FEATURES)).astype(np.float32)
    asked = (queries.customer_index, queries.as_of_us, queries.known_days)
    spend = spend_targets(past, fit_spend_scale(past), *asked, situation, np.asarray(QUICK.model.edges_days))
    season = np.zeros((len(queries), len(SEASON_DAYS)), np.float32)
    batches = EpochBatches(queries, situation, season, spend, cut_pieces(past.offsets, QUICK.model.context_events), QUICK)
    tokens = np.nan_to_num(all_event_tokens(past))
    return list(batches.shuffled(tokens, np.random.default_rng(1), workers))


def test_shares_are_of_the_same_batches_and_add_up_to_their_loss(past: Partition) -> None:
    network = SequenceModel(QUICK.model).eval()
    whole = shares_of(past, ALONE)
    parts = [shares_of(past, One(rank=rank, num_workers=3)) for rank in range(3)]
    for step, share in enumerate(whole):
        own = [part[step] for part in parts]
        assert sorted(np.concatenate([one.rows for one in own])) == list(range(share.num_rows))
        assert all(one.num_rows == share.num_rows for one in own)
        with torch.inference_mode():
            for head in (0, 1):
                total = sum(float(one.batch.losses(network)[head]) * one.weight for one in own)
                assert total == pytest.approx(float(share.batch.losses(network)[head]), rel=1e-5)


def test_a_worker_without_a_piece_counts_for_nothing(past: Partition) -> None:
    shares = [share for rank in range(100) for share in shares_of(past, One(rank=rank, num_workers=100))]
    assert {share.weight for share in shares} == {0.0, 1.0}
    assert all(len(share.rows) for share in shares)


def test_rows_of_a_share_are_dropped_as_those_of_the_whole_batch() -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.4))
    values = torch.randn(10, 3)
    torch.manual_seed(7)
    expected = network(values)
    rows = share_dropout(network)
    for chosen in (torch.arange(0, 10, 2), torch.arange(1, 10, 2)):
        rows.chosen, rows.total = chosen, 10
        torch.manual_seed(7)
        assert torch.allclose(network(values[chosen]), expected[chosen], atol=1e-6)  # products of other shapes round otherwise
    assert torch.equal(network.eval()(values), network[0](values))


def test_rows_that_nobody_announced_are_refused() -> None:
    network = nn.Sequential(nn.Dropout(0.4))
    assert isinstance(share_dropout(network), SharedRows)
    with pytest.raises(ValueError, match="found 3 rows, expected the 0 of this worker's share"):
        network(torch.ones(3, 2))
