"""The shape of an event at rest: the one place that names its columns."""

from __future__ import annotations

from enum import IntEnum

import pyarrow as pa

from kernels import kinds

SCHEMA_VERSION = 3


class EventKind(IntEnum):
    """What a customer did. The numbers are stored: never renumber."""

    PURCHASE = kinds.PURCHASE
    RETURN = kinds.RETURN
    VISIT = kinds.VISIT
    LOGIN = kinds.LOGIN
    FEEDBACK = kinds.FEEDBACK
    COMPLAINT = kinds.COMPLAINT
    CONTACT = kinds.CONTACT


# What money changes hands for; the others are known by their time, these by the order alone.
ORDER_KINDS = (EventKind.PURCHASE, EventKind.RETURN)

KIND_NAMES: tuple[str, ...] = tuple(kind.name.lower() for kind in EventKind)

# Of UTF-8. Longer ones are a column that was mixed up with another; on the wire and in every index ids are to be small.
MAX_ID_BYTES = 256

# Ratings are not below zero, so that this cannot be one.
NO_RATING = -1

# Fixed width throughout, so that a memory-mapped column is a NumPy view. Codes index the part's own sorted
# dictionaries, kept in the schema metadata of the part; -1 is "not known".
EVENT_SCHEMA = pa.schema(
    [
        pa.field("timestamp_us", pa.int64(), nullable=False),  # UTC, ascending within a customer
        pa.field("kind", pa.uint8(), nullable=False),  # EventKind
        pa.field("order_key", pa.uint64(), nullable=False),  # xxHash64 of order_id, or of the timestamp where there is none
        pa.field("amount_minor", pa.int64(), nullable=False),  # signed as in the source
        pa.field("discount_minor", pa.int64(), nullable=False),  # as in the source; 0 where there is none
        pa.field("quantity_milli", pa.int64(), nullable=False),  # thousandths; 1000 per line where there is none
        pa.field("num_lines", pa.int32(), nullable=False),
        pa.field("num_products", pa.int32(), nullable=False),  # distinct; 0 where the source has no product_id
        pa.field("num_categories", pa.int32(), nullable=False),  # distinct; 0 where the source has no category
        pa.field("rating_milli", pa.int32(), nullable=False),  # thousandths; NO_RATING where none was given
        pa.field("store_code", pa.int32(), nullable=False),
        pa.field("channel_code", pa.int32(), nullable=False),
    ]
)

# One row per customer, ascending by id; customer i owns events [first_event, first_event of the next one).
CUSTOMER_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("first_event", pa.int64(), nullable=False),
    ]
)
