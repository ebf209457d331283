"""Instants at the edges: text in, text out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US, HOUR_US, format_instant, next_midnight, parse_instant

INSTANTS = st.integers(-60_000 * DAY_US, 100_000 * DAY_US)


@settings(deadline=None)
@given(instant_us=INSTANTS)
def test_what_is_formatted_is_parsed_again(instant_us: int) -> None:
    assert parse_instant(format_instant(instant_us)) == instant_us


@settings(deadline=None)
@given(instant_us=INSTANTS)
def test_the_next_midnight_is_after_the_instant_by_at_most_a_day(instant_us: int) -> None:
    midnight = next_midnight(instant_us)
    assert midnight % DAY_US == 0
    assert 0 < midnight - instant_us <= DAY_US


def test_dates_times_and_zones() -> None:
    midnight = int(datetime(2017, 12, 2, tzinfo=UTC).timestamp()) * 1_000_000
    assert parse_instant("2017-12-02") == midnight
    assert parse_instant("2017-12-02T10:00:00+02:00") == parse_instant("2017-12-02 08:00") == midnight + 8 * HOUR_US
    assert format_instant(midnight) == "2017-12-02"
    assert format_instant(midnight + 1) == "2017-12-02T00:00:00.000001Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2017-02-30", "02/12/2017"])
def test_other_text_is_refused_naming_the_field(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"cutoff: found .*, expected a date such as 2017-12-02"):
        parse_instant(text, field="cutoff")
