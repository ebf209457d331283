"""Instants: UTC microseconds since 1970 everywhere inside, ISO 8601 at the edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.errors import InvalidArgumentError

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str, *, field: str = "as_of") -> int:
    """UTC microseconds of a date (its midnight) or an ISO 8601 date-time; without a zone it is taken as UTC.

    raises : InvalidArgumentError naming `field`
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgumentError(
            field, f"found {text!r}, expected a date such as 2017-12-02 or a time such as 2017-12-02T08:30:00Z"
        ) from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def format_instant(instant_us: int) -> str:
    """The shortest ISO 8601 form: a bare date at midnight, else date and time with a Z."""
    moment = _EPOCH + timedelta(microseconds=instant_us)
    if instant_us % DAY_US == 0:
        return moment.date().isoformat()
    return moment.replace(tzinfo=None).isoformat(timespec="auto") + "Z"


def next_midnight(instant_us: int) -> int:
    """The first UTC midnight after an instant."""
    return (instant_us // DAY_US + 1) * DAY_US
