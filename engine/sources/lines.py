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
from engine.sources.decimals import Numbers, read_flags, read_numbers
from engine.sources.identifiers import are_integer_texts, read_identifiers
from engine.sources.instant_text import read_instants

AMOUNT_DIGITS = 4  # money is kept in ten-thousandths until an order is summed, so that a price of 0.001 does not get lost
QUANTITY_DIGITS = 3


class ReturnRule(IntEnum):
    """How a line says whether goods came back."""

    PURCHASE = 0
    RETURN = 1
    BY_AMOUNT = 2  # the sign of the order's net amount decides
    BY_QUANTITY = 3  # no amounts: the sign of its net quantity


class Reason(StrEnum):
    """Why a row was kept out; of several, the first in this order."""

    CUSTOMER_MISSING = "customer_id missing"
    CUSTOMER_UNREADABLE = "customer_id unreadable"
    TIMESTAMP_MISSING = "timestamp missing"
    TIMESTAMP_UNREADABLE = "timestamp unreadable"
    TIMESTAMP_FUTURE = "timestamp in the future"
    AMOUNT_MISSING = "amount missing"
    AMOUNT_INFINITE = "amount not finite"
    AMOUNT_UNREADABLE = "amount unreadable"
    AMOUNT_TOO_LARGE = "amount too large"
    QUANTITY_UNREADABLE = "quantity unreadable"
    DISCOUNT_UNREADABLE = "discount unreadable"
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
        pa.field("return_rule", pa.int8(), nullable=False),
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


def read_lines(columns: Mapping[str, pa.Array], *, is_untyped: bool, timestamp_format: str | None, now_us: int) -> Lines:
    """Read the fields of a batch.

    columns    : field -> column, as the source has it; at least customer_id and timestamp
    is_untyped : the source has text only (CSV), so that 17850 and 17850.0 may mean the integer
    now_us     : rows later than this are kept out
    """
    num_rows = len(columns["customer_id"])
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

    instants = read_instants(columns["timestamp"], timestamp_format)
    reject(instants.is_missing, Reason.TIMESTAMP_MISSING)
    reject(~instants.is_readable, Reason.TIMESTAMP_UNREADABLE)
    reject(instants.timestamp_us > now_us, Reason.TIMESTAMP_FUTURE)

    has_amount = "amount" in columns
    if has_amount:
        amount = read_numbers(columns["amount"], AMOUNT_DIGITS)
        reject(amount.is_missing, Reason.AMOUNT_MISSING)
        reject(amount.is_infinite, Reason.AMOUNT_INFINITE)
        reject(amount.is_unreadable, Reason.AMOUNT_UNREADABLE)
        reject(amount.is_too_large, Reason.AMOUNT_TOO_LARGE)
        amount_units = amount.units
    else:
        amount_units = np.full(num_rows, 10**AMOUNT_DIGITS, np.int64)

    quantity_milli = np.full(num_rows, 10**QUANTITY_DIGITS, np.int64)
    if "quantity" in columns:
        quantity = _read_optional(columns["quantity"], QUANTITY_DIGITS)
        reject(_is_broken(quantity), Reason.QUANTITY_UNREADABLE)
        quantity_milli = np.where(quantity.is_missing, quantity_milli, quantity.units)
    discount_units = np.zeros(num_rows, np.int64)
    if "discount" in columns:
        discount = _read_optional(columns["discount"], AMOUNT_DIGITS)
        reject(_is_broken(discount), Reason.DISCOUNT_UNREADABLE)
        discount_units = discount.units

    return_rule = np.full(num_rows, ReturnRule.BY_AMOUNT if has_amount else ReturnRule.BY_QUANTITY, np.int8)
    if "is_return" in columns:
        is_return, is_unreadable = read_flags(columns["is_return"])
        reject(is_unreadable, Reason.IS_RETURN_UNREADABLE)
        return_rule = np.where(is_return, ReturnRule.RETURN, ReturnRule.PURCHASE).astype(np.int8)

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
            return_rule,
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


def _read_optional(column: pa.Array, num_digits: int) -> Numbers:
    # pandas writes "nothing" as NaN in columns of floats, so for a field that may be absent NaN means absent.
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return read_numbers(column, num_digits)


def _is_broken(numbers: Numbers) -> NDArray[np.bool_]:
    return numbers.is_infinite | numbers.is_unreadable | numbers.is_too_large


def _hash_or_zero(texts: pa.StringArray) -> NDArray[np.uint64]:
    if texts.null_count == len(texts):
        return np.zeros(len(texts), np.uint64)
    return np.where(_nulls(texts), np.uint64(0), np.maximum(hash_texts(texts), np.uint64(1)))


def _nulls(texts: pa.StringArray) -> NDArray[np.bool_]:
    return np.asarray(texts.is_null(), dtype=bool)
