"""`ebbtide score` and `ebbtide at-risk`: questions to a running server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import InvalidArgumentError, SourceError, UnknownCustomerError
from engine.instants import DAY_US, format_instant
from serving.cli.event_option import MAX_CUSTOMERS, Event, read_histories
from serving.cli.ingest import parse_columns
from serving.cli.options import Instant
from serving.cli.output import console, count, json_option, literal, print_json, table

if TYPE_CHECKING:
    from serving.answers import AtRiskPage, CustomerAnswer, CustomerEvent, CustomerScore, Reason, Reasons, ScoreContext

target_option = click.option(
    "--target", default="127.0.0.1:50051", show_default=True, metavar="HOST:PORT", help="Where `ebbtide serve` listens."
)
timeout_option = click.option(
    "--timeout-s", type=click.FloatRange(0.001), default=10.0, show_default=True, help="Limit of one call."
)

# A smaller reason tells a person nothing.
_LEAST_POINTS = 0.5
_TIER_STYLES = {"RED": "bold red", "YELLOW": "yellow", "BLUE": "blue"}
_REASONS = {
    "NO_RECENT_PURCHASE": "no purchase in the last {active_within_days} days: already lost",
    "NO_PURCHASE_BEFORE_AS_OF": "no purchase before {as_of}",
    "NOT_YET_RESCORED": "came after the snapshot was made: the next rescoring has them",
}


@click.command()
@target_option
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER_ID ...]")
@click.option("--horizon-days", type=click.IntRange(min=1), help="Days ahead; by default those that the model was trained for.")
@click.option(
    "--as-of",
    "as_of_us",
    type=Instant(),
    help="Score now for this instant, UTC: 2018-01-09 or 2018-01-02T10:05:00Z. By default what the snapshot says, or with "
    "events the instant just after the last of them.",
)
@click.option(
    "--event",
    "events",
    type=Event(),
    multiple=True,
    help="What the customer did that the store may not know yet, repeatable: KIND TIME [AMOUNT] [NAME=VALUE ...], with the names "
    "store, channel, order, quantity, discount, lines, products, categories, rating.",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Score the customers of this file (as of `ebbtide ingest`) from what it says of them alone; all, or those named.",
)
@click.option("--column", "assignments", multiple=True, metavar="FIELD=NAME", help="With --history: as of `ebbtide ingest`.")
@click.option("--timestamp-format", metavar="FORMAT", help="With --history: as of `ebbtide ingest`.")
@timeout_option
@json_option
def score(
    target: str,
    customer_ids: tuple[str, ...],
    horizon_days: int | None,
    as_of_us: int | None,
    events: tuple[CustomerEvent, ...],
    history: Path | None,
    assignments: tuple[str, ...],
    timestamp_format: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """How likely customers are to stop buying.

    \b
    From the snapshot:          ebbtide score 1 17
    A week later:               ebbtide score --as-of 2018-01-08 1
    With what the till just saw:
      ebbtide score --event 'purchase 2018-01-02T10:00:00Z 12.50 store=438' 1
    Of people in no store:      ebbtide score --history log.csv --as-of 2018-01-08
    """
    from serving.client import EbbtideClient

    asked = _questions(customer_ids, events, history, assignments, timestamp_format)
    answers: dict[str, CustomerAnswer] = {}
    unknown = []
    with EbbtideClient(target, timeout_s=timeout_s) as client:
        for customer_id, brought in asked.items():
            try:
                if history is not None:
                    answers[customer_id] = client.score_history(
                        brought, as_of_us=as_of_us, horizon_days=horizon_days, customer_id=customer_id, include_reasons=True
                    )
                else:
                    answers[customer_id] = client.score(
                        customer_id, horizon_days=horizon_days, as_of_us=as_of_us, recent_events=brought, include_reasons=True
                    )
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


def _questions(
    customer_ids: tuple[str, ...],
    events: tuple[CustomerEvent, ...],
    history: Path | None,
    assignments: tuple[str, ...],
    timestamp_format: str | None,
) -> dict[str, Sequence[CustomerEvent]]:
    """Customer -> the events to send along.

    raises : InvalidArgumentError, SourceError, UnknownCustomerError
    """
    if history is None:
        if assignments or timestamp_format is not None:
            raise InvalidArgumentError("--column, --timestamp-format", "only with --history FILE")
        if not customer_ids:
            raise InvalidArgumentError("CUSTOMER_ID", "found none, expected one or more, or --history FILE")
        if events and len(customer_ids) > 1:
            raise InvalidArgumentError("--event", f"speaks of one customer, found {len(customer_ids)}; ask one after the other")
        return dict.fromkeys(customer_ids, events)
    if events:
        raise InvalidArgumentError("--event", "cannot be combined with --history; add the event to the file")
    histories = read_histories(history, parse_columns(assignments), timestamp_format)
    for customer_id in customer_ids:
        if customer_id not in histories:
            raise SourceError(str(history), f"found no customer {customer_id!r}, expected one of its {len(histories):,}")
    if not customer_ids and len(histories) > MAX_CUSTOMERS:
        raise SourceError(
            str(history), f"found {len(histories):,} customers, expected at most {MAX_CUSTOMERS} at once; name those you mean"
        )
    return {customer_id: histories[customer_id] for customer_id in customer_ids or histories}


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
    print_at_risk(page, store_id)


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
            f"{_percent(customer.churn_probability)} likely not to buy within {context.horizon_days} days"
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
        out.print(f"    {_points(reason.points)}  {literal(reason.sentence)}")
    rest = reasons.other_points + sum(reason.points for reason in reasons.strongest if reason not in told)
    baseline, chain = reasons.baseline_churn_probability, reasons.chain_churn_probability
    if baseline == chain or not reasons.segment:
        counted = f"counted from {_percent(baseline)}, usual in the chain"
    else:
        counted = f"counted from {_percent(baseline)}, usual for {literal(reasons.segment)}; {_percent(chain)} in the chain"
    out.print(f"    {_points(rest)}  [dim]{'all else' if told else 'nothing stands out'}; {counted}[/]")


def print_at_risk(page: AtRiskPage, store_id: str | None = None) -> None:
    """The list for a person.

    store_id : of the store that was asked for
    """
    if page.total_size == 0:
        nobody = f"Nobody eligible last bought at store {literal(store_id)}" if store_id is not None else "Nobody is eligible"
        console().print(f"{nobody}; eligible is who bought in the {page.context.active_within_days} days before the as-of.")
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
        f"risk: no purchase within {page.context.horizon_days} days."
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
    return "today" if days == 0 else "yesterday" if days == 1 else f"{days} days ago"
