"""`ebbtide forget`."""

from __future__ import annotations

import click

from engine.storage import Place
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, print_json


@click.command()
@store_option
@click.argument("customer_id", metavar="CUSTOMER_ID")
@json_option
def forget(store: Place, customer_id: str, as_json: bool) -> int:
    """Erase a customer from the history, the quarantine and every snapshot.

    No list of erased customers is kept: a source file that still contains the customer brings them back when it is ingested.
    Models hold no customer data. The exit status is 1 if there is no trace of the customer, perhaps because the id is mistyped.
    """
    from engine.upkeep import erase_from_history
    from serving.snapshots import erase_from_snapshots

    if not store.is_dir():
        raise click.BadParameter(f"{store} is not a folder", param_hint="--store")
    history = erase_from_history(store, customer_id)
    snapshots = erase_from_snapshots(store, customer_id)
    found_any = history.found_any or bool(snapshots.rewritten)
    if as_json:
        print_json(
            {
                "store": str(store),
                "found_any": found_any,
                "num_events": history.num_events,
                "num_quarantined_rows": history.num_quarantined_rows,
                "num_source_names": history.num_source_names,
                "snapshots_rewritten": snapshots.rewritten,
                "snapshots_dropped": snapshots.dropped,
            }
        )
        return int(not found_any)
    out = console()
    if found_any:
        rows = count(history.num_quarantined_rows, "quarantined row")
        names = count(history.num_source_names, "name")
        scores = count(len(snapshots.rewritten), "snapshot")
        out.print(
            f"Erased from {store}: {count(history.num_events, 'event')}, {rows}, {names} in the list of sources, "
            f"and a score in {scores}.",
            markup=False,
        )
        out.print("A source file that still contains the customer would bring them back: remove the rows there too.")
    else:
        out.print(f"No trace of customer {customer_id!r} in {store}; check the id.", markup=False)
    for snapshot_id in snapshots.dropped:
        out.print(f"Dropped the unfinished or damaged snapshot {snapshot_id}; to get it back, run ebbtide rescore.")
    return int(not found_any)
