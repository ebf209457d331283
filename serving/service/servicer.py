"""ScoringService over grpc.aio: reads a request, has the queries answer it, writes the response. Nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any

import grpc

from engine.errors import InvalidArgumentError, NoBundleError
from serving.answers import AtRiskPage
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.risk import Grade
from serving.service.current import CurrentSnapshot
from serving.service.known import KnownCustomers
from serving.service.live.desk import LiveDesk
from serving.service.live.requests import answer_customer, answer_history, is_live
from serving.service.paging import decode_page_token
from serving.service.queries import (
    BatchPiece,
    check_horizon,
    check_id,
    check_ids,
    check_page,
    context_of,
    explain_absence,
    explain_customer,
    list_at_risk,
    score_all,
    score_customer,
    score_some,
)
from serving.service.reasoning import SnapshotReasons, why_no_reasons
from serving.snapshots import Snapshot
from serving.wire.batches import arrow_bytes, columns_message
from serving.wire.messages import context_message, customer_response, history_response, page_response
from serving.wire.status import errors_as_status

Context = grpc.aio.ServicerContext[Any, Any]


class ScoringService(pb_grpc.ScoringServiceServicer):
    """Answers from the current snapshot, and live.

    threads : where work goes that takes long or reads files, so that the event loop stays free for the other calls
    live    : where live scores are computed
    """

    def __init__(self, current: CurrentSnapshot, known: KnownCustomers, threads: Executor, live: LiveDesk) -> None:
        self._current = current
        self._known = known
        self._threads = threads
        self._live = live

    async def ScoreCustomer(self, request: pb.ScoreCustomerRequest, context: Context) -> pb.ScoreCustomerResponse:  # noqa: N802, the wire's name
        async with errors_as_status(context):
            check_id("customer_id", request.customer_id)
            if is_live(request):
                return customer_response(await self._live.run(answer_customer, request))
            snapshot = self._current.get()
            horizon_days = request.horizon_days if request.HasField("horizon_days") else None
            if request.include_reasons:
                reasons = self._current.reasons(snapshot)
                answer = await self._in_thread(explain_customer, snapshot, request.customer_id, horizon_days, reasons)
            else:
                # A tenth of a millisecond on mapped memory: a thread would cost more than it saves.
                answer = score_customer(snapshot, request.customer_id, horizon_days)
            if answer is None:
                answer = await self._in_thread(explain_absence, snapshot, self._known, request.customer_id, horizon_days)
            return customer_response(answer)

    async def ScoreHistory(self, request: pb.ScoreHistoryRequest, context: Context) -> pb.ScoreHistoryResponse:  # noqa: N802, the wire's name
        async with errors_as_status(context):
            return history_response(await self._live.run(answer_history, request))

    async def BatchScore(self, request: pb.BatchScoreRequest, context: Context) -> AsyncIterator[pb.BatchScoreResponse]:  # noqa: N802, the wire's name
        async with errors_as_status(context):
            _check_batch(request)
            snapshot = self._current.get()
            reasons = self._current.reasons(snapshot) if request.include_reasons else None
            if request.include_reasons and reasons is None and snapshot.num_customers:
                raise NoBundleError(f"there are no reasons to give: {why_no_reasons(snapshot)}")
            responses = _batch_responses(snapshot, self._known, request, reasons)
            while (response := await self._in_thread(next, responses, None)) is not None:
                yield response

    async def ListAtRisk(self, request: pb.ListAtRiskRequest, context: Context) -> pb.ListAtRiskResponse:  # noqa: N802, the wire's name
        async with errors_as_status(context):
            store_id = request.store_id if request.HasField("store_id") else None
            threshold = _threshold(request)
            check_page(store_id, threshold, request.page_size)
            token = decode_page_token(request.page_token) if request.page_token else None
            snapshot = self._current.pinned(token.snapshot_id) if token else self._current.get()
            page: AtRiskPage = await self._in_thread(
                partial(
                    list_at_risk,
                    snapshot,
                    store_id=store_id,
                    threshold=threshold,
                    page_size=request.page_size,
                    token=token,
                    reasons=self._current.reasons(snapshot),
                )
            )
            return page_response(page)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _check_batch(request: pb.BatchScoreRequest) -> None:
    if request.format not in pb.BatchFormat.values():
        raise InvalidArgumentError("format", f"found {request.format}, expected one of {', '.join(pb.BatchFormat.keys())}")
    check_ids(request.customer_ids)


def _batch_responses(
    snapshot: Snapshot, known: KnownCustomers, request: pb.BatchScoreRequest, reasons: SnapshotReasons | None
) -> Iterator[pb.BatchScoreResponse]:
    horizon_days = check_horizon(snapshot, request.horizon_days if request.HasField("horizon_days") else None)
    if request.customer_ids:
        pieces = score_some(snapshot, known, request.customer_ids, horizon_days, reasons)
    else:
        pieces = score_all(snapshot, horizon_days, reasons)
    context = context_message(context_of(snapshot, horizon_days))
    is_empty = True
    for piece in pieces:
        yield _batch_response(context, piece, request.format)
        is_empty = False
    if is_empty:
        yield pb.BatchScoreResponse(context=context)


def _batch_response(context: pb.ScoreContext, piece: BatchPiece, layout: pb.BatchFormat.ValueType) -> pb.BatchScoreResponse:
    response = pb.BatchScoreResponse(
        context=context, not_found_customer_ids=piece.not_found, ineligible_customer_ids=piece.ineligible
    )
    if piece.rows is None:
        return response
    if layout == pb.BATCH_FORMAT_ARROW_IPC:
        response.arrow_ipc = arrow_bytes(piece.rows)
    else:
        response.columns.CopyFrom(columns_message(piece.rows))
    return response


def _threshold(request: pb.ListAtRiskRequest) -> Grade | float:
    match request.WhichOneof("threshold"):
        case "min_grade":
            if not Grade.R1 <= int(request.min_grade) <= Grade.B2:
                raise InvalidArgumentError("min_grade", f"found {request.min_grade}, expected 1 (R1) to 9 (B2)")
            return Grade(request.min_grade)
        case "min_churn_probability":
            return request.min_churn_probability
        case _:
            return 0.0
