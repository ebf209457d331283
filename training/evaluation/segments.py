"""Which kind of customer is judged well, and which is not: by tenure, value, number of orders and store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.partition import Partition
from training.data.purchases import summarise_purchases
from training.evaluation.bootstrap import Estimates, estimate
from training.evaluation.profit import ProfitConfig

_NUM_STORES = 5
# Fewer of an outcome say nothing about a segment; its size is still told.
_LEAST_OF_AN_OUTCOME = 10
_ORDER_STEPS = ((1, "1 order"), (3, "2 to 3 orders"), (10, "4 to 10 orders"), (30, "11 to 30 orders"))
_MINOR_PER_MAJOR = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What customers are grouped by, all from before the as-of.

    tenure_days  : float64[n]  since the first purchase
    amount_minor : int64[n]    of all orders
    num_orders   : int64[n]
    store        : object[n]   name of the store of the last order, "" where not known
    """

    tenure_days: NDArray[np.float64]
    amount_minor: NDArray[np.int64]
    num_orders: NDArray[np.int64]
    store: NDArray[np.object_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Customers of one kind.

    estimates : None where too few of them churned, or stayed, to tell anything
    """

    dimension: str
    name: str
    num_customers: int
    base_rate: float
    estimates: Estimates | None


def describe_customers(partition: Partition, customer_index: NDArray[np.int64], as_of_us: int) -> Traits:
    """Traits of customers who each bought before the instant."""
    purchases = summarise_purchases(partition, customer_index, as_of_us)
    names = np.asarray(["", *partition.store_names], object)
    return Traits(
        tenure_days=(as_of_us - purchases.first_us) / DAY_US,
        amount_minor=purchases.amount_minor,
        num_orders=purchases.num_orders,
        store=names[partition.store_code[purchases.last_row] + 1],
    )


def join_traits(traits: list[Traits]) -> Traits:
    """Those of several partitions or windows, one after the other."""
    return Traits(**{field.name: np.concatenate([getattr(part, field.name) for part in traits]) for field in fields(Traits)})


def judge_segments(
    churned: NDArray[np.bool_],
    probability: Mapping[str, NDArray[np.float64]],
    customer: NDArray[np.int64],
    traits: Traits,
    *,
    profit: ProfitConfig,
    num_resamples: int,
    seed: int = 0,
) -> list[Segment]:
    """Every segment that has a customer; arguments as of `bootstrap.estimate`."""
    segments = []
    for dimension, name, chosen in _cut(traits):
        outcome = churned[chosen]
        least = min(int(outcome.sum()), int((~outcome).sum()))
        estimates = None
        if least >= _LEAST_OF_AN_OUTCOME:
            estimates = estimate(
                outcome,
                {model: scores[chosen] for model, scores in probability.items()},
                np.unique(customer[chosen], return_inverse=True)[1],
                profit=profit,
                num_resamples=num_resamples,
                seed=seed,
            )
        segments.append(
            Segment(
                dimension=dimension,
                name=name,
                num_customers=len(outcome),
                base_rate=float(outcome.mean()),
                estimates=estimates,
            )
        )
    return segments


def _cut(traits: Traits) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Dimension, name and members of each segment that is not empty."""
    yield from _by_thirds("tenure", traits.tenure_days, lambda value: f"{value:,.0f} days")
    if traits.amount_minor.any():
        amount = traits.amount_minor / _MINOR_PER_MAJOR
        yield from _by_thirds("value", amount, lambda value: f"{value:,.0f} spent")
    lowest = 0
    for highest, name in _ORDER_STEPS:
        chosen = (traits.num_orders > lowest) & (traits.num_orders <= highest)
        lowest = highest
        if chosen.any():
            yield "orders", name, chosen
    most = traits.num_orders > lowest
    if most.any():
        yield "orders", f"more than {lowest} orders", most
    yield from _by_store(traits.store)


def _by_thirds(
    dimension: str, values: NDArray[np.float64], say: Callable[[float], str]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    for name, chosen in (
        (f"up to {say(low)}", values <= low),
        (f"{say(low)} to {say(high)}", (values > low) & (values <= high)),
        (f"more than {say(high)}", values > high),
    ):
        if chosen.any():
            yield dimension, name, chosen


def _by_store(store: NDArray[np.object_]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """The largest ones by name, the others together; nothing where the log names at most one."""
    names, codes = np.unique(store.astype(str), return_inverse=True)
    if len(names) < 2:
        return
    sizes = np.bincount(codes)
    known = [code for code in np.argsort(-sizes, kind="stable") if names[code]]
    for code in known[:_NUM_STORES]:
        yield "store", f"store {names[code]}", codes == code
    others = np.isin(codes, known[_NUM_STORES:])
    if others.any():
        yield "store", f"{len(known) - _NUM_STORES} other stores", others
    unknown = store.astype(str) == ""
    if unknown.any():
        yield "store", "store not known", unknown
