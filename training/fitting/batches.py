"""Batches: an epoch's queries dealt out to sequences, and the loss of those that go into one step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kernels import gather_sequences
from training.config import TrainConfig
from training.data.queries import Queries
from training.device import CPU, Compute
from training.fitting.pieces import Pieces
from training.fitting.workers import ALONE, Workers
from training.network.hazard import (
    bin_hazards,
    bin_widths,
    count_survived_bins,
    cumulative_at,
    horizon_cross_entropy,
    negative_log_likelihood,
)
from training.network.model import SequenceModel
from training.network.spend import SpendTargets, bin_spend, quasi_poisson_loss

# Of an epoch, and sequences of a step: 400 customers in 7 steps of 64 are learnt from far too slowly (docs/log.md).
_LEAST_STEPS, _LEAST_BATCH = 32, 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    tokens: torch.Tensor  # (B, T, F)
    sequence: torch.Tensor  # int64 (N,) which sequence each query belongs to
    position: torch.Tensor  # int64 (N,) its last event's place in that sequence
    situation: torch.Tensor  # (N, S)
    num_survived: torch.Tensor  # int64 (N,)
    purchased: torch.Tensor  # bool (N,)
    churned: torch.Tensor  # bool (N,) at the horizon
    known: torch.Tensor  # bool (N,) whether the horizon lies within knowledge
    spent: torch.Tensor  # (N, K) in each bin
    num_known: torch.Tensor  # int64 (N,) bins that end within knowledge
    log_usual: torch.Tensor  # (N,) of what an order of the customer costs
    season: torch.Tensor  # (N, len(SEASON_DAYS)) what it promises
    config: TrainConfig

    def losses(self, network: SequenceModel, compute: Compute = CPU) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the purchases and of the spend, each a sum over the batch's queries; float32, however coarse the products are."""
        edges = np.asarray(self.config.model.edges_days)
        # Outside of autocast, under which cuDNN's GRU computes in float16, whatever was asked for; so it does in TF32.
        states = network.encode(self.tokens)[self.sequence, self.position]
        with compute.autocast():
            log_rate = network.log_rates(states, self.situation)
            log_spend_rate = network.log_spend_rates(states, self.situation)
        widths = torch.as_tensor(bin_widths(edges), dtype=torch.float32, device=log_rate.device)
        level = network.season_level(self.season)
        mass = bin_hazards(log_rate.float(), widths) * torch.exp(level)[:, None]
        loss = negative_log_likelihood(mass, self.num_survived, self.purchased)
        at_horizon = horizon_cross_entropy(cumulative_at(mass, edges, self.config.horizon_days), self.churned, self.known)
        expected = bin_spend(log_spend_rate.float(), self.log_usual + level.detach(), widths)
        spend_loss = quasi_poisson_loss(expected, self.spent, self.num_known)
        return (loss + self.config.horizon_weight * at_horizon).sum(), spend_loss.sum()

    def on(self, device: str) -> Self:
        """The same on a device."""
        if device == "cpu":
            return self
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in values.items()
        }
        return type(self)(**moved)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one worker computes of a batch.

    rows     : int64 (N,) the places of its queries among those of the whole batch
    num_rows : queries of the whole batch
    weight   : 1, or 0 where there are fewer pieces than workers, and this one computes another's for nothing
    """

    batch: Batch
    rows: NDArray[np.int64]
    num_rows: int
    weight: float


class EpochBatches:
    """One epoch's queries dealt out to the pieces that hold their last events."""

    def __init__(
        self,
        queries: Queries,
        situation: NDArray[np.float32],
        season: NDArray[np.float32],
        spend: SpendTargets,
        pieces: Pieces,
        config: TrainConfig,
    ) -> None:
        edges = np.asarray(config.model.edges_days)
        # Pieces answer for rows in ascending order without overlap, so the piece of a row is a search away.
        piece = np.searchsorted(pieces.own, queries.last_row, side="right") - 1
        self._order = np.argsort(piece, kind="stable")
        self._first_query = np.searchsorted(piece[self._order], np.arange(len(pieces.begin) + 1))
        self._queries, self._situation, self._season, self._spend = queries, situation, season, spend
        self._pieces, self._config = pieces, config
        self._num_survived, self._purchased = count_survived_bins(queries.wait_days, queries.known_days, edges)
        self._asked = np.flatnonzero(np.diff(self._first_query) > 0)
        self._batch_size = min(config.batch_customers, max(_LEAST_BATCH, len(self._asked) // _LEAST_STEPS))
        self._churned = queries.wait_days >= config.horizon_days
        self._known = queries.known_days >= config.horizon_days

    def __len__(self) -> int:
        return math.ceil(len(self._asked) / self._batch_size)

    def shuffled(self, tokens: NDArray[np.float32], random: np.random.Generator, workers: Workers = ALONE) -> Iterator[Share]:
        """Batches of pieces of about equal length, in random order; pieces that no query asks about are left out."""
        asked = self._asked
        lengths = self._pieces.end[asked] - self._pieces.begin[asked]
        # Noise on the length mixes the neighbours anew every epoch and costs little padding.
        order = asked[np.argsort(lengths * random.uniform(0.7, 1.3, len(asked)), kind="stable")]
        starts = np.arange(0, len(order), self._batch_size)
        for start in random.permutation(starts):
            yield self._share(order[start : start + self._batch_size], tokens, workers)

    def _share(self, chosen: NDArray[np.int64], tokens: NDArray[np.float32], workers: Workers) -> Share:
        # Every n-th, as neighbours are of about the same length.
        own = np.arange(workers.rank, len(chosen), workers.num_workers)
        weight = 1.0 if len(own) else 0.0
        own = own if len(own) else np.zeros(1, np.int64)
        piece = np.repeat(np.arange(len(chosen)), self._first_query[chosen + 1] - self._first_query[chosen])
        return Share(
            batch=self._batch(chosen[own], tokens),
            rows=np.flatnonzero(np.isin(piece, own)),
            num_rows=len(piece),
            weight=weight,
        )

    def _batch(self, chosen: NDArray[np.int64], tokens: NDArray[np.float32]) -> Batch:
        begin, end = self._pieces.begin[chosen], self._pieces.end[chosen]
        padded, _ = gather_sequences(tokens, begin, end, int((end - begin).max()))
        first, stop = self._first_query[chosen], self._first_query[chosen + 1]
        counts = stop - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        query = self._order[np.repeat(first, counts) + within]
        return Batch(
            tokens=torch.from_numpy(padded),
            sequence=torch.from_numpy(np.repeat(np.arange(len(chosen)), counts)),
            position=torch.from_numpy(self._queries.last_row[query] - np.repeat(begin, counts)),
            situation=torch.from_numpy(self._situation[query]),
            num_survived=torch.from_numpy(self._num_survived[query]),
            purchased=torch.from_numpy(self._purchased[query]),
            churned=torch.from_numpy(self._churned[query]),
            known=torch.from_numpy(self._known[query]),
            spent=torch.from_numpy(self._spend.spent[query]),
            num_known=torch.from_numpy(self._spend.num_known[query]),
            log_usual=torch.from_numpy(self._spend.log_usual[query]),
            season=torch.from_numpy(self._season[query]),
            config=self._config,
        )
