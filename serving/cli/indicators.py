"""`ebbtide indicators`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import AsOfError, InvalidArgumentError
from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import Instant, StorePlace
from serving.cli.output import console, count, json_option, literal, print_json, print_marked, stage, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.feature_table import FeatureTableReport
    from engine.indicators import Indicator

_LEVEL_STYLES = {"behaviour": "cyan", "value": "green", "sentiment": "magenta"}


@click.command(
    epilog="""\b
Examples:
  ebbtide indicators                                                          the catalogue
  ebbtide indicators --store ./store 4711 --as-of 2018-01-01                  one customer
  ebbtide indicators --store ./store --all --as-of 2018-01-01 --out features.parquet
"""
)
@click.option(
    "--store", type=StorePlace(), metavar="DIR", help="The store: a directory, or s3://BUCKET/PATH (also gs://, hdfs://)."
)
@click.option(
    "--as-of",
    "as_of_us",
    type=Instant(),
    help="The instant to speak about, UTC: 2017-12-02 or 2017-12-02T08:00:00Z. Only events before it are seen.",
)
@click.option("--all", "everyone", is_flag=True, help="Every customer with an event of any kind before the as-of, into --out.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where --all writes; .parquet, .csv or .arrow says the format. An old file is replaced once the new one is whole.",
)
@click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="What computes; cuda needs a GPU.",
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
    """The thirty numbers that describe a customer as of an instant.

    Without arguments: the catalogue, with the unit, the meaning and the value from which a warning is due. With CUSTOMER_ID: that
    customer's values, and which of them warn. With --all: a feature table of the chain, for models of your own: customer_id and
    one column of 32-bit floats for each indicator, in the order of the catalogue. What is not known, because its source is
    missing or the customer never did such a thing, is null there and never 0 (empty in CSV). Parquet and Arrow files carry
    metadata: ebbtide.as_of, ebbtide.units and ebbtide.history, the hash of the state that was read.
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
    from engine.indicators import INDICATORS

    if as_json:
        print_json({"indicators": [describe_indicator(indicator) for indicator in INDICATORS]})
        return
    rows = [
        (indicator.name, _level(indicator), indicator.factor, indicator.unit, _warning(indicator), indicator.meaning)
        for indicator in INDICATORS
    ]
    columns = (
        ("indicator", "left"),
        ("level", "left"),
        ("factor", "left"),
        ("unit", "left"),
        ("warns", "left"),
        ("meaning", "wrap"),
    )
    console().print(table(columns, rows))
    console().print(
        f"\n{len(INDICATORS)} indicators, of the events before an instant. What is not known never warns. "
        "Values: ebbtide indicators --help"
    )


def _tell_customer(store: Place, customer_id: str, as_of_us: int, backend: str, as_json: bool) -> None:
    import numpy as np

    from engine.feature_table import load_backend
    from engine.history import History
    from engine.indicators import INDICATORS, compute_indicators

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
    num_warnings = sum(_warns(indicator, values[column]) for column, indicator in enumerate(INDICATORS))
    if as_json:
        print_json(
            {
                "customer_id": customer_id,
                "as_of": format_instant(as_of_us),
                "num_warnings": num_warnings,
                "indicators": [
                    describe_indicator(indicator)
                    | {"value": None if math.isnan(value) else float(value), "warns": _warns(indicator, value)}
                    for indicator, value in zip(INDICATORS, values, strict=True)
                ],
            }
        )
        return
    _print_customer(customer_id, as_of_us, values, num_warnings)


def _print_customer(customer_id: str, as_of_us: int, values: NDArray[np.float32], num_warnings: int) -> None:
    from engine.indicators import INDICATORS

    rows = [
        (
            indicator.name,
            _level(indicator),
            _number(float(value)),
            indicator.unit,
            _warning(indicator),
            "[bold red]! warning[/]" if _warns(indicator, value) else "",
        )
        for indicator, value in zip(INDICATORS, values, strict=True)
    ]
    columns = (("indicator", "left"), ("level", "left"), "value", ("unit", "left"), ("warns", "left"), ("", "left"))
    out = console()
    out.print(f"Customer [bold]{literal(customer_id)}[/] as of {format_instant(as_of_us)}: {count(num_warnings, 'warning')}\n")
    out.print(table(columns, rows))
    if any(math.isnan(value) for value in values):
        out.print("\n[dim]-: not known, because the log lacks the source or the customer never did such a thing[/]")


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
    later = f"; {report.num_later:,} more came later" if report.num_later else ""
    console().print(
        f"Wrote [bold]{report.num_customers:,}[/] customers with an event before {format_instant(as_of_us)} "
        f"to {literal(report.out)} ({report.num_bytes / 1e6:,.1f} MB, {report.backend}){later}."
    )
    print_marked(report.num_marked)
    console().print(
        f"In {report.total_s:.2f} s; on all threads together: reading {report.read_s:.2f} s, "
        f"computing {report.compute_s:.2f} s, writing {report.write_s:.2f} s."
    )


def describe_indicator(indicator: Indicator) -> dict[str, Any]:
    """An entry of the catalogue, for --json."""
    return {
        "name": indicator.name,
        "level": str(indicator.level),
        "factor": str(indicator.factor),
        "unit": indicator.unit,
        "meaning": indicator.meaning,
        "worry": str(indicator.worry),
        "threshold": indicator.threshold,
    }


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


def _warning(indicator: Indicator) -> str:
    """Such as "from 20" or "below 1"."""
    return f"{'from' if indicator.worry == 'above' else 'below'} {indicator.threshold:g}"


def _warns(indicator: Indicator, value: np.float32) -> bool:
    import numpy as np

    return bool(indicator.warns(np.asarray(value)))


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
