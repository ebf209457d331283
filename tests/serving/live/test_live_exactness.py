"""The law of live scores: they say what ingesting the events and scoring the chain anew would say."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.history import History
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant
from engine.labels import eligible
from engine.partition import Partition
from engine.schema import EventKind
from engine.upkeep import compact
from serving.answers import CustomerAnswer, CustomerEvent
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.rescoring.scorer import score_partition
from serving.service.live.requests import answer_customer, answer_history
from serving.service.live.source import LiveSource
from serving.snapshots import open_current
from serving.wire.events import event_messages
from serving.wire.messages import timestamp
from tests.serving.conftest import TRAINED_AS_OF_US
from training.inference import SingleForward
from training.registry import champion

CUSTOMER = "customer 17"


@pytest.fixture
def store(scored_store: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    shutil.copytree(scored_store, copy)
    return copy


def source_of(store: Path) -> LiveSource:
    snapshot = open_current(store)
    source = LiveSource(store, lambda: snapshot)
    source.refresh()
    return source


def ask(source: LiveSource, as_of_us: int | None, events: Sequence[CustomerEvent] = (), who: str = CUSTOMER) -> CustomerAnswer:
    request = pb.ScoreCustomerRequest(customer_id=who, recent_events=event_messages(events))
    if as_of_us is not None:
        request.as_of.CopyFrom(timestamp(as_of_us))
    return answer_customer(source.get(), request)


def ingest_events(store: Path, events: Sequence[CustomerEvent], who: str = CUSTOMER) -> None:
    fields = ["customer_id", "timestamp", "kind", "amount", "quantity", "store_id", "channel", "rating", "order_id"]
    fields += ["discount"] if any(event.discount_minor for event in events) else []
    path = store / f"delta-{np.random.default_rng().integers(1 << 60)}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, extrasaction="ignore")
        writer.writeheader()
        for event in events:
            writer.writerow(
                {
                    "customer_id": who,
                    "timestamp": format_instant(event.time_us),
                    "kind": event.kind.name.lower(),
                    "amount": "" if event.amount_minor is None else event.amount_minor / 100,
                    "quantity": "" if event.quantity is None else event.quantity,
                    "store_id": event.store_id,
                    "channel": event.channel,
                    "rating": "" if event.rating is None else event.rating,
                    "order_id": event.order_id,
                    "discount": event.discount_minor / 100,
                }
            )
    ingest(store, [path])


def assert_is_what_scoring_anew_says(answer: CustomerAnswer, store: Path, as_of_us: int, who: str = CUSTOMER) -> None:
    history, bundle = History.open(store), champion(store)
    partition, row = history.find(who)
    if row not in eligible(partition, as_of_us, bundle.active_within_days):
        assert not answer.eligible
        return
    scores = score_partition(bundle, partition, history.activity(), np.array([row]), as_of_us, device="cpu")
    assert answer.customer is not None
    assert abs(answer.customer.churn_probability - scores.churn_probability[0]) <= 1e-6
    assert answer.customer.expected_days_to_purchase == pytest.approx(scores.expected_days_to_purchase[0], rel=1e-5)
    begin, stop = partition.offsets[row : row + 2]
    bought = begin + np.flatnonzero(partition.is_purchase[begin:stop] & (partition.timestamp_us[begin:stop] < as_of_us))
    assert (answer.customer.num_orders, answer.customer.last_purchase_us) == (len(bought), partition.timestamp_us[bought[-1]])
    code = partition.store_code[bought[-1]]
    assert answer.customer.store_id == ("" if code < 0 else partition.store_names[code])


def random_events(generator: np.random.Generator, known_us: np.ndarray, as_of_us: int) -> list[CustomerEvent]:
    """New ones, late ones and corrections of known ones, of every kind, none at or after the instant."""
    events: dict[tuple[EventKind, object], CustomerEvent] = {}
    for number in range(generator.integers(1, 9)):
        kind = EventKind(generator.choice([1, 1, 1, 2, 3, 4, 5, 6, 7]))
        early_us = TRAINED_AS_OF_US - 40 * DAY_US if generator.random() < 0.3 else TRAINED_AS_OF_US
        time_us = int(generator.integers(early_us, as_of_us)) // 1_000_000 * 1_000_000
        if kind == EventKind.PURCHASE and generator.random() < 0.3:
            time_us = int(generator.choice(known_us[known_us < as_of_us]))  # orders without an id are known by their time
        order_id = f"order {number}" if generator.random() < 0.4 and time_us not in known_us else ""
        is_order = kind <= EventKind.RETURN
        amount = int(generator.integers(0, 9000)) * (-1 if kind == EventKind.RETURN else 1)
        event = CustomerEvent(
            time_us=time_us,
            kind=kind,
            amount_minor=amount if is_order else None,
            discount_minor=int(generator.integers(0, 3)) * 50 if is_order else 0,
            quantity=float(generator.integers(1, 5)) if generator.random() < 0.5 else None,
            store_id=str(generator.choice(["north", "west", ""])),
            channel=str(generator.choice(["web", ""])),
            rating=float(generator.integers(1, 6)) if kind == EventKind.FEEDBACK else None,
            order_id=order_id,
        )
        events[kind, order_id or time_us] = event
    return list(events.values())


@pytest.mark.parametrize("seed", range(8))
def test_events_that_are_brought_count_as_if_they_had_been_ingested(store: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    who = f"customer {generator.integers(150)}"
    partition, row = History.open(store).find(who)
    known_us = partition.timestamp_us[partition.offsets[row] : partition.offsets[row + 1]].copy()
    as_of_us = TRAINED_AS_OF_US + int(generator.integers(1, 50)) * DAY_US + int(generator.integers(DAY_US))
    source = source_of(store)
    events = random_events(generator, known_us, as_of_us)
    brought = ask(source, as_of_us, events, who)

    ingest_events(store, events, who)
    assert_is_what_scoring_anew_says(brought, store, as_of_us, who)
    source.refresh()
    for asked in (source, source_of(store)):  # the second never saw the history that the snapshot was made from
        assert_is_what_scoring_anew_says(ask(asked, as_of_us, (), who), store, as_of_us, who)
        again = ask(asked, as_of_us, events, who)
        assert again.context.num_events_added == 0
        assert_is_what_scoring_anew_says(again, store, as_of_us, who)


def test_the_state_is_rolled_on_where_what_it_has_seen_still_stands(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[tuple[int, int]] = []
    roll = SingleForward.roll

    def spy(self: SingleForward, state: Any, partition: Partition, begin: int, end: int) -> Any:
        rolled.append((begin, end))
        return roll(self, state, partition, begin, end)

    monkeypatch.setattr(SingleForward, "roll", spy)
    source, as_of_us = source_of(store), TRAINED_AS_OF_US + DAY_US
    new = CustomerEvent(time_us=as_of_us - 1, amount_minor=700)
    late = CustomerEvent(time_us=TRAINED_AS_OF_US - 100 * DAY_US, amount_minor=700)
    ask(source, TRAINED_AS_OF_US)
    ((num_seen, end),) = rolled
    assert (num_seen, num_seen > 3) == (end, True)
    ask(source, as_of_us, [new])
    assert rolled[-1][0] == num_seen < rolled[-1][1]
    ask(source, as_of_us, [new, late])
    assert rolled[-1][0] == 0
    ask(source, TRAINED_AS_OF_US - 60 * DAY_US)
    assert rolled[-1][0] == 0
    ingest_events(store, [new])
    source.refresh()
    ask(source, as_of_us)
    assert rolled[-1][0] == num_seen < rolled[-1][1]
    ask(source_of(store), as_of_us)  # as after a restart: it never saw the history that the snapshot was made from
    assert rolled[-1][0] == num_seen < rolled[-1][1]
    ingest_events(store, [late])
    source.refresh()
    for asked in (source, source_of(store)):
        ask(asked, as_of_us)
        assert rolled[-1][0] == 0


@pytest.mark.parametrize("factor", [1, 3])
def test_parts_that_were_merged_into_one_or_split_change_no_answer(store: Path, factor: int) -> None:
    source = source_of(store)
    event = CustomerEvent(time_us=TRAINED_AS_OF_US + DAY_US, amount_minor=700)
    ingest_events(store, [event])
    source.refresh()
    before = ask(source, TRAINED_AS_OF_US + 2 * DAY_US)
    compact(store, num_buckets=factor * History.open(store).num_buckets)
    source.refresh()
    after = ask(source, TRAINED_AS_OF_US + 2 * DAY_US)
    assert before.customer is not None
    assert after.customer is not None
    assert abs(before.customer.churn_probability - after.customer.churn_probability) <= 1e-6


@pytest.mark.parametrize("days", [-200, -30, 0, 1, 45])
def test_any_instant_is_answered_as_scoring_for_it_would(store: Path, days: int) -> None:
    source, as_of_us = source_of(store), TRAINED_AS_OF_US + days * DAY_US
    for number in range(0, 150, 10):
        who = f"customer {number}"
        assert_is_what_scoring_anew_says(ask(source, as_of_us, (), who), store, as_of_us, who)


def test_a_whole_history_is_answered_as_ingesting_it_would(store: Path) -> None:
    source, as_of_us = source_of(store), TRAINED_AS_OF_US + 20 * DAY_US
    events = [
        CustomerEvent(
            time_us=TRAINED_AS_OF_US - day * DAY_US, amount_minor=2500 + 100 * day, store_id="north" if day % 2 else "far"
        )
        for day in range(-19, 150, 7)
    ]
    events.append(CustomerEvent(time_us=TRAINED_AS_OF_US, kind=EventKind.COMPLAINT))
    request = pb.ScoreHistoryRequest(events=event_messages(events[::-1]), as_of=timestamp(as_of_us), customer_id="new")
    answers = [answer_history(source.get(), request), ask(source, as_of_us, events, "new")]
    ingest_events(store, events, "new")
    for answer in answers:
        assert answer.context.num_events_added == len(events)
        assert_is_what_scoring_anew_says(answer, store, as_of_us, "new")


def test_orders_of_days_that_the_history_does_not_cover_leave_the_pulse_of_the_chain_alone(store: Path) -> None:
    source = source_of(store)
    as_of_us = TRAINED_AS_OF_US + 100 * DAY_US  # five weeks after the last order that is known
    days = [as_of_us - days * DAY_US for days in (3, 10)]
    few = ask(source, as_of_us, [CustomerEvent(time_us=time_us, amount_minor=900) for time_us in days])
    assert few.customer is not None
    history, bundle = History.open(store), champion(store)
    pulse = history.activity()
    ingest_events(store, [CustomerEvent(time_us=time_us, amount_minor=900) for time_us in days])
    partition, row = History.open(store).find(CUSTOMER)
    scores = score_partition(bundle, partition, pulse, np.array([row]), as_of_us, device="cpu")
    assert abs(few.customer.churn_probability - scores.churn_probability[0]) <= 1e-6
