"""Events that a caller brings: messages to checked columns, and back from plain values to messages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NoReturn

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from engine.errors import InvalidArgumentError
from engine.history.customer_events import CustomerEvents, NameBook, sort_events
from engine.history.events import CODE_COLUMNS
from engine.instants import format_instant
from engine.schema import EVENT_SCHEMA, NO_RATING, ORDER_KINDS, EventKind
from engine.sources.instant_text import EARLIEST_US
from kernels.registry import resolve
from serving.answers import CustomerEvent
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.wire.messages import timestamp

LARGEST_AMOUNT_MINOR = 10**13
LARGEST_QUANTITY = 1e9
LARGEST_COUNT = 1_000_000
LARGEST_RATING = 1_000_000
MAX_TEXT_BYTES = 256
MAX_EVENT_BYTES = 1024  # three such texts and nine numbers, as messages have them

_KINDS = frozenset(int(kind) for kind in EventKind)
_ORDERS = frozenset(int(kind) for kind in ORDER_KINDS)
_KIND_NAMES = ", ".join(f"{kind.name} ({int(kind)})" for kind in EventKind)
_MINOR_PER_LINE = 100  # what ingest takes a line for where there are no amounts: one major unit
_TYPES = {field.name: field.type.to_pandas_dtype() for field in EVENT_SCHEMA}
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799  # of the years 1 and 9999, the limits of a Timestamp


@dataclass(frozen=True, kw_only=True, slots=True)
class BroughtEvents:
    """Events of one customer that came with a request.

    events                     : in the order at rest
    has_amounts, has_discounts : whether any of them says what was paid, or taken off
    """

    events: CustomerEvents
    has_amounts: bool
    has_discounts: bool

    @property
    def num_events(self) -> int:
        return self.events.num_events


def read_instant(message: Timestamp, field: str) -> int:
    """UTC microseconds, what is finer cut off.

    raises : InvalidArgumentError naming the field
    """
    seconds, nanos = message.seconds, message.nanos
    if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos <= 999_999_999):
        raise InvalidArgumentError(
            field, f"found {seconds} seconds and {nanos} nanos, expected an instant of the years 1 to 9999"
        )
    return seconds * 1_000_000 + nanos // 1000


def read_events(messages: Sequence[pb.Event], field: str, *, has_amounts: bool, max_events: int, before_us: int) -> BroughtEvents:
    """Events of one customer, in the order at rest.

    field       : of the request, for the errors
    has_amounts : whether the history of the chain has amounts, so that orders need one
    before_us   : all are to be earlier
    raises      : InvalidArgumentError naming the field of the first event that is out of its limits
    """
    if len(messages) > max_events:
        raise InvalidArgumentError(field, f"found {len(messages):,} events, expected at most {max_events:,}")
    stores, channels = NameBook(), NameBook()
    rows: list[tuple[int, ...]] = []
    keys: list[bytes] = []
    place_of: dict[tuple[bytes, int, int], int] = {}
    for place, message in enumerate(messages):
        try:
            row = _read_event(message, stores, channels, has_amounts=has_amounts, before_us=before_us)
            key = _read_key(message, row[0])
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{field}[{place}].{error.field}", error.args[1]) from None
        identity = (key, row[1], 0 if row[1] in _ORDERS else row[0])
        first = place_of.setdefault(identity, place)
        if first != place:
            raise InvalidArgumentError(
                f"{field}[{place}].order_id",
                f"found the {EventKind(row[1]).name.lower()} of {field}[{first}] once more; add the lines of one order up, and "
                "tell orders of one instant apart by their ids",
            )
        rows.append(row)
        keys.append(key)
    table = np.array(rows, np.int64).reshape(len(rows), len(_ROW))
    columns: dict[str, Any] = {name: table[:, index].astype(_TYPES[name]) for index, name in enumerate(_ROW)}
    data = np.frombuffer(b"".join(keys), np.uint8)
    columns["order_key"] = resolve("cpu").hash_strings(data, np.array([0, *accumulate(map(len, keys))], np.int64))
    return BroughtEvents(
        events=CustomerEvents(columns=sort_events(columns), books=dict(zip(CODE_COLUMNS, (stores, channels), strict=True))),
        has_amounts=any(message.HasField("amount_minor") for message in messages),
        has_discounts=any(message.discount_minor for message in messages),
    )


def event_message(event: CustomerEvent) -> pb.Event:
    """A plain value as a message; what is beyond the wire's numbers is the caller's mistake.

    raises : InvalidArgumentError
    """
    try:
        return pb.Event(
            time=timestamp(event.time_us),
            kind=pb.EventKind.ValueType(event.kind),
            amount_minor=event.amount_minor,
            discount_minor=event.discount_minor,
            quantity=event.quantity,
            num_lines=event.num_lines,
            num_products=event.num_products,
            num_categories=event.num_categories,
            store_id=event.store_id,
            channel=event.channel,
            rating=event.rating,
            order_id=event.order_id,
        )
    except (ValueError, TypeError) as error:
        which = f"the one with time_us={event.time_us}"  # which may be no instant of the calendar
        raise InvalidArgumentError("event", f"{which} cannot be sent ({error}); check its numbers and texts") from error


def event_messages(events: Iterable[CustomerEvent]) -> list[pb.Event]:
    return [event_message(event) for event in events]


# What `_read_event` gives, in its order: all columns but the order's key.
_ROW = (
    "timestamp_us",
    "kind",
    "amount_minor",
    "discount_minor",
    "quantity_milli",
    "num_lines",
    "num_products",
    "num_categories",
    "rating_milli",
    "store_code",
    "channel_code",
)


def _read_event(message: pb.Event, stores: NameBook, channels: NameBook, *, has_amounts: bool, before_us: int) -> tuple[int, ...]:
    """Values of `_ROW`; errors name the field within the event."""
    if not message.HasField("time"):
        raise InvalidArgumentError("time", "found none, expected when it happened")
    time_us = read_instant(message.time, "time")
    if time_us >= before_us:
        when, limit = format_instant(time_us), format_instant(before_us)
        raise InvalidArgumentError(
            "time", f"found {when}, expected a time before {limit}, which is the as_of, or without one the latest that can be"
        )
    if time_us < EARLIEST_US:
        raise InvalidArgumentError("time", f"found {format_instant(time_us)}, expected {format_instant(EARLIEST_US)} or later")
    kind = int(message.kind)
    if kind not in _KINDS:
        raise InvalidArgumentError("kind", f"found {kind}, expected one of {_KIND_NAMES}")
    is_order = kind in _ORDERS
    num_lines, num_products, num_categories = message.num_lines or 1, message.num_products, message.num_categories
    if not (1 <= num_lines <= LARGEST_COUNT and 0 <= num_products <= LARGEST_COUNT and 0 <= num_categories <= LARGEST_COUNT):
        _refuse_counts(num_lines=num_lines, num_products=num_products, num_categories=num_categories)
    return (
        time_us,
        kind,
        _read_amount(message, is_order, num_lines, has_amounts=has_amounts),
        _within("discount_minor", message.discount_minor, LARGEST_AMOUNT_MINOR),
        _read_quantity(message, is_order, num_lines),
        num_lines,
        num_products,
        num_categories,
        _read_rating(message, kind),
        stores.code(_read_text("store_id", message.store_id)),
        channels.code(_read_text("channel", message.channel)),
    )


def _refuse_counts(**counts: int) -> NoReturn:
    """Of the first that is out of its limits; lines are at least 1."""
    for name, count in counts.items():
        lowest = 1 if name == "num_lines" else 0
        if not lowest <= count <= LARGEST_COUNT:
            break
    raise InvalidArgumentError(name, f"found {count}, expected {lowest} to {LARGEST_COUNT:,}")


def _read_amount(message: pb.Event, is_order: bool, num_lines: int, *, has_amounts: bool) -> int:
    if message.HasField("amount_minor"):
        if int(message.kind) == EventKind.PURCHASE and message.amount_minor < 0:
            raise InvalidArgumentError(
                "amount_minor",
                f"found {message.amount_minor} for a purchase, expected 0 or more; goods that come back are a RETURN",
            )
        return _within("amount_minor", message.amount_minor, LARGEST_AMOUNT_MINOR)
    if is_order and has_amounts:
        raise InvalidArgumentError("amount_minor", "found none, expected what was paid, as the chain's history has amounts")
    return num_lines * _MINOR_PER_LINE if is_order else 0


def _read_quantity(message: pb.Event, is_order: bool, num_lines: int) -> int:
    if not message.HasField("quantity"):
        return num_lines * 1000 if is_order else 0
    if not abs(message.quantity) <= LARGEST_QUANTITY:  # NaN is not, either
        raise InvalidArgumentError("quantity", f"found {message.quantity:g}, expected at most {LARGEST_QUANTITY:,.0f} either way")
    return _round_half_away(message.quantity * 1000)


def _read_rating(message: pb.Event, kind: int) -> int:
    if not message.HasField("rating"):
        if kind == EventKind.FEEDBACK:
            raise InvalidArgumentError("rating", "found none, which feedback needs")
        return NO_RATING
    if not 0 <= message.rating <= LARGEST_RATING:
        raise InvalidArgumentError("rating", f"found {message.rating:g}, expected 0 to {LARGEST_RATING:,}")
    return _round_half_away(message.rating * 1000)


def _read_key(message: pb.Event, time_us: int) -> bytes:
    """What the key of the order is a hash of, as ingest has it."""
    order_id = _read_text("order_id", message.order_id)
    return order_id.encode() if order_id else time_us.to_bytes(8, "little", signed=True)


def _read_text(name: str, text: str) -> str:
    """A name; blank is "not known", as in the files that are ingested."""
    if len(text) > MAX_TEXT_BYTES or (not text.isascii() and len(text.encode()) > MAX_TEXT_BYTES):
        raise InvalidArgumentError(name, f"found {len(text.encode())} bytes, expected at most {MAX_TEXT_BYTES} bytes of UTF-8")
    return text if text.strip() else ""


def _within(name: str, value: int, largest: int) -> int:
    if not -largest <= value <= largest:
        raise InvalidArgumentError(name, f"found {value}, expected at most {largest:,} either way")
    return value


def _round_half_away(value: float) -> int:
    """To the nearest whole number, a half away from zero, as ingest rounds."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
