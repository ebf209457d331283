"""The indicators in Polars, over the same relation of events as `benchmarks.duckdb_indicators`, sorted by customer and time."""

from __future__ import annotations

import polars as pl

from engine.instants import DAY_US

_CUSTOMER = "customer_id"
_WINDOWS = (7, 14, 30, 60, 90)
# Kinds of which a count of 0 means nothing before the chain's first.
_COUNTED = ("return", "visit", "login", "complaint", "contact")


def compute(events: pl.LazyFrame, as_of_us: int) -> pl.DataFrame:
    """customer_id and a float for each indicator, one row per customer with an event before the instant; null: not known.

    events : sorted by customer_id and timestamp_us, which is what the latest store, channel and rating are told by
    """
    seen = events.filter(pl.col("timestamp_us") < as_of_us).with_columns(age=as_of_us - pl.col("timestamp_us"))
    covered = seen.select((pl.col("kind") == kind).any().alias(f"has_{kind}") for kind in _COUNTED)
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

    def count(kind: str, days: int) -> pl.Expr:
        return ((pl.col("kind") == kind) & _within(days)).sum()

    ratings = pl.col("rating").filter((pl.col("kind") == "feedback") & _within(180)).drop_nulls()
    return seen.group_by(_CUSTOMER).agg(
        *((_BOUGHT & _within(days)).sum().alias(f"orders_{days}d") for days in (*_WINDOWS, 180)),
        *(
            (pl.col("amount_minor").filter(_BOUGHT & _within(days)).sum() / 100).alias(f"spend_{days}d")
            for days in (*_WINDOWS, 180)
        ),
        *(pl.col("num_categories").filter(_BOUGHT & _within(days)).sum().alias(f"categories_{days}d") for days in (90, 180)),
        (pl.col("discount_minor").filter(_BOUGHT & _within(90)).abs().sum() / 100).alias("discount_90d"),
        (since("purchase").min() / DAY_US).alias("recency_days"),
        (since("purchase").max() / DAY_US).alias("tenure_days"),
        count("return", 180).alias("returns_180d"),
        (since("visit").min() / DAY_US).alias("days_since_visit"),
        (since("login").min() / DAY_US).alias("days_since_login"),
        count("visit", 30).alias("visits"),
        count("login", 30).alias("logins"),
        count("complaint", 90).alias("complaints"),
        count("contact", 90).alias("contacts"),
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

    def share_at_latest(place: pl.Expr) -> pl.Expr:
        return pl.when(place.last().is_not_null()).then((place == place.last()).sum() / pl.len())

    return recent.group_by(_CUSTOMER).agg(
        share_at_latest(pl.col("store_id")).alias("store_share_90d"),
        pl.col("other_store").mean().alias("store_switch_rate_90d"),
        share_at_latest(pl.col("channel")).alias("channel_share_90d"),
        pl.col("other_channel").mean().alias("channel_switch_rate_90d"),
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

    def counted(kind: str, number: pl.Expr) -> pl.Expr:
        return pl.when(f"has_{kind}").then(number)

    return [
        *map(col, ("recency_days", *(f"{what}_{days}d" for what in ("orders", "spend") for days in _WINDOWS))),
        _balance(col("orders_30d").cast(pl.Int64), col("orders_60d").cast(pl.Int64) - col("orders_30d").cast(pl.Int64)).alias(
            "orders_change_30d"
        ),
        _balance(col("spend_30d"), col("spend_60d") - col("spend_30d")).alias("spend_change_30d"),
        *map(col, ("gap_mean_days", "gap_spread_days", "gap_longest_days")),
        _share(col("recency_days"), col("gap_mean_days")).alias("lateness"),
        col("tenure_days"),
        basket.alias("basket_90d"),
        _balance(basket, basket_before).alias("basket_change_90d"),
        _share(col("discount_90d"), col("spend_90d") + col("discount_90d")).alias("discount_share_90d"),
        breadth.alias("categories_per_order_90d"),
        _balance(breadth, breadth_before).alias("categories_change_90d"),
        *map(col, ("store_share_90d", "store_switch_rate_90d", "channel_share_90d", "channel_switch_rate_90d")),
        col("weekday_regularity"),
        counted("return", _share(col("returns_180d"), col("orders_180d"))).alias("return_rate_180d"),
        *map(col, ("days_since_visit", "days_since_login")),
        counted("visit", col("visits")).alias("visits_30d"),
        counted("login", col("logins")).alias("logins_30d"),
        _share(col("ratings"), col("num_ratings")).alias("rating_mean_180d"),
        (col("latest_rating") - ratings_before).alias("rating_change_180d"),
        counted("complaint", col("complaints")).alias("complaints_90d"),
        counted("contact", col("contacts")).alias("contacts_90d"),
        col("contact_response_90d"),
    ]
