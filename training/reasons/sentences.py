"""A sentence for each reason, for a shop manager."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.instants import DAY_US, format_instant
from training.reasons.explaining import Explanations
from training.reasons.segments import CHAIN, Usual
from training.reasons.subjects import RECENT_EVENTS, SEGMENT, SUBJECTS
from training.reasons.wording import WORDINGS, Wording

# As many significant digits of each value as its sentence shows: money and the number of orders need the most.
_DIGITS = np.array([4 if subject.name.startswith(("spend_", "basket_90d")) else 3 for subject in SUBJECTS])
_DIGITS[RECENT_EVENTS] = 6

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
    told = np.where(is_events, np.repeat(num_orders, width), np.where(subject == SEGMENT, 0, found.value.ravel()))
    value = _rounded(told, _DIGITS[subject])
    day = np.where(is_events, np.repeat(last_purchase_us // DAY_US, width), 0)
    if len(subject) <= width * _FEW_CUSTOMERS:
        few = [_sentence(found, usual, row, value=float(value[row]), day=int(day[row])) for row in range(len(subject))]
        return pa.array(few, pa.string())
    raises = is_events & (found.points.ravel() > 0)
    segment = np.repeat(found.segment, width)
    known = np.nan_to_num(value, nan=-1e30)  # NaN is not equal to itself
    keys = np.stack([subject, segment, raises, day, known], axis=1).astype(np.float64)
    _, first, place = np.unique(_bytes_of(keys), return_index=True, return_inverse=True)
    sentences = [_sentence(found, usual, int(row), value=float(value[row]), day=int(day[row])) for row in first]
    return pa.array(sentences, pa.string()).take(pa.array(place.ravel()))


def _sentence(found: Explanations, usual: Usual, row: int, *, value: float, day: int) -> str:
    """Of one reason; `row` counts through all reasons of all customers."""
    subject, segment = found.subject.flat[row], int(found.segment[row // found.subject.shape[1]])
    if subject == SEGMENT:
        here, chain = found.usual_risk[segment], found.usual_risk[CHAIN]
        return f"Customers {usual.describe(segment)} usually have a risk of {here:.0f} %; in the chain {chain:.0f} % is usual."
    if subject == RECENT_EVENTS:
        date = format_instant(day * DAY_US)
        kind = "stop buying" if found.points.flat[row] > 0 else "keep coming"
        if value < 1.5:
            return f"What was bought in the one order so far, and when ({date}), is like that of customers who {kind}."
        return f"The run of the {value:,.0f} orders so far, the last on {date}, is like that of customers who {kind}."
    return _compare(WORDINGS[SUBJECTS[subject].name], value, float(found.usual.flat[row]), _who(segment))


def _compare(wording: Wording, value: float, usual: float, who: str) -> str:
    own = wording.missing if np.isnan(value) else wording.own.format(wording.render(value))
    own = own[0].upper() + own[1:]
    if np.isnan(usual):
        return f"{own}." if np.isnan(value) else f"{own}; of most {who} that is not known."
    expected = wording.render(usual)
    if not np.isnan(value) and expected == wording.render(value):
        return f"{own}, which is usual for {who}."
    return f"{own}; {wording.usual.format(expected, who=who)}."


def _who(segment: int) -> str:
    return "customers of the chain" if segment == CHAIN else "customers like this one"


def _rounded(values: NDArray[np.float32], digits: NDArray[np.int64]) -> NDArray[np.float64]:
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
