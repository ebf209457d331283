"""One walk over a customer's rows, newest first: everything that `summarise_events` says about one query.

The walk goes in legs. Those up to half a year back read all columns, and end where a window ends: whatever is counted up to
there is that window's, so that five windows cost a row no more than one. The last leg, up to the first event, reads times and
kinds alone, which is what makes a long history cheap; with a rhythm, which tells the rest, it ends after a year. Sums are of
integers, so that no order of adding shows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernels.description_columns import NO_EVENT
from kernels.kinds import COMPLAINT, CONTACT, FEEDBACK, LOGIN, PURCHASE, RETURN, VISIT
from kernels.loops.compilation import compile_part

_DAY_US = 86_400_000_000
_WEEK_US = 7 * _DAY_US
_MINOR_PER_MAJOR = 100.0
_MILLI = 1000.0
# Days of a customer's 180 on one weekday are at most 26, so that seven counters share an int64, eight bits each.
_COUNTER_BITS = 8
_RESPONSE_US = 14 * _DAY_US
# Where the recent legs end: the windows of orders and spend (kernels.summary_columns.WINDOWS_DAYS), and half a year.
_LEGS_US = (7 * _DAY_US, 14 * _DAY_US, 30 * _DAY_US, 60 * _DAY_US, 90 * _DAY_US, 180 * _DAY_US)
_NUM_LEGS = len(_LEGS_US)
_LEG_30, _LEG_60, _LEG_90 = 2, 3, 4
_ORDERS, _SPEND = 1, 6  # columns of the first windows


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


@compile_part
def _busiest(weekdays: int) -> int:
    """The largest of the seven counters."""
    busiest = 0
    for weekday in range(7):
        busiest = max(busiest, (weekdays >> (_COUNTER_BITS * weekday)) & 0xFF)
    return busiest


@compile_part
def _newest(kind: NDArray[np.uint8], wanted: int, oldest: int, row: int) -> int:
    """The newest row of a kind in [oldest, row], oldest - 1 where there is none."""
    while row >= oldest and kind[row] != wanted:
        row -= 1
    return row


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
    rhythm: NDArray[np.int64],
    first: int,
    stop: int,
    summary: NDArray[np.float32],
) -> None:
    """Fill rows [first, stop) of float32[num_queries, NUM_SUMMARY_COLUMNS]; see kernels.summarise_events.

    rhythm : int64[num_queries, NUM_RHYTHM_COLUMNS], or int64[1, 1] where all is to be read off the rows
    """
    for query in range(first, stop):
        now_us = as_of_us[query]
        oldest = begin[query]
        num_purchases = spend = categories = 0
        latest_us = first_us = 0
        orders_30 = orders_60 = orders_90 = orders_365 = 0
        spend_30 = spend_60 = spend_90 = categories_90 = 0
        discount_90 = lines_90 = 0
        # rhythm, in whole UTC days with a purchase
        num_days = days_90 = weeks_90 = 0
        last_day = day_before = 0
        longest = longest_90 = latest_gap = squares = 0
        week = -1
        weekdays = weekdays_90 = 0
        # where they buy: the store and channel of the order that came after, and of the latest one
        next_store = next_channel = latest_store = latest_channel = -1
        at_store = store_pairs = store_switches = 0
        at_channel = channel_pairs = channel_switches = 0
        # everything else
        num_returns = returns_90 = num_complaints = complaints_90 = 0
        visit_us = login_us = 0
        num_visits = num_logins = visits_30 = logins_30 = 0
        num_ratings = ratings = latest_rating = 0
        num_contacts = num_responses = 0
        buy_us = buy_after_us = now_us  # the purchase met last on the walk, and the one at the next later instant

        row = end[query] - 1
        for leg in range(_NUM_LEGS):
            leg_us = now_us - _LEGS_US[leg]
            of_90 = leg <= _LEG_90
            while row >= oldest:
                time_us = timestamp_us[row]
                if time_us < leg_us:
                    break
                what = kind[row]
                if what == PURCHASE:
                    day = time_us // _DAY_US
                    if num_purchases == 0:
                        latest_us = time_us
                        latest_store, latest_channel = store_code[row], channel_code[row]
                        last_day = day_before = day
                        num_days, weekdays = 1, 1 << (_COUNTER_BITS * (day % 7))
                    num_purchases += 1
                    first_us = time_us
                    if time_us < buy_us:
                        buy_after_us = buy_us
                        buy_us = time_us
                    spend += amount_minor[row]
                    categories += num_categories[row]
                    gap = day_before - day  # 0 on the same day, and then nothing changes
                    day_before = day
                    squares += gap * gap
                    longest = max(longest, gap)
                    if num_days == 1:
                        latest_gap = gap
                    num_days += gap > 0
                    weekdays += (1 if gap > 0 else 0) << (_COUNTER_BITS * (day % 7))
                    if of_90:
                        discount_90 += abs(discount_minor[row])
                        lines_90 += num_lines[row]
                        # a week ends at the instant, and its border belongs to the later one
                        if max(now_us - time_us - 1, 0) // _WEEK_US != week:
                            week = max(now_us - time_us - 1, 0) // _WEEK_US
                            weeks_90 += 1
                        store, channel = store_code[row], channel_code[row]
                        at_store += store == latest_store
                        at_channel += channel == latest_channel
                        if store >= 0 and next_store >= 0:
                            store_pairs += 1
                            store_switches += store != next_store
                        if channel >= 0 and next_channel >= 0:
                            channel_pairs += 1
                            channel_switches += channel != next_channel
                        next_store, next_channel = store, channel
                elif what == VISIT:
                    if num_visits == 0:
                        visit_us = time_us
                    num_visits += 1
                elif what == LOGIN:
                    if num_logins == 0:
                        login_us = time_us
                    num_logins += 1
                elif what == RETURN:
                    num_returns += 1
                elif what == FEEDBACK:
                    if rating_milli[row] >= 0:
                        if num_ratings == 0:
                            latest_rating = rating_milli[row]
                        num_ratings += 1
                        ratings += rating_milli[row]
                elif what == COMPLAINT:
                    num_complaints += 1
                elif what == CONTACT and of_90:
                    num_contacts += 1
                    answer_us = buy_us if buy_us > time_us else buy_after_us
                    num_responses += answer_us < now_us and answer_us - time_us <= _RESPONSE_US
                row -= 1

            if of_90:
                summary[query, _ORDERS + leg] = num_purchases
                summary[query, _SPEND + leg] = spend / _MINOR_PER_MAJOR
            if leg == _LEG_30:
                orders_30, spend_30 = num_purchases, spend
                visits_30, logins_30 = num_visits, num_logins
            elif leg == _LEG_60:
                orders_60, spend_60 = num_purchases, spend
            elif leg == _LEG_90:
                orders_90, spend_90, categories_90 = num_purchases, spend, categories
                days_90, weekdays_90, longest_90 = num_days, weekdays, longest
                returns_90, complaints_90 = num_returns, num_complaints

        orders_180 = orders_365 = num_purchases
        year_us = now_us - 365 * _DAY_US
        if rhythm.shape[1] > 1:
            while row >= oldest and timestamp_us[row] >= year_us:
                orders_365 += kind[row] == PURCHASE
                row -= 1
            # the places of kernels.rhythm_columns
            num_purchases, first_us, latest_us = rhythm[query, 1], rhythm[query, 2], rhythm[query, 3]
            last_day, day_before = latest_us // _DAY_US, first_us // _DAY_US
            num_days, longest, latest_gap, squares = rhythm[query, 4], rhythm[query, 5], rhythm[query, 6], rhythm[query, 7]
            visit_us, login_us = rhythm[query, 8], rhythm[query, 9]
            num_visits, num_logins = (1 if visit_us != NO_EVENT else 0), (1 if login_us != NO_EVENT else 0)
        else:
            if num_visits == 0:
                newest = _newest(kind, VISIT, oldest, row)
                if newest >= oldest:
                    visit_us, num_visits = timestamp_us[newest], 1
            if num_logins == 0:
                newest = _newest(kind, LOGIN, oldest, row)
                if newest >= oldest:
                    login_us, num_logins = timestamp_us[newest], 1
            if num_purchases == 0:
                newest = _newest(kind, PURCHASE, oldest, row)
                if newest >= oldest:
                    latest_us, num_days = timestamp_us[newest], 1
                    last_day = day_before = latest_us // _DAY_US
            # Most rows are met here, and whether the next one is a purchase is anybody's guess: written as choices between
            # numbers, which compile to no branch. What is no purchase lies on the day of the one before, and a gap of 0 changes
            # nothing.
            while row >= oldest:
                time_us = timestamp_us[row]
                day = time_us // _DAY_US
                is_purchase = kind[row] == PURCHASE
                num_purchases += is_purchase
                orders_365 += is_purchase & (time_us >= year_us)
                first_us = time_us if is_purchase else first_us
                day = day if is_purchase else day_before
                gap = day_before - day
                day_before = day
                squares += gap * gap
                longest = max(longest, gap)
                latest_gap = gap if num_days == 1 else latest_gap
                num_days += gap > 0
                row -= 1

        has_bought = num_purchases > 0
        num_gaps = max(num_days - 1, 0)
        span = last_day - day_before  # of a customer with gaps, the sum of them
        recency = _days(latest_us, now_us, has_bought)
        gap_mean = _ratio(span, num_gaps)
        orders_before = orders_180 - orders_90
        basket = _ratio(spend_90 / _MINOR_PER_MAJOR, orders_90)
        basket_before = _ratio((spend - spend_90) / _MINOR_PER_MAJOR, orders_before)
        breadth = _ratio(categories_90, orders_90) if categories_90 > 0 else np.nan
        breadth_before = _ratio(categories - categories_90, orders_before) if categories > categories_90 else np.nan
        rating_before = _ratio((ratings - latest_rating) / _MILLI, num_ratings - 1)

        summary[query, 0] = recency
        # orders and spend by window lie here
        summary[query, 11] = _change(orders_30, orders_60 - orders_30)
        summary[query, 12] = _change(spend_30, spend_60 - spend_30)
        summary[query, 13] = gap_mean
        # of whole days, so that the variance is exact in integers
        summary[query, 14] = math.sqrt(num_gaps * squares - span * span) / num_gaps if num_gaps > 1 else np.nan
        summary[query, 15] = longest if num_gaps > 0 else np.nan
        summary[query, 16] = _ratio(recency, gap_mean) if num_gaps > 0 else np.nan
        summary[query, 17] = _days(first_us, now_us, has_bought)
        summary[query, 18] = basket
        summary[query, 19] = _change(basket, basket_before)
        summary[query, 20] = _ratio(discount_90, spend_90 + discount_90)
        summary[query, 21] = breadth
        summary[query, 22] = _change(breadth, breadth_before)
        summary[query, 23] = _ratio(at_store, orders_90) if latest_store >= 0 else np.nan
        summary[query, 24] = _ratio(store_switches, store_pairs)
        summary[query, 25] = _ratio(at_channel, orders_90) if latest_channel >= 0 else np.nan
        summary[query, 26] = _ratio(channel_switches, channel_pairs)
        summary[query, 27] = _ratio(_busiest(weekdays_90), days_90)
        summary[query, 28] = _ratio(num_returns, orders_180)
        summary[query, 29] = _days(visit_us, now_us, num_visits > 0)
        summary[query, 30] = _days(login_us, now_us, num_logins > 0)
        summary[query, 31] = visits_30
        summary[query, 32] = logins_30
        summary[query, 33] = _ratio(ratings / _MILLI, num_ratings)
        summary[query, 34] = latest_rating / _MILLI - rating_before
        summary[query, 35] = complaints_90
        summary[query, 36] = num_contacts
        summary[query, 37] = _ratio(num_responses, num_contacts)
        summary[query, 38] = orders_180
        summary[query, 39] = orders_365
        summary[query, 40] = days_90
        summary[query, 41] = weeks_90
        summary[query, 42] = longest_90 if days_90 > 1 else np.nan
        summary[query, 43] = latest_gap if num_gaps > 0 else np.nan
        summary[query, 44] = _ratio(lines_90, orders_90)
        summary[query, 45] = returns_90
