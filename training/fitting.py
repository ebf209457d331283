"""Fitting the weights: AdamW and a moving average over shuffled sequences, every epoch with freshly drawn query instants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from engine.activity import DailyActivity
from engine.instants import DAY_US
from engine.partition import Partition
from kernels import gather_sequences
from training.calibration import Calibration
from training.config import TrainConfig
from training.hazard import (
    bin_hazards,
    bin_widths,
    count_survived_bins,
    cumulative_at,
    horizon_cross_entropy,
    negative_log_likelihood,
)
from training.inference import FittedModel
from training.model import SequenceModel
from training.normaliser import fit_normaliser
from training.queries import Queries, draw_queries
from training.situation import SEASONAL_SITUATION, describe_situation
from training.tokens import SEASONAL_TOKENS, all_event_tokens

# With less, a date in the year is seen once or hardly twice, and the model would learn the trend of the data by heart.
_SEASONAL_SPAN_DAYS = 550
_LEARN_HORIZONS = 4
_WARM_UP_OF_DATA = 0.2
_WARM_UP_OF_STEPS = 0.2
# From this share of the steps on, the learning rate stays at this share of its peak.
_LEVEL_FROM, _LEVEL = 0.6, 0.3
_GRADIENT_LIMIT = 1.0
# Of an epoch, and sequences of a step: 400 customers in 7 steps of 64 are learnt from far too slowly (docs/log.md).
_LEAST_STEPS, _LEAST_BATCH = 32, 8
# A bin seen fewer times takes the rate of the last one seen enough.
_LEAST_OUTCOMES_OF_A_BIN = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """Stretches of sequences, each with the rows whose states it answers for.

    Customers of more events than the context are cut. A piece after the first begins with half a context of events or more that
    only warm the state up, so that training sees about the lengths that inference does.

    begin, own, end : int64[num_pieces]  the piece is the rows [begin, end), it answers for [own, end)
    """

    begin: NDArray[np.int64]
    own: NDArray[np.int64]
    end: NDArray[np.int64]


def fit_weights(
    past: Partition,
    activity: DailyActivity,
    config: TrainConfig,
    *,
    known_until_us: int,
    on_epoch: Callable[[int, float, FittedModel], None],
) -> FittedModel:
    """Learn from a partition that holds only events before `known_until_us`.

    on_epoch : called with epochs done, mean loss per query, and the averaged model so far
    returns  : the model with averaged weights, uncalibrated
    """
    torch_random = torch.random.get_rng_state()
    torch.manual_seed(config.seed)
    try:
        return _fit(past, activity, config, known_until_us=known_until_us, on_epoch=on_epoch)
    finally:
        torch.random.set_rng_state(torch_random)


def _fit(
    past: Partition,
    activity: DailyActivity,
    config: TrainConfig,
    *,
    known_until_us: int,
    on_epoch: Callable[[int, float, FittedModel], None],
) -> FittedModel:
    random = np.random.default_rng(config.seed)
    first_us = int(past.timestamp_us.min())
    seasonal = known_until_us - first_us >= _SEASONAL_SPAN_DAYS * DAY_US
    starts_us = _first_instants_us(first_us, known_until_us, config, seasonal=seasonal)
    raw_tokens = all_event_tokens(past)
    token_normaliser = fit_normaliser(raw_tokens, ignore=() if seasonal else SEASONAL_TOKENS)
    tokens = token_normaliser.apply(raw_tokens)
    pieces = cut_pieces(past.offsets, config.model.context_events)

    def draw() -> Queries:
        return draw_queries(
            past,
            random,
            starts_us=starts_us,
            known_until_us=known_until_us,
            num_instants=config.instants_per_epoch,
            active_within_days=config.active_within_days,
        )

    queries = draw()
    situation = describe_situation(past, activity, queries.customer_index, queries.as_of_us)
    situation_normaliser = fit_normaliser(situation, ignore=() if seasonal else SEASONAL_SITUATION)

    network = SequenceModel(config.model)
    num_seen = _start_at_life_table(network, queries, config)
    averaged = SequenceModel(config.model)
    averaged.load_state_dict(network.state_dict())
    optimiser = _optimiser(network, config)
    model = FittedModel(
        config=config,
        network=averaged,
        token_normaliser=token_normaliser,
        situation_normaliser=situation_normaliser,
        calibration=Calibration(),
    )

    num_steps = 0
    for epoch in range(config.num_epochs):
        if epoch > 0:
            queries = draw()
            situation = describe_situation(past, activity, queries.customer_index, queries.as_of_us)
        batches = _EpochBatches(queries, situation_normaliser.apply(situation), pieces, config)
        queries_per_step = len(queries) / max(len(batches), 1)
        network.train()
        total = 0.0
        for step, batch in enumerate(batches.shuffled(tokens, random)):
            share_done = (epoch + step / len(batches)) / config.num_epochs
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * _rate_share(share_done)
            # A constant, not the batch's own number: every query weighs the same whichever batch it falls into.
            loss = batch.loss(network) / queries_per_step
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_LIMIT)
            optimiser.step()
            num_steps += 1
            # The short memory at the start keeps the initial weights out of the average.
            decay = min(config.average_decay, num_steps / (num_steps + 10))
            _average(averaged, network, decay)
            total += float(loss.detach()) * queries_per_step
        _extend_last_seen_bin(averaged, num_seen)
        on_epoch(epoch + 1, total / max(len(queries), 1), model)
    return model


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    tokens: torch.Tensor  # (B, T, F)
    sequence: torch.Tensor  # int64 (N,) which sequence each query belongs to
    position: torch.Tensor  # int64 (N,) its last event's place in that sequence
    situation: torch.Tensor  # (N, S)
    num_survived: torch.Tensor  # int64 (N,)
    purchased: torch.Tensor  # bool (N,)
    churned: torch.Tensor  # bool (N,) at the horizon
    known: torch.Tensor  # bool (N,) whether the horizon lies within knowledge
    config: TrainConfig

    def loss(self, network: SequenceModel) -> torch.Tensor:
        """Sum over the batch's queries."""
        edges = np.asarray(self.config.model.edges_days)
        states = network.encode(self.tokens)
        log_rate = network.log_rates(states[self.sequence, self.position], self.situation)
        mass = bin_hazards(log_rate, torch.as_tensor(bin_widths(edges), dtype=torch.float32))
        loss = negative_log_likelihood(mass, self.num_survived, self.purchased)
        at_horizon = horizon_cross_entropy(cumulative_at(mass, edges, self.config.horizon_days), self.churned, self.known)
        return (loss + self.config.horizon_weight * at_horizon).sum()


class _EpochBatches:
    """One epoch's queries dealt out to the pieces that hold their last events."""

    def __init__(self, queries: Queries, situation: NDArray[np.float32], pieces: Pieces, config: TrainConfig) -> None:
        edges = np.asarray(config.model.edges_days)
        # Pieces answer for rows in ascending order without overlap, so the piece of a row is a search away.
        piece = np.searchsorted(pieces.own, queries.last_row, side="right") - 1
        self._order = np.argsort(piece, kind="stable")
        self._first_query = np.searchsorted(piece[self._order], np.arange(len(pieces.begin) + 1))
        self._queries, self._situation, self._pieces, self._config = queries, situation, pieces, config
        self._num_survived, self._purchased = count_survived_bins(queries.wait_days, queries.known_days, edges)
        self._asked = np.flatnonzero(np.diff(self._first_query) > 0)
        self._batch_size = min(config.batch_customers, max(_LEAST_BATCH, len(self._asked) // _LEAST_STEPS))
        self._churned = queries.wait_days >= config.horizon_days
        self._known = queries.known_days >= config.horizon_days

    def __len__(self) -> int:
        return math.ceil(len(self._asked) / self._batch_size)

    def shuffled(self, tokens: NDArray[np.float32], random: np.random.Generator) -> Iterator[_Batch]:
        """Batches of pieces of about equal length, in random order; pieces that no query asks about are left out."""
        asked = self._asked
        lengths = self._pieces.end[asked] - self._pieces.begin[asked]
        # Noise on the length mixes the neighbours anew every epoch and costs little padding.
        order = asked[np.argsort(lengths * random.uniform(0.7, 1.3, len(asked)), kind="stable")]
        starts = np.arange(0, len(order), self._batch_size)
        for start in random.permutation(starts):
            yield self._batch(order[start : start + self._batch_size], tokens)

    def _batch(self, chosen: NDArray[np.int64], tokens: NDArray[np.float32]) -> _Batch:
        begin, end = self._pieces.begin[chosen], self._pieces.end[chosen]
        padded, _ = gather_sequences(tokens, begin, end, int((end - begin).max()))
        first, stop = self._first_query[chosen], self._first_query[chosen + 1]
        counts = stop - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        query = self._order[np.repeat(first, counts) + within]
        return _Batch(
            tokens=torch.from_numpy(padded),
            sequence=torch.from_numpy(np.repeat(np.arange(len(chosen)), counts)),
            position=torch.from_numpy(self._queries.last_row[query] - np.repeat(begin, counts)),
            situation=torch.from_numpy(self._situation[query]),
            num_survived=torch.from_numpy(self._num_survived[query]),
            purchased=torch.from_numpy(self._purchased[query]),
            churned=torch.from_numpy(self._churned[query]),
            known=torch.from_numpy(self._known[query]),
            config=self._config,
        )


def _first_instants_us(first_us: int, known_until_us: int, config: TrainConfig, *, seasonal: bool) -> list[int]:
    """Where the spans begin that instants are drawn from: recent time, and all time where there are seasons to learn."""
    # At the start of the data everybody looks new, which they are not when the model is used.
    warm_us = first_us + round((known_until_us - first_us) * _WARM_UP_OF_DATA)
    learn_days = max(config.learn_days, _LEARN_HORIZONS * config.horizon_days)
    recent_us = max(warm_us, known_until_us - learn_days * DAY_US)
    return [recent_us, warm_us] if seasonal else [recent_us]


def cut_pieces(offsets: NDArray[np.int64], context: int) -> Pieces:
    """Pieces of at most `context` events of customers who own [offsets[i], offsets[i + 1]), each with an event at least."""
    stride = context // 2
    lengths = np.diff(offsets)
    # The first piece owns a whole context, each later one half of it.
    num_pieces = 1 + np.maximum(0, -(-(lengths - context) // stride))
    customer = np.repeat(np.arange(len(lengths)), num_pieces)
    number = np.arange(len(customer)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    first_row, stop_row = offsets[customer], offsets[customer + 1]
    own = first_row + np.where(number == 0, 0, context + (number - 1) * stride)
    end = np.minimum(first_row + context + number * stride, stop_row)
    return Pieces(begin=np.maximum(end - context, first_row), own=own, end=end)


def _start_at_life_table(network: SequenceModel, queries: Queries, config: TrainConfig) -> int:
    """Set the output's bias to the log rates of all queries together; returns how many bins have outcomes enough."""
    edges = np.asarray(config.model.edges_days)
    num_survived, purchased = count_survived_bins(queries.wait_days, queries.known_days, edges)
    num_bins = len(edges)
    purchases = np.bincount(num_survived[purchased], minlength=num_bins)[:num_bins]
    reached = (num_survived[:, None] > np.arange(num_bins)).sum(axis=0)
    rate = (purchases + 0.5) / ((reached + 0.5 * purchases + 1.0) * bin_widths(edges))
    num_seen = max(1, int(np.sum(np.cumprod(reached + purchases >= _LEAST_OUTCOMES_OF_A_BIN))))
    rate[num_seen:] = rate[num_seen - 1]
    with torch.no_grad():
        network.rates.bias.copy_(torch.as_tensor(np.log(rate), dtype=torch.float32))
    return num_seen


def _extend_last_seen_bin(network: SequenceModel, num_seen: int) -> None:
    """Bins that the past could not show keep the daily rate of the last one that it did."""
    with torch.no_grad():
        network.rates.weight[num_seen:] = network.rates.weight[num_seen - 1].clone()
        network.rates.bias[num_seen:] = network.rates.bias[num_seen - 1].clone()


def _optimiser(network: SequenceModel, config: TrainConfig) -> torch.optim.AdamW:
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=config.learning_rate,
    )


def _rate_share(share_done: float) -> float:
    """Learning rate as a share of its peak: up along a cosine, down along another, then level to the end.

    The level stretch is what the moving average lives on: weights that wander around a wide minimum, whose mean is better and
    better calibrated than any of them. By share done and not by step: how many pieces are asked about, and so how many steps
    an epoch has, differs by draw.

    source : Izmailov et al. (2018), Averaging weights leads to wider optima and better generalization
    """
    if share_done < _WARM_UP_OF_STEPS:
        return 0.5 * (1.04 - 0.96 * math.cos(math.pi * share_done / _WARM_UP_OF_STEPS))
    cooling = min((share_done - _WARM_UP_OF_STEPS) / (_LEVEL_FROM - _WARM_UP_OF_STEPS), 1.0)
    return _LEVEL + (1.0 - _LEVEL) * 0.5 * (1.0 + math.cos(math.pi * cooling))


def _average(averaged: SequenceModel, network: SequenceModel, decay: float) -> None:
    with torch.no_grad():
        for kept, current in zip(averaged.parameters(), network.parameters(), strict=True):
            kept.lerp_(current, 1.0 - decay)
