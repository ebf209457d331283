"""Answers of a server, for a person and for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any

from engine.instants import DAY_US, format_instant
from serving.cli.output import console, count, literal, print_prose, table

if TYPE_CHECKING:
    from serving.answers import AtRiskPage, CustomerAnswer, CustomerScore, Reason, Reasons, ScoreContext

# A smaller reason tells a person nothing.
_LEAST_POINTS = 0.5
# Where the sentence of a reason begins, behind its points.
_INDENT = 12
_TIER_STYLES = {"RED": "bold red", "YELLOW": "yellow", "BLUE": "blue"}
_REASONS = {
    "NO_RECENT_PURCHASE": "no purchase in the last {active_within_days} days, already lost",
    "NO_PURCHASE_BEFORE_AS_OF": "no purchase before {as_of}",
    "NOT_YET_RESCORED": "joined after the snapshot was made; the next rescoring will score them",
}


def describe_context(context: ScoreContext) -> dict[str, Any]:
    """What an answer was computed from, for --json."""
    fields = asdict(context)
    of_context = {"as_of": format_instant(fields.pop("as_of_us")), "spend_unit": fields.pop("spend_unit").name.lower()}
    return of_context | fields


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
    """One answer, for --json: the score, or why there is none, and what is its own of the context."""
    own = {"as_of": format_instant(answer.context.as_of_us), "num_events_added": answer.context.num_events_added}
    if answer.customer is not None:
        return {"eligible": True} | describe_customer(answer.customer) | own
    reason = answer.ineligible_reason.name if answer.ineligible_reason else None
    return {"eligible": False, "customer_id": customer_id, "ineligible_reason": reason} | own


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
            f"{_percent(customer.churn_probability)} risk of no purchase within {context.horizon_days} days"
        )
        where = f" at store {literal(customer.store_id)}" if customer.store_id else ""
        orders = count(customer.num_orders, "order")
        expected = count(max(1, round(customer.expected_days_to_purchase)), "day")
        last = f"{_days_ago(customer, context)}{where}"
        out.print(f"    last bought {last}; {orders} so far; next purchase expected in {expected}")
        quarter, year = f"{customer.expected_spend_90d:,.2f}", f"{customer.expected_spend_365d:,.2f}"
        verb, times = ("order", " times") if context.spend_unit.name == "ORDERS" else ("spend", "")
        out.print(f"    expected to {verb} {quarter}{times} within 90 days, {year}{times} within a year")
        if customer.reasons is not None:
            print_reasons(customer.reasons)
    _print_context([answer.context for answer in answers])


def print_reasons(reasons: Reasons) -> None:
    """The strongest reasons of one customer, a line each, in percentage points of the risk; small ones among all else."""
    out = console()
    if reasons.unavailable:
        out.print(f"    [dim]no reasons: {literal(reasons.unavailable)}[/]")
        return
    told = [reason for reason in reasons.strongest if abs(reason.points) >= _LEAST_POINTS]
    for reason in told:
        print_prose(f"    {_points(reason.points)}  {literal(reason.sentence)}", indent=_INDENT)
    rest = reasons.other_points + sum(reason.points for reason in reasons.strongest if reason not in told)
    baseline, chain = reasons.baseline_churn_probability, reasons.chain_churn_probability
    if baseline == chain or not reasons.segment:
        counted = f"baseline {_percent(baseline)}, usual in the chain"
    else:
        counted = f"baseline {_percent(baseline)}, usual for {literal(reasons.segment)} (whole chain {_percent(chain)})"
    rest_of = "everything else" if told else "nothing stands out"
    print_prose(f"    {_points(rest)}  [dim]{rest_of}; {counted}[/]", indent=_INDENT)


def print_at_risk(page: AtRiskPage, store_id: str | None = None) -> None:
    """The list for a person.

    store_id : of the store that was asked for
    """
    if page.total_size == 0:
        nobody = f"Nobody eligible last bought at store {literal(store_id)}" if store_id is not None else "Nobody is eligible"
        console().print(
            f"{nobody}: customers are eligible if they bought in the {page.context.active_within_days} days before the as-of."
        )
        _print_context([page.context])
        return
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
        f"{len(page.customers):,} of {count(page.total_size, 'customer')}; "
        f"risk: no purchase within {page.context.horizon_days} days; grades run from R1, the worst, to B2."
    )
    _print_whys(page)
    _print_context([page.context])


def _print_whys(page: AtRiskPage) -> None:
    """The strongest reason of each customer of a page, or why there is none."""
    out = console()
    with_reasons = [customer for customer in page.customers if customer.reasons is not None]
    if not with_reasons:
        return
    rows = [
        (literal(customer.customer_id), literal(_worst_reason(customer.reasons).sentence))
        for customer in with_reasons
        if customer.reasons is not None and customer.reasons.strongest
    ]
    if rows:
        out.print(table((("customer", "left"), ("strongest reason", "wrap")), rows))
    elif with_reasons[0].reasons is not None:
        out.print(f"[dim]No reasons: {literal(with_reasons[0].reasons.unavailable)}[/]")


def _worst_reason(reasons: Reasons) -> Reason:
    """The strongest one that raises the risk: somebody at risk may still be safer than others who buy about as often."""
    return next((reason for reason in reasons.strongest if reason.points > 0), reasons.strongest[0])


def _print_context(contexts: Sequence[ScoreContext]) -> None:
    """What all answers were computed from; each may have an instant and new events of its own."""
    context, instants_us = contexts[0], [context.as_of_us for context in contexts]
    first_us, last_us = min(instants_us), max(instants_us)
    num_added = sum(context.num_events_added for context in contexts)
    how = f", computed live with {count(num_added, 'new event')}" if context.is_live else ""
    until = f" to {format_instant(last_us)}" if last_us > first_us else ""
    console().print(
        f"[dim]As of {format_instant(first_us)}{until}{how}, model {context.model_version}, snapshot {context.snapshot_id}[/]"
    )


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"


def _points(points: float) -> str:
    return f"{round(points, 1) + 0.0:+6.1f}"  # no -0.0


def _days_ago(customer: CustomerScore, context: ScoreContext) -> str:
    days = (context.as_of_us - customer.last_purchase_us) // DAY_US
    # Neither today nor yesterday: at a midnight, when chains are rescored, what is hours ago was the day before.
    return "less than a day ago" if days == 0 else f"{count(days, 'day')} ago"
