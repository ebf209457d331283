"""`ebbtide indicators`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import AsOfError, InvalidArgumentError
from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import Instant, StorePlace
from serving.cli.output import console, count, json_option, literal, print_json, print_marked, stage, table

if TYPE_CHECKING:
    from engine.catalogue_entry import Column, Indicator
    from engine.feature_table import FeatureTableReport

# Columns of a terminal from which a table has room for all that there is to say.
_WIDE = 110
_LEVEL_STYLES = {"behaviour": "cyan", "value": "green", "sentiment": "magenta"}


@click.command(
    epilog="""\b
Examples:
  ebbtide indicators                                                          the catalogue
  ebbtide indicators --store ./store 4711 --as-of 2018-01-01                  one customer
  ebbtide indicators --store ./store --all --as-of 2018-01-01 --out features.parquet
"""
)
@click.option("--store", type=StorePlace(), metavar="DIR", help="The store: a folder, or s3://BUCKET/PATH (also gs://, hdfs://).")
@click.option(
    "--as-of",
    "as_of_us",
    type=Instant(),
    help="The instant to look from, UTC: 2017-12-02 (midnight) or 2017-12-02T08:00:00Z. Only earlier events are used.",
)
@click.option("--all", "everyone", is_flag=True, help="Write every customer with any event before the as-of to --out.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Output of --all; the suffix (.parquet, .csv, .arrow) sets the format. An old file is replaced at the end.",
)
@click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to compute; cuda needs a GPU.",
)
@click.argument("customer_id", required=False, metavar="[CUSTOMER_ID]")
@json_option
def indicators(
    store: Place | None,
    as_of_us: int | None,
    everyone: bool,
    out: Path | None,
    backend: str,
    customer_id: str | None,
    as_json: bool,
) -> None:
    """The thirty indicators that describe a customer as of an instant.

    Without arguments: the catalogue, with unit, meaning and warning threshold. With CUSTOMER_ID: that customer's values, and
    which of them warn. With --all: a feature table of the whole chain for your own models: customer_id, then the columns of the
    catalogue in order, as 32-bit floats; an indicator with several windows has a column for each. Unknown values (no such source,
    or the customer never did such a thing) are null, never 0 (empty in CSV). Parquet and Arrow files carry the metadata
    ebbtide.as_of, ebbtide.units and ebbtide.history (the hash of the history that was read).
    """
    wants_values = everyone or customer_id is not None
    if everyone and customer_id is not None:
        raise InvalidArgumentError("--all", "found it beside a CUSTOMER_ID, expected one of them")
    if not wants_values and (store is not None or as_of_us is not None):
        raise InvalidArgumentError("CUSTOMER_ID", "found none, expected one, or --all for every customer")
    if out is not None and not everyone:
        raise InvalidArgumentError("--out", "found it without --all, expected both or neither")
    if not wants_values:
        _tell_catalogue(as_json)
        return
    if store is None:
        raise InvalidArgumentError("--store", "found none, expected the folder of a store")
    if as_of_us is None:
        raise InvalidArgumentError("--as-of", "found none, expected a date such as 2017-12-02")
    if customer_id is not None:
        _tell_customer(store, customer_id, as_of_us, backend, as_json)
        return
    if out is None:
        raise InvalidArgumentError("--out", "found none, expected a file that ends in .parquet, .csv or .arrow")
    _write_table(store, out, as_of_us, backend, as_json)


def _tell_catalogue(as_json: bool) -> None:
    from engine.indicators import INDICATORS, NUM_COLUMNS, NUM_INDICATORS

    if as_json:
        print_json({"indicators": [describe_indicator(indicator) for indicator in INDICATORS]})
        return
    out = console()
    is_wide = out.width >= _WIDE
    about = (("level", "left"), ("factor", "left"), ("unit", "left")) if is_wide else ()
    rows = [
        (
            _brace(indicator),
            *((_level(indicator), indicator.factor, indicator.unit) if is_wide else ()),
            _warning(indicator.columns),
            indicator.meaning,
        )
        for indicator in INDICATORS
    ]
    out.print(table((("indicator", "left"), *about, ("warns", "left"), ("meaning", "wrap")), rows))
    out.print(f"\n{NUM_INDICATORS} indicators, computed from the events before an instant; unknown values never warn.")
    out.print(f"Braces list the windows, one column each, such as orders_7d and orders_14d: {NUM_COLUMNS} columns in all.")
    if not is_wide:
        out.print(f"Level, factor and unit are shown from a width of {_WIDE} columns on, and in --json.")
    out.print("For the values of a customer or of all: ebbtide indicators --help")


def _tell_customer(store: Place, customer_id: str, as_of_us: int, backend: str, as_json: bool) -> None:
    import numpy as np

    from engine.feature_table import load_backend
    from engine.history import History
    from engine.indicators import COLUMNS, INDICATORS, compute_indicators

    load_backend(backend)
    history = History.open(store)
    history.check_as_of(as_of_us)
    partition, row = history.find(customer_id)
    first_us = int(partition.timestamp_us[partition.offsets[row]])
    if first_us >= as_of_us:
        raise AsOfError(
            f"as-of {format_instant(as_of_us)}: nothing is known of customer {customer_id!r} before it, "
            f"expected a later one than {format_instant(first_us)}, the first event"
        )
    values = compute_indicators(partition, np.array([row]), as_of_us, backend=backend)[0]
    value_of = {column.name: float(value) for column, value in zip(COLUMNS, values, strict=True)}
    num_warnings = sum(any(_warns(column, value_of[column.name]) for column in one.columns) for one in INDICATORS)
    if as_json:
        print_json(
            {
                "customer_id": customer_id,
                "as_of": format_instant(as_of_us),
                "num_warnings": num_warnings,
                "indicators": [describe_indicator(indicator, value_of) for indicator in INDICATORS],
            }
        )
        return
    _print_customer(customer_id, as_of_us, value_of, num_warnings)


def _print_customer(customer_id: str, as_of_us: int, value_of: Mapping[str, float], num_warnings: int) -> None:
    from engine.indicators import INDICATORS, NUM_INDICATORS

    out = console()
    is_wide = out.width >= _WIDE
    rows = [
        (
            column.name,
            *((_level(indicator),) if is_wide else ()),
            _number(value_of[column.name]),
            indicator.unit,
            _warning((column,)),
            "[bold red]! warning[/]" if _warns(column, value_of[column.name]) else "",
        )
        for indicator in INDICATORS
        for column in indicator.columns
    ]
    level = (("level", "left"),) if is_wide else ()
    columns = (("indicator", "left"), *level, "value", ("unit", "wrap"), ("warns", "left"), ("", "left"))
    num_warning = f"{num_warnings} of {NUM_INDICATORS} indicators {'warns' if num_warnings == 1 else 'warn'}"
    out.print(f"Customer [bold]{literal(customer_id)}[/] as of {format_instant(as_of_us)}: {num_warning}\n")
    out.print(table(columns, rows))
    if any(map(math.isnan, value_of.values())):
        out.print("\n[dim]-: unknown (the log has no such source, or the customer never did such a thing)[/]")


def _write_table(store: Place, out: Path, as_of_us: int, backend: str, as_json: bool) -> None:
    from engine.feature_table import write_feature_table
    from engine.history import History

    history = History.open(store)
    with stage("Indicators", as_json=as_json) as progress:
        report = write_feature_table(
            history,
            out,
            as_of_us=as_of_us,
            backend=backend,
            progress=lambda done, total: progress.update(done=done, total=total, note="buckets"),
        )
    if as_json:
        print_json(describe_feature_table(report))
        return
    later = f"; {report.num_later:,} more joined later" if report.num_later else ""
    console().print(
        f"Wrote [bold]{count(report.num_customers, 'customer')}[/] with an event before {format_instant(as_of_us)} "
        f"to {literal(report.out)} ({report.num_bytes / 1e6:,.1f} MB, {report.backend}){later}."
    )
    print_marked(report.num_marked)
    console().print(
        f"Took {report.total_s:.2f} s; summed over threads: reading {report.read_s:.2f} s, "
        f"computing {report.compute_s:.2f} s, writing {report.write_s:.2f} s."
    )


def describe_indicator(indicator: Indicator, value_of: Mapping[str, float] | None = None) -> dict[str, Any]:
    """An entry of the catalogue, for --json.

    value_of : a customer's value by column, which puts "value" and "warns" beside each
    """
    return {
        "name": indicator.name,
        "level": str(indicator.level),
        "factor": str(indicator.factor),
        "unit": indicator.unit,
        "meaning": indicator.meaning,
        "worry": str(indicator.worry),
        "columns": [_describe_column(column, value_of) for column in indicator.columns],
    }


def _describe_column(column: Column, value_of: Mapping[str, float] | None) -> dict[str, Any]:
    document: dict[str, Any] = {"name": column.name, "window_days": column.window_days, "threshold": column.threshold}
    if value_of is None:
        return document
    value = value_of[column.name]
    return document | {"value": None if math.isnan(value) else value, "warns": _warns(column, value)}


def describe_feature_table(report: FeatureTableReport) -> dict[str, Any]:
    """The report as the document that --json prints."""
    return {
        "path": str(report.out),
        "as_of": format_instant(report.as_of_us),
        "backend": report.backend,
        "num_customers": report.num_customers,
        "num_later": report.num_later,
        "num_marked": report.num_marked,
        "num_bytes": report.num_bytes,
        "seconds": {
            "read": round(report.read_s, 4),
            "compute": round(report.compute_s, 4),
            "write": round(report.write_s, 4),
            "total": round(report.total_s, 4),
        },
    }


def _level(indicator: Indicator) -> str:
    return f"[{_LEVEL_STYLES[indicator.level]}]{indicator.level}[/]"


def _brace(indicator: Indicator) -> str:
    """Its columns in a word, as a shell would write them: recency_days, or orders_{7,14,30,60,90}d."""
    if not indicator.windows_days:
        return indicator.name
    return f"{indicator.name}_{{{','.join(map(str, indicator.windows_days))}}}d"


def _warning(columns: Sequence[Column]) -> str:
    """Such as "from 20", "below 1" or "below 1,1,1,2,3"."""
    thresholds = [f"{column.threshold:g}" for column in columns]
    same = thresholds[:1] if len(set(thresholds)) == 1 else thresholds
    return f"{'from' if columns[0].worry == 'above' else 'below'} {','.join(same)}"


def _warns(column: Column, value: float) -> bool:
    import numpy as np

    return bool(column.warns(np.asarray(value, np.float32)))


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
