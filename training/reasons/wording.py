"""What a person reads of each indicator: a fact about the customer, and what is usual, each around one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernels import WINDOWS_DAYS

Render = Callable[[float], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """Templates around a value in words, `{}`.

    own     : the fact, such as "Last bought {} ago"
    usual   : the same of {who}, such as "for {who} it is usually {}"
    missing : the fact where the value is not known
    render  : a value in words
    unusual : of {who}, where what is usual is not known

    A `missing` that ends with a full stop says all there is to say, and nothing is compared.
    """

    own: str
    usual: str
    missing: str
    render: Render
    unusual: str = "for most {who} this is unknown"


def number(value: float) -> str:
    """Two significant digits below 10, whole above: 0.35, 1.2, 3, 41, 1,250."""
    if abs(value) >= 9.95:
        return f"{value:,.0f}"
    text = f"{value:.1f}" if abs(value) >= 0.995 or value == 0 else f"{value:.2g}"
    return text.removesuffix(".0")


def duration(days: float) -> str:
    """Whole days from ten up, halves not below: less than a day, 1 day, 2.5 days, 41 days."""
    if days < 0.95:
        return "less than a day"
    text = number(days)
    return "1 day" if text == "1" else f"{text} days"


def ago(days: float) -> str:
    """Whole days that have passed: less than a day, 1 day, 41 days."""
    whole = int(days)
    return "less than a day" if whole < 1 else "1 day" if whole == 1 else f"{whole:,} days"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def money(amount: float) -> str:
    """In the log's own currency, which nobody told ebbtide."""
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:.2f}"


def every(days: float) -> str:
    return "day" if duration(days) == "1 day" else duration(days)


def _compared(fewer: str, more: str, same: str, none: str, new: str) -> Render:
    """Words for a balance, (now - before) / (now + before)."""

    def render(balance: float) -> str:
        if balance <= -0.999:
            return none
        if balance >= 0.999:
            return new
        change = 2 * balance / (1 - balance)  # now / before - 1
        if abs(change) < 0.01:
            return same
        if change >= 2:
            return f"{number(change + 1)} times {same}"
        return f"{abs(change):.0%} {fewer if change < 0 else more}".replace("%", " %")

    return render


_ORDERS_COMPARED = _compared("fewer", "more", "as many", "none, after some", "some, after none")
_SPEND_COMPARED = _compared("less", "more", "as much", "nothing, after some", "some, after nothing")
_SIZE_COMPARED = _compared("smaller", "larger", "the same", "down to nothing", "up from nothing")


def _counted(noun: str, of_what: str = "") -> Render:
    """Words for a count: no order, 1 order, 2 orders."""

    def render(count: float) -> str:
        number_of = "no" if count < 0.5 else "1" if count < 1.5 else f"{count:,.0f}"
        return f"{number_of} {noun}{'s' if count >= 1.5 else ''}{of_what}"

    return render


def lines(count: float) -> str:
    return "1 line" if number(count) == "1" else f"{number(count)} lines"


def _items(count: float) -> str:
    return "1 item" if number(count) == "1" else f"{number(count)} items"


_WEEKDAYS = ("a Monday", "a Tuesday", "a Wednesday", "a Thursday", "a Friday", "a Saturday", "a Sunday")


def time_of_week(hours: float) -> str:
    """From hours since Monday 0:00; of a log that has days and no times it is always midnight, which nobody need be told."""
    day, hour = divmod(hours, 24)
    return _WEEKDAYS[int(day) % 7] + (f" at about {int(hour)}:00 UTC" if hour else "")


def _how_many(count: float) -> str:
    return "none" if count < 0.5 else f"{count:,.0f}"


def _spent(amount: float) -> str:
    return "nothing" if abs(amount) < 0.005 else money(amount)


def _above(difference: float) -> str:
    if abs(difference) < 0.05:
        return "as high as"
    return f"{number(abs(difference))} {'above' if difference > 0 else 'below'}"


def _wording(own: str, usual: str, missing: str, render: Render) -> Wording:
    return Wording(own=own, usual=usual, missing=missing, render=render)


_ONE_DAY = "Has bought on one day only"
_NO_ORDER_90D = "No order in the last 90 days"
_NO_STORE = "The store of the latest order is unknown, or that order is older than 90 days"
_NO_STORES = "No two orders in a row with a known store in the last 90 days."
_NO_CHANNEL = "The channel of the latest order is unknown, or that order is older than 90 days"
_NO_CHANNELS = "No two orders in a row with a known channel in the last 90 days."


def _orders_within(days: int) -> Wording:
    return _wording(f"{{}} in the last {days} days", "{who} usually have {}", "Orders are unknown", _counted("order"))


def _spend_within(days: int) -> Wording:
    return _wording(f"Spent {{}} in the last {days} days", "{who} usually spend {}", "Amounts are unknown", _spent)


# Of every number of the summary, and of the last order.
WORDINGS: dict[str, Wording] = {
    "recency_days": _wording("Last bought {} ago", "for {who} it is usually {}", "Has not bought yet", ago),
    "tenure_days": _wording("First bought {} ago", "for {who} it is usually {}", "Has not bought yet", ago),
    **{f"orders_{days}d": _orders_within(days) for days in (*WINDOWS_DAYS, 180, 365)},
    "orders_change_30d": _wording(
        "Orders in the last 30 days against the 30 before: {}",
        "{who} usually have {}",
        "No order in the last 60 days",
        _ORDERS_COMPARED,
    ),
    **{f"spend_{days}d": _spend_within(days) for days in WINDOWS_DAYS},
    "spend_change_30d": _wording(
        "Spending in the last 30 days against the 30 before: {}",
        "{who} usually spend {}",
        "Nothing spent in the last 60 days",
        _SPEND_COMPARED,
    ),
    "gap_mean_days": _wording("Buys every {} on average", "{who} usually buy every {}", _ONE_DAY, every),
    "gap_spread_days": Wording(
        own="The time between purchases varies by {}",
        usual="for {who} usually by {}",
        missing="Has bought on two days only, too few to show a rhythm.",
        render=duration,
        unusual="most {who} have bought on two days only",
    ),
    "gap_longest_days": _wording("The longest gap so far was {}", "{who} usually have a longest gap of {}", _ONE_DAY, duration),
    "lateness": _wording(
        "Has now been away for {} of the average gap", "{who} have usually been away for {} of theirs", _ONE_DAY, percent
    ),
    "weekday_regularity": _wording(
        "{} of the purchase days fell on the same weekday", "{who} usually have {} on one weekday", _NO_ORDER_90D, percent
    ),
    "basket_90d": _wording(
        "Orders in the last 90 days came to {} on average",
        "{who} usually spend {}",
        _NO_ORDER_90D,
        money,
    ),
    "basket_change_90d": _wording(
        "The average order in the last 90 days against the 90 before: {}",
        "for {who} it is usually {}",
        "Did not buy both in the last 90 days and in the 90 before.",
        _SIZE_COMPARED,
    ),
    "discount_share_90d": _wording(
        "{} of the price was discounted in the last 90 days", "{who} usually get {}", "Discounts are unknown", percent
    ),
    "categories_per_order_90d": _wording(
        "Categories per order in the last 90 days: {}", "{who} usually have {}", "Categories are unknown", number
    ),
    "categories_change_90d": _wording(
        "Categories per order in the last 90 days against the 90 before: {}",
        "{who} usually have {}",
        "Did not buy both in the last 90 days and in the 90 before.",
        _ORDERS_COMPARED,
    ),
    "store_share_90d": _wording(
        "{} of the orders in the last 90 days were at the store of the latest one",
        "{who} usually have {} there",
        _NO_STORE,
        percent,
    ),
    "store_switch_rate_90d": _wording(
        "{} of the orders in the last 90 days were at a different store from the one before",
        "for {who} it is usually {}",
        _NO_STORES,
        percent,
    ),
    "channel_share_90d": _wording(
        "{} of the orders in the last 90 days came through the channel of the latest one",
        "{who} usually have {} through it",
        _NO_CHANNEL,
        percent,
    ),
    "channel_switch_rate_90d": _wording(
        "{} of the orders in the last 90 days came through a different channel from the one before",
        "for {who} it is usually {}",
        _NO_CHANNELS,
        percent,
    ),
    "return_rate_180d": _wording(
        "{} returns per order in the last 180 days", "{who} usually have {}", "Returns are unknown", number
    ),
    "days_since_visit": _wording(
        "Last visited a store {} ago", "the last visit of {who} is usually {} ago", "No visit is known", ago
    ),
    "days_since_login": _wording("Last logged in {} ago", "the last login of {who} is usually {} ago", "No login is known", ago),
    "visits_30d": _wording(
        "{} in the last 30 days", "{who} usually make {}", "Visits are unknown", _counted("visit", " to a store")
    ),
    "logins_30d": _wording("{} in the last 30 days", "{who} usually have {}", "Logins are unknown", _counted("login")),
    "rating_mean_180d": _wording(
        "Rated {} on average in the last 180 days", "{who} usually rate {}", "No rating in the last 180 days", number
    ),
    "rating_change_180d": _wording(
        "The latest rating was {} the mean of the earlier ones",
        "for {who} the latest is usually {} that mean",
        "No ratings to compare",
        _above,
    ),
    "complaints_90d": _wording(
        "{} in the last 90 days", "{who} usually have {}", "Complaints are unknown", _counted("complaint")
    ),
    "contacts_90d": _wording(
        "{} by the chain in the last 90 days", "{who} usually have {}", "Contacts are unknown", _counted("contact")
    ),
    "contact_response_90d": _wording(
        "Bought after {} of the contacts in the last 90 days",
        "{who} usually do after {}",
        "No contact in the last 90 days",
        percent,
    ),
    "shopping_days_90d": _wording(
        "Bought on {} of the last 90 days", "{who} usually do on {}", "Purchases are unknown", _how_many
    ),
    "shopping_weeks_13w": _wording(
        "Bought in {} of the last 13 weeks", "{who} usually do in {}", "Purchases are unknown", _how_many
    ),
    "gap_longest_90d_days": _wording(
        "The longest gap within 90 days was {}",
        "{who} usually have a longest gap of {}",
        "No two purchases within 90 days",
        duration,
    ),
    "gap_latest_days": _wording("The gap before the last purchase was {}", "{who} usually have a gap of {}", _ONE_DAY, duration),
    "returns_90d": _wording("{} in the last 90 days", "{who} usually have {}", "Returns are unknown", _counted("return")),
    "lines_per_order_90d": _wording("{} per order on average in the last 90 days", "{who} usually have {}", _NO_ORDER_90D, lines),
    "last_order_amount": _wording(
        "Spent {} in the last order", "{who} usually spend {}", "The amount of orders is unknown.", _spent
    ),
    "last_order_discount_share": _wording(
        "{} of the price of the last order was discounted", "{who} usually get {}", "Discounts are unknown.", percent
    ),
    "last_order_quantity": _wording("{} in the last order", "{who} usually buy {}", "Quantities are unknown.", _items),
    "last_order_lines": _wording("{} in the last order", "{who} usually have {}", "Orders have one line each.", lines),
}
