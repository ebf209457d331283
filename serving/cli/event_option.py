"""`--event` and `--history` of `ebbtide score`: what customers did, from a line of text or from a file."""

from __future__ import annotations

import shlex
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pyarrow as pa

from engine.errors import InvalidArgumentError, SourceError
from engine.instants import parse_instant
from engine.schema import KIND_NAMES, NO_RATING, ORDER_KINDS, EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.answers import CustomerEvent

MAX_CUSTOMERS = 100
# In cents. The server's own limit is far below; what is far above it would be written out digit by digit.
_BEYOND_MONEY = 10**18

_EXAMPLE = "'purchase 2018-01-02T10:00:00Z 12.50 store=438'"
_TEXTS = {"store": "store_id", "channel": "channel", "order": "order_id"}
_COUNTS = {"lines": "num_lines", "products": "num_products", "categories": "num_categories"}
_NUMBERS = {"quantity": "quantity", "rating": "rating"}
_SETTINGS = (*_TEXTS, "discount", *_COUNTS, *_NUMBERS)


class Event(click.ParamType["CustomerEvent"]):
    """One event on the command line: KIND TIME [AMOUNT] [NAME=VALUE ...]."""

    name = "EVENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> CustomerEvent:
        return parse_event(value) if isinstance(value, str) else value


def parse_event(text: str) -> CustomerEvent:
    """KIND TIME [AMOUNT] [NAME=VALUE ...]; amount and discount in major units.

    raises : InvalidArgumentError
    """
    from serving.answers import CustomerEvent

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _refusal(text, f"({error})") from None
    if len(words) < 2:
        raise _refusal(text, "")
    kind, when, *further = words
    if kind.lower() not in KIND_NAMES:
        raise InvalidArgumentError("--event", f"found kind {kind!r} in {text!r}, expected one of {', '.join(KIND_NAMES)}")
    fields: dict[str, Any] = {"kind": EventKind[kind.upper()], "time_us": parse_instant(when, field="--event")}
    for word in further:
        name, equals, value = word.partition("=")
        if not equals:
            name, value = "amount", word
        field, parsed = _setting(text, name, value)
        if field in fields:
            raise _refusal(text, f"({name} is there twice)")
        fields[field] = parsed
    return CustomerEvent(**fields)


def read_histories(path: Path, columns: Mapping[str, str], timestamp_format: str | None) -> dict[str, list[CustomerEvent]]:
    """The events of each customer of a file, lines of one order as one event, as ingest would have it.

    raises : SourceError for a file that cannot be read, or a row that cannot: half a history is another one
    """
    from engine.hashing import hash_texts
    from engine.ingest.orders import aggregate_lines
    from engine.sources import check_fields, open_source
    from engine.sources.identifiers import read_identifiers
    from engine.sources.lines import REASONS, read_lines

    check_fields(columns)
    source = open_source(path, columns, timestamp_format, EventKind.PURCHASE)
    tables: list[pa.Table] = []
    order_ids: dict[int, str] = {}
    num_rows = 0
    for batch in source.batches():
        found = {field: batch.column(name) for field, name in source.mapping.items()}
        lines = read_lines(found, is_untyped=source.is_untyped, timestamp_format=timestamp_format, now_us=time.time_ns() // 1000)
        bad = np.flatnonzero(lines.reason >= 0)
        if len(bad):
            reason = REASONS[lines.reason[bad[0]]]
            raise SourceError(str(path), f"row {num_rows + int(bad[0]) + 1:,} cannot be used ({reason}); mend or remove it")
        if "order_id" in found:
            texts = read_identifiers(found["order_id"], is_untyped=source.is_untyped).texts.drop_null().unique()
            order_ids.update(zip(hash_texts(texts).tolist(), texts.to_pylist(), strict=True))
        tables.append(lines.table)
        num_rows += batch.num_rows
    if num_rows == 0:
        raise SourceError(str(path), "found no rows, expected at least one")
    events = aggregate_lines(pa.concat_tables(tables)).events
    histories: dict[str, list[CustomerEvent]] = {}
    ids = events.customer_ids.to_pylist()
    names = {name: [*texts.to_pylist(), ""] for name, texts in events.names.items()}  # the last is where -1 points
    columns_of = {name: values.tolist() for name, values in events.columns.items()}
    for row, customer in enumerate(events.customer.tolist()):
        values = {name: column[row] for name, column in columns_of.items()}
        histories.setdefault(ids[customer], []).append(
            _event(values, names, order_ids.get(values["order_key"], ""), has_amounts="amount" in source.mapping)
        )
    return histories


def _event(values: Mapping[str, int], names: Mapping[str, list[str]], order_id: str, *, has_amounts: bool) -> CustomerEvent:
    from serving.answers import CustomerEvent

    kind = EventKind(values["kind"])
    return CustomerEvent(
        time_us=values["timestamp_us"],
        kind=kind,
        amount_minor=values["amount_minor"] if has_amounts or kind not in ORDER_KINDS else None,
        discount_minor=values["discount_minor"],
        quantity=values["quantity_milli"] / 1000,
        num_lines=values["num_lines"],
        num_products=values["num_products"],
        num_categories=values["num_categories"],
        store_id=names["store_code"][values["store_code"]],
        channel=names["channel_code"][values["channel_code"]],
        rating=None if values["rating_milli"] == NO_RATING else values["rating_milli"] / 1000,
        order_id=order_id,
    )


def _setting(text: str, name: str, value: str) -> tuple[str, Any]:
    """(field of CustomerEvent, its value) of a word."""
    if name in ("amount", "discount"):
        return f"{name}_minor", _cents(text, name, value)
    if name in _TEXTS:
        return _TEXTS[name], value
    try:
        if name in _COUNTS:
            return _COUNTS[name], int(value)
        if name in _NUMBERS:
            return _NUMBERS[name], float(value)
    except ValueError:
        raise _refusal(text, f"(found {name} {value!r}, which is no number)") from None
    raise InvalidArgumentError("--event", f"found {name}= in {text!r}, expected one of {', '.join(_SETTINGS)}")


def _cents(text: str, name: str, value: str) -> int:
    try:
        cents = Decimal(value) * 100
        is_amount = abs(cents) < _BEYOND_MONEY
    except ArithmeticError:  # no number, NaN, or an exponent that nothing holds
        is_amount = False
    if not is_amount:
        raise _refusal(text, f"(found {name} {value!r}, which is no amount of money)")
    if cents != int(cents):
        raise _refusal(text, f"(found {name} {value!r}, which has fractions of a cent)")
    return int(cents)


def _refusal(text: str, why: str) -> InvalidArgumentError:
    found = f"{text!r} {why}".rstrip()
    return InvalidArgumentError("--event", f"found {found}, expected KIND TIME [AMOUNT] [NAME=VALUE ...], such as {_EXAMPLE}")
