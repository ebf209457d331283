"""Where learning begins: the spans that instants are drawn from, and the output at the chain's life table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engine.instants import DAY_US
from training.config import TrainConfig
from training.data.queries import Queries
from training.network.hazard import bin_widths, count_survived_bins
from training.network.model import SequenceModel
from training.network.season import first_powers
from training.network.spend import SpendTargets, mean_spend

# With less, a date in the year is seen once or hardly twice, and the model would learn the trend of the data by heart.
_SEASONAL_SPAN_DAYS = 550
_LEARN_HORIZONS = 4
_WARM_UP_OF_DATA = 0.2
# A bin seen fewer times takes the rate of the last one seen enough.
_LEAST_OUTCOMES_OF_A_BIN = 200


def shows_seasons(first_us: int, known_until_us: int) -> bool:
    """Whether the past is long enough to learn the time of the year from."""
    return known_until_us - first_us >= _SEASONAL_SPAN_DAYS * DAY_US


def first_instants_us(first_us: int, known_until_us: int, config: TrainConfig, *, seasonal: bool) -> list[int]:
    """Where the spans begin that instants are drawn from: recent time, and all time where there are seasons to learn."""
    # At the start of the data everybody looks new, which they are not when the model is used.
    warm_us = first_us + round((known_until_us - first_us) * _WARM_UP_OF_DATA)
    learn_days = max(config.learn_days, _LEARN_HORIZONS * config.horizon_days)
    recent_us = max(warm_us, known_until_us - learn_days * DAY_US)
    return [recent_us, warm_us] if seasonal else [recent_us]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What the first draw of queries settles for the whole fit.

    num_seen_bins       : hazard bins with outcomes enough to learn from
    num_seen_spend_bins : bins whose spend is known often enough
    spend_of_a_query    : mean, in all its known bins; the unit of the spend's loss
    """

    num_seen_bins: int
    num_seen_spend_bins: int
    spend_of_a_query: float


def begin(network: SequenceModel, queries: Queries, spend: SpendTargets, config: TrainConfig, *, seasonal: bool) -> Begun:
    """Set the biases of both heads' outputs to what all queries show together, and the powers of the season, if there is one."""
    mean = mean_spend(spend, np.asarray(config.model.edges_days))
    with torch.no_grad():
        network.spend_rates.bias.copy_(torch.from_numpy(mean.log_rate))
        if seasonal:
            network.season.copy_(torch.from_numpy(first_powers(config.horizon_days)))
    return Begun(
        num_seen_bins=start_at_life_table(network, queries, config),
        num_seen_spend_bins=mean.num_seen,
        spend_of_a_query=mean.of_a_query,
    )


def start_at_life_table(network: SequenceModel, queries: Queries, config: TrainConfig) -> int:
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


def extend_last_seen_bin(output: nn.Linear, num_seen: int) -> None:
    """Bins that the past could not show keep the daily rate of the last one that it did."""
    with torch.no_grad():
        output.weight[num_seen:] = output.weight[num_seen - 1].clone()
        output.bias[num_seen:] = output.bias[num_seen - 1].clone()
