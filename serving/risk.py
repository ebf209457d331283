"""Risk: a score from 0 to 100, nine grades, three tiers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError


class Grade(IntEnum):
    """From R1, the worst, to B2; the numbers are those of the wire."""

    R1 = 1
    R2 = 2
    R3 = 3
    Y1 = 4
    Y2 = 5
    Y3 = 6
    Y4 = 7
    B1 = 8
    B2 = 9

    @property
    def tier(self) -> Tier:
        return {"R": Tier.RED, "Y": Tier.YELLOW, "B": Tier.BLUE}[self.name[0]]


class Tier(IntEnum):
    """The colours of the grades; the numbers are those of the wire."""

    RED = 1
    YELLOW = 2
    BLUE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeThresholds:
    """The lowest risk score of each grade but the last, which takes the rest."""

    r1: float = 90.0
    r2: float = 80.0
    r3: float = 70.0
    y1: float = 60.0
    y2: float = 50.0
    y3: float = 40.0
    y4: float = 30.0
    b1: float = 15.0

    def __post_init__(self) -> None:
        falling = tuple(zip(self.__dataclass_fields__, self._falling(), strict=True))
        for name, value in falling:
            if not 0.0 < value <= 100.0:
                raise InvalidArgumentError(name, f"found {value}, expected a risk score in (0, 100]")
        for (worse, above), (better, below) in pairwise(falling):
            if above <= below:
                raise InvalidArgumentError(better, f"found {below}, expected less than {worse} = {above}")

    def grades(self, risk_score: NDArray[np.float32]) -> NDArray[np.int8]:
        """Grade numbers of risk scores; any shape in, the same out."""
        rising = np.asarray(self._falling()[::-1])
        return (Grade.B2 - np.searchsorted(rising, risk_score, side="right")).astype(np.int8)

    def grade(self, risk_score: float) -> Grade:
        """The grade of one risk score."""
        return Grade(Grade.B2 - bisect_right(self._falling()[::-1], risk_score))

    def named(self) -> tuple[tuple[str, float], ...]:
        """Name and lowest risk score of every grade, worst first; the last begins at 0."""
        return tuple(zip((grade.name for grade in Grade), (*self._falling(), 0.0), strict=True))

    def _falling(self) -> tuple[float, ...]:
        return self.r1, self.r2, self.r3, self.y1, self.y2, self.y3, self.y4, self.b1


# Round numbers that people can remember; the tiers follow how a retailer acts: call, remind, leave alone.
DEFAULT_THRESHOLDS = GradeThresholds()

_Values = TypeVar("_Values", NDArray[np.float32], np.float32)
_TIER_OF_GRADE = np.asarray([0, *(grade.tier for grade in Grade)], np.int8)


def risk_scores(churn_probability: _Values) -> _Values:
    """100 times the churn probability at the bundle's horizon; float32 of any shape, 0 to 100."""
    return churn_probability * np.float32(100.0)


def tiers(grades: NDArray[np.int8]) -> NDArray[np.int8]:
    """Tier numbers of grade numbers."""
    return _TIER_OF_GRADE[grades]
