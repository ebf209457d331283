"""Slow and obvious versions of what kernels and engine compute, in plain Python: what the fast ones are compared with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev

import numpy as np
import pyarrow as pa

from engine.coverage import EVERYTHING, Coverage
from engine.partition import Partition
from engine.schema import EventKind

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US


def locate_instant(timestamp_us: Sequence[int], first: int, stop: int, as_of_us: int) -> int:
    """First row in [first, stop) at or after the instant, else stop."""
    for row in range(first, stop):
        if timestamp_us[row] >= as_of_us:
            return row
    return stop


def next_selected(timestamp_us: Sequence[int], selected: Sequence[bool], begin: int, stop: int) -> int:
    """Timestamp of the first selected row, or -1."""
    for row in range(begin, stop):
        if selected[row]:
            return timestamp_us[row]
    return -1


def rows_in_window(
    timestamp_us: Sequence[int], selected: Sequence[bool], begin: int, end: int, as_of_us: int, window_days: float
) -> list[int]:
    """Selected rows not older than the window."""
    return [row for row in range(begin, end) if selected[row] and as_of_us - timestamp_us[row] <= window_days * DAY_US]


def gap_statistics(
    timestamp_us: Sequence[int], selected: Sequence[bool], begin: int, end: int, as_of_us: int
) -> tuple[float, float, float, float, float, float]:
    """num_gaps, mean, std, longest, latest, elapsed; in days, NaN where undefined."""
    times = [timestamp_us[row] for row in range(begin, end) if selected[row]]
    gaps = [(later - earlier) / DAY_US for earlier, later in pairwise(times)]
    return (
        float(len(gaps)),
        fmean(gaps) if gaps else math.nan,
        pstdev(gaps) if len(gaps) > 1 else math.nan,
        max(gaps) if gaps else math.nan,
        gaps[-1] if gaps else math.nan,
        (as_of_us - times[-1]) / DAY_US if times else math.nan,
    )


def last_rows(begin: int, end: int, max_length: int) -> list[int]:
    """The rows that a sequence holds."""
    return list(range(begin, end))[-max_length:]


def active_weeks(times_us: Sequence[int], as_of_us: int, num_weeks: int) -> int:
    """Weeks with a time in them, counted back from the instant; a time on the border belongs to the later week."""
    weeks = {max(math.ceil((as_of_us - time_us) / WEEK_US), 1) for time_us in times_us}
    return sum(week <= num_weeks for week in weeks)


def share(part: float, whole: float) -> float:
    """part / whole, NaN unless whole is positive."""
    return part / whole if whole > 0 else math.nan


def balance(now: float, before: float) -> float:
    """From -1, gone, to 1, new; NaN of numbers below zero or unknown."""
    return (now - before) / (now + before) if now >= 0 and before >= 0 and now + before > 0 else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An event as a person would note it; money in minor units, None where nothing is known."""

    time_us: int
    kind: EventKind = EventKind.PURCHASE
    amount: int = 1000
    discount: int = 0
    num_lines: int = 1
    num_categories: int = 0
    rating: float | None = None
    store: int | None = None
    channel: int | None = None


def build_partition(customers: Sequence[Sequence[Event]], coverage: Coverage = EVERYTHING) -> Partition:
    """Customers' events, each in order of time, as a partition of read-only arrays."""
    events = [event for of_customer in customers for event in of_customer]
    arrays = {
        "offsets": np.cumsum([0, *map(len, customers)], dtype=np.int64),
        "timestamp_us": np.array([event.time_us for event in events], np.int64),
        "kind": np.array([event.kind for event in events], np.uint8),
        "amount_minor": np.array([event.amount for event in events], np.int64),
        "discount_minor": np.array([event.discount for event in events], np.int64),
        "quantity_milli": np.full(len(events), 1000, np.int64),
        "num_lines": np.array([event.num_lines for event in events], np.int32),
        "num_products": np.ones(len(events), np.int32),
        "num_categories": np.array([event.num_categories for event in events], np.int32),
        "store_code": np.array([-1 if event.store is None else event.store for event in events], np.int32),
        "channel_code": np.array([-1 if event.channel is None else event.channel for event in events], np.int32),
        "rating_milli": np.array([-1 if event.rating is None else round(event.rating * 1000) for event in events], np.int32),
    }
    for array in arrays.values():
        array.flags.writeable = False
    names = pa.array([f"customer-{number:03d}" for number in range(len(customers))], pa.string())
    return Partition(customer_ids=names, store_names=[], channel_names=[], coverage=coverage, **arrays)


def summary(events: Sequence[Event], as_of_us: int) -> dict[str, float]:
    """Every column of SUMMARY_COLUMNS for one customer, from a plain list of events."""
    seen = [event for event in events if event.time_us < as_of_us]

    def of(kind: EventKind, newest_days: float = math.inf, *, after_days: float = -1.0) -> list[Event]:
        """Events of a kind, not older than some days, and older than some others."""
        ages = [(as_of_us - event.time_us, event) for event in seen if event.kind == kind]
        return [event for age_us, event in ages if after_days * DAY_US < age_us <= newest_days * DAY_US]

    bought = of(EventKind.PURCHASE)
    recent = of(EventKind.PURCHASE, 90)
    earlier = of(EventKind.PURCHASE, 180, after_days=90)

    def spend(orders: Sequence[Event]) -> float:
        return sum(order.amount for order in orders) / 100

    def categories_per_order(orders: Sequence[Event]) -> float:
        return share(sum(order.num_categories for order in orders) or math.nan, len(orders))

    def since(kind: EventKind, *, first: bool = False) -> float:
        times = [event.time_us for event in of(kind)]
        return (as_of_us - (times[0] if first else times[-1])) / DAY_US if times else math.nan

    def gaps(orders: Sequence[Event]) -> list[int]:
        return [later - day for day, later in pairwise(sorted({order.time_us // DAY_US for order in orders}))]

    def answered(contact: Event) -> bool:
        return any(contact.time_us < order.time_us <= contact.time_us + 14 * DAY_US for order in bought)

    def share_at_latest(codes: Sequence[int | None]) -> float:
        return share(codes.count(codes[-1]), len(codes)) if codes and codes[-1] is not None else math.nan

    def switch_rate(codes: Sequence[int | None]) -> float:
        """Of neighbours that are both known."""
        changes = [one != other for one, other in pairwise(codes) if one is not None and other is not None]
        return share(sum(changes), len(changes))

    days = {order.time_us // DAY_US for order in recent}
    weekdays = Counter(day % 7 for day in days)
    all_gaps, gap_mean = gaps(bought), fmean(gaps(bought)) if gaps(bought) else math.nan
    discount = sum(abs(order.discount) for order in recent) / 100
    stores, channels = [order.store for order in recent], [order.channel for order in recent]
    ratings = [event.rating for event in of(EventKind.FEEDBACK, 180) if event.rating is not None]
    contacts = of(EventKind.CONTACT, 90)
    return {
        "recency_days": since(EventKind.PURCHASE),
        "tenure_days": since(EventKind.PURCHASE, first=True),
        **{f"orders_{window}d": len(of(EventKind.PURCHASE, window)) for window in (7, 14, 30, 60, 90, 180, 365)},
        "orders_change_30d": balance(len(of(EventKind.PURCHASE, 30)), len(of(EventKind.PURCHASE, 60, after_days=30))),
        **{f"spend_{window}d": spend(of(EventKind.PURCHASE, window)) for window in (7, 14, 30, 60, 90)},
        "spend_change_30d": balance(spend(of(EventKind.PURCHASE, 30)), spend(of(EventKind.PURCHASE, 60, after_days=30))),
        "gap_mean_days": gap_mean,
        "gap_spread_days": pstdev(all_gaps) if len(all_gaps) > 1 else math.nan,
        "gap_longest_days": max(all_gaps, default=math.nan),
        "gap_latest_days": all_gaps[-1] if all_gaps else math.nan,
        "gap_longest_90d_days": max(gaps(recent), default=math.nan),
        "lateness": share(since(EventKind.PURCHASE), gap_mean),
        "weekday_regularity": share(max(weekdays.values(), default=0), len(days)),
        "shopping_days_90d": len(days),
        "shopping_weeks_13w": active_weeks([order.time_us for order in recent], as_of_us, 13),
        "basket_90d": share(spend(recent), len(recent)),
        "basket_change_90d": balance(share(spend(recent), len(recent)), share(spend(earlier), len(earlier))),
        "discount_share_90d": share(discount, spend(recent) + discount),
        "categories_per_order_90d": categories_per_order(recent),
        "categories_change_90d": balance(categories_per_order(recent), categories_per_order(earlier)),
        "store_share_90d": share_at_latest(stores),
        "store_switch_rate_90d": switch_rate(stores),
        "channel_share_90d": share_at_latest(channels),
        "channel_switch_rate_90d": switch_rate(channels),
        "return_rate_180d": share(len(of(EventKind.RETURN, 180)), len(of(EventKind.PURCHASE, 180))),
        "returns_90d": len(of(EventKind.RETURN, 90)),
        "lines_per_order_90d": share(sum(order.num_lines for order in recent), len(recent)),
        "days_since_visit": since(EventKind.VISIT),
        "days_since_login": since(EventKind.LOGIN),
        "visits_30d": len(of(EventKind.VISIT, 30)),
        "logins_30d": len(of(EventKind.LOGIN, 30)),
        "rating_mean_180d": fmean(ratings) if ratings else math.nan,
        "rating_change_180d": ratings[-1] - fmean(ratings[:-1]) if len(ratings) > 1 else math.nan,
        "complaints_90d": len(of(EventKind.COMPLAINT, 90)),
        "contacts_90d": len(contacts),
        "contact_response_90d": share(sum(map(answered, contacts)), len(contacts)),
    }


def fingerprint(events: Sequence[Sequence[int]]) -> int:
    """64 bits of events, each as (timestamp_us, kind, amount_minor, discount_minor, quantity_milli, num_lines, num_products,
    num_categories, rating_milli, store_code, channel_code), by arithmetic modulo 2^64.
    """
    one, two, three, four, five = (
        11400714785074694791,
        14029467366897019727,
        1609587929392839161,
        9650029242287828579,
        2870177450012600261,
    )
    word = 2**64
    state = five
    for row, (at, kind, amount, discount, quantity, lines, products, categories, rating, store, channel) in enumerate(events):
        is_same = [row > 0 and events[row - 1][column] == code for column, code in ((9, store), (10, channel))]
        about = kind + 256 * is_same[0] + 512 * is_same[1]
        basket = (lines % word) ^ (products * 2**32 % word)
        rest = (categories % word) ^ (rating * 2**32 % word)
        money = (at * one + amount * two) % word
        goods = (discount * three + quantity * four) % word
        small = (basket * five + rest * one + about * three) % word
        state ^= (money ^ (money >> 32)) * two % word
        state ^= (goods ^ (goods >> 29)) * three % word
        state ^= (small ^ (small >> 31)) * four % word
        state = ((state << 27 | state >> 37) % word * one + four) % word
    return state
