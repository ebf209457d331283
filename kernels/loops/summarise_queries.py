"""One walk over a customer's rows, newest first: everything that `summarise_events` says about one query.

The walk has two legs. The recent one, up to half a year back, reads all columns; the other, up to the first event, reads times
and kinds alone, which is what makes a long history cheap. Sums are of integers, so that no order of adding shows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.kinds import COMPLAINT, CONTACT, FEEDBACK, LOGIN, PURCHASE, RETURN, VISIT
from kernels.loops.compilation import compile_part

_DAY_US = 86_400_000_000
_WEEK_US = 7 * _DAY_US
_MINOR_PER_MAJOR = 100.0
_MILLI = 1000.0
# Days of a customer's 90 on one weekday are at most 13, so that seven counters share an int64, eight bits each.
_COUNTER_BITS = 8
_RESPONSE_US = 14 * _DAY_US


@compile_part
def _ratio(part: float, whole: float) -> float:
    """part / whole where whole is positive, else NaN."""
    return part / whole if whole > 0 else np.nan


@compile_part
def _change(now: float, before: float) -> float:
    """(now - before) / (now + before): -1 gone, 0 the same, 1 new; NaN where there was nothing, or a sum below zero."""
    return (now - before) / (now + before) if now >= 0 and before >= 0 and now + before > 0 else np.nan


@compile_part
def _days(from_us: int, to_us: int, is_known: bool) -> float:
    """Days between two instants, NaN where the first is not known."""
    return (to_us - from_us) / _DAY_US if is_known else np.nan


def summarise_queries(
    timestamp_us: NDArray[np.int64],
    kind: NDArray[np.uint8],
    amount_minor: NDArray[np.int64],
    discount_minor: NDArray[np.int64],
    num_lines: NDArray[np.int32],
    num_categories: NDArray[np.int32],
    rating_milli: NDArray[np.int32],
    store_code: NDArray[np.int32],
    channel_code: NDArray[np.int32],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    first: int,
    stop: int,
    summary: NDArray[np.float32],
) -> None:
    """Fill rows [first, stop) of float32[num_queries, NUM_SUMMARY_COLUMNS]; see kernels.operations.summarise_events."""
    for query in range(first, stop):
        now_us = as_of_us[query]
        num_purchases = 0
        latest_us = first_us = 0
        # orders and spend by window
        orders_7 = orders_14 = orders_30 = orders_60 = orders_90 = orders_180 = orders_365 = 0
        spend_30 = spend_60 = spend_90 = spend_180 = 0
        discount_90 = lines_90 = 0
        categories_90 = categories_180 = 0
        # rhythm, in whole UTC days with a purchase
        num_days = days_90 = weeks_90 = 0
        last_day = day = day_before = 0
        longest = longest_90 = latest_gap = squares = 0
        week = -1
        weekdays = 0
        # where they buy: the outlet of the order that came after, and of the latest one
        next_store = next_channel = latest_store = latest_channel = -1
        at_latest = num_pairs = num_switches = 0
        # everything else
        returns_90 = returns_180 = complaints_90 = 0
        visit_us = login_us = 0
        has_visit = has_login = False
        num_ratings = ratings = latest_rating = 0
        num_contacts = num_responses = 0
        buy_us = buy_after_us = now_us  # the purchase met last on the walk, and the one at the next later instant

        row = end[query] - 1
        while row >= begin[query]:
            time_us = timestamp_us[row]
            age_us = now_us - time_us
            if age_us > 180 * _DAY_US:
                break
            of_90 = age_us <= 90 * _DAY_US
            what = kind[row]
            if what == PURCHASE:
                if num_purchases == 0:
                    latest_us = time_us
                    latest_store, latest_channel = store_code[row], channel_code[row]
                num_purchases += 1
                first_us = time_us
                if time_us < buy_us:
                    buy_after_us = buy_us
                    buy_us = time_us

                amount = amount_minor[row]
                orders_180 += 1
                spend_180 += amount
                categories_180 += num_categories[row]
                day = time_us // _DAY_US
                is_new_day = num_days == 0 or day != day_before
                if is_new_day:
                    if num_days == 0:
                        last_day = day
                    else:
                        gap = day_before - day
                        squares += gap * gap
                        longest = max(longest, gap)
                        if num_days == 1:
                            latest_gap = gap
                        if of_90:
                            longest_90 = max(longest_90, gap)
                    num_days += 1
                    day_before = day
                if of_90:
                    orders_7 += age_us <= 7 * _DAY_US
                    orders_14 += age_us <= 14 * _DAY_US
                    orders_30 += age_us <= 30 * _DAY_US
                    orders_60 += age_us <= 60 * _DAY_US
                    orders_90 += 1
                    spend_30 += amount if age_us <= 30 * _DAY_US else 0
                    spend_60 += amount if age_us <= 60 * _DAY_US else 0
                    spend_90 += amount
                    categories_90 += num_categories[row]
                    discount_90 += abs(discount_minor[row])
                    lines_90 += num_lines[row]
                    if is_new_day:
                        days_90 += 1
                        weekdays += 1 << (_COUNTER_BITS * (day % 7))
                    # a week ends at the instant, and its border belongs to the later one
                    if max(age_us - 1, 0) // _WEEK_US != week:
                        week = max(age_us - 1, 0) // _WEEK_US
                        weeks_90 += 1
                    store, channel = store_code[row], channel_code[row]
                    at_latest += store == latest_store and channel == latest_channel
                    knows_both_stores = orders_90 > 1 and store >= 0 and next_store >= 0
                    knows_both_channels = orders_90 > 1 and channel >= 0 and next_channel >= 0
                    if knows_both_stores or knows_both_channels:
                        num_pairs += 1
                        num_switches += (knows_both_stores and store != next_store) or (
                            knows_both_channels and channel != next_channel
                        )
                    next_store, next_channel = store, channel
            elif what == RETURN:
                returns_180 += 1
                returns_90 += of_90
            elif what == FEEDBACK:
                if rating_milli[row] >= 0:
                    if num_ratings == 0:
                        latest_rating = rating_milli[row]
                    num_ratings += 1
                    ratings += rating_milli[row]
            elif what == COMPLAINT:
                complaints_90 += of_90
            elif what == CONTACT:
                if of_90:
                    num_contacts += 1
                    answer_us = buy_us if buy_us > time_us else buy_after_us
                    num_responses += answer_us < now_us and answer_us - time_us <= _RESPONSE_US
            elif what == VISIT:
                if not has_visit:
                    visit_us, has_visit = time_us, True
            elif what == LOGIN and not has_login:
                login_us, has_login = time_us, True
            row -= 1

        orders_365 = orders_180
        while row >= begin[query]:
            time_us = timestamp_us[row]
            what = kind[row]
            if what == PURCHASE:
                if num_purchases == 0:
                    latest_us = time_us
                num_purchases += 1
                first_us = time_us
                orders_365 += now_us - time_us <= 365 * _DAY_US
                day = time_us // _DAY_US
                if num_days == 0:
                    last_day = day
                    num_days = 1
                elif day != day_before:
                    gap = day_before - day
                    squares += gap * gap
                    longest = max(longest, gap)
                    if num_days == 1:
                        latest_gap = gap
                    num_days += 1
                day_before = day
            elif what == VISIT:
                if not has_visit:
                    visit_us, has_visit = time_us, True
            elif what == LOGIN and not has_login:
                login_us, has_login = time_us, True
            row -= 1

        has_bought = num_purchases > 0
        num_gaps = max(num_days - 1, 0)
        span = last_day - day_before  # of a customer with gaps, the sum of them
        recency = _days(latest_us, now_us, has_bought)
        gap_mean = _ratio(span, num_gaps)
        busiest = 0
        for weekday in range(7):
            busiest = max(busiest, (weekdays >> (_COUNTER_BITS * weekday)) & 0xFF)
        basket = _ratio(spend_90 / _MINOR_PER_MAJOR, orders_90)
        basket_before = _ratio((spend_180 - spend_90) / _MINOR_PER_MAJOR, orders_180 - orders_90)
        breadth = _ratio(categories_90, orders_90) if categories_90 > 0 else np.nan
        breadth_before = (
            _ratio(categories_180 - categories_90, orders_180 - orders_90) if categories_180 > categories_90 else np.nan
        )
        rating_before = _ratio((ratings - latest_rating) / _MILLI, num_ratings - 1)
        knows_outlet = latest_store >= 0 or latest_channel >= 0

        summary[query, 0] = recency
        summary[query, 1] = _days(first_us, now_us, has_bought)
        summary[query, 2] = orders_7
        summary[query, 3] = orders_14
        summary[query, 4] = orders_30
        summary[query, 5] = orders_60
        summary[query, 6] = orders_90
        summary[query, 7] = _change(orders_30, orders_60 - orders_30)
        summary[query, 8] = spend_30 / _MINOR_PER_MAJOR
        summary[query, 9] = spend_90 / _MINOR_PER_MAJOR
        summary[query, 10] = _change(spend_30, spend_60 - spend_30)
        summary[query, 11] = gap_mean
        # of whole days, so that the variance is exact in integers
        summary[query, 12] = math.sqrt(num_gaps * squares - span * span) / num_gaps if num_gaps > 1 else np.nan
        summary[query, 13] = longest if num_gaps > 0 else np.nan
        summary[query, 14] = _ratio(recency, gap_mean) if num_gaps > 0 else np.nan
        summary[query, 15] = _ratio(busiest, days_90)
        summary[query, 16] = basket
        summary[query, 17] = _change(basket, basket_before)
        summary[query, 18] = _ratio(discount_90, spend_90 + discount_90)
        summary[query, 19] = breadth
        summary[query, 20] = _change(breadth, breadth_before)
        summary[query, 21] = _ratio(at_latest, orders_90) if knows_outlet else np.nan
        summary[query, 22] = _ratio(num_switches, num_pairs)
        summary[query, 23] = _ratio(returns_180, orders_180)
        summary[query, 24] = _days(visit_us, now_us, has_visit)
        summary[query, 25] = _days(login_us, now_us, has_login)
        summary[query, 26] = _ratio(ratings / _MILLI, num_ratings)
        summary[query, 27] = latest_rating / _MILLI - rating_before
        summary[query, 28] = complaints_90
        summary[query, 29] = _ratio(num_responses, num_contacts)
        summary[query, 30] = orders_180
        summary[query, 31] = orders_365
        summary[query, 32] = days_90
        summary[query, 33] = weeks_90
        summary[query, 34] = longest_90 if days_90 > 1 else np.nan
        summary[query, 35] = latest_gap if num_gaps > 0 else np.nan
        summary[query, 36] = _ratio(lines_90, orders_90)
        summary[query, 37] = returns_90
