"""`ebbtide score` and `ebbtide at-risk`: questions to a running server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.errors import InvalidArgumentError, SourceError, UnknownCustomerError
from serving.cli.answers import describe_answer, describe_context, describe_customer, print_answers, print_at_risk
from serving.cli.event_option import MAX_CUSTOMERS, Event, read_histories
from serving.cli.ingest import parse_columns
from serving.cli.options import Instant
from serving.cli.output import json_option, print_json

if TYPE_CHECKING:
    from serving.answers import CustomerAnswer, CustomerEvent

target_option = click.option(
    "--target", default="127.0.0.1:50051", show_default=True, metavar="HOST:PORT", help="Address of `ebbtide serve`."
)
timeout_option = click.option(
    "--timeout-s", type=click.FloatRange(0.001), default=10.0, show_default=True, help="Time limit of each call, in seconds."
)


@click.command()
@target_option
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER_ID ...]")
@click.option(
    "--horizon-days", type=click.IntRange(min=1), help="Days ahead; by default the horizon that the model was trained for."
)
@click.option(
    "--as-of",
    "as_of_us",
    type=Instant(),
    help="Score live as of this instant, UTC: 2018-01-09 or 2018-01-02T10:05:00Z. By default the as-of of the snapshot, or just "
    "after the last event given.",
)
@click.option(
    "--event",
    "events",
    type=Event(),
    multiple=True,
    help="Something the customer did that the store may not know yet; repeatable. KIND TIME [AMOUNT] [NAME=VALUE ...], where "
    "NAME is store, channel, order, quantity, discount, lines, products, categories or rating.",
)
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Score the customers in this file (in the format of `ebbtide ingest`) from the file alone; all, or those named.",
)
@click.option("--column", "assignments", multiple=True, metavar="FIELD=NAME", help="With --history: as for `ebbtide ingest`.")
@click.option("--timestamp-format", metavar="FORMAT", help="With --history: as for `ebbtide ingest`.")
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
    """How likely the given customers are to stop buying.

    \b
    From the snapshot:        ebbtide score 1 17
    A week later:             ebbtide score --as-of 2018-01-08 1
    With what the till just saw:
      ebbtide score --event 'purchase 2018-01-02T10:00:00Z 12.50 store=438' 1
    People not in the store:  ebbtide score --history log.csv --as-of 2018-01-08
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
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many customers to list.")
@click.option("--store-id", help="Only customers who last bought at this store.")
@timeout_option
@json_option
def at_risk(target: str, limit: int, store_id: str | None, timeout_s: float, as_json: bool) -> None:
    """The customers most likely to stop buying, most at risk first."""
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
