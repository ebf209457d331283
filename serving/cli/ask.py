"""`ebbtide score` and `ebbtide at-risk`: questions to a running server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

from engine.errors import UnknownCustomerError
from engine.instants import DAY_US, format_instant
from serving.cli.output import console, count, json_option, literal, print_json, table

if TYPE_CHECKING:
    from serving.answers import AtRiskPage, CustomerAnswer, CustomerScore, Reasons, ScoreContext

target_option = click.option(
    "--target", default="127.0.0.1:50051", show_default=True, metavar="HOST:PORT", help="Where `ebbtide serve` listens."
)
timeout_option = click.option(
    "--timeout-s", type=click.FloatRange(0.001), default=10.0, show_default=True, help="Limit of one call."
)

_TIER_STYLES = {"RED": "bold red", "YELLOW": "yellow", "BLUE": "blue"}
_REASONS = {
    "NO_RECENT_PURCHASE": "no purchase in the last {active_within_days} days: already lost",
    "NO_PURCHASE_BEFORE_AS_OF": "no purchase before {as_of}",
    "NOT_YET_RESCORED": "came after the snapshot was made: the next rescoring has them",
}


@click.command()
@target_option
@click.argument("customer_ids", nargs=-1, required=True, metavar="CUSTOMER_ID ...")
@click.option("--horizon-days", type=click.IntRange(min=1), help="Days ahead; by default those that the model was trained for.")
@timeout_option
@json_option
def score(target: str, customer_ids: tuple[str, ...], horizon_days: int | None, timeout_s: float, as_json: bool) -> None:
    """How likely customers are to stop buying."""
    from serving.client import EbbtideClient

    answers: dict[str, CustomerAnswer] = {}
    unknown = []
    with EbbtideClient(target, timeout_s=timeout_s) as client:
        for customer_id in customer_ids:
            try:
                answers[customer_id] = client.score(customer_id, horizon_days=horizon_days)
            except UnknownCustomerError:
                unknown.append(customer_id)
    if as_json:
        context = next((describe_context(answer.context) for answer in answers.values()), None)
        found = [describe_answer(*pair) for pair in answers.items()]
        missing = [
            {"eligible": False, "customer_id": customer_id, "ineligible_reason": "UNKNOWN_CUSTOMER"} for customer_id in unknown
        ]
        print_json({"context": context, "customers": found + missing})
    elif answers:
        print_answers(list(answers), list(answers.values()))
    if unknown:  # after the others have had their answers
        raise UnknownCustomerError(", ".join(unknown))


@click.command("at-risk")
@target_option
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many customers.")
@click.option("--store-id", help="Only customers who last bought at this store.")
@timeout_option
@json_option
def at_risk(target: str, limit: int, store_id: str | None, timeout_s: float, as_json: bool) -> None:
    """The customers most likely to stop buying, the worst first."""
    from serving.client import EbbtideClient

    with EbbtideClient(target, timeout_s=timeout_s) as client:
        page = client.at_risk_page(store_id, page_size=limit)
    if as_json:
        print_json(
            {
                "context": describe_context(page.context),
                "total_size": page.total_size,
                "customers": [describe_customer(customer) for customer in page.customers],
            }
        )
        return
    print_at_risk(page)


def describe_context(context: ScoreContext) -> dict[str, Any]:
    """What an answer was computed from, for --json."""
    fields = asdict(context)
    return {"as_of": format_instant(fields.pop("as_of_us"))} | fields


def describe_customer(customer: CustomerScore) -> dict[str, Any]:
    """One score, for --json."""
    fields = {name: value.name if isinstance(value, Enum) else value for name, value in asdict(customer).items()}
    fields["reasons"] = describe_reasons(customer.reasons) if customer.reasons else None
    return fields | {"tier": customer.tier.name.lower(), "last_purchase": format_instant(customer.last_purchase_us)}


def describe_reasons(reasons: Reasons) -> dict[str, Any]:
    """Why, for --json."""
    fields = asdict(reasons)
    return fields | {"strongest": [entry | {"kind": entry["kind"].name} for entry in fields["strongest"]]}


def describe_answer(customer_id: str, answer: CustomerAnswer) -> dict[str, Any]:
    """One answer, for --json: the score, or why there is none."""
    if answer.customer is not None:
        return {"eligible": True} | describe_customer(answer.customer)
    reason = answer.ineligible_reason.name if answer.ineligible_reason else None
    return {"eligible": False, "customer_id": customer_id, "ineligible_reason": reason}


def print_answers(customer_ids: Sequence[str], answers: Sequence[CustomerAnswer]) -> None:
    """Scores for a person, one paragraph each."""
    out = console()
    for customer_id, answer in zip(customer_ids, answers, strict=True):
        context, customer = answer.context, answer.customer
        if customer is None:
            reason = _REASONS[answer.ineligible_reason.name] if answer.ineligible_reason else "no score"
            values = {"active_within_days": context.active_within_days, "as_of": format_instant(context.as_of_us)}
            out.print(f"Customer [bold]{literal(customer_id)}[/]: no score, {reason.format(**values)}")
            continue
        style = _TIER_STYLES[customer.tier.name]
        out.print(
            f"Customer [bold]{literal(customer_id)}[/]: [{style}]{customer.grade.name}[/], "
            f"{_percent(customer.churn_probability)} likely not to buy within {context.horizon_days} days"
        )
        where = f" at store {literal(customer.store_id)}" if customer.store_id else ""
        orders = count(customer.num_orders, "order")
        expected = count(max(1, round(customer.expected_days_to_purchase)), "day")
        last = f"{_days_ago(customer, context)}{where}"
        out.print(f"    last bought {last}; {orders} so far; next purchase expected in {expected}")
        if customer.reasons is not None:
            print_reasons(customer.reasons)
    _print_context(answers[0].context)


def print_reasons(reasons: Reasons) -> None:
    """The strongest reasons of one customer, a line each, in percentage points of the risk."""
    out = console()
    if reasons.unavailable:
        out.print(f"    [dim]no reasons: {literal(reasons.unavailable)}[/]")
        return
    for reason in reasons.strongest:
        out.print(f"    {_points(reason.points)}  {literal(reason.sentence)}")
    baseline = _percent(reasons.baseline_churn_probability)
    out.print(f"    {_points(reasons.other_points)}  [dim]all else; counted from {baseline}, the usual customer of the chain[/]")


def print_at_risk(page: AtRiskPage) -> None:
    """The list for a person."""
    rows = [
        (
            str(rank),
            literal(customer.customer_id),
            f"[{_TIER_STYLES[customer.tier.name]}]{customer.grade.name}[/]",
            _percent(customer.churn_probability),
            _days_ago(customer, page.context),
            f"{customer.num_orders:,}",
            literal(customer.store_id) or "-",
        )
        for rank, customer in enumerate(page.customers, start=1)
    ]
    columns = ("", ("customer", "left"), ("grade", "left"), "risk", "last bought", "orders", "store")
    out = console()
    out.print(table(columns, rows))
    out.print(
        f"{len(page.customers):,} of {page.total_size:,} customers; risk: no purchase within {page.context.horizon_days} days."
    )
    _print_whys(page)
    _print_context(page.context)


def _print_whys(page: AtRiskPage) -> None:
    """The strongest reason of each customer of a page, or why there is none."""
    out = console()
    with_reasons = [customer for customer in page.customers if customer.reasons is not None]
    if not with_reasons:
        return
    rows = [
        (literal(customer.customer_id), literal(customer.reasons.strongest[0].sentence))
        for customer in with_reasons
        if customer.reasons is not None and customer.reasons.strongest
    ]
    if rows:
        out.print(table((("customer", "left"), ("strongest reason", "wrap")), rows))
    elif with_reasons[0].reasons is not None:
        out.print(f"[dim]No reasons: {literal(with_reasons[0].reasons.unavailable)}[/]")


def _print_context(context: ScoreContext) -> None:
    console().print(
        f"[dim]As of {format_instant(context.as_of_us)}, model {context.model_version}, snapshot {context.snapshot_id}[/]"
    )


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"


def _points(points: float) -> str:
    return f"{round(points, 1) + 0.0:+6.1f}"  # no -0.0


def _days_ago(customer: CustomerScore, context: ScoreContext) -> str:
    days = (context.as_of_us - customer.last_purchase_us) // DAY_US
    return "today" if days == 0 else "yesterday" if days == 1 else f"{days} days ago"
