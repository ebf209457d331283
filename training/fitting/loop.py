"""The loop: AdamW and a moving average over shuffled sequences, every epoch with freshly drawn query instants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from engine.activity import DailyActivity
from engine.partition import Partition
from training.calibration import Calibration
from training.config import TrainConfig
from training.fitting.batches import EpochBatches
from training.fitting.pieces import cut_pieces
from training.fitting.schedule import make_optimiser, move_average, rate_share
from training.fitting.start import extend_last_seen_bin, first_instants_us, shows_seasons, start_at_life_table
from training.inference import FittedModel
from training.model import SequenceModel
from training.normaliser import fit_normaliser
from training.queries import Queries, draw_queries
from training.situation import SEASONAL_SITUATION, describe_situation
from training.tokens import SEASONAL_TOKENS, all_event_tokens

_GRADIENT_LIMIT = 1.0


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
    seasonal = shows_seasons(first_us, known_until_us)
    starts_us = first_instants_us(first_us, known_until_us, config, seasonal=seasonal)
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
    num_seen = start_at_life_table(network, queries, config)
    averaged = SequenceModel(config.model)
    averaged.load_state_dict(network.state_dict())
    optimiser = make_optimiser(network, config)
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
        batches = EpochBatches(queries, situation_normaliser.apply(situation), pieces, config)
        queries_per_step = len(queries) / max(len(batches), 1)
        network.train()
        total = 0.0
        for step, batch in enumerate(batches.shuffled(tokens, random)):
            share_done = (epoch + step / len(batches)) / config.num_epochs
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * rate_share(share_done)
            # A constant, not the batch's own number: every query weighs the same whichever batch it falls into.
            loss = batch.loss(network) / queries_per_step
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_LIMIT)
            optimiser.step()
            num_steps += 1
            # The short memory at the start keeps the initial weights out of the average.
            decay = min(config.average_decay, num_steps / (num_steps + 10))
            move_average(averaged, network, decay)
            total += float(loss.detach()) * queries_per_step
        extend_last_seen_bin(averaged, num_seen)
        on_epoch(epoch + 1, total / max(len(queries), 1), model)
    return model
