"""The indicators as DuckDB SQL: what ebbtide is compared with, in tests for the answers and in benchmarks for the time.

One query over a relation of events that looks like a history at rest, and one that makes such a relation from a raw log:

    events : customer_id, timestamp_us, kind (a name), amount_minor, discount_minor, num_categories, rating, store_id, channel

Of the ways to write it that were tried this is the fastest: to keep `seen` made DuckDB a fifth slower, and so did comparing the
kind anew in each of two dozen filters. NULL is "not known". The order of two events of one customer at one instant is open, so
that the store, the channel and the latest rating of customers with such ties may differ from ebbtide's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.instants import DAY_US

_WINDOWS = (7, 14, 30, 60, 90)
# Kinds of which a count of 0 means nothing before the chain's first.
_COUNTED = ("return", "visit", "login", "complaint", "contact")


def connect() -> duckdb.DuckDBPyConnection:
    """A connection of two threads that knows `share` and `balance`."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("CREATE MACRO share(part, whole) AS CASE WHEN whole > 0 THEN part / whole END")
    connection.execute(
        "CREATE MACRO balance(now, before) AS "
        "CASE WHEN now >= 0 AND before >= 0 AND now + before > 0 THEN (now - before) / (now + before) END"
    )
    return connection


def compute(connection: duckdb.DuckDBPyConnection, events: str, as_of_us: int) -> pa.Table:
    """customer_id and a double for each indicator, one row per customer with an event before the instant.

    events : a relation as above: a table, `read_parquet(…)`, or a query in brackets
    """
    return connection.sql(_query(events, as_of_us)).to_arrow_table()


def events_of_lines(
    files: Sequence[Path], columns: Mapping[str, str], *, others: Sequence[Path] = (), net_by_sign: bool = False
) -> str:
    """The relation of events of a raw log: lines of purchases and returns, which make orders, and what else happened.

    columns     : field -> column of the lines, named as in engine.fields; fields that are not in it are not known
    others      : files with customer_id, timestamp, kind, and rating where it is feedback
    net_by_sign : orders below zero are returns; else the column is_return says it
    """

    def of(field: str, otherwise: str = "NULL") -> str:
        return f'"{columns[field]}"' if field in columns else otherwise

    instant = f"min(epoch_us({of('timestamp')}))"
    keys = of("customer_id") + ", " + of("order_id")
    is_return = f"sum(round(10000 * {of('amount')})::BIGINT) < 0" if net_by_sign else of("is_return")
    group_by = keys if net_by_sign else f"{keys}, {of('is_return')}"
    lines = f"""
        SELECT {of("customer_id")} AS customer_id, {instant} AS timestamp_us,
               CASE WHEN {is_return} THEN 'return' ELSE 'purchase' END AS kind,
               sum(round(100 * {of("amount")})::BIGINT)::BIGINT AS amount_minor,
               sum(round(100 * {of("discount")})::BIGINT)::BIGINT AS discount_minor,
               count(DISTINCT {of("category")}) AS num_categories, NULL::DOUBLE AS rating,
               min({of("store_id")}) AS store_id, min({of("channel")}) AS channel
        FROM read_parquet({_names(files)}) GROUP BY {group_by}"""
    if "category" not in columns:
        lines = lines.replace(f"count(DISTINCT {of('category')})", "0")
    if not others:
        return f"({lines})"
    return f"""({lines}
        UNION ALL BY NAME
        SELECT customer_id, epoch_us("timestamp") AS timestamp_us, kind, rating
        FROM read_parquet({_names(others)}, union_by_name = true))"""


def _names(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(file).replace("'", "''") + "'" for file in files) + "]"


def _query(events: str, as_of_us: int) -> str:
    def days(number: int) -> str:
        return f"age <= {number * DAY_US}"

    def ordered(number: int) -> str:
        return f"order_age <= {number * DAY_US}"

    orders = ", ".join(f"count(*) FILTER ({ordered(window)}) AS orders_{window}d" for window in (*_WINDOWS, 180))
    spend = ", ".join(
        f"coalesce(sum(amount_minor) FILTER ({ordered(window)}), 0) / 100 AS spend_{window}d" for window in (*_WINDOWS, 180)
    )
    categories = ", ".join(
        f"coalesce(sum(num_categories) FILTER ({ordered(window)}), 0) AS categories_{window}d" for window in (90, 180)
    )
    covered = ", ".join(f"bool_or(kind = '{kind}') AS has_{kind}" for kind in _COUNTED)
    return f"""
    WITH seen AS NOT MATERIALIZED (
        SELECT *, {as_of_us} - timestamp_us AS age, CASE WHEN kind = 'purchase' THEN {as_of_us} - timestamp_us END AS order_age
        FROM {events} WHERE timestamp_us < {as_of_us}),
    summed AS (
        SELECT customer_id, {orders}, {spend}, {categories},
               min(order_age) / {DAY_US} AS recency_days,
               max(order_age) / {DAY_US} AS tenure_days,
               sum(abs(discount_minor)) FILTER ({ordered(90)}) / 100 AS discount_90d,
               count(*) FILTER (kind = 'return' AND {days(180)}) AS returns_180d,
               min(age) FILTER (kind = 'visit') / {DAY_US} AS days_since_visit,
               min(age) FILTER (kind = 'login') / {DAY_US} AS days_since_login,
               count(*) FILTER (kind = 'visit' AND {days(30)}) AS visits,
               count(*) FILTER (kind = 'login' AND {days(30)}) AS logins,
               count(*) FILTER (kind = 'complaint' AND {days(90)}) AS complaints,
               count(*) FILTER (kind = 'contact' AND {days(90)}) AS contacts,
               count(rating) FILTER (kind = 'feedback' AND {days(180)}) AS num_ratings,
               sum(rating) FILTER (kind = 'feedback' AND {days(180)}) AS ratings,
               arg_max(rating, timestamp_us) FILTER (kind = 'feedback' AND {days(180)}) AS latest_rating
        FROM seen GROUP BY customer_id),
    shopping_days AS (
        SELECT customer_id, timestamp_us // {DAY_US} AS day, min(age) AS age
        FROM seen WHERE kind = 'purchase' GROUP BY customer_id, day),
    gaps AS (SELECT customer_id, day - lag(day) OVER (PARTITION BY customer_id ORDER BY day) AS gap FROM shopping_days),
    rhythm AS (
        SELECT customer_id, avg(gap) AS gap_mean_days, max(gap) AS gap_longest_days,
               CASE WHEN count(gap) > 1 THEN stddev_pop(gap) END AS gap_spread_days
        FROM gaps GROUP BY customer_id),
    weekdays AS (
        SELECT customer_id, count(*) AS num_days FROM shopping_days WHERE {days(90)} GROUP BY customer_id, day % 7),
    regularity AS (SELECT customer_id, max(num_days) / sum(num_days) AS weekday_regularity FROM weekdays GROUP BY customer_id),
    places AS (
        SELECT customer_id, store_id, channel,
               lag(store_id) OVER in_time AS store_before, lag(channel) OVER in_time AS channel_before,
               last_value(store_id) OVER in_time AS latest_store, last_value(channel) OVER in_time AS latest_channel
        FROM seen WHERE {ordered(90)}
        WINDOW in_time AS (
            PARTITION BY customer_id ORDER BY timestamp_us ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)),
    loyalty AS (
        SELECT customer_id,
               CASE WHEN any_value(latest_store) IS NOT NULL THEN
                   count(*) FILTER (store_id = latest_store) / count(*) END AS store_share_90d,
               share(count(*) FILTER (store_id <> store_before), count(store_id <> store_before)) AS store_switch_rate_90d,
               CASE WHEN any_value(latest_channel) IS NOT NULL THEN
                   count(*) FILTER (channel = latest_channel) / count(*) END AS channel_share_90d,
               share(count(*) FILTER (channel <> channel_before), count(channel <> channel_before)) AS channel_switch_rate_90d
        FROM places GROUP BY customer_id),
    approaches AS (
        SELECT row_number() OVER () AS contact, customer_id, timestamp_us FROM seen WHERE kind = 'contact' AND {days(90)}),
    answered AS (
        SELECT DISTINCT contact FROM approaches JOIN seen USING (customer_id)
        WHERE kind = 'purchase' AND seen.timestamp_us > approaches.timestamp_us
          AND seen.timestamp_us <= approaches.timestamp_us + {14 * DAY_US} AND {days(90)}),
    response AS (
        SELECT customer_id, count(answered.contact) / count(*) AS contact_response_90d
        FROM approaches LEFT JOIN answered USING (contact) GROUP BY customer_id),
    covered AS (SELECT {covered} FROM seen)
    SELECT customer_id, recency_days, {", ".join(f"{what}_{days}d" for what in ("orders", "spend") for days in _WINDOWS)},
           balance(orders_30d, orders_60d - orders_30d) AS orders_change_30d,
           balance(spend_30d, spend_60d - spend_30d) AS spend_change_30d,
           gap_mean_days, gap_spread_days, gap_longest_days, share(recency_days, gap_mean_days) AS lateness,
           tenure_days, share(spend_90d, orders_90d) AS basket_90d,
           balance(share(spend_90d, orders_90d), share(spend_180d - spend_90d, orders_180d - orders_90d)) AS basket_change_90d,
           share(discount_90d, spend_90d + discount_90d) AS discount_share_90d,
           share(nullif(categories_90d, 0), orders_90d) AS categories_per_order_90d,
           balance(share(nullif(categories_90d, 0), orders_90d),
                   share(nullif(categories_180d - categories_90d, 0), orders_180d - orders_90d)) AS categories_change_90d,
           store_share_90d, store_switch_rate_90d, channel_share_90d, channel_switch_rate_90d, weekday_regularity,
           CASE WHEN has_return THEN share(returns_180d, orders_180d) END AS return_rate_180d,
           days_since_visit, days_since_login,
           CASE WHEN has_visit THEN visits END AS visits_30d, CASE WHEN has_login THEN logins END AS logins_30d,
           share(ratings, num_ratings) AS rating_mean_180d,
           latest_rating - share(ratings - latest_rating, num_ratings - 1) AS rating_change_180d,
           CASE WHEN has_complaint THEN complaints END AS complaints_90d,
           CASE WHEN has_contact THEN contacts END AS contacts_90d, contact_response_90d
    FROM summed LEFT JOIN rhythm USING (customer_id) LEFT JOIN regularity USING (customer_id)
         LEFT JOIN loyalty USING (customer_id) LEFT JOIN response USING (customer_id) CROSS JOIN covered"""
