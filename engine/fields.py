"""The fields that a source file may bring: the one place that names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceField:
    """A field that a source file may bring."""

    name: str
    required: bool
    description: str


SOURCE_FIELDS: tuple[SourceField, ...] = (
    SourceField(name="customer_id", required=True, description="who: text or integer"),
    SourceField(name="timestamp", required=True, description="when: timestamp, date or ISO 8601 text; UTC unless it has a zone"),
    SourceField(
        name="amount", required=False, description="money in major units (12.34); without it each line of an order counts 1"
    ),
    SourceField(name="order_id", required=False, description="which order; without it one order per customer and timestamp"),
    SourceField(name="quantity", required=False, description="pieces in the line; without it 1"),
    SourceField(name="discount", required=False, description="money taken off the line, in major units"),
    SourceField(name="store_id", required=False, description="where: text or integer"),
    SourceField(name="channel", required=False, description="sales channel: store, web, app, …"),
    SourceField(name="product_id", required=False, description="what was bought: text or integer"),
    SourceField(name="category", required=False, description="product category: text or integer"),
    SourceField(
        name="is_return", required=False, description="true for a return; without it orders with a negative amount are returns"
    ),
    SourceField(name="kind", required=False, description="what happened: purchase, visit, …; without it what --kind says"),
    SourceField(name="rating", required=False, description="rating given in feedback: a number from 0 up, such as 1 to 5"),
)
SOURCE_FIELD_NAMES: tuple[str, ...] = tuple(field.name for field in SOURCE_FIELDS)
