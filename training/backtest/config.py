"""Settings of a back-test."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.errors import InvalidArgumentError
from training.baselines import BASELINE_NAMES, QUICK_BASELINES
from training.baselines.catalogue import check_baseline
from training.config import TrainConfig
from training.evaluation.bootstrap import NUM_RESAMPLES
from training.evaluation.lead_time import LeadTimeConfig
from training.evaluation.profit import ProfitConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class BacktestConfig:
    """Where a back-test stands, what it compares and how it judges."""

    as_of_us: tuple[int, ...]
    """The origins, each with a training of its own; sorted, so that the one with the shortest past is tried first."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """Its horizon is the one that the trainings are aimed at, and the first that is judged."""

    further_horizons_days: tuple[int, ...] = ()
    """More horizons to judge, read off the same curves."""

    baselines: tuple[str, ...] = QUICK_BASELINES
    """Names of the baselines beside ebbtide."""

    num_tuning_trials: int = 40
    """Budget of the search for the settings of `lightgbm_tuned`."""

    num_resamples: int = NUM_RESAMPLES
    """Of the bootstrap."""

    grades: tuple[tuple[str, float], ...] = ()
    """Names and lowest risk scores of the grades, worst first, for confusion matrices; none by default."""

    profit: ProfitConfig = field(default_factory=ProfitConfig)
    """What a campaign costs and brings."""

    lead_time: LeadTimeConfig = field(default_factory=LeadTimeConfig)
    """How the walk through time goes."""

    def __post_init__(self) -> None:
        if not self.as_of_us:
            raise InvalidArgumentError("as_of", "found none, expected one or more instants")
        object.__setattr__(self, "as_of_us", tuple(sorted(set(self.as_of_us))))
        further = (days for days in dict.fromkeys(self.further_horizons_days) if days != self.train.horizon_days)
        object.__setattr__(self, "further_horizons_days", tuple(further))
        last_edge = self.train.model.edges_days[-1]
        for days in self.further_horizons_days:
            if not 1 <= days <= last_edge:
                raise InvalidArgumentError("horizon_days", f"found {days}, expected a number from 1 to {last_edge:g}")
        for name in self.baselines:
            check_baseline(name)
        in_order = tuple(name for name in BASELINE_NAMES if name in self.baselines)
        object.__setattr__(self, "baselines", in_order)
        if not 0 <= self.num_tuning_trials <= 10_000:
            raise InvalidArgumentError("num_tuning_trials", f"found {self.num_tuning_trials}, expected 0 to 10000")
        if not 10 <= self.num_resamples <= 1_000_000:
            raise InvalidArgumentError("num_resamples", f"found {self.num_resamples}, expected 10 to 1000000")

    @property
    def horizons_days(self) -> tuple[int, ...]:
        """All horizons, the one that is trained for first."""
        return self.train.horizon_days, *self.further_horizons_days

    @property
    def active_within_days(self) -> int:
        return self.train.active_within_days
