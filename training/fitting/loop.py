"""The loop: AdamW and a moving average over shuffled sequences, every epoch with freshly drawn query instants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.partition import Partition
from training.config import TrainConfig
from training.data.queries import Queries, draw_queries
from training.device import CPU, Compute
from training.fitting.batches import EpochBatches
from training.fitting.learner import Learner
from training.fitting.pieces import cut_pieces
from training.fitting.schedule import rate_share
from training.fitting.standing import Standing
from training.fitting.start import begin, first_instants_us, shows_seasons
from training.fitting.workers import ALONE, Workers
from training.inference import FittedModel
from training.network.model import SequenceModel
from training.network.normaliser import fit_normaliser
from training.network.season import season_ahead
from training.network.situation import NOT_OF_THE_HEAD, SEASON_DAYS, describe_situation
from training.network.spend import SpendTargets, fit_spend_scale, spend_targets
from training.network.tokens import SEASONAL_TOKENS, all_event_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """An epoch done.

    number   : from 1
    loss     : mean training loss per query, nats
    standing : to go on from; its model has the averaged weights so far
    """

    number: int
    loss: float
    standing: Standing

    @property
    def model(self) -> FittedModel:
        return self.standing.model


OnEpoch = Callable[[Epoch], bool | None]


def fit_weights(
    past: Partition,
    activity: DailyActivity,
    config: TrainConfig,
    *,
    known_until_us: int,
    on_epoch: OnEpoch = lambda _: None,
    compute: Compute = CPU,
    workers: Workers = ALONE,
    start: Standing | None = None,
) -> FittedModel:
    """Learn from a partition that holds only events before `known_until_us`.

    on_epoch : called after every epoch; True ends the fit there
    workers  : that go through this together, each in a call of its own with the same arguments
    start    : of an earlier call with the same arguments that did not come to its end; goes on to the same bits on the CPU
    returns  : the model with averaged weights, uncalibrated
    """
    if start is not None and start.num_epochs >= config.num_epochs:
        return start.model
    with _seeded(config.seed, compute.device):
        return _fit(
            _Draws(past, activity, config, known_until_us), config, on_epoch, compute=compute, workers=workers, start=start
        )


def _fit(
    draws: _Draws, config: TrainConfig, on_epoch: OnEpoch, *, compute: Compute, workers: Workers, start: Standing | None
) -> FittedModel:
    raw_tokens = all_event_tokens(draws.past)
    pieces = cut_pieces(draws.past.offsets, config.model.context_events)
    drawn = None
    if start is None:
        queries, situation, spend = drawn = draws.next()
        token_normaliser = fit_normaliser(raw_tokens, ignore=() if draws.seasonal else SEASONAL_TOKENS)
        situation_normaliser = fit_normaliser(situation, ignore=NOT_OF_THE_HEAD)
        network = SequenceModel(config.model)
        begun = begin(network, queries, spend, config, seasonal=draws.seasonal)
        learner = Learner(network, config, begun=begun, compute=compute, workers=workers)
    else:
        token_normaliser, situation_normaliser = start.normalisers
        network = SequenceModel(config.model)
        learner = Learner(network, config, begun=start.begun, compute=compute, workers=workers)
        learner.resume(start)
        draws.random.bit_generator.state = start.draws
    tokens = token_normaliser.apply(raw_tokens)
    for epoch in range(0 if start is None else start.num_epochs, config.num_epochs):
        queries, situation, spend = draws.next() if drawn is None else drawn
        drawn = None
        season = season_ahead(situation) if draws.seasonal else np.zeros((len(situation), len(SEASON_DAYS)), np.float32)
        batches = EpochBatches(queries, situation_normaliser.apply(situation), season, spend, pieces, config)
        queries_per_step = len(queries) / max(len(batches), 1)
        losses = []
        for step, share in enumerate(batches.shuffled(tokens, draws.random, workers)):
            rate = rate_share((epoch + step / len(batches)) / config.num_epochs)
            losses.append(learner.step(share, rate=rate, queries_per_step=queries_per_step))
        learner.end_epoch()
        # Read once an epoch: every look at a GPU's number waits for all that it has to do.
        total = float(torch.stack(losses).double().sum()) if losses else 0.0
        model = learner.model(token_normaliser, situation_normaliser, draws.spend_scale)
        standing = learner.standing(epoch + 1, model, dict(draws.random.bit_generator.state))
        if on_epoch(Epoch(number=epoch + 1, loss=total / max(len(queries), 1), standing=standing)):
            break
    return model


class _Draws:
    """Query instants, the situations at them and the spend after them, anew for every epoch."""

    def __init__(self, past: Partition, activity: DailyActivity, config: TrainConfig, known_until_us: int) -> None:
        first_us = int(past.timestamp_us.min())
        self.past, self.random = past, np.random.default_rng(config.seed)
        self.seasonal = shows_seasons(first_us, known_until_us)
        self._starts_us = first_instants_us(first_us, known_until_us, config, seasonal=self.seasonal)
        self._activity, self._config, self._known_until_us = activity, config, known_until_us
        self.spend_scale = fit_spend_scale(past)

    def next(self) -> tuple[Queries, NDArray[np.float32], SpendTargets]:
        queries = draw_queries(
            self.past,
            self.random,
            starts_us=self._starts_us,
            known_until_us=self._known_until_us,
            num_instants=self._config.instants_per_epoch,
            active_within_days=self._config.active_within_days,
        )
        situation = describe_situation(
            self.past, self._activity, queries.customer_index, queries.as_of_us, known_until_us=self._known_until_us
        )
        spend = spend_targets(
            self.past,
            self.spend_scale,
            queries.customer_index,
            queries.as_of_us,
            queries.known_days,
            situation,
            np.asarray(self._config.model.edges_days),
        )
        return queries, situation, spend


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's random numbers from a seed inside the block, and as before after it."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        torch.manual_seed(seed)
        yield
