"""Small logs that several tests of ingest read, and what is told of a store in a line."""

from __future__ import annotations

from pathlib import Path

from engine.history import History
from tests.engine.conftest import WriteSource
from tests.engine.reference_history import decode

T = "2017-01-0{} 10:00:00".format


def brief(store: Path) -> list[tuple[str, int, int]]:
    """(customer, kind, amount) of each event."""
    return [(event.customer_id.decode(), event.kind, event.amount_minor) for event in decode(History.open(store))]


def bad_rows_csv(write_text: WriteSource) -> Path:
    return write_text(
        "bad rows.v2.csv",
        "who,timestamp,amount,quantity,discount,is_return",
        "a,2017-01-01,1.00,1,0,no",
        ",2017-01-01,1.00,1,0,no",
        "a,,1.00,1,0,no",
        "a,2017-02-30,1.00,1,0,no",
        "a,2261-01-01,1.00,1,0,no",
        "a,2017-01-01,,1,0,no",
        "a,2017-01-01,inf,1,0,no",
        'a,2017-01-01,"1,00",1,0,no',
        "a,2017-01-01,9000000000001,1,0,no",
        "a,2017-01-01,1.00,one,0,no",
        "a,2017-01-01,1.00,1,none,no",
        "a,2017-01-01,1.00,1,0,perhaps",
        ",never,?,?,?,?",
        "a,2017-01-01,2.00,,,",
    )
