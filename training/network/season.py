"""The season: how much busier the days to come are at this time of the year, which is the same for every customer.

A gift shop's customers buy more in November, whoever they are. A head that sees the time of the year learns the few autumns
that it saw by heart, with all that was chance in them. So it does not see it, and is told instead: the chain's orders of the
year before say how the days ahead compare with those that a customer's recent numbers are of (`DailyActivity.season_ahead`),
and the rates of all customers are multiplied by a power of that ratio. The powers, one for the month and one for the quarter
ahead, are learnt with the weights. In a log that shows no year and a half they are 0, and nothing is multiplied.

source : an offset in a generalised linear model, McCullagh & Nelder (1989), ch. 6; seasonal indices, Hyndman & Athanasopoulos,
         Forecasting: Principles and Practice (2021), ch. 3
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.network.situation import SEASON_AHEAD, SEASON_DAYS

# Where learning begins: most of what the chain's orders did; the rest was newcomers.
_FIRST_POWER = 0.8


def first_powers(horizon_days: float) -> NDArray[np.float32]:
    """Where learning begins: float32[len(SEASON_DAYS)], dealt out by how near the horizon is to either."""
    of_quarter = float(np.interp(horizon_days, SEASON_DAYS, (0.0, 1.0)))
    return np.array([_FIRST_POWER * (1.0 - of_quarter), _FIRST_POWER * of_quarter], np.float32)


def season_ahead(situation: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the season promises: float32[n, len(SEASON_DAYS)] of raw situations, 0 where it is not known."""
    return np.nan_to_num(situation[..., list(SEASON_AHEAD)])


def season_level_of_one(situation: NDArray[np.float32], powers: Sequence[float]) -> float:
    """What the season adds to the log rates of one customer, from the raw float32[features], without NumPy's 40 us for it.

    powers : [len(SEASON_DAYS)]
    """
    promised = (float(situation[place]) for place in SEASON_AHEAD)
    return sum(power * ahead for power, ahead in zip(powers, promised, strict=True) if not math.isnan(ahead))
