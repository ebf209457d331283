"""Lead time: how long before the naive rule the model first pointed at the customers who really left.

The naive rule calls a customer gone after so many days without a purchase. The walk stands at instants a month apart; at each,
the tenth of the eligible customers most at risk is alarmed. A spell is the time after one purchase of a customer until the next.
Its first alarm before the rule speaks is

    right      where the customer never bought again, and the log goes on for long enough that the rule spoke;
    false      where the customer bought again;
    undecided  where the log ends before either.

Only spells that begin within the walk count, so that every one could be seen from its start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US, format_instant
from engine.labels import eligible
from engine.partition import Partition
from training.data.purchases import summarise_purchases

# Of a share of the customers: to one in a thousand.
_HALVINGS = 10
# Of each customer, at the instant: the higher, the more at risk.
Ranker = Callable[[Partition, NDArray[np.int64], int], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadTimeConfig:
    """How the walk goes and what the rule is."""

    rule_days: int = 90
    """The naive rule: gone after so many days without a purchase."""

    step_days: int = 30
    """Days between the instants of the walk."""

    alarmed_share: float = 0.1
    """Share of the eligible customers who are alarmed at each instant."""

    goal_days: int = 30
    """An alarm in good time comes so many days before the rule, at least."""

    goal_accuracy: float = 0.85
    """Goal of the field: this share of the alarms in good time is right."""

    def __post_init__(self) -> None:
        for name in ("rule_days", "step_days", "goal_days"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(name, f"found {getattr(self, name)}, expected 1 or more")
        for name in ("alarmed_share", "goal_accuracy"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidArgumentError(name, f"found {getattr(self, name)}, expected a share between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadTime:
    """What came of the walk for one way to rank customers.

    num_left         : customers who really left, in spells that the walk saw from their start
    lead_days        : float64[num alarmed of them] from the first alarm to the rule's day, ascending
    num_right, num_false, num_undecided : alarms
    num_right_in_time, num_false_in_time : of those the alarms raised `goal_days` before the rule or earlier
    """

    num_left: int
    lead_days: NDArray[np.float64]
    num_right: int
    num_false: int
    num_undecided: int
    num_right_in_time: int
    num_false_in_time: int

    @property
    def median_lead_days(self) -> float:
        """Over those who left, 0 for whom no alarm came before the rule; NaN where nobody left."""
        if self.num_left == 0:
            return float("nan")
        return float(np.median(np.concatenate([self.lead_days, np.zeros(self.num_left - len(self.lead_days))])))

    @property
    def share_in_time(self) -> float:
        """Of those who left, the share alarmed in good time."""
        return self.num_right_in_time / self.num_left if self.num_left else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of the decided alarms that were right."""
        return _share(self.num_right, self.num_false)

    @property
    def accuracy_in_time(self) -> float:
        """Share of the decided alarms in good time that were right."""
        return _share(self.num_right_in_time, self.num_false_in_time)

    @property
    def false_alarms_per_right(self) -> float:
        """What finding one leaver costs in false alarms."""
        return self.num_false / self.num_right if self.num_right else float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """A walk through time.

    by_ranker           : by name
    matched             : those other than the first, with as many alarmed as raise no more false alarms than the first did
    rule_right, _false  : how often the rule itself spoke, and the customer never bought again or did
    """

    config: LeadTimeConfig
    instants_us: tuple[int, ...]
    by_ranker: dict[str, LeadTime]
    matched: dict[str, LeadTime]
    rule_right: int
    rule_false: int


def why_no_walk(start_us: int, end_us: int, config: LeadTimeConfig) -> str | None:
    """Why there can be no walk from an instant to the end of the orders, in a sentence; None where there can."""
    needed = config.rule_days + config.step_days
    known_days = (end_us - start_us) / DAY_US
    if known_days >= needed:
        return None
    latest = format_instant(end_us - needed * DAY_US)
    return (
        f"Lead time needs {needed} days of orders after the first as-of ({config.rule_days} for the rule, {config.step_days} for "
        f"customers to leave in), found {known_days:.0f}; use an as-of of {latest} or earlier."
    )


def walk(
    everything: Partition,
    rankers: Sequence[Mapping[str, Ranker]],
    starts_us: Sequence[int],
    *,
    end_us: int,
    active_within_days: int,
    config: LeadTimeConfig,
) -> Walk:
    """Walk from the first start to the end of the orders.

    everything         : events of all customers to the end
    rankers, starts_us : rankers by name are used from their start, ascending, until the next; each saw only what was before it
    """
    instants = tuple(range(starts_us[0], end_us, config.step_days * DAY_US))
    spells = _Spells(everything, start_us=starts_us[0], end_us=end_us, rule_us=config.rule_days * DAY_US)
    ranked: dict[str, list[_Ranked]] = {name: [] for name in rankers[0]}
    for instant in instants:
        asked = eligible(everything, instant, active_within_days)
        if len(asked) == 0:
            continue
        spell = spells.of(everything, asked, instant)
        current = rankers[int(np.searchsorted(starts_us, instant, side="right")) - 1]
        for name, ranker in current.items():
            order = np.argsort(-ranker(everything, asked, instant), kind="stable")
            ranked[name].append((instant, spell[order].astype(np.int32)))
    found = {name: _judge(spells, own, config.alarmed_share, config) for name, own in ranked.items()}
    first, *others = found
    return Walk(
        config=config,
        instants_us=instants,
        by_ranker=found,
        matched={name: _match(spells, ranked[name], found[first].num_false, config) for name in others},
        rule_right=int(spells.has_left.sum()),
        rule_false=int((spells.has_returned & (spells.next_us >= spells.rule_at_us)).sum()),
    )


class _Spells:
    """Every purchase of the walk, which begins a spell; the spells by customer and time."""

    def __init__(self, everything: Partition, *, start_us: int, end_us: int, rule_us: int) -> None:
        purchases = np.flatnonzero(everything.is_purchase)
        owner = np.searchsorted(everything.offsets, purchases, side="right") - 1
        time_us = everything.timestamp_us[purchases]
        next_us = np.full(len(purchases), -1, np.int64)
        same = owner[1:] == owner[:-1]
        next_us[:-1][same] = time_us[1:][same]
        seen = time_us >= start_us
        self._rows = purchases[seen]
        self.next_us = next_us[seen]
        self.rule_at_us = time_us[seen] + rule_us
        self.has_returned = self.next_us >= 0
        self.has_left = ~self.has_returned & (self.rule_at_us <= end_us)

    def of(self, everything: Partition, customer_index: NDArray[np.int64], instant: int) -> NDArray[np.int64]:
        """The spell in which each customer is at an instant; -1 where it began before the walk."""
        last_row = summarise_purchases(everything, customer_index, instant).last_row
        place = np.searchsorted(self._rows, last_row)
        rows = np.append(self._rows, -1)
        return np.where(rows[place] == last_row, place, -1)


# An instant, and the spells of who was eligible then, the most at risk first; int32[n], -1 where one began before the walk.
_Ranked = tuple[int, NDArray[np.int32]]


def _match(spells: _Spells, ranked: Sequence[_Ranked], num_false: int, config: LeadTimeConfig) -> LeadTime:
    """What comes of alarming the largest share that raises no more false alarms than these; one customer at the least."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):  # whoever is alarmed by a share is so by a larger one, too, and no later
        share = (low + high) / 2
        is_borne = _judge(spells, ranked, share, config).num_false <= num_false
        low, high = (share, high) if is_borne else (low, share)
    return _judge(spells, ranked, low, config)


def _judge(spells: _Spells, ranked: Sequence[_Ranked], alarmed_share: float, config: LeadTimeConfig) -> LeadTime:
    alarm_us = np.full(len(spells.rule_at_us), -1, np.int64)  # the first of each spell, -1 where there is none
    for instant, spell in ranked:
        at_risk = spell[: max(1, round(len(spell) * alarmed_share))]
        at_risk = at_risk[at_risk >= 0]
        alarm_us[at_risk[(alarm_us[at_risk] < 0) & (instant < spells.rule_at_us[at_risk])]] = instant
    alarmed = alarm_us >= 0
    lead_days = (spells.rule_at_us - alarm_us) / DAY_US
    right, false = alarmed & spells.has_left, alarmed & spells.has_returned
    in_time = lead_days >= config.goal_days
    return LeadTime(
        num_left=int(spells.has_left.sum()),
        lead_days=np.sort(lead_days[right]),
        num_right=int(right.sum()),
        num_false=int(false.sum()),
        num_undecided=int((alarmed & ~right & ~false).sum()),
        num_right_in_time=int((right & in_time).sum()),
        num_false_in_time=int((false & in_time).sum()),
    )


def _share(right: int, false: int) -> float:
    return right / (right + false) if right + false else float("nan")
