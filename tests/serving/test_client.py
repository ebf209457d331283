"""The client against servers that misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import pytest

from engine.errors import InvalidArgumentError, RemoteError
from serving.client import EbbtideClient
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc


class Scripted(pb_grpc.ScoringServiceServicer):
    """Answers as a test tells it to."""

    def __init__(self) -> None:
        self.num_calls = 0
        self.answer: Callable[[grpc.ServicerContext], Any] = lambda context: None

    def ScoreCustomer(self, request: pb.ScoreCustomerRequest, context: Any) -> pb.ScoreCustomerResponse:  # noqa: N802
        self.num_calls += 1
        return self.answer(context)

    def BatchScore(self, request: pb.BatchScoreRequest, context: Any) -> Iterator[pb.BatchScoreResponse]:  # noqa: N802
        yield from self.answer(context)

    def ListAtRisk(self, request: pb.ListAtRiskRequest, context: Any) -> pb.ListAtRiskResponse:  # noqa: N802
        return self.answer(context)


@pytest.fixture
def scripted() -> Iterator[tuple[Scripted, EbbtideClient]]:
    service = Scripted()
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_ScoringServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with EbbtideClient(f"127.0.0.1:{port}", timeout_s=10) as client:
        yield service, client
    server.stop(None).wait()


def test_a_server_that_comes_back_is_asked_again(scripted: tuple[Scripted, EbbtideClient]) -> None:
    service, client = scripted

    def answer(context: grpc.ServicerContext) -> pb.ScoreCustomerResponse:
        if service.num_calls < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return pb.ScoreCustomerResponse(eligible=False, ineligible_reason=pb.INELIGIBLE_REASON_NO_RECENT_PURCHASE)

    service.answer = answer
    assert not client.score("a").eligible
    assert service.num_calls == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, "answered NOT_FOUND: proxy says so"),
        (grpc.StatusCode.INVALID_ARGUMENT, "answered INVALID_ARGUMENT: proxy says so"),
        (grpc.StatusCode.UNIMPLEMENTED, "does not know this call .*same version"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "is at its limits .*try again later"),
    ],
)
def test_a_status_without_ebbtides_details_is_a_remote_error_and_not_repeated(
    scripted: tuple[Scripted, EbbtideClient], code: grpc.StatusCode, message: str
) -> None:
    service, client = scripted
    service.answer = lambda context: context.abort(code, "proxy says so")
    with pytest.raises(RemoteError, match=rf"{client.target} {message}"):
        client.score("a")
    assert service.num_calls == 1


def test_a_reason_of_a_newer_server_is_no_error(scripted: tuple[Scripted, EbbtideClient]) -> None:
    service, client = scripted
    service.answer = lambda context: pb.ScoreCustomerResponse(eligible=False, ineligible_reason=cast("Any", 99))
    answer = client.score("a")
    assert (answer.customer, answer.ineligible_reason) == (None, None)


def test_bytes_that_are_not_arrow_are_refused(scripted: tuple[Scripted, EbbtideClient]) -> None:
    service, client = scripted
    service.answer = lambda context: [pb.BatchScoreResponse(arrow_ipc=b"garbage")]
    with pytest.raises(RemoteError, match="not one Arrow record batch"):
        client.batch().read_all()


def test_a_batch_without_a_message_is_refused(scripted: tuple[Scripted, EbbtideClient]) -> None:
    service, client = scripted
    service.answer = lambda context: []
    with pytest.raises(RemoteError, match="without a message"):
        client.batch()


def test_an_empty_list_of_ids_is_not_taken_for_everybody(scripted: tuple[Scripted, EbbtideClient]) -> None:
    with pytest.raises(InvalidArgumentError, match="customer_ids: found none, expected some, or None for the whole snapshot"):
        scripted[1].batch([])
