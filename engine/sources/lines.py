"""Canonical lines: rows of any source in one shape, bad rows set apart with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.hashing import hash_instants, hash_texts
from engine.schema import KIND_NAMES, MAX_ID_BYTES, NO_RATING, ORDER_KINDS, EventKind
from engine.sources.decimals import Numbers, read_flags, read_numbers
from engine.sources.identifiers import are_integer_texts, read_identifiers
from engine.sources.instant_text import read_instants

AMOUNT_DIGITS = 4  # money is kept in ten-thousandths until an order is summed, so that a price of 0.001 does not get lost
QUANTITY_DIGITS = 3


RATING_DIGITS = 3
_LARGEST_RATING = 1_000_000
_NAN = pa.array(["NaN", "nan"])


class KindRule(IntEnum):
    """How a line says of what kind its event is: with a number of EventKind, or with one of these."""

    BY_AMOUNT = 100  # a purchase or a return: the sign of the order's net amount decides
    BY_QUANTITY = 101  # no amounts: the sign of its net quantity


class Reason(StrEnum):
    """Why a row was kept out; of several, the first in this order."""

    CUSTOMER_MISSING = "customer_id missing"
    CUSTOMER_UNREADABLE = "customer_id unreadable"
    CUSTOMER_TOO_LONG = "customer_id too long"
    TIMESTAMP_MISSING = "timestamp missing"
    TIMESTAMP_UNREADABLE = "timestamp unreadable"
    TIMESTAMP_FUTURE = "timestamp in the future"
    KIND_UNREADABLE = "kind unreadable"
    AMOUNT_MISSING = "amount missing"
    AMOUNT_INFINITE = "amount not finite"
    AMOUNT_UNREADABLE = "amount unreadable"
    AMOUNT_TOO_LARGE = "amount too large"
    QUANTITY_UNREADABLE = "quantity unreadable"
    DISCOUNT_UNREADABLE = "discount unreadable"
    RATING_MISSING = "rating missing"
    RATING_UNREADABLE = "rating unreadable"
    RATING_OUT_OF_RANGE = "rating out of range"
    IS_RETURN_UNREADABLE = "is_return unreadable"

    @property
    def field(self) -> str:
        """The source field at fault."""
        return self.value.split(" ", 1)[0]


REASONS: tuple[Reason, ...] = tuple(Reason)

LINE_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("timestamp_us", pa.int64(), nullable=False),
        pa.field("order_key", pa.uint64(), nullable=False),
        pa.field("amount_units", pa.int64(), nullable=False),  # 10 ** -AMOUNT_DIGITS of the major unit
        pa.field("discount_units", pa.int64(), nullable=False),
        pa.field("quantity_milli", pa.int64(), nullable=False),
        pa.field("store_id", pa.string()),
        pa.field("channel", pa.string()),
        # Only ever counted: their hash is enough, 0 for null. Two of one order colliding is a matter of 2**-64.
        pa.field("product_hash", pa.uint64(), nullable=False),
        pa.field("category_hash", pa.uint64(), nullable=False),
        pa.field("rating_milli", pa.int32(), nullable=False),
        pa.field("kind_rule", pa.int8(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """What became of one batch of source rows.

    table            : LINE_SCHEMA, the good rows in source order
    reason           : int8[num_rows]    index into REASONS, -1 for a good row
    has_integer_ids  : whether all customer ids were integers
    num_sub_cent     : good rows whose amount has a fraction of a cent
    """

    table: pa.Table
    reason: NDArray[np.int8]
    has_integer_ids: bool
    num_sub_cent: int


def read_lines(
    columns: Mapping[str, pa.Array],
    *,
    is_untyped: bool,
    timestamp_format: str | None,
    now_us: int,
    kind: EventKind = EventKind.PURCHASE,
) -> Lines:
    """Read the fields of a batch.

    columns    : field -> column, as the source has it; at least customer_id and timestamp
    is_untyped : the source has text only (CSV), so that 17850 and 17850.0 may mean the integer
    now_us     : rows later than this are kept out
    kind       : what rows are that do not say it themselves
    """
    num_rows = len(columns["customer_id"])
    if is_untyped:
        columns = {field: column if field == "amount" else _without_nan(column) for field, column in columns.items()}
    reason = np.full(num_rows, -1, np.int8)

    def reject(rows: NDArray[np.bool_], why: Reason) -> None:
        reason[rows & (reason < 0)] = REASONS.index(why)

    def identifiers(field: str) -> pa.StringArray:
        if field not in columns:
            return pa.nulls(num_rows, pa.string())
        return read_identifiers(columns[field], is_untyped=is_untyped).texts

    customers = read_identifiers(columns["customer_id"], is_untyped=is_untyped)
    reject(customers.is_unreadable, Reason.CUSTOMER_UNREADABLE)
    reject(_nulls(customers.texts), Reason.CUSTOMER_MISSING)
    reject(_are_longer(customers.texts, MAX_ID_BYTES), Reason.CUSTOMER_TOO_LONG)

    instants = read_instants(columns["timestamp"], timestamp_format)
    reject(instants.is_missing, Reason.TIMESTAMP_MISSING)
    reject(~instants.is_readable, Reason.TIMESTAMP_UNREADABLE)
    reject(instants.timestamp_us > now_us, Reason.TIMESTAMP_FUTURE)

    stated_kind = np.full(num_rows, kind, np.int8)
    if "kind" in columns:
        stated_kind = _read_kinds(columns["kind"], kind)
        reject(stated_kind < 0, Reason.KIND_UNREADABLE)
    is_order = np.isin(stated_kind, ORDER_KINDS)

    has_amount = "amount" in columns
    if has_amount:
        # An order that says nothing of its worth is broken; a visit is not.
        if is_order.all():
            amount = read_numbers(columns["amount"], AMOUNT_DIGITS)
        else:
            amount = _read_amounts(columns["amount"], is_order, is_untyped=is_untyped)
        reject(amount.is_missing & is_order, Reason.AMOUNT_MISSING)
        reject(amount.is_infinite, Reason.AMOUNT_INFINITE)
        reject(amount.is_unreadable, Reason.AMOUNT_UNREADABLE)
        reject(amount.is_too_large, Reason.AMOUNT_TOO_LARGE)
        amount_units = amount.units
    else:
        amount_units = np.where(is_order, 10**AMOUNT_DIGITS, 0)

    quantity_milli = np.where(is_order, 10**QUANTITY_DIGITS, 0)
    if "quantity" in columns:
        quantity = _read_optional(columns["quantity"], QUANTITY_DIGITS)
        reject(_is_broken(quantity), Reason.QUANTITY_UNREADABLE)
        quantity_milli = np.where(quantity.is_missing, quantity_milli, quantity.units)
    discount_units = np.zeros(num_rows, np.int64)
    if "discount" in columns:
        discount = _read_optional(columns["discount"], AMOUNT_DIGITS)
        reject(_is_broken(discount), Reason.DISCOUNT_UNREADABLE)
        discount_units = discount.units

    rating_milli = np.full(num_rows, NO_RATING, np.int64)
    if "rating" in columns:
        rating = _read_optional(columns["rating"], RATING_DIGITS)
        reject(rating.is_infinite | rating.is_unreadable, Reason.RATING_UNREADABLE)
        is_outside = rating.is_too_large | (rating.units < 0) | (rating.units > _LARGEST_RATING * 10**RATING_DIGITS)
        reject(is_outside, Reason.RATING_OUT_OF_RANGE)
        rating_milli = np.where(rating.is_missing | is_outside, NO_RATING, rating.units)
    reject((stated_kind == EventKind.FEEDBACK) & (rating_milli == NO_RATING), Reason.RATING_MISSING)

    is_purchase = stated_kind == EventKind.PURCHASE
    kind_rule = np.where(is_purchase, KindRule.BY_AMOUNT if has_amount else KindRule.BY_QUANTITY, stated_kind)
    if "is_return" in columns:
        is_return, is_unreadable = read_flags(columns["is_return"])
        reject(is_unreadable & is_purchase, Reason.IS_RETURN_UNREADABLE)
        kind_rule = np.where(is_purchase, np.where(is_return, EventKind.RETURN, EventKind.PURCHASE), stated_kind)

    order_key = hash_instants(instants.timestamp_us)
    if "order_id" in columns:
        order_ids = identifiers("order_id")
        order_key = np.where(_nulls(order_ids), order_key, hash_texts(order_ids))

    is_good = reason < 0
    table = pa.table(
        [
            pc.fill_null(customers.texts, ""),
            instants.timestamp_us,
            order_key,
            amount_units,
            discount_units,
            quantity_milli,
            identifiers("store_id"),
            identifiers("channel"),
            _hash_or_zero(identifiers("product_id")),
            _hash_or_zero(identifiers("category")),
            rating_milli.astype(np.int32),
            kind_rule.astype(np.int8),
        ],
        schema=LINE_SCHEMA,
    )
    if not is_good.all():
        table = table.filter(pa.array(is_good))
    return Lines(
        table=table,
        reason=reason,
        has_integer_ids=customers.is_integer or (is_untyped and are_integer_texts(table.column("customer_id"))),
        num_sub_cent=int((is_good & (amount_units % 10 ** (AMOUNT_DIGITS - 2) != 0)).sum()),
    )


def _read_kinds(column: pa.Array, default: EventKind) -> NDArray[np.int8]:
    """EventKind of each row, -1 where it is none; null and blank are the default."""
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(pa.string())))
    index = np.asarray(pc.fill_null(pc.index_in(texts, value_set=pa.array(KIND_NAMES)), -1))
    is_silent = np.asarray(pc.fill_null(pc.equal(texts, ""), True), dtype=bool)
    kinds = np.append(np.array(list(EventKind), np.int8), np.int8(-1))  # the last entry is where -1 points
    return np.where(is_silent, np.int8(default), kinds[index])


def _read_amounts(column: pa.Array, is_order: NDArray[np.bool_], *, is_untyped: bool) -> Numbers:
    if pa.types.is_floating(column.type):
        is_nothing = pc.and_(pc.is_nan(column), pa.array(~is_order))  # as in `_read_optional`
        column = pc.if_else(pc.fill_null(is_nothing, False), pa.scalar(None, column.type), column)
    elif is_untyped:
        column = pc.if_else(pa.array(is_order), column, _without_nan(column))
    return read_numbers(column, AMOUNT_DIGITS)


def _read_optional(column: pa.Array, num_digits: int) -> Numbers:
    # pandas writes "nothing" as NaN in columns of floats, so for a field that may be absent NaN means absent.
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return read_numbers(column, num_digits)


def _without_nan(texts: pa.StringArray) -> pa.StringArray:
    """Texts of a CSV, null where they say NaN: what pandas and NumPy write for "nothing" in numbers, ids among them."""
    is_nan = pc.is_in(texts, value_set=_NAN)
    return pc.if_else(is_nan, pa.scalar(None, texts.type), texts) if pc.any(is_nan, min_count=0).as_py() else texts


def _is_broken(numbers: Numbers) -> NDArray[np.bool_]:
    return numbers.is_infinite | numbers.is_unreadable | numbers.is_too_large


def _hash_or_zero(texts: pa.StringArray) -> NDArray[np.uint64]:
    if texts.null_count == len(texts):
        return np.zeros(len(texts), np.uint64)
    return np.where(_nulls(texts), np.uint64(0), np.maximum(hash_texts(texts), np.uint64(1)))


def _are_longer(texts: pa.StringArray, num_bytes: int) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.greater(pc.binary_length(texts), num_bytes), False), dtype=bool)


def _nulls(texts: pa.StringArray) -> NDArray[np.bool_]:
    return np.asarray(texts.is_null(), dtype=bool)
