"""`ebbtide models`: list, show, promote, rollback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from engine.errors import NoHistoryError
from engine.instants import format_instant
from engine.storage import Place
from serving.cli.groups import OrderedGroup
from serving.cli.options import check_is_there, store_option
from serving.cli.output import console, json_option, literal, print_json, table

if TYPE_CHECKING:
    from training.registry import BundleInfo, Promotion

_name_option = click.option("--name", help='Name of the model; by default "default", or the only one there is.')


@click.group(cls=OrderedGroup)
def models() -> None:
    """The trained models of a store: list them, read their cards, choose the champion.

    A model has a name and versions, with two aliases: the champion is the version that `rescore` scores with, the challenger a
    candidate to replace it.
    """


@models.command("list")
@store_option
@click.option("--name", help="List this name only.")
@json_option
def list_models(store: Place, name: str | None, as_json: bool) -> None:
    """Every version, with its alias and its metrics on the holdout window of its training."""
    from training.registry import list_bundles

    check_is_there(store)
    there = list_bundles(store)
    bundles = [bundle for bundle in there if name in (None, bundle.name)]
    if as_json:
        print_json({"store": str(store), "bundles": [describe_bundle(bundle) for bundle in bundles]})
        return
    if not bundles and there:
        names = ", ".join(dict.fromkeys(bundle.name for bundle in there))
        console().print(f"No model named {literal(name)}; {literal(store)} has models named {names}.")
        return
    if not bundles:
        console().print(f"No model yet. Next: ebbtide train --store {literal(store)} --as-of DATE")
        return
    columns = (
        ("model", "left"),
        ("", "left"),
        ("as of", "left"),
        "horizon",
        "active",
        "ROC-AUC",
        "log loss",
        "customers",
    )
    out = console()
    out.print(table(columns, [_row(bundle) for bundle in bundles]))
    out.print("[dim]Metrics: on the holdout window of each training, before the as-of.[/]")
    print_problems([describe_bundle(bundle) for bundle in bundles])


@models.command()
@click.argument("version", required=False)
@store_option
@_name_option
@json_option
def show(version: str | None, store: Place, name: str | None, as_json: bool) -> None:
    """Print the model card of a VERSION: 0002, champion or challenger; by default the champion."""
    from training.bundles.bundle import describe
    from training.registry import aliases_of, find_version, read_card

    folder = find_version(store, version, name)
    if not as_json:
        print("".join(char for char in read_card(folder) if char == "\n" or char.isprintable()), end="")
        return
    aliases = aliases_of(store, folder.parent.name)
    about = describe(folder)
    print_json(
        {
            "model_version": f"{folder.parent.name}/{folder.name}",
            "path": str(folder),
            "is_champion": folder.name == aliases.champion,
            "is_challenger": folder.name == aliases.challenger,
            **asdict(about),
            "as_of": format_instant(about.as_of_us),
            "log": [asdict(change) for change in aliases.log if change.version == folder.name],
        }
    )


@models.command()
@click.argument("version", required=False)
@store_option
@_name_option
@click.option("--force", is_flag=True, help="Promote without comparing.")
@json_option
def promote(version: str | None, store: Place, name: str | None, force: bool, as_json: bool) -> None:
    """Make a VERSION the champion; by default the challenger.

    Refused if it is significantly worse than the champion in log loss or ROC-AUC on the same customers (95 % interval of a paired
    bootstrap), over the newest window whose outcome is known. If either model was trained on that window, the comparison made
    when the version was trained counts, on data that neither had seen; if there is none, the answer says so. `ebbtide rescore`
    scores with the champion from then on.
    """
    from engine.history import History
    from training.registry import promote as run

    try:
        history = None if force else History.open(store)
    except NoHistoryError as error:
        raise NoHistoryError(f"nothing to compare on: {error}; --force promotes without") from error
    _report(run(store, history, version, name, is_forced=force), "champion", as_json)


@models.command()
@store_option
@_name_option
@json_option
def rollback(store: Place, name: str | None, as_json: bool) -> None:
    """Make the previous champion champion again; repeat it to go back further."""
    from training.registry import rollback as run

    _report(run(store, name), "champion again", as_json)


def describe_bundle(bundle: BundleInfo) -> dict[str, Any]:
    """A version as the document that --json prints; null what one that cannot be used does not tell."""
    about = bundle.description
    return {
        "model_version": f"{bundle.name}/{bundle.version}",
        "is_champion": bundle.is_champion,
        "is_challenger": bundle.is_challenger,
        "as_of": format_instant(about.as_of_us) if about else None,
        "horizon_days": about.horizon_days if about else None,
        "active_within_days": about.active_within_days if about else None,
        "model_hash": about.content_hash if about else None,
        "num_customers": about.num_customers if about else None,
        "validation": about.validation if about else None,
        "problem": bundle.problem or None,
    }


def alias_of(bundle: dict[str, Any]) -> str:
    """What a described version is, in a word."""
    return "champion" if bundle["is_champion"] else "challenger" if bundle["is_challenger"] else ""


def print_problems(bundles: Sequence[dict[str, Any]]) -> None:
    """A line for each described version that cannot be read; they are too long for a table."""
    for bundle in bundles:
        if bundle["problem"]:
            console().print(f"[red]{bundle['model_version']}[/]: {literal(bundle['problem'])}")


def _row(bundle: BundleInfo) -> tuple[str, ...]:
    told = describe_bundle(bundle)
    version, alias = told["model_version"], alias_of(told)
    about = bundle.description
    if about is None:
        return version, alias, "[red]unusable[/]", "", "", "", "", ""
    auc, log_loss = (f"{about.validation[metric]:.4f}" if metric in about.validation else "" for metric in ("auc", "log_loss"))
    days = (f"{about.horizon_days} d", f"{about.active_within_days} d")
    return version, alias, told["as_of"], *days, auc, log_loss, f"{about.num_customers:,}"


def _report(promotion: Promotion, what: str, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "model_version": f"{promotion.name}/{promotion.version}",
                "before": f"{promotion.name}/{promotion.before}" if promotion.before else None,
                "reason": promotion.reason,
                "comparison": promotion.verdict.describe() if promotion.verdict else None,
                "is_fair": promotion.verdict.is_fair if promotion.verdict else None,
            }
        )
        return
    out = console()
    out.print(f"[bold]{promotion.name}/{promotion.version}[/] is {what}: {literal(promotion.reason)}.")
    out.print("The next `ebbtide rescore` scores with it.")
