"""`ebbtide status`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from engine.instants import format_instant, next_midnight
from engine.storage import Place
from serving.cli.models import alias_of, describe_bundle, print_problems
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, print_json, table
from serving.cli.snapshots import describe_snapshot, print_snapshots

if TYPE_CHECKING:
    from engine.history.manifest import Manifest


@click.command()
@store_option
@json_option
def status(store: Place, as_json: bool) -> None:
    """What is in a store: events, customers, time span, rejected rows, models, snapshots."""
    document = describe_store(store)
    if as_json:
        print_json(document)
    else:
        _print(document)


def describe_history(manifest: Manifest) -> dict[str, Any]:
    """Totals of a history, for --json."""
    return {
        "num_events": manifest.num_events,
        "num_orders": manifest.num_orders,
        "num_returns": manifest.num_returns,
        "num_by_kind": manifest.num_by_kind,
        "num_customers": manifest.num_customers,
        "amount_minor_total": manifest.amount_minor_total,
        "first_event": format_instant(manifest.first_event_us),
        "last_event": format_instant(manifest.last_event_us),
        "next_as_of": format_instant(next_midnight(manifest.last_order_us)) if manifest.last_order_us is not None else None,
        "customer_id_type": manifest.customer_id_type,
        "num_buckets": manifest.num_buckets,
        "num_bad_rows": manifest.num_bad_rows,
        "num_sources": len(manifest.sources),
        "fields": list(manifest.fields),
    }


def count_kinds(num_by_kind: Mapping[str, int]) -> str:
    """Such as "5 orders, 1 return, 12 visits": orders and returns always, other kinds where there are any."""
    nouns = {"purchase": "order", "feedback": "rating"}
    return ", ".join(
        count(number, nouns.get(kind, kind)) for kind, number in num_by_kind.items() if number or kind in ("purchase", "return")
    )


def describe_store(store: Place) -> dict[str, Any]:
    """Everything that `status` tells, as a document.

    raises : NoHistoryError, IntegrityError
    """
    from engine.history import History
    from serving.snapshots import list_snapshots
    from training.registry import list_bundles

    return {
        "store": str(store),
        "history": describe_history(History.open(store).manifest),
        "bundles": [describe_bundle(bundle) for bundle in list_bundles(store)],
        "snapshots": [describe_snapshot(snapshot) for snapshot in list_snapshots(store)],
    }


def _print(document: dict[str, Any]) -> None:
    out = console()
    history = document["history"]
    out.print(f"[bold]{document['store']}[/]")
    facts = (
        ("events", f"{history['num_events']:,}: {count_kinds(history['num_by_kind'])}"),
        ("customers", f"{history['num_customers']:,}"),
        ("span, UTC", f"{history['first_event']} to {history['last_event']}"),
        ("worth", f"{history['amount_minor_total'] / 100:,.2f}"),
        ("rejected", f"{history['num_bad_rows']:,}" + (" rows (kept in history/quarantine)" if history["num_bad_rows"] else "")),
        ("sources", f"{count(history['num_sources'], 'file')} into {count(history['num_buckets'], 'bucket')}"),
    )
    for name, fact in facts:
        out.print(f"  {name:<10} {fact}")
    out.print()
    if document["bundles"]:
        rows = [
            (
                bundle["model_version"],
                bundle["as_of"] or "[red]unusable[/]",
                f"{bundle['horizon_days'] or '?'} days",
                f"{bundle['active_within_days'] or '?'} days",
                alias_of(bundle),
            )
            for bundle in document["bundles"]
        ]
        out.print(table((("model", "left"), ("as of", "left"), "horizon", "active within", ("", "left")), rows))
        print_problems(document["bundles"])
    else:
        out.print(f"No model yet. Next: ebbtide train --store {document['store']} --as-of {history['next_as_of']}")
    out.print()
    rescore = f"ebbtide rescore --store {document['store']} --as-of {history['next_as_of']}"
    print_snapshots(document["snapshots"], next_step=rescore if document["bundles"] else "")
