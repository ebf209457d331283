"""Reasons for live scores over a real socket: at the answer's own instant, and only when asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.instants import DAY_US
from serving.answers import CustomerAnswer, CustomerEvent, Reasons
from serving.cli import main
from serving.client import EbbtideClient
from serving.service.server import Server, ServerConfig
from serving.wire.reasons import NUM_REASONS
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.server_thread import ServerThread

WHO = "customer 17"
BOUGHT = CustomerEvent(time_us=TRAINED_AS_OF_US + 3600_000_000, amount_minor=1250, store_id="north")


@pytest.fixture(scope="module")
def live_server(server_thread: ServerThread, scored_store: Path) -> Iterator[Server]:
    server = server_thread.start(ServerConfig(store=scored_store, listen="127.0.0.1:0", stop_grace_s=1.0))
    yield server
    server_thread.stop(server)


@pytest.fixture
def client(live_server: Server) -> Iterator[EbbtideClient]:
    with EbbtideClient(live_server.target) as connected:
        yield connected


def reasons_of(answer: CustomerAnswer) -> Reasons:
    assert answer.customer is not None
    assert answer.customer.reasons is not None
    return answer.customer.reasons


def assert_they_add_up(answer: CustomerAnswer) -> Reasons:
    reasons = reasons_of(answer)
    assert answer.customer is not None
    assert answer.context.is_live
    assert not reasons.unavailable
    assert len(reasons.strongest) == NUM_REASONS
    total = 100 * reasons.baseline_churn_probability + sum(reason.points for reason in reasons.strongest) + reasons.other_points
    assert total == pytest.approx(answer.customer.risk_score, abs=0.1)  # percent: 1e-3 of probability
    assert all(reason.sentence.endswith(".") for reason in reasons.strongest)
    return reasons


def test_reasons_add_up_to_the_live_score_at_every_instant(client: EbbtideClient) -> None:
    ids = client.batch().read_all().column("customer_id").to_pylist()
    for number, customer_id in enumerate(ids[::7]):
        as_of_us = TRAINED_AS_OF_US + (number % 5 * 9 - 4) * DAY_US
        answer = client.score(customer_id, as_of_us=as_of_us, include_reasons=True)
        if answer.eligible:
            assert_they_add_up(answer)
        after = client.score(customer_id, recent_events=[BOUGHT], include_reasons=True, horizon_days=5)
        assert_they_add_up(after)


def test_at_the_snapshots_own_instant_they_are_the_snapshots(client: EbbtideClient) -> None:
    of_snapshot = reasons_of(client.score(WHO, include_reasons=True))
    live = assert_they_add_up(client.score(WHO, as_of_us=TRAINED_AS_OF_US, include_reasons=True))
    assert live.baseline_churn_probability == pytest.approx(of_snapshot.baseline_churn_probability, abs=1e-4)
    for ours, theirs in zip(live.strongest, of_snapshot.strongest, strict=True):
        assert (ours.indicator, ours.sentence, ours.usual_value) == (theirs.indicator, theirs.sentence, theirs.usual_value)
        assert ours.points == pytest.approx(theirs.points, abs=0.01)


def test_values_are_those_at_the_instant_of_the_answer(client: EbbtideClient) -> None:
    values = {}
    for days in (0, 20, 40):
        answer = client.score(WHO, as_of_us=TRAINED_AS_OF_US + days * DAY_US, include_reasons=True)
        if answer.eligible:
            values[days] = {reason.indicator: reason.value for reason in assert_they_add_up(answer).strongest}
    assert len(values) > 1
    assert len({tuple(value.items()) for value in values.values()}) == len(values)


def test_a_history_in_the_request_has_reasons_too(client: EbbtideClient) -> None:
    events = [CustomerEvent(time_us=BOUGHT.time_us - number * 9 * DAY_US, amount_minor=900) for number in range(12)]
    assert_they_add_up(client.score_history(events, include_reasons=True))
    assert_they_add_up(client.score("nobody", recent_events=[BOUGHT], include_reasons=True))


def test_an_answer_has_none_unless_asked(client: EbbtideClient) -> None:
    for answer in (client.score(WHO, recent_events=[BOUGHT]), client.score_history([BOUGHT])):
        assert answer.customer is not None
        assert answer.customer.reasons is None


def test_reasons_leave_the_score_as_it_is(client: EbbtideClient) -> None:
    plain, asked = (client.score(WHO, recent_events=[BOUGHT], include_reasons=wanted).customer for wanted in (False, True))
    assert plain is not None
    assert asked is not None
    assert (plain.churn_probability, plain.risk_score, plain.grade) == (asked.churn_probability, asked.risk_score, asked.grade)


def test_the_command_line_always_asks(live_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["score", "--target", live_server.target, WHO, "--event", "purchase 2024-01-01T12:00 12.50 store=west"]
    assert main(asked) == 0
    assert "; baseline" in capsys.readouterr().out
    assert main([*asked, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["customers"][0]["reasons"]["strongest"]) == NUM_REASONS
