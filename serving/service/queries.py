"""What the service answers, from a snapshot: no transport here, and nothing that waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import InvalidArgumentError
from engine.schema import MAX_ID_BYTES
from serving.answers import AtRiskPage, CustomerAnswer, CustomerScore, Reasons, ScoreContext, SpendUnit
from serving.risk import DEFAULT_THRESHOLDS, Grade, risk_scores
from serving.service.known import KnownCustomers
from serving.service.paging import PageToken, digest_filters
from serving.service.reasoning import SnapshotReasons, why_no_reasons
from serving.service.rows import score_batch, score_one
from serving.snapshots import Snapshot
from serving.wire.batches import customer_scores, split_for_messages

MAX_BATCH_CUSTOMERS = 100_000
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

# Rows scored in one go: about 5 ms of work between two messages.
_ROWS_PER_STEP = 16_384
# The same with reasons: about 80 ms.
_REASONED_ROWS_PER_STEP = 4096
# Ids without a score per message: 1 MiB at their longest.
_IDS_PER_STEP = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchPiece:
    """A part of a batch answer."""

    rows: pa.RecordBatch | None = None  # BATCH_SCHEMA
    not_found: Sequence[str] = ()
    ineligible: Sequence[str] = ()


def context_of(snapshot: Snapshot, horizon_days: int) -> ScoreContext:
    inputs = snapshot.inputs
    return ScoreContext(
        model_version=inputs.model_version,
        model_hash=inputs.model_hash,
        snapshot_id=snapshot.snapshot_id,
        as_of_us=inputs.as_of_us,
        horizon_days=horizon_days,
        active_within_days=inputs.active_within_days,
        spend_unit=SpendUnit.CURRENCY if inputs.has_amounts else SpendUnit.ORDERS,
    )


def check_horizon(snapshot: Snapshot, horizon_days: int | None) -> int:
    """The horizon to answer for.

    horizon_days : None for the bundle's own
    raises       : InvalidArgumentError
    """
    if horizon_days is None:
        return snapshot.inputs.horizon_days
    last = int(snapshot.edges_days[-1])
    if not 1 <= horizon_days <= last:
        raise InvalidArgumentError(
            "horizon_days", f"found {horizon_days}, expected 1 to {last}, the last day that the model looks ahead"
        )
    return horizon_days


def score_customer(
    snapshot: Snapshot, customer_id: str, horizon_days: int | None, reasons: SnapshotReasons | None = None
) -> CustomerAnswer | None:
    """A customer's score; None for one without a row in the snapshot (`explain_absence` tells why).

    reasons : what gives them; None where nobody asked, or nothing does
    raises  : InvalidArgumentError
    """
    horizon = check_horizon(snapshot, horizon_days)
    row = snapshot.lookup(customer_id)
    if row is None:
        return None
    if reasons is None:
        score = score_one(snapshot, row, customer_id, horizon)
    else:
        rows = snapshot.slice(row, row + 1, with_memory=True)
        (score,) = customer_scores(score_batch(snapshot, rows, horizon, reasons))
    return CustomerAnswer(customer=score, ineligible_reason=None, context=context_of(snapshot, horizon))


def explain_customer(
    snapshot: Snapshot, customer_id: str, horizon_days: int | None, reasons: SnapshotReasons | None
) -> CustomerAnswer | None:
    """`score_customer` with reasons, or with a word in their place where nothing gives them."""
    answer = score_customer(snapshot, customer_id, horizon_days, reasons)
    if answer is None or answer.customer is None:
        return answer
    return replace(answer, customer=_explained(snapshot, [answer.customer])[0])


def explain_absence(snapshot: Snapshot, known: KnownCustomers, customer_id: str, horizon_days: int | None) -> CustomerAnswer:
    """The answer about a customer without a row in the snapshot; reads the history.

    raises : UnknownCustomerError
    """
    reason = known.why_unscored(customer_id, snapshot.inputs)
    context = context_of(snapshot, check_horizon(snapshot, horizon_days))
    return CustomerAnswer(customer=None, ineligible_reason=reason, context=context)


def score_all(snapshot: Snapshot, horizon_days: int, reasons: SnapshotReasons | None = None) -> Iterator[BatchPiece]:
    """Every customer of the snapshot, in its own order.

    reasons : None where nobody asked for them
    """
    step = _ROWS_PER_STEP if reasons is None else _REASONED_ROWS_PER_STEP
    for begin in range(0, snapshot.num_customers, step):
        rows = snapshot.slice(begin, min(begin + step, snapshot.num_customers), with_memory=reasons is not None)
        for piece in split_for_messages(score_batch(snapshot, rows, horizon_days, reasons)):
            yield BatchPiece(rows=piece)


def score_some(
    snapshot: Snapshot,
    known: KnownCustomers,
    customer_ids: Sequence[str],
    horizon_days: int,
    reasons: SnapshotReasons | None = None,
) -> Iterator[BatchPiece]:
    """The given customers, each once and in order; first the ids that have no score.

    customer_ids : as `check_ids` passed them
    reasons      : None where nobody asked for them
    """
    wanted = pc.unique(pa.array(customer_ids, pa.string()))
    rows = snapshot.lookup_many(wanted)
    absent = wanted.filter(pa.array(rows < 0))
    is_known = pa.array(known.contains(absent))
    ineligible, not_found = absent.filter(is_known).to_pylist(), absent.filter(pc.invert(is_known)).to_pylist()
    for begin in range(0, len(not_found), _IDS_PER_STEP):
        yield BatchPiece(not_found=not_found[begin : begin + _IDS_PER_STEP])
    for begin in range(0, len(ineligible), _IDS_PER_STEP):
        yield BatchPiece(ineligible=ineligible[begin : begin + _IDS_PER_STEP])
    rows = rows[rows >= 0]
    step = _ROWS_PER_STEP if reasons is None else _REASONED_ROWS_PER_STEP
    for begin in range(0, len(rows), step):
        taken = snapshot.take(rows[begin : begin + step], with_memory=reasons is not None)
        for piece in split_for_messages(score_batch(snapshot, taken, horizon_days, reasons)):
            yield BatchPiece(rows=piece)


def check_ids(customer_ids: Sequence[str]) -> None:
    """raises : InvalidArgumentError naming the first id that is out of its limits"""
    if len(customer_ids) > MAX_BATCH_CUSTOMERS:
        raise InvalidArgumentError("customer_ids", f"found {len(customer_ids)}, expected at most {MAX_BATCH_CUSTOMERS}")
    for place, customer_id in enumerate(customer_ids):
        check_id(f"customer_ids[{place}]", customer_id)


def list_at_risk(
    snapshot: Snapshot,
    *,
    store_id: str | None,
    threshold: Grade | float,
    page_size: int,
    token: PageToken | None,
    reasons: SnapshotReasons | None = None,
) -> AtRiskPage:
    """A page of the customers most at risk.

    store_id  : None for the whole chain
    threshold : the best grade or the lowest churn probability that still counts as at risk
    token     : None for the first page; must be of this snapshot
    reasons   : what gives them; None where nothing does
    raises    : InvalidArgumentError
    """
    filters = digest_filters(store_id, threshold)
    if token is not None and token.filters != filters:
        raise InvalidArgumentError(
            "page_token", "belongs to other filters; keep store_id and the threshold the same from page to page"
        )
    rows = snapshot.ranking.rows(store_id)
    total_size = snapshot.ranking.num_while(rows, lambda probability: _is_at_risk(probability, threshold))
    begin = token.offset if token else 0
    end = min(begin + (page_size or DEFAULT_PAGE_SIZE), total_size)
    horizon = snapshot.inputs.horizon_days
    taken = snapshot.take(rows[begin:end], with_memory=reasons is not None)
    scores = _explained(snapshot, customer_scores(score_batch(snapshot, taken, horizon, reasons)))
    following = PageToken(snapshot_id=snapshot.snapshot_id, offset=end, filters=filters).encode() if end < total_size else ""
    return AtRiskPage(
        customers=tuple(scores), next_page_token=following, total_size=total_size, context=context_of(snapshot, horizon)
    )


def _explained(snapshot: Snapshot, scores: list[CustomerScore]) -> list[CustomerScore]:
    """The same, with a word in the place of reasons where there are none."""
    if not scores or scores[0].reasons is not None:
        return scores
    nothing = Reasons(baseline_churn_probability=0.0, other_points=0.0, strongest=(), unavailable=why_no_reasons(snapshot))
    return [replace(score, reasons=nothing) for score in scores]


def _is_at_risk(probability: float, threshold: Grade | float) -> bool:
    # By the same float32 steps that graded the customer, so that nobody at the very threshold is listed under another grade.
    if isinstance(threshold, Grade):
        return bool(DEFAULT_THRESHOLDS.grades(risk_scores(np.asarray(probability, np.float32))) <= threshold)
    return bool(probability >= np.float32(threshold))


def check_page(store_id: str | None, threshold: Grade | float, page_size: int) -> None:
    if store_id is not None and len(store_id.encode()) > MAX_ID_BYTES:
        raise InvalidArgumentError("store_id", f"found {len(store_id.encode())} bytes, expected at most {MAX_ID_BYTES}")
    if not isinstance(threshold, Grade) and not 0.0 <= threshold <= 1.0:
        raise InvalidArgumentError("min_churn_probability", f"found {threshold}, expected a probability in [0, 1]")
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidArgumentError("page_size", f"found {page_size}, expected 1 to {MAX_PAGE_SIZE}, or 0 for {DEFAULT_PAGE_SIZE}")


def check_id(field: str, customer_id: str) -> None:
    """raises : InvalidArgumentError naming the field"""
    num_bytes = len(customer_id.encode())
    if not 1 <= num_bytes <= MAX_ID_BYTES:
        raise InvalidArgumentError(field, f"found {num_bytes} bytes, expected 1 to {MAX_ID_BYTES} bytes of UTF-8")
