"""Answers to messages and back: the one place where both the plain values and the generated classes are known."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from serving.answers import AtRiskPage, CustomerAnswer, CustomerScore, IneligibleReason, ScoreContext, SpendUnit
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.risk import Grade, Tier
from serving.wire.reasons import read_reasons, reasons_message

# Of what a newer server may know more of.
_SPEND_UNITS: dict[int, SpendUnit] = {int(unit): unit for unit in SpendUnit}
_INELIGIBLE_REASONS: dict[int, IneligibleReason] = {int(reason): reason for reason in IneligibleReason}


def context_message(context: ScoreContext) -> pb.ScoreContext:
    return pb.ScoreContext(
        model_version=context.model_version,
        model_hash=context.model_hash,
        snapshot_id=context.snapshot_id,
        as_of=timestamp(context.as_of_us),
        horizon_days=context.horizon_days,
        active_within_days=context.active_within_days,
        is_live=context.is_live,
        num_events_added=context.num_events_added,
        spend_unit=pb.SpendUnit.ValueType(context.spend_unit),
    )


def read_context(message: pb.ScoreContext) -> ScoreContext:
    return ScoreContext(
        model_version=message.model_version,
        model_hash=message.model_hash,
        snapshot_id=message.snapshot_id,
        as_of_us=message.as_of.ToMicroseconds(),
        horizon_days=message.horizon_days,
        active_within_days=message.active_within_days,
        is_live=message.is_live,
        num_events_added=message.num_events_added,
        spend_unit=_SPEND_UNITS.get(message.spend_unit, SpendUnit.UNSPECIFIED),
    )


def score_message(score: CustomerScore) -> pb.CustomerScore:
    return pb.CustomerScore(
        customer_id=score.customer_id,
        churn_probability=score.churn_probability,
        risk_score=score.risk_score,
        grade=pb.RiskGrade.ValueType(score.grade),
        tier=pb.RiskTier.ValueType(score.tier),
        last_purchase_time=timestamp(score.last_purchase_us),
        num_orders=score.num_orders,
        store_id=score.store_id,
        expected_days_to_purchase=score.expected_days_to_purchase,
        expected_spend_90d=score.expected_spend_90d,
        expected_spend_365d=score.expected_spend_365d,
        reasons=reasons_message(score.reasons) if score.reasons else None,
    )


def read_score(message: pb.CustomerScore) -> CustomerScore:
    return CustomerScore(
        customer_id=message.customer_id,
        churn_probability=message.churn_probability,
        risk_score=message.risk_score,
        grade=Grade(message.grade),
        tier=Tier(message.tier),
        last_purchase_us=message.last_purchase_time.ToMicroseconds(),
        num_orders=message.num_orders,
        store_id=message.store_id,
        expected_days_to_purchase=message.expected_days_to_purchase,
        expected_spend_90d=message.expected_spend_90d,
        expected_spend_365d=message.expected_spend_365d,
        reasons=read_reasons(message.reasons) if message.HasField("reasons") else None,
    )


def customer_response(answer: CustomerAnswer) -> pb.ScoreCustomerResponse:
    return pb.ScoreCustomerResponse(
        customer=score_message(answer.customer) if answer.customer else None,
        eligible=answer.eligible,
        ineligible_reason=pb.IneligibleReason.ValueType(answer.ineligible_reason or 0),
        context=context_message(answer.context),
    )


def history_response(answer: CustomerAnswer) -> pb.ScoreHistoryResponse:
    return pb.ScoreHistoryResponse(
        customer=score_message(answer.customer) if answer.customer else None,
        eligible=answer.eligible,
        ineligible_reason=pb.IneligibleReason.ValueType(answer.ineligible_reason or 0),
        context=context_message(answer.context),
    )


def read_customer(response: pb.ScoreCustomerResponse | pb.ScoreHistoryResponse) -> CustomerAnswer:
    return CustomerAnswer(
        customer=read_score(response.customer) if response.eligible else None,
        ineligible_reason=None if response.eligible else _INELIGIBLE_REASONS.get(response.ineligible_reason),
        context=read_context(response.context),
    )


def page_response(page: AtRiskPage) -> pb.ListAtRiskResponse:
    return pb.ListAtRiskResponse(
        customers=[score_message(score) for score in page.customers],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
        context=context_message(page.context),
    )


def read_page(response: pb.ListAtRiskResponse) -> AtRiskPage:
    return AtRiskPage(
        customers=tuple(read_score(message) for message in response.customers),
        next_page_token=response.next_page_token,
        total_size=response.total_size,
        context=read_context(response.context),
    )


def timestamp(instant_us: int) -> Timestamp:
    """UTC microseconds as the wire has them."""
    return Timestamp(seconds=instant_us // 1_000_000, nanos=instant_us % 1_000_000 * 1000)
