"""Two bundles on the same customers: which promised better what then happened, and how far chance reaches.

Two differences decide: that in log loss, which punishes both a wrong order and a wrong level, and that in ROC-AUC, which finds a
wrong order where the level hides it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.history import History
from engine.instants import DAY_US, format_instant
from training.bundles.bundle import Bundle
from training.data.panel import ask_panel, newest_window_us
from training.evaluation.bootstrap import estimate
from training.passes.window import LEAST_CUSTOMERS, LEAST_OF_AN_OUTCOME
from training.trained import HeldOut


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A challenger beside the champion on one window. Differences are challenger less champion, with 95 % intervals, paired.

    champion, challenger : versions
    as_of_us             : where the window begins; it is horizon_days long
    seen_by              : the versions that had learnt from outcomes inside it
    is_first_pass        : the challenger was judged by its first pass, which learnt in the same way and had not seen the window
    """

    champion: str
    challenger: str
    as_of_us: int
    horizon_days: int
    active_within_days: int
    num_customers: int
    num_churned: int
    champion_log_loss: float
    challenger_log_loss: float
    log_loss_difference: float
    log_loss_low: float
    log_loss_high: float
    auc_difference: float
    auc_low: float
    auc_high: float
    seen_by: tuple[str, ...]
    is_first_pass: bool

    @property
    def is_worse(self) -> bool:
        """Whether the challenger is worse beyond chance, in log loss or in how it ranks."""
        return self.log_loss_low > 0 or self.auc_high < 0

    @property
    def is_fair(self) -> bool:
        """Whether neither had learnt from the window."""
        return not self.seen_by

    @property
    def finding(self) -> str:
        """What was found, in words that say how far it can be trusted."""
        word = "worse than the champion" if self.is_worse else "not clearly worse"
        return f"{word}: {self}" if self.is_fair else f"no unseen data to compare on; on training data, {word}: {self}"

    def describe(self) -> dict[str, Any]:
        """As JSON types."""
        return {**asdict(self), "seen_by": list(self.seen_by), "is_worse": self.is_worse}

    @staticmethod
    def parse(document: dict[str, Any]) -> Verdict:
        """The way back.

        raises : KeyError, TypeError for what is no such document
        """
        fields = {name: value for name, value in document.items() if name != "is_worse"}
        return Verdict(**{**fields, "seen_by": tuple(fields["seen_by"])})

    def __str__(self) -> str:
        begin, end = format_instant(self.as_of_us), format_instant(self.as_of_us + self.horizon_days * DAY_US)
        if self.is_first_pass:
            seen = f"neither {self.champion} nor the first pass of {self.challenger} had seen it"
        elif self.seen_by:
            seen = f"in the training data of {' and '.join(self.seen_by)}"
        else:
            seen = "neither had seen it"
        return (
            f"{self.challenger} against {self.champion} on {self.num_customers:,} customers from {begin} to {end} ({seen}): log "
            f"loss {self.challenger_log_loss:.4f} against {self.champion_log_loss:.4f}, "
            f"difference {self.log_loss_difference:+.4f} "
            f"(95 % interval {self.log_loss_low:+.4f} to {self.log_loss_high:+.4f}); ROC-AUC {self.auc_difference:+.4f} "
            f"({self.auc_low:+.4f} to {self.auc_high:+.4f})"
        )


def judge_held_out(history: History, champion: Bundle, challenger: Bundle, held_out: HeldOut) -> Verdict | str:
    """A new bundle by its first pass, on the last horizon before its as-of, beside a champion that was trained before that.

    returns : the verdict, or why there is none
    """
    if champion.as_of_us > held_out.as_of_us:
        return f"{champion.version} was trained on the holdout window of this training"
    horizon_days, active_within_days = challenger.horizon_days, challenger.active_within_days
    if (too_short := _reach(champion, horizon_days)) is not None:
        return too_short
    panel = ask_panel(
        history,
        {"champion": champion.model},
        as_of_us=held_out.as_of_us,
        horizon_days=horizon_days,
        active_within_days=active_within_days,
    )
    # The training may have sampled customers, and the panel buckets: those in both are judged.
    place = pc.index_in(panel.customer_ids, value_set=held_out.customer_ids)
    both = np.flatnonzero(np.asarray(place.is_valid()))
    return _judge(
        champion,
        challenger,
        as_of_us=held_out.as_of_us,
        churned=panel.churned[both],
        by_champion=panel.probability["champion"][both],
        by_challenger=held_out.probability[np.asarray(place.drop_null())],
        seen_by=(),
        is_first_pass=True,
    )


def judge_newest(history: History, champion: Bundle, challenger: Bundle) -> Verdict | str:
    """Both bundles as they are, on the newest window that is known to its end, at the challenger's horizon.

    returns : the verdict, or why there is none
    """
    horizon_days = challenger.horizon_days
    if (too_short := _reach(champion, horizon_days)) is not None:
        return too_short
    start_us = newest_window_us(history, horizon_days)
    if start_us is None:
        return f"the orders do not cover a window of {horizon_days} days"
    panel = ask_panel(
        history,
        {"champion": champion.model, "challenger": challenger.model},
        as_of_us=start_us,
        horizon_days=horizon_days,
        active_within_days=challenger.active_within_days,
    )
    return _judge(
        champion,
        challenger,
        as_of_us=start_us,
        churned=panel.churned,
        by_champion=panel.probability["champion"],
        by_challenger=panel.probability["challenger"],
        seen_by=tuple(bundle.version for bundle in (champion, challenger) if bundle.as_of_us > start_us),
        is_first_pass=False,
    )


def _reach(champion: Bundle, horizon_days: int) -> str | None:
    last_edge = float(champion.edges_days[-1])
    if horizon_days <= last_edge:
        return None
    return f"the curves of {champion.version} end at {last_edge:g} days, and the new horizon is {horizon_days}"


def _judge(
    champion: Bundle,
    challenger: Bundle,
    *,
    as_of_us: int,
    churned: NDArray[np.bool_],
    by_champion: NDArray[np.float64],
    by_challenger: NDArray[np.float64],
    seen_by: tuple[str, ...],
    is_first_pass: bool,
) -> Verdict | str:
    num_customers, num_churned = len(churned), int(churned.sum())
    if num_customers < LEAST_CUSTOMERS or min(num_churned, num_customers - num_churned) < LEAST_OF_AN_OUTCOME:
        return (
            f"the window from {format_instant(as_of_us)} holds {num_customers} customers of whom {num_churned} churned, expected "
            f"at least {LEAST_CUSTOMERS} and {LEAST_OF_AN_OUTCOME} of either outcome"
        )
    found = estimate(churned, {"champion": by_champion, "challenger": by_challenger})
    log_loss, (low, high) = found.difference("challenger", "champion", "log_loss")
    auc, (auc_low, auc_high) = found.difference("challenger", "champion", "auc")
    return Verdict(
        champion=champion.version,
        challenger=challenger.version,
        as_of_us=as_of_us,
        horizon_days=challenger.horizon_days,
        active_within_days=challenger.active_within_days,
        num_customers=num_customers,
        num_churned=num_churned,
        champion_log_loss=found.values["champion"]["log_loss"],
        challenger_log_loss=found.values["challenger"]["log_loss"],
        log_loss_difference=log_loss,
        log_loss_low=low,
        log_loss_high=high,
        auc_difference=auc,
        auc_low=auc_low,
        auc_high=auc_high,
        seen_by=seen_by,
        is_first_pass=is_first_pass,
    )
