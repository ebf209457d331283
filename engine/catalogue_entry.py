"""What the catalogue of indicators says of each: its columns, what it speaks of, and where a warning is due."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Level(StrEnum):
    """What an indicator speaks of."""

    BEHAVIOUR = "behaviour"
    VALUE = "value"
    SENTIMENT = "sentiment"


class Factor(StrEnum):
    """Where a change of it tends to come from."""

    CUSTOMER = "customer"
    PRODUCT = "product"
    CHANNEL = "channel"
    TIME = "time"
    COMPETITION = "competition"
    CONTEXT = "context"


class Worry(StrEnum):
    """Which side of the threshold is the worrying one."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of what `compute_indicators` returns.

    window_days : how far back it looks, where its indicator has several windows, else None
    threshold   : a warning is due at or above it, or below it; a default to start from
    """

    name: str
    window_days: int | None
    worry: Worry
    threshold: float

    def warns(self, values: NDArray[np.floating]) -> NDArray[np.bool_]:
        """bool[n]: where a warning is due; what is not known never warns."""
        values = np.asarray(values)
        above: NDArray[np.bool_] = values >= self.threshold
        return above if self.worry is Worry.ABOVE else values < self.threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class Indicator:
    """An entry of the catalogue: one column under its own name, or one for each of its windows.

    thresholds   : of its columns
    windows_days : of an indicator with several windows, such as 7 and 30 of "orders": columns orders_7d and orders_30d; else ()
    """

    name: str
    level: Level
    factor: Factor
    unit: str
    meaning: str
    worry: Worry
    thresholds: tuple[float, ...]
    windows_days: tuple[int, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        windows = self.windows_days or (None,)
        return tuple(
            Column(
                name=self.name if window is None else f"{self.name}_{window}d",
                window_days=window,
                worry=self.worry,
                threshold=threshold,
            )
            for window, threshold in zip(windows, self.thresholds, strict=True)
        )
