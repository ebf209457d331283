"""From lines to events: one per order and kind, or per instant of what is no order; the same whatever order the lines came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from engine.history.events import BucketEvents, encode_sorted, exact_sum
from engine.schema import NO_RATING, ORDER_KINDS, EventKind
from engine.sorting import argsort_pairs
from engine.sources.decimals import round_half_away
from engine.sources.lines import AMOUNT_DIGITS, KindRule

_UNITS_PER_MINOR = 10 ** (AMOUNT_DIGITS - 2)
_INT64_MAX = 2**63 - 1
_KIND_SPAN = max(EventKind) + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """The events of one bucket's lines.

    events         : by customer, order key, kind and, for what is no order, time
    rounding_units : what rounding each order to minor units added in total, in 10 ** -AMOUNT_DIGITS of the major unit
    """

    events: BucketEvents
    rounding_units: int


def aggregate_lines(lines: pa.Table) -> Orders:
    """Sum the lines (engine.sources.lines.LINE_SCHEMA, one row or more) of each customer, order and kind.

    An order's time is that of its first line; of several stores or channels the smallest name stands, and of several ratings
    the worst, so that the result does not depend on the order of arrival.
    raises : InvalidArgumentError where the money or quantity of one order is beyond 64 bits
    """
    customer_ids, customer = encode_sorted(lines.column("customer_id"))
    order_key = _numpy(lines, "order_key")
    order = argsort_pairs(customer, order_key)
    order_start = _starts(customer[order], order_key[order])
    kind = _kinds(
        order_start=order_start,
        rule=_numpy(lines, "kind_rule")[order],
        amount_units=_numpy(lines, "amount_units")[order],
        quantity_milli=_numpy(lines, "quantity_milli")[order],
    )
    # What is no order is known by its time besides: two visits may name one order.
    instant = np.where(np.isin(kind, ORDER_KINDS), 0, _numpy(lines, "timestamp_us")[order])
    by_kind = argsort_pairs(_repeat(order_start, len(order)) * _KIND_SPAN + kind, instant)
    order, kind, instant = order[by_kind], kind[by_kind], instant[by_kind]
    start = _starts(customer[order], order_key[order], kind, instant)
    group = _repeat(start, len(order))

    def total(name: str) -> NDArray[np.int64]:
        values = _numpy(lines, name)[order]
        _check_sums(name, values, start)
        return np.add.reduceat(values, start)

    def num_distinct(name: str) -> NDArray[np.int64]:
        hashes = _numpy(lines, name)[order]
        is_known = hashes != 0
        # Group and as much of the hash as fits beside it in one word: one plain sort instead of two indirect ones. At a
        # million orders in a bucket 44 bits of the hash are left, to tell the few products of one order apart.
        group_bits = np.uint64(len(start).bit_length())
        words = group[is_known].astype(np.uint64) << (np.uint64(64) - group_bits) | hashes[is_known] >> group_bits
        distinct = np.unique(words)
        return np.bincount((distinct >> (np.uint64(64) - group_bits)).astype(np.int64), minlength=len(start))

    def smallest(name: str) -> tuple[pa.StringArray, NDArray[np.int64]]:
        texts, code = encode_sorted(lines.column(name))
        unknown = len(texts)  # above every code, so that a line without a name gives way
        code = np.minimum.reduceat(np.where(code < 0, unknown, code)[order], start)
        return texts, np.where(code == unknown, -1, code)

    def worst_rating() -> NDArray[np.int64]:
        ratings = _numpy(lines, "rating_milli")[order].astype(np.int64)
        worst = np.minimum.reduceat(np.where(ratings == NO_RATING, _INT64_MAX, ratings), start)
        return np.where(worst == _INT64_MAX, NO_RATING, worst)

    amount_units = total("amount_units")
    amount_minor = round_half_away(amount_units, _UNITS_PER_MINOR)
    store_names, store_code = smallest("store_id")
    channel_names, channel_code = smallest("channel")
    num_lines = np.diff(np.append(start, len(order)))
    events = BucketEvents(
        customer_ids=customer_ids,
        customer=customer[order][start],
        columns={
            "timestamp_us": np.minimum.reduceat(_numpy(lines, "timestamp_us")[order], start),
            "kind": kind[start],
            "order_key": order_key[order][start],
            "amount_minor": amount_minor,
            "discount_minor": round_half_away(total("discount_units"), _UNITS_PER_MINOR),
            "quantity_milli": total("quantity_milli"),
            "num_lines": num_lines,
            "num_products": num_distinct("product_hash"),
            "num_categories": num_distinct("category_hash"),
            "rating_milli": worst_rating().astype(np.int32),
            "store_code": store_code,
            "channel_code": channel_code,
        },
        names={"store_code": store_names, "channel_code": channel_names},
    )
    return Orders(
        events=events,
        rounding_units=exact_sum(amount_minor) * _UNITS_PER_MINOR - exact_sum(amount_units),
    )


def _kinds(
    *,
    order_start: NDArray[np.int64],
    rule: NDArray[np.int8],
    amount_units: NDArray[np.int64],
    quantity_milli: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """EventKind of each line: what it says, else by the sign of what the silent lines of its order add up to."""
    by_net = rule >= KindRule.BY_AMOUNT
    worth = np.where(rule == KindRule.BY_QUANTITY, quantity_milli, amount_units)
    net = np.add.reduceat(np.where(by_net, worth, 0), order_start)
    by_sign = np.where(net[_repeat(order_start, len(rule))] < 0, EventKind.RETURN, EventKind.PURCHASE)
    return np.where(by_net, by_sign, rule).astype(np.uint8)


def _starts(*keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """Where a new combination of keys begins, in rows sorted by them."""
    is_start = np.ones(len(keys[0]), bool)
    is_start[1:] = False
    for key in keys:
        is_start[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(is_start)


def _repeat(start: NDArray[np.int64], num_rows: int) -> NDArray[np.int64]:
    """int64[num_rows]: which group each row belongs to."""
    return np.repeat(np.arange(len(start)), np.diff(np.append(start, num_rows)))


def _check_sums(name: str, values: NDArray[np.int64], start: NDArray[np.int64]) -> None:
    most_lines = int(np.diff(np.append(start, len(values))).max())
    largest = max(int(values.max()), -int(values.min()))
    if largest * most_lines > _INT64_MAX and np.abs(np.add.reduceat(values.astype(np.float64), start)).max() > _INT64_MAX * 0.999:
        raise InvalidArgumentError(
            name.split("_", 1)[0],
            f"found an order of up to {most_lines:,} lines that add up to more than 64 bits hold, expected amounts of money; "
            "check that different orders do not share one order_id",
        )


def _numpy(lines: pa.Table, name: str) -> Any:
    return np.asarray(lines.column(name))
