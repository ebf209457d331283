"""Answers on the terminal: reasons that say something and what they are counted from, and lists."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from serving.answers import AtRiskPage, CustomerScore, Reason, ReasonKind, Reasons, ScoreContext, SpendUnit
from serving.cli.answers import print_at_risk, print_reasons
from serving.risk import Grade, Tier

OTHERS = "customers who buy every 10 to 19 days"
CONTEXT = ScoreContext(
    model_version="default/0001",
    model_hash="sha256:0",
    snapshot_id="id",
    as_of_us=0,
    horizon_days=30,
    active_within_days=90,
    spend_unit=SpendUnit.CURRENCY,
)


def _reason(points: float, sentence: str) -> Reason:
    return Reason(
        indicator="recency_days",
        kind=ReasonKind.INDICATOR,
        points=points,
        value=41.0,
        usual_value=9.0,
        unit="days",
        sentence=sentence,
        theme="silence",
    )


def _reasons(*points: float, segment: str = OTHERS, baseline: float = 0.12) -> Reasons:
    return Reasons(
        baseline_churn_probability=baseline,
        chain_churn_probability=0.033,
        segment=segment,
        other_points=1.0,
        strongest=tuple(_reason(number, f"Reason {place}.") for place, number in enumerate(points, start=1)),
    )


def _lines(reasons: Reasons, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_reasons(reasons)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_reasons_and_what_they_are_counted_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert _lines(_reasons(35.4, 8.2, -6.4), capsys) == [
        "+35.4 Reason 1.",
        "+8.2 Reason 2.",
        "-6.4 Reason 3.",
        f"+1.0 everything else; baseline 12.0 %, usual for {OTHERS} (whole chain 3.3 %)",
    ]


def test_what_moves_the_score_by_less_than_half_a_point_is_among_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    counted = f"baseline 12.0 %, usual for {OTHERS} (whole chain 3.3 %)"
    assert _lines(_reasons(2.5, 0.4, -0.3), capsys) == ["+2.5 Reason 1.", f"+1.1 everything else; {counted}"]
    assert _lines(_reasons(0.4, 0.2, -0.1), capsys) == [f"+1.5 nothing stands out; {counted}"]


def test_a_terminal_breaks_sentences_between_words_and_a_pipe_does_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "A sentence of nine words for somebody at work."
    reasons = replace(_reasons(), strongest=(_reason(35.4, sentence),))
    assert _lines(reasons, capsys)[0] == f"+35.4 {sentence}"
    monkeypatch.setattr("serving.cli.output.console", lambda: Console(width=40, force_terminal=True, no_color=True))
    print_reasons(reasons)
    first, second, *_ = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert first == "     +35.4  A sentence of"
    assert second == "            nine words for somebody at"


@pytest.mark.parametrize("segment", ["customers of the chain", ""])
def test_of_a_small_chain_and_an_older_server_the_chain_is_what_counting_begins_at(
    segment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, last = _lines(_reasons(2.5, 2.0, 1.0, segment=segment, baseline=0.033), capsys)
    assert last == "+1.0 everything else; baseline 3.3 %, usual in the chain"


@pytest.mark.parametrize(
    ("store_id", "told"), [("99999", "Nobody eligible last bought at store 99999:"), (None, "Nobody is eligible:")]
)
def test_a_list_of_nobody_says_so(capsys: pytest.CaptureFixture[str], store_id: str | None, told: str) -> None:
    print_at_risk(AtRiskPage(customers=(), next_page_token="", total_size=0, context=CONTEXT), store_id)
    first, context = capsys.readouterr().out.splitlines()
    assert first.startswith(told)
    assert context.startswith("As of 1970-01-01, model default/0001")


def test_a_list_of_those_at_risk_tells_what_raises_the_risk_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    customers = [
        CustomerScore(
            customer_id=name,
            churn_probability=0.7,
            risk_score=70.0,
            grade=Grade.R3,
            tier=Tier.RED,
            last_purchase_us=0,
            num_orders=2,
            store_id="",
            expected_days_to_purchase=99.0,
            expected_spend_90d=1.0,
            expected_spend_365d=2.0,
            reasons=reasons,
        )
        for name, reasons in (("ann", _reasons(-5.0, 3.0, 1.0)), ("ben", _reasons(-5.0, -3.0, -1.0)))
    ]
    print_at_risk(AtRiskPage(customers=tuple(customers), next_page_token="", total_size=2, context=CONTEXT))
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ann", "Reason", "2."] in words
    assert ["ben", "Reason", "1."] in words
