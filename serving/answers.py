"""What an answer says, as plain values: the server fills them, the wire carries them, the client hands them out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine.schema import EventKind
from serving.risk import Grade, Tier


class IneligibleReason(IntEnum):
    """Why a known customer has no score; the numbers are those of the wire."""

    NO_RECENT_PURCHASE = 1
    NO_PURCHASE_BEFORE_AS_OF = 2
    NOT_YET_RESCORED = 3


class SpendUnit(IntEnum):
    """What expected spend is counted in; the numbers are those of the wire."""

    UNSPECIFIED = 0  # a server that does not tell
    CURRENCY = 1
    ORDERS = 2


class ReasonKind(IntEnum):
    """What sort of thing a reason speaks of; the numbers are those of the wire."""

    INDICATOR = 1
    RECENT_EVENTS = 2
    SEGMENT = 3  # of servers of before: now it is what reasons are counted from


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One reason for a score."""

    indicator: str  # the number that tells it
    kind: ReasonKind
    points: float  # of its theme, percentage points of the churn probability at the bundle's horizon; below 0 where it lowers it
    value: float | None  # the customer's; None where not known
    usual_value: float | None  # of customers who buy about as often
    unit: str
    sentence: str  # all of it in English
    theme: str = ""  # what it is about, such as "silence"; "" from a server of before


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasons:
    """Why a customer scores as they do.

    100 * baseline, the points of the strongest and the others add up to 100 * the churn probability at the bundle's horizon.
    """

    baseline_churn_probability: float  # of the usual customer of the segment
    other_points: float  # of all that is not among the strongest
    strongest: tuple[Reason, ...]
    unavailable: str = ""  # why there are none
    chain_churn_probability: float = 0.0  # of the usual customer of the chain
    segment: str = ""  # whom the customer is compared with; "" from a server of before


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreContext:
    """What an answer was computed from."""

    model_version: str
    model_hash: str
    snapshot_id: str
    as_of_us: int  # UTC microseconds; only events strictly before it were seen
    horizon_days: int  # of every churn probability in the answer
    active_within_days: int
    is_live: bool = False  # computed for this call, not read from the snapshot
    num_events_added: int = 0  # of those that the caller brought; new ones and new versions
    spend_unit: SpendUnit = SpendUnit.UNSPECIFIED  # of every expected spend in the answer


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerEvent:
    """One thing that a customer did, as a caller tells it; limits and defaults are those of `Event` in the proto.

    None stands for the default, "" for "not known".
    """

    time_us: int  # UTC microseconds
    kind: EventKind = EventKind.PURCHASE
    amount_minor: int | None = None  # hundredths of the major unit
    discount_minor: int = 0
    quantity: float | None = None
    num_lines: int = 1
    num_products: int = 0
    num_categories: int = 0
    store_id: str = ""
    channel: str = ""
    rating: float | None = None
    order_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerScore:
    """One customer's score."""

    customer_id: str
    churn_probability: float  # of no purchase in [as_of, as_of + horizon_days)
    risk_score: float  # 0 to 100, at the bundle's own horizon
    grade: Grade
    tier: Tier
    last_purchase_us: int  # UTC microseconds
    num_orders: int
    store_id: str  # where the last purchase was made; "" where not known
    expected_days_to_purchase: float
    expected_spend_90d: float  # in the spend_unit of the context
    expected_spend_365d: float
    reasons: Reasons | None = None  # None where nobody asked: in rows of a batch


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerAnswer:
    """The answer about one customer: a score, or the reason why there is none.

    ineligible_reason : None with a score, and for a reason of a newer server that this version does not know
    """

    customer: CustomerScore | None
    ineligible_reason: IneligibleReason | None
    context: ScoreContext

    @property
    def eligible(self) -> bool:
        return self.customer is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class AtRiskPage:
    """One page of the customers most at risk."""

    customers: tuple[CustomerScore, ...]
    next_page_token: str  # "" on the last page
    total_size: int  # customers on all pages together
    context: ScoreContext
