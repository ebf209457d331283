"""`ebbtide verify`."""

from __future__ import annotations

from dataclasses import asdict

import click

from engine.storage import Place
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, print_json, stage


@click.command()
@store_option
@json_option
def verify(store: Place, as_json: bool) -> int:
    """Check every part of the history, every snapshot and every model against its hash, and the order of events.

    Says what is broken and how to repair it. The exit status is 0 if all is well, else 1.
    """
    from serving.verification import verify_store

    with stage("Verifying", as_json=as_json) as progress:
        found = verify_store(store, progress=lambda done, total: progress.update(done=done, total=total, note="buckets"))
    if as_json:
        print_json(
            {
                "store": str(found.store),
                "is_sound": not found.problems,
                "num_parts": found.num_parts,
                "num_bytes": found.num_bytes,
                "num_snapshots": found.num_snapshots,
                "num_bundles": found.num_bundles,
                "problems": [asdict(problem) for problem in found.problems],
            }
        )
        return int(bool(found.problems))
    out = console()
    for problem in found.problems:
        out.print(f"{problem.where}: {problem.what}", style="red", markup=False)
        out.print(f"    to repair it: {problem.remedy}", markup=False)
    verdict = f"[red]{count(len(found.problems), 'problem')}[/]" if found.problems else "[green]everything intact[/]"
    out.print(
        f"[bold]{store}[/]: {verdict}; checked {count(found.num_parts, 'part')} ({found.num_bytes / 1e6:,.1f} MB), "
        f"{count(found.num_snapshots, 'snapshot')}, {count(found.num_bundles, 'model')}."
    )
    return int(bool(found.problems))
