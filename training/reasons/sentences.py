"""A sentence for each reason, for a shop manager."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.instants import DAY_US, format_instant
from kernels import SUMMARY_COLUMNS
from training.reasons.explaining import Explanations
from training.reasons.last_order import AMOUNT, FACT_NAMES, LINES, QUANTITY, TIME
from training.reasons.segments import CHAIN, Usual
from training.reasons.subjects import FIRST_FACT, RECENT_EVENTS, SUBJECTS
from training.reasons.wording import WORDINGS, Wording, ago, every, lines, money, time_of_week

_RECENCY, _TIME = SUMMARY_COLUMNS.index("recency_days"), FIRST_FACT + TIME

# As many significant digits of each value as its sentence shows: money and the number of orders need the most.
_DIGITS = np.array([4 if subject.name.startswith(("spend_", "basket_90d")) else 3 for subject in SUBJECTS])
_DIGITS[RECENT_EVENTS] = 6
_DIGITS[FIRST_FACT + AMOUNT] = 4
# Of what stands beside it, 0 for whole days.
_ASIDE_DIGITS = np.zeros(len(SUBJECTS), np.int64)
_ASIDE_DIGITS[[_RECENCY, FIRST_FACT + AMOUNT, FIRST_FACT + QUANTITY, FIRST_FACT + LINES]] = 2, 3, 4, 4

_IS_FLOORED = np.array([subject.name in WORDINGS and WORDINGS[subject.name].render is ago for subject in SUBJECTS])
_IS_FLOORED[_TIME] = True
_IS_FACT = np.array([subject.name in FACT_NAMES for subject in SUBJECTS])

# So few are written one by one: looking for equal ones would cost more than it saves.
_FEW_CUSTOMERS = 16


def write_sentences(
    found: Explanations, usual: Usual, *, num_orders: NDArray[np.int32], last_purchase_us: NDArray[np.int64]
) -> pa.StringArray:
    """One sentence per reason: string[n * NUM_REASONS], those of a customer together, the strongest first.

    num_orders, last_purchase_us : of each customer, n of each
    """
    width = found.subject.shape[1]
    subject = found.subject.ravel()
    is_events = subject == RECENT_EVENTS
    # A thousand customers need a few hundred sentences between them, so that each is written once.
    told = np.where(is_events, np.repeat(num_orders, width), found.value.ravel())
    value = np.where(_IS_FLOORED[subject], np.floor(told), _rounded(told, _DIGITS[subject]))
    beside, digits = found.aside.ravel(), _ASIDE_DIGITS[subject]
    aside = np.where(digits > 0, _rounded(beside, np.maximum(digits, 1)), np.floor(beside))
    is_only = _IS_FACT[subject] & (np.repeat(num_orders, width) == 1)
    day = np.where(is_events, np.repeat(last_purchase_us // DAY_US, width), 0)

    def write(row: int) -> str:
        if is_events[row]:
            return _of_events(round(value[row]), format_instant(int(day[row]) * DAY_US), raises=bool(found.points.flat[row] > 0))
        if subject[row] == _TIME:
            return _of_time(float(value[row]), is_only=bool(is_only[row]), raises=bool(found.points.flat[row] > 0))
        who = _who(int(found.segment[row // width]))
        about = "" if np.isnan(aside[row]) else _aside(int(subject[row]), float(aside[row]))
        if found.is_timely.flat[row]:
            about += ": the next purchase is not due yet" if found.points.flat[row] > 0 else ": the next purchase is due"
        sentence = _compare(WORDINGS[SUBJECTS[subject[row]].name], float(value[row]), float(found.usual.flat[row]), who, about)
        return sentence.replace("last order", "only order so far") if is_only[row] else sentence

    if len(subject) <= width * _FEW_CUSTOMERS:
        return pa.array([write(row) for row in range(len(subject))], pa.string())
    raises = (is_events | (subject == _TIME) | found.is_timely.ravel()) & (found.points.ravel() > 0)
    segment = np.repeat(found.segment, width)
    known, before = (np.nan_to_num(values, nan=-1e30) for values in (value, aside))  # NaN is not equal to itself
    keys = np.stack([subject, segment, raises, found.is_timely.ravel(), is_only, day, known, before], axis=1).astype(np.float64)
    _, first, place = np.unique(_bytes_of(keys), return_index=True, return_inverse=True)
    return pa.array([write(int(row)) for row in first], pa.string()).take(pa.array(place.ravel()))


def _aside(subject: int, value: float) -> str:
    if subject == _RECENCY:
        return f", after buying every {every(value)} on average"
    if subject == FIRST_FACT + AMOUNT:
        return f", on {lines(value)}"
    if _IS_FACT[subject]:
        return f", for {money(value)}"
    return f", {ago(value)} ago"


def _of_time(hours: float, *, is_only: bool, raises: bool) -> str:
    """Of a time nothing is usual: that of half the customers is no time at all."""
    which = "only order so far" if is_only else "last order"
    return f"The {which} was on {time_of_week(hours)}, which is more common among {_others(is_only=is_only, raises=raises)}."


def _of_events(num_orders: int, date: str, *, raises: bool) -> str:
    """What no number says; of the orders themselves no more is kept than what the last one was."""
    others = _others(is_only=num_orders < 2, raises=raises)
    if num_orders < 2:
        return f"The only order so far ({date}) is, on the whole, like that of {others}."
    return f"The pattern of the {num_orders:,} orders so far, the latest on {date}, is like that of {others}."


def _others(*, is_only: bool, raises: bool) -> str:
    if is_only:
        return f"customers who {'do not ' if raises else ''}come back"
    return f"customers who {'stop buying' if raises else 'keep coming'}"


def _compare(wording: Wording, value: float, usual: float, who: str, about: str) -> str:
    """about : more of the customer, to stand behind the value"""
    own = (wording.missing if np.isnan(value) else wording.own.format(wording.render(value))) + about
    own = own[0].upper() + own[1:]
    if own.endswith("."):
        return own
    if np.isnan(usual):
        return f"{own}." if np.isnan(value) else f"{own}; {wording.unusual.format(who=who)}."
    expected = wording.render(usual)
    if not np.isnan(value) and expected == wording.render(value):
        return f"{own}." if about else f"{own}, which is usual for {who}."
    return f"{own}; {wording.usual.format(expected, who=who)}."


def _who(segment: int) -> str:
    return "customers of the chain" if segment == CHAIN else "customers like this one"


def _rounded(values: NDArray[np.floating], digits: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """To significant digits."""
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (digits - 1 - np.floor(np.log10(np.abs(exact))))
        rounded = np.round(exact * scale) / scale
    return np.where(np.isfinite(rounded), rounded, exact)


def _bytes_of(keys: NDArray[np.float64]) -> NDArray[np.void]:
    """Each row as one value: unique over rows by columns sorts ten times as slowly."""
    keys = np.ascontiguousarray(keys + 0.0)  # no -0.0
    return keys.view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
