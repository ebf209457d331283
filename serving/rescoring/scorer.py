"""Scores customers on a device, and on the CPU when the device is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.indicators import compute_summary
from engine.partition import Partition
from kernels import NO_RHYTHM, RHYTHM_COLUMNS, extend_rhythms, locate_instants
from serving.rescoring.stage_times import StageTimes
from training.bundles.bundle import Bundle
from training.device import first_line
from training.inference import Before, Outlook, encode_states, look_ahead_from_summary
from training.network.spend import expected_spend
from training.predict import churn_probability, clip_survival, expected_days_to_purchase

_FIRST_EVENT_US = RHYTHM_COLUMNS.index("first_event_us")

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionScores:
    """Scores of some customers as of one instant.

    device    : "cpu" or "cuda", where they were computed in the end
    gpu_fault : why the GPU was given up on the way, in a line; "" where it was not
    """

    survival: NDArray[np.float32]  # (num_customers, num_bins)
    states: NDArray[np.float32]  # (num_customers, state_size), after the last event before the instant
    summary: NDArray[np.float32]  # (num_customers, len(SUMMARY_COLUMNS))
    churn_probability: NDArray[np.float32]  # at the bundle's horizon
    expected_days_to_purchase: NDArray[np.float32]
    expected_spend_90d: NDArray[np.float32]  # currency units, or orders where the chain gave no amounts
    expected_spend_365d: NDArray[np.float32]
    device: str
    gpu_fault: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Customers of one partition whose scores are wanted, each with an event before the instant.

    customer_index : int64[n]
    num_before     : int64[n]    so many first events of each the partition lacks
    begin, end     : int64[n]    rows of the events that the states have yet to see, all before the instant
    rhythm         : int64[n, len(RHYTHM_COLUMNS)]    at the instant
    place          : int64[n]    the row of each in the answer
    """

    partition: Partition
    customer_index: NDArray[np.int64]
    num_before: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    rhythm: NDArray[np.int64]
    place: NDArray[np.int64]

    @property
    def last_event_us(self) -> NDArray[np.int64]:
        """int64[n]: of the last event before the instant."""
        return self.partition.timestamp_us[self.end - 1] if len(self.end) else np.zeros(0, np.int64)


def place_rows(rows: Sequence[NDArray[_Scalar]], places: Sequence[NDArray[np.int64]]) -> NDArray[_Scalar]:
    """Rows of several arrays where they belong: places[k] says it of the rows of the k-th, and all together leave no gap."""
    placed = np.empty((sum(map(len, places)), *rows[0].shape[1:]), rows[0].dtype)
    for some, place in zip(rows, places, strict=True):
        placed[place] = some
    return placed


def score(
    bundle: Bundle,
    asked: Sequence[Asked],
    initial: NDArray[np.float32],
    activity: DailyActivity,
    as_of_us: int,
    *,
    device: str,
    times: StageTimes | None = None,
) -> PartitionScores:
    """Scores as of one instant, of all that is asked; the same on every device to 1e-6.

    initial : float32[n, state_size], states before the events that they have yet to see, in the order of the answer
    device  : "cpu" or "cuda"; where CUDA fails (lost, out of memory), all is scored on the CPU, and the answer says why
    """
    times = StageTimes() if times is None else times
    with times.of("summaries"):
        summaries = [
            compute_summary(one.partition, one.customer_index, as_of_us, end=one.end, rhythm=one.rhythm) for one in asked
        ]
        summary = place_rows(summaries, [one.place for one in asked])
    gpu_fault = ""
    try:
        states, outlook = _score(bundle, asked, initial, summary, activity, as_of_us, device=device, times=times)
    except RuntimeError as error:
        # torch raises RuntimeError, or a subclass of it, for everything that a GPU can do wrong. A fault of the model itself
        # comes up again on the CPU.
        if device == "cpu":
            raise
        device, gpu_fault = "cpu", first_line(error)
        states, outlook = _score(bundle, asked, initial, summary, activity, as_of_us, device=device, times=times)
    with times.of("head"):
        survival = clip_survival(outlook.survival)
        probability = churn_probability(bundle.edges_days, survival, bundle.horizon_days)
        expected_days = expected_days_to_purchase(bundle.edges_days, survival)
    return PartitionScores(
        survival=survival,
        states=states,
        summary=summary,
        churn_probability=probability.astype(np.float32),
        expected_days_to_purchase=expected_days.astype(np.float32),
        expected_spend_90d=expected_spend(bundle.edges_days, outlook.spend, 90).astype(np.float32),
        expected_spend_365d=expected_spend(bundle.edges_days, outlook.spend, 365).astype(np.float32),
        device=device,
        gpu_fault=gpu_fault,
    )


def score_partition(
    bundle: Bundle,
    partition: Partition,
    activity: DailyActivity,
    customer_index: NDArray[np.int64],
    as_of_us: int,
    *,
    device: str,
) -> PartitionScores:
    """`score` of customers of one partition who begin with their first event."""
    instants_us = np.full(len(customer_index), as_of_us, np.int64)
    begin = partition.offsets[customer_index]
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, instants_us)
    nothing = np.full((len(customer_index), len(NO_RHYTHM)), NO_RHYTHM, np.int64)
    asked = Asked(
        partition=partition,
        customer_index=customer_index,
        num_before=np.zeros(len(customer_index), np.int64),
        begin=begin,
        end=end,
        rhythm=extend_rhythms(partition.timestamp_us, partition.kind, begin, end, nothing),
        place=np.arange(len(customer_index)),
    )
    initial = np.zeros((len(customer_index), bundle.model.state_size), np.float32)
    return score(bundle, [asked], initial, activity, as_of_us, device=device)


def _score(
    bundle: Bundle,
    asked: Sequence[Asked],
    initial: NDArray[np.float32],
    summary: NDArray[np.float32],
    activity: DailyActivity,
    as_of_us: int,
    *,
    device: str,
    times: StageTimes,
) -> tuple[NDArray[np.float32], Outlook]:
    """States and outlook."""
    with times.of("states"):
        states = initial.copy()
        for one in asked:
            has_news = np.flatnonzero(one.end > one.begin)
            place = one.place[has_news]
            states[place] = encode_states(
                bundle.model,
                one.partition,
                one.customer_index[has_news],
                one.begin[has_news],
                one.end[has_news],
                initial=initial[place],
                before=Before(num_events=one.num_before[has_news], first_us=one.rhythm[has_news, _FIRST_EVENT_US]),
                device=device,
            )
    with times.of("head"):
        last_event_us = place_rows([one.last_event_us for one in asked], [one.place for one in asked])
        instants_us = np.full(len(summary), as_of_us, np.int64)
        outlook = look_ahead_from_summary(bundle.model, states, summary, last_event_us, instants_us, activity, device=device)
        return states, outlook
