"""A retail chain that never was: purchase logs of any size, in arrival order, the same ones for the same seed.

    python -m benchmarks.chain --customers 1000000 --out chain/

Customers buy at gamma-distributed rates (Fader, Hardie & Lee 2005, Marketing Science 24(2)), join over time, lapse for good at
gamma-mixed exponential times, follow the week and the season, have a home store and a favourite channel, bring goods
back, visit without buying, log in, and rate. In the weeks before they lapse they slow down and rate worse, which is what a
model can find.

The log is written in pieces of some days, each from a generator of its own seed: memory holds the customers' traits and one
piece.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.instants import DAY_US

_START_DAY = (datetime(2024, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
# Monday to Sunday, mean 1: Saturdays are twice as busy as Mondays.
_WEEKDAY_FACTOR = np.array([0.75, 0.80, 0.85, 0.95, 1.20, 1.50, 0.95])
_CHANNELS = np.array(["store", "web", "app"])
# A lapse casts its shadow: over so many days before it, rates fall to a third.
_FADING_DAYS = 45.0
_RETURN_SHARE = 0.03
_RETURN_DELAY_DAYS = 14
_RATED_SHARE = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainConfig:
    """Size and shape of a generated chain."""

    num_customers: int = 1_000_000
    """Customers who ever join."""

    orders_per_customer: float = 31.0
    """Mean number of orders of a customer within the span."""

    num_days: int = 730
    """Length of the log, from 2024-01-01."""

    days_per_piece: int = 14
    """Days that share a file."""

    num_stores: int = 400
    """Shops; a few are large."""

    seed: int = 0
    """Same seed, same bytes."""

    first_customer: int = 0
    """Number of the first customer, to make disjoint chains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Traits:
    """What a customer is, [num_customers] each."""

    rate: NDArray[np.float64]  # orders a day while a customer, season apart
    joins: NDArray[np.float64]  # day
    lapses: NDArray[np.float64]  # day, may lie beyond the span
    store: NDArray[np.int32]
    channel: NDArray[np.int8]
    basket: NDArray[np.float64]  # mean worth of an order, major units
    bargain: NDArray[np.float64]  # share of orders bought at a discount
    mood: NDArray[np.float64]  # mean rating while content


def write_chain(config: ChainConfig, out: Path) -> dict[str, int]:
    """Write purchases, visits and feedback of a chain below a folder; returns the number of rows of each.

    purchases-*.parquet : customer_id, timestamp, order_id, amount, quantity, discount, store_id, channel, is_return
    visits-*.parquet    : customer_id, timestamp, kind ("visit" or "login"), store_id, channel
    feedback-*.parquet  : customer_id, timestamp, kind ("feedback"), rating (1 to 5)

    Rows say their kind where they are no purchases, so that one ingest takes the whole folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    traits = _draw_traits(config)
    counts = {"purchases": 0, "returns": 0, "visits": 0, "feedback": 0}
    pending: list[pa.Table] = []  # goods on their way back
    next_order = config.first_customer * 1000 + 1
    for piece, first_day in enumerate(range(0, config.num_days, config.days_per_piece)):
        days = range(first_day, min(first_day + config.days_per_piece, config.num_days))
        random = np.random.default_rng([config.seed, piece])
        orders = _orders(config, traits, days, random, next_order)
        next_order += orders.num_rows
        pending.append(_returns(orders, random))
        rows, pending = _due(pending, before_us=(_START_DAY + days.stop) * DAY_US)
        purchases = pa.concat_tables([orders, rows]).sort_by("timestamp")
        visits = _visits(config, traits, days, random)
        feedback = _feedback(traits, orders, random, config)
        for name, table in (("purchases", purchases), ("visits", visits), ("feedback", feedback)):
            if table.num_rows:  # a till writes no file where nothing happened
                pq.write_table(table, out / f"{name}-{piece:04d}.parquet", compression="zstd")
        counts["purchases"] += orders.num_rows
        counts["returns"] += rows.num_rows
        counts["visits"] += visits.num_rows
        counts["feedback"] += feedback.num_rows
    (out / "chain.json").write_text(json.dumps({"config": asdict(config), "rows": counts}, indent=1) + "\n")
    return counts


def _draw_traits(config: ChainConfig) -> _Traits:
    random = np.random.default_rng([config.seed, 2**31])
    num = config.num_customers
    # Half were there before the log begins, the others join over the first three quarters of it.
    joins = np.where(random.random(num) < 0.5, 0.0, random.random(num) * 0.75 * config.num_days)
    # Exponential life times of gamma-mixed rates: many lapse soon, some stay for ever (Pareto, as in Schmittlein et al. 1987).
    lapses = joins + random.exponential(1.0, num) / random.gamma(0.6, 1 / 400.0, num).clip(1e-9)
    rate = random.gamma(0.9, 1.0, num).clip(0.01)
    days_alive = np.minimum(lapses, config.num_days) - joins
    # Scaled so that the expected number of orders is the one asked for; nobody buys more than about once a day.
    rate *= config.orders_per_customer * num / np.sum(rate * days_alive)
    return _Traits(
        rate=rate.clip(max=0.8),
        joins=joins,
        lapses=lapses,
        store=_zipf(random, num, config.num_stores).astype(np.int32),
        channel=random.choice(3, num, p=[0.7, 0.2, 0.1]).astype(np.int8),
        basket=random.lognormal(3.2, 0.6, num),
        bargain=random.beta(1.2, 4.0, num),
        mood=random.normal(4.1, 0.4, num),
    )


def _zipf(random: np.random.Generator, num: int, num_values: int) -> NDArray[np.int64]:
    weights = 1.0 / np.arange(1, num_values + 1) ** 0.7
    return np.searchsorted(np.cumsum(weights / weights.sum()), random.random(num))


def _happenings(
    traits: _Traits, days: range, random: np.random.Generator, factor: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Who does something, and when: customer numbers and microseconds since 1970, in order of time."""
    who, when = [], []
    for day in days:
        alive = (traits.joins <= day) & (day < traits.lapses)
        fading = np.clip((traits.lapses - day) / _FADING_DAYS, 1 / 3, 1.0)
        chance = traits.rate * fading * alive * (factor * _season(day))
        customers = np.flatnonzero(random.random(len(chance)) < chance)
        # Shops are open from 8 to 21 h, and busiest in the late afternoon.
        hours = 8.0 + 13.0 * random.beta(2.2, 1.8, len(customers))
        times = (_START_DAY + day) * DAY_US + (hours * 3600).astype(np.int64) * 1_000_000
        order = np.argsort(times, kind="stable")
        who.append(customers[order])
        when.append(times[order])
    return np.concatenate(who), np.concatenate(when)


def _season(day: int) -> float:
    weekday = (_START_DAY + day + 3) % 7
    before_christmas = np.exp(-0.5 * ((day % 365.25 - 350) / 12.0) ** 2)
    return float(_WEEKDAY_FACTOR[weekday] * (1.0 + 0.08 * np.sin(2 * np.pi * day / 365.25) + 0.6 * before_christmas))


def _orders(config: ChainConfig, traits: _Traits, days: range, random: np.random.Generator, first_order: int) -> pa.Table:
    who, when = _happenings(traits, days, random, 1.0)
    num = len(who)
    cents = np.rint(100 * traits.basket[who] * random.lognormal(0.0, 0.5, num)).clip(1).astype(np.int64)
    at_discount = random.random(num) < traits.bargain[who]
    discount = np.where(at_discount, np.rint(cents * random.uniform(0.05, 0.3, num)), 0).astype(np.int64)
    away = random.random(num) < 0.12
    store = np.where(away, random.integers(0, config.num_stores, num), traits.store[who])
    other_channel = random.random(num) < 0.1
    channel = np.where(other_channel, random.integers(0, 3, num), traits.channel[who])
    return pa.table(
        {
            "customer_id": pa.array(who + config.first_customer + 1, pa.int64()),
            "timestamp": pa.array(when).cast(pa.timestamp("us")),
            "order_id": pa.array(np.arange(first_order, first_order + num)),
            "amount": pa.array((cents - discount) / 100.0),
            "quantity": pa.array(1 + random.poisson(4.0, num)),
            "discount": pa.array(discount / 100.0),
            "store_id": pa.array(store.astype(np.int32) + 1),
            "channel": pa.DictionaryArray.from_arrays(pa.array(channel.astype(np.int8)), pa.array(_CHANNELS)),
            "is_return": pa.array(np.zeros(num, bool)),
        }
    )


def _returns(orders: pa.Table, random: np.random.Generator) -> pa.Table:
    """Some orders come back, whole or in part, within two weeks; the order keeps its id."""
    chosen = orders.filter(pa.array(random.random(orders.num_rows) < _RETURN_SHARE))
    num = chosen.num_rows
    delay_us = (random.uniform(0.5, _RETURN_DELAY_DAYS, num) * DAY_US).astype(np.int64) // 1_000_000 * 1_000_000
    part = random.choice([0.3, 0.5, 1.0], num)
    amount = -np.rint(100 * chosen["amount"].to_numpy() * part) / 100.0
    columns = {
        "timestamp": pa.array(chosen["timestamp"].cast(pa.int64()).to_numpy() + delay_us).cast(pa.timestamp("us")),
        "amount": pa.array(amount),
        "quantity": pa.array(-np.maximum(1, np.rint(chosen["quantity"].to_numpy() * part)).astype(np.int64)),
        "discount": pa.array(np.zeros(num)),
        "is_return": pa.array(np.ones(num, bool)),
    }
    return pa.table({name: columns.get(name, chosen[name]) for name in orders.column_names})


def _due(pending: list[pa.Table], *, before_us: int) -> tuple[pa.Table, list[pa.Table]]:
    waiting = pa.concat_tables(pending)
    now = waiting["timestamp"].cast(pa.int64()).to_numpy() < before_us
    return waiting.filter(pa.array(now)), [waiting.filter(pa.array(~now))]


def _visits(config: ChainConfig, traits: _Traits, days: range, random: np.random.Generator) -> pa.Table:
    who, when = _happenings(traits, days, random, 0.5)
    online = traits.channel[who] > 0
    return pa.table(
        {
            "customer_id": pa.array(who + config.first_customer + 1, pa.int64()),
            "timestamp": pa.array(when).cast(pa.timestamp("us")),
            "kind": pa.array(np.where(online, "login", "visit")),
            "store_id": pa.array(traits.store[who] + 1, mask=online),
            "channel": pa.array(_CHANNELS[traits.channel[who]]),
        }
    )


def _feedback(traits: _Traits, orders: pa.Table, random: np.random.Generator, config: ChainConfig) -> pa.Table:
    rated = orders.filter(pa.array(random.random(orders.num_rows) < _RATED_SHARE))
    who = rated["customer_id"].to_numpy() - config.first_customer - 1
    day = rated["timestamp"].cast(pa.int64()).to_numpy() / DAY_US - _START_DAY
    gloom = 1.5 * np.clip(1 - (traits.lapses[who] - day) / _FADING_DAYS, 0.0, 1.0)
    rating = np.rint(traits.mood[who] - gloom + random.normal(0, 0.6, len(who))).clip(1, 5).astype(np.int8)
    return pa.table(
        {
            "customer_id": rated["customer_id"],
            "timestamp": rated["timestamp"],
            "kind": pa.array(np.full(len(who), "feedback")),
            "rating": pa.array(rating),
        }
    )


def main() -> None:
    """Command line of the generator."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--orders-per-customer", type=float, default=31.0)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = ChainConfig(
        num_customers=arguments.customers,
        orders_per_customer=arguments.orders_per_customer,
        num_days=arguments.days,
        seed=arguments.seed,
    )
    counts = write_chain(config, arguments.out)
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()), "in", arguments.out)


if __name__ == "__main__":
    main()
