"""The indicators in Polars, over the same relation of events as `benchmarks.duckdb_indicators`, sorted by customer and time."""

from __future__ import annotations

import polars as pl

from engine.instants import DAY_US

_CUSTOMER = "customer_id"


def compute(events: pl.LazyFrame, as_of_us: int) -> pl.DataFrame:
    """customer_id and a float for each indicator, one row per customer with an event before the instant; null: not known.

    events : sorted by customer_id and timestamp_us, which is what the latest outlet and rating are told by
    """
    seen = events.filter(pl.col("timestamp_us") < as_of_us).with_columns(age=as_of_us - pl.col("timestamp_us"))
    covered = seen.select(has_returns=(pl.col("kind") == "return").any(), has_complaints=(pl.col("kind") == "complaint").any())
    every = _sums(seen)
    for part in (_rhythm(seen), _regularity(seen), _loyalty(seen), _response(seen)):
        every = every.join(part, on=_CUSTOMER, how="left")
    return every.join(covered, how="cross").select(_CUSTOMER, *_indicators()).collect()


_BOUGHT = pl.col("kind") == "purchase"


def _within(days: int) -> pl.Expr:
    return pl.col("age") <= days * DAY_US


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)


def _balance(now: pl.Expr, before: pl.Expr) -> pl.Expr:
    return pl.when((now >= 0) & (before >= 0) & (now + before > 0)).then((now - before) / (now + before))


def _or_null(number: pl.Expr) -> pl.Expr:
    return pl.when(number > 0).then(number)


def _sums(seen: pl.LazyFrame) -> pl.LazyFrame:
    def since(kind: str) -> pl.Expr:
        return pl.col("age").filter(pl.col("kind") == kind)

    ratings = pl.col("rating").filter((pl.col("kind") == "feedback") & _within(180)).drop_nulls()
    return seen.group_by(_CUSTOMER).agg(
        *((_BOUGHT & _within(days)).sum().alias(f"orders_{days}d") for days in (7, 14, 30, 60, 90, 180)),
        *(
            (pl.col("amount_minor").filter(_BOUGHT & _within(days)).sum() / 100).alias(f"spend_{days}d")
            for days in (30, 60, 90, 180)
        ),
        *(pl.col("num_categories").filter(_BOUGHT & _within(days)).sum().alias(f"categories_{days}d") for days in (90, 180)),
        (pl.col("discount_minor").filter(_BOUGHT & _within(90)).abs().sum() / 100).alias("discount_90d"),
        (since("purchase").min() / DAY_US).alias("recency_days"),
        (since("purchase").max() / DAY_US).alias("tenure_days"),
        ((pl.col("kind") == "return") & _within(180)).sum().alias("returns_180d"),
        (since("visit").min() / DAY_US).alias("days_since_visit"),
        (since("login").min() / DAY_US).alias("days_since_login"),
        ((pl.col("kind") == "complaint") & _within(90)).sum().alias("complaints"),
        ratings.len().alias("num_ratings"),
        ratings.sum().alias("ratings"),
        ratings.last().alias("latest_rating"),
    )


def _shopping_days(seen: pl.LazyFrame) -> pl.LazyFrame:
    days = seen.filter(_BOUGHT).with_columns(day=pl.col("timestamp_us") // DAY_US)
    return days.group_by(_CUSTOMER, "day").agg(pl.col("age").min())


def _rhythm(seen: pl.LazyFrame) -> pl.LazyFrame:
    days = _shopping_days(seen).sort(_CUSTOMER, "day")
    gap = pl.when(pl.col(_CUSTOMER) == pl.col(_CUSTOMER).shift()).then(pl.col("day") - pl.col("day").shift())
    return (
        days.select(_CUSTOMER, gap=gap)
        .group_by(_CUSTOMER)
        .agg(
            pl.col("gap").mean().alias("gap_mean_days"),
            pl.when(pl.col("gap").count() > 1).then(pl.col("gap").std(ddof=0)).alias("gap_spread_days"),
            pl.col("gap").max().alias("gap_longest_days"),
        )
    )


def _regularity(seen: pl.LazyFrame) -> pl.LazyFrame:
    weekdays = _shopping_days(seen.filter(_within(90))).group_by(_CUSTOMER, pl.col("day") % 7).agg(num_days=pl.len())
    return weekdays.group_by(_CUSTOMER).agg((pl.col("num_days").max() / pl.col("num_days").sum()).alias("weekday_regularity"))


def _loyalty(seen: pl.LazyFrame) -> pl.LazyFrame:
    is_same = pl.col(_CUSTOMER) == pl.col(_CUSTOMER).shift()
    recent = seen.filter(_BOUGHT & _within(90)).with_columns(
        other_store=pl.when(is_same).then(pl.col("store_id") != pl.col("store_id").shift()),
        other_channel=pl.when(is_same).then(pl.col("channel") != pl.col("channel").shift()),
    )
    store, channel = pl.col("store_id"), pl.col("channel")
    is_latest = store.eq_missing(store.last()) & channel.eq_missing(channel.last())
    is_known = store.last().is_not_null() | channel.last().is_not_null()
    changed = pl.col("other_store").fill_null(False) | pl.col("other_channel").fill_null(False)
    is_pair = pl.col("other_store").is_not_null() | pl.col("other_channel").is_not_null()
    return recent.group_by(_CUSTOMER).agg(
        pl.when(is_known).then(is_latest.sum() / pl.len()).alias("outlet_share_90d"),
        _share(changed.sum(), is_pair.sum()).alias("outlet_switch_rate_90d"),
    )


def _response(seen: pl.LazyFrame) -> pl.LazyFrame:
    contacts = seen.filter((pl.col("kind") == "contact") & _within(90)).select(_CUSTOMER, contact_us="timestamp_us")
    contacts = contacts.with_row_index("contact")
    orders = seen.filter(_BOUGHT & _within(90)).select(_CUSTOMER, "timestamp_us")
    wait_us = pl.col("timestamp_us") - pl.col("contact_us")
    answered = contacts.join(orders, on=_CUSTOMER).filter((wait_us > 0) & (wait_us <= 14 * DAY_US)).select("contact").unique()
    both = contacts.join(answered.with_columns(has_answer=True), on="contact", how="left")
    return both.group_by(_CUSTOMER).agg((pl.col("has_answer").count() / pl.len()).alias("contact_response_90d"))


def _indicators() -> list[pl.Expr]:
    """Those that are more than a column, under their names; in the order of the catalogue."""
    col = pl.col
    basket = _share(col("spend_90d"), col("orders_90d"))
    basket_before = _share(col("spend_180d") - col("spend_90d"), col("orders_180d") - col("orders_90d"))
    breadth = _share(_or_null(col("categories_90d")), col("orders_90d"))
    breadth_before = _share(_or_null(col("categories_180d") - col("categories_90d")), col("orders_180d") - col("orders_90d"))
    ratings_before = _share(col("ratings") - col("latest_rating"), col("num_ratings") - 1)
    return [
        *map(col, ("recency_days", "tenure_days", *(f"orders_{days}d" for days in (7, 14, 30, 60, 90)))),
        _balance(col("orders_30d").cast(pl.Int64), col("orders_60d").cast(pl.Int64) - col("orders_30d").cast(pl.Int64)).alias(
            "orders_change_30d"
        ),
        *map(col, ("spend_30d", "spend_90d")),
        _balance(col("spend_30d"), col("spend_60d") - col("spend_30d")).alias("spend_change_30d"),
        *map(col, ("gap_mean_days", "gap_spread_days", "gap_longest_days")),
        _share(col("recency_days"), col("gap_mean_days")).alias("lateness"),
        col("weekday_regularity"),
        basket.alias("basket_90d"),
        _balance(basket, basket_before).alias("basket_change_90d"),
        _share(col("discount_90d"), col("spend_90d") + col("discount_90d")).alias("discount_share_90d"),
        breadth.alias("categories_per_order_90d"),
        _balance(breadth, breadth_before).alias("categories_change_90d"),
        *map(col, ("outlet_share_90d", "outlet_switch_rate_90d")),
        pl.when("has_returns").then(_share(col("returns_180d"), col("orders_180d"))).alias("return_rate_180d"),
        *map(col, ("days_since_visit", "days_since_login")),
        _share(col("ratings"), col("num_ratings")).alias("rating_mean_180d"),
        (col("latest_rating") - ratings_before).alias("rating_change_180d"),
        pl.when("has_complaints").then(col("complaints")).alias("complaints_90d"),
        col("contact_response_90d"),
    ]
