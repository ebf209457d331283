"""The Python client of ScoringService.

    with EbbtideClient("127.0.0.1:50051") as client:
        answer = client.score("1", horizon_days=14)
        bought = CustomerEvent(time_us=parse_instant("2018-01-02T10:00:00Z"), amount_minor=1250)
        answer = client.score("1", recent_events=[bought])
        for customer in client.at_risk(limit=10):
            print(customer.customer_id, customer.churn_probability)
        table = client.batch().read_all()

Errors are those of engine.errors: UnknownCustomerError, InvalidArgumentError, NoSnapshotError, …; RemoteError where the
server cannot be reached or failed.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from engine.errors import EbbtideError, InvalidArgumentError
from serving.answers import AtRiskPage, CustomerAnswer, CustomerEvent, CustomerScore
from serving.batch_scores import BatchScores
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.risk import Grade
from serving.wire.batches import BATCH_SCHEMA, REASONED_SCHEMA
from serving.wire.events import event_messages
from serving.wire.messages import read_customer, read_page, timestamp
from serving.wire.status import error_of

# A server that restarts is back within a second or two; every call only reads, so that repeating one is safe.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "ebbtide.v1.ScoringService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

# How long to wait for the channel to say how it is; it does so at once.
_STATE_WAIT_S = 0.2
# The most that the service gives.
_PAGE_SIZE = 1000

_Request = TypeVar("_Request")


class EbbtideClient:
    """A connection to one server; safe to share between threads, to be closed or used as a context manager.

    target          : host:port
    timeout_s       : for a score or a page
    batch_timeout_s : for a whole batch stream
    """

    def __init__(self, target: str, *, timeout_s: float = 10.0, batch_timeout_s: float = 600.0) -> None:
        for name, value in (("timeout_s", timeout_s), ("batch_timeout_s", batch_timeout_s)):
            if not value > 0:
                raise InvalidArgumentError(name, f"found {value}, expected more than 0 seconds")
        if not target.strip():
            raise InvalidArgumentError("target", "found nothing, expected HOST:PORT such as 127.0.0.1:50051")
        self.target = target
        self._timeout_s = timeout_s
        self._batch_timeout_s = batch_timeout_s
        self._channel = grpc.insecure_channel(target, options=[("grpc.service_config", json.dumps(_SERVICE_CONFIG))])
        self._stub = pb_grpc.ScoringServiceStub(self._channel)

    def score(
        self,
        customer_id: str,
        *,
        horizon_days: int | None = None,
        as_of_us: int | None = None,
        recent_events: Sequence[CustomerEvent] = (),
        include_reasons: bool = False,
    ) -> CustomerAnswer:
        """One customer's score, or the reason why a known customer has none.

        horizon_days    : the bundle's own by default
        as_of_us        : the instant to speak about, UTC microseconds; that of the snapshot by default, or just after the last of
                          the recent events where that is later
        recent_events   : at most 100 that the history may not have yet, all before that instant
        include_reasons : whether the answer has reasons, which takes a few milliseconds more
        raises          : UnknownCustomerError, InvalidArgumentError, NoSnapshotError, RemoteError; with as_of_us or
                          recent_events NoBundleError and NoHistoryError where the server has only the snapshot
        """
        request = _request(
            pb.ScoreCustomerRequest,
            customer_id=customer_id,
            horizon_days=horizon_days,
            as_of=_as_of(as_of_us),
            recent_events=event_messages(recent_events),
            include_reasons=include_reasons,
        )
        return read_customer(self._call(self._stub.ScoreCustomer, request))

    def score_history(
        self,
        events: Sequence[CustomerEvent],
        *,
        as_of_us: int | None = None,
        horizon_days: int | None = None,
        customer_id: str = "",
        include_reasons: bool = False,
    ) -> CustomerAnswer:
        """The score of somebody of whom the store need not know anything, from their events alone.

        events          : 1 to 10,000, all that the customer did
        as_of_us        : as in `score`
        customer_id     : given back in the answer
        include_reasons : whether the answer has reasons
        raises          : InvalidArgumentError, NoSnapshotError, NoBundleError, NoHistoryError, RemoteError
        """
        request = _request(
            pb.ScoreHistoryRequest,
            events=event_messages(events),
            as_of=_as_of(as_of_us),
            horizon_days=horizon_days,
            customer_id=customer_id,
            include_reasons=include_reasons,
        )
        return read_customer(self._call(self._stub.ScoreHistory, request))

    def batch(
        self, customer_ids: Sequence[str] | None = None, *, horizon_days: int | None = None, include_reasons: bool = False
    ) -> BatchScores:
        """Many customers, or with None the whole snapshot; each is answered once.

        include_reasons : whether every row has reasons; the batches are then of REASONED_SCHEMA
        raises          : InvalidArgumentError, NoSnapshotError, NoBundleError where the server has no model to give reasons with,
                          RemoteError
        """
        if customer_ids is not None and len(customer_ids) == 0:
            raise InvalidArgumentError("customer_ids", "found none, expected some, or None for the whole snapshot")
        if isinstance(customer_ids, str):  # a sequence of texts, too: one for each of its letters
            raise InvalidArgumentError("customer_ids", f"found the text {customer_ids!r}, expected a sequence of ids")
        request = _request(
            pb.BatchScoreRequest,
            customer_ids=customer_ids or (),
            horizon_days=horizon_days,
            format=pb.BATCH_FORMAT_ARROW_IPC,
            include_reasons=include_reasons,
        )
        return BatchScores(self._stream(request), REASONED_SCHEMA if include_reasons else BATCH_SCHEMA)

    def at_risk(
        self,
        store_id: str | None = None,
        *,
        limit: int | None = None,
        min_grade: Grade | None = None,
        min_churn_probability: float | None = None,
    ) -> Iterator[CustomerScore]:
        """The customers most at risk, the worst first, fetched page by page from one snapshot as they are taken.

        store_id : None for the whole chain, "" for those of whom the store is not known
        limit    : at most this many; None for all
        raises   : as `at_risk_page`, on the way
        """
        if limit is not None and limit < 1:
            raise InvalidArgumentError("limit", f"found {limit}, expected 1 or more")
        return islice(self._walk(store_id, limit, min_grade, min_churn_probability), limit)

    def at_risk_page(
        self,
        store_id: str | None = None,
        *,
        page_size: int = 50,
        page_token: str = "",
        min_grade: Grade | None = None,
        min_churn_probability: float | None = None,
    ) -> AtRiskPage:
        """One page of `at_risk`, with the total and the context.

        page_size  : 1 to 1000
        page_token : `next_page_token` of the page before, which had the same filters
        raises     : InvalidArgumentError, NoSnapshotError, RemoteError
        """
        if min_grade is not None and min_churn_probability is not None:
            raise InvalidArgumentError("min_grade", "cannot be combined with min_churn_probability")
        request = _request(
            pb.ListAtRiskRequest,
            store_id=store_id,
            page_size=page_size,
            page_token=page_token,
            min_grade=None if min_grade is None else pb.RiskGrade.ValueType(min_grade),
            min_churn_probability=min_churn_probability,
        )
        return read_page(self._call(self._stub.ListAtRisk, request))

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _walk(
        self, store_id: str | None, limit: int | None, min_grade: Grade | None, min_churn_probability: float | None
    ) -> Iterator[CustomerScore]:
        token = ""
        while True:
            page = self.at_risk_page(
                store_id,
                page_size=min(limit or _PAGE_SIZE, _PAGE_SIZE),
                page_token=token,
                min_grade=min_grade,
                min_churn_probability=min_churn_probability,
            )
            yield from page.customers
            token = page.next_page_token
            if not token:
                return

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise self._error_of(error) from error

    def _stream(self, request: pb.BatchScoreRequest) -> Iterator[pb.BatchScoreResponse]:
        try:
            yield from self._stub.BatchScore(request, timeout=self._batch_timeout_s)
        except grpc.RpcError as error:
            raise self._error_of(error) from error

    def _error_of(self, error: grpc.RpcError) -> EbbtideError:
        is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return error_of(error, self.target, is_refused=is_late and _is_refused(self._channel))


def _request(make: Callable[..., _Request], **fields: Any) -> _Request:
    """A message of these fields; None leaves one out.

    raises : InvalidArgumentError naming the field that the wire cannot carry: a number beyond its bits, a text that is no UTF-8
    """
    try:
        return make(**fields)
    except (ValueError, TypeError):
        for name, value in fields.items():
            try:
                make(**{name: value})
            except (ValueError, TypeError) as error:
                raise InvalidArgumentError(name, f"found {value!r:.60}, which cannot be sent ({error})") from error
        raise


def _as_of(as_of_us: int | None) -> Timestamp | None:
    try:
        return None if as_of_us is None else timestamp(as_of_us)
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError("as_of", f"found {as_of_us}, expected UTC microseconds since 1970") from error


def _is_refused(channel: grpc.Channel) -> bool:
    """Whether there is no connection because connecting fails, and not because it takes long: a late call does not tell."""
    states: queue.SimpleQueue[grpc.ChannelConnectivity] = queue.SimpleQueue()
    channel.subscribe(states.put)
    try:
        return states.get(timeout=_STATE_WAIT_S) is grpc.ChannelConnectivity.TRANSIENT_FAILURE
    except queue.Empty:
        return False
    finally:
        channel.unsubscribe(states.put)
