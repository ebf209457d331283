"""Bytes that are no message of the call's type, over a real socket."""

from __future__ import annotations

import logging

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from serving.client import EbbtideClient
from serving.service.server import MAX_REQUEST_BYTES, SERVICE_NAME, Server

NO_MESSAGE = b"\xff\xff\xff\xff"


@pytest.mark.parametrize("method", ["ScoreCustomer", "ListAtRisk", "BatchScore"])
def test_bytes_that_are_no_message_are_the_callers_mistake(
    server: Server, client: EbbtideClient, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    with grpc.insecure_channel(server.target) as channel, caplog.at_level(logging.WARNING):
        path = f"/{SERVICE_NAME}/{method}"
        call = channel.unary_stream(path) if method == "BatchScore" else channel.unary_unary(path)
        with pytest.raises(grpc.RpcError) as raised:
            list(call(NO_MESSAGE, timeout=10))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "found 4 bytes that are no such message" in raised.value.details()
    violations = error_details_pb2.BadRequest()
    assert any(detail.Unpack(violations) for detail in rpc_status.from_call(raised.value).details)
    assert violations.field_violations[0].field == "request"
    assert not caplog.records
    assert client.score("c0033").eligible


@pytest.mark.parametrize("method", ["ScoreCustomer", "ScoreHistory"])
def test_what_is_longer_than_its_events_can_be_is_refused_undecoded(server: Server, method: str) -> None:
    path = f"/{SERVICE_NAME}/{method}"
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(path)(b"\xff" * (MAX_REQUEST_BYTES[path] + 1), timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "expected at most" in raised.value.details()


def test_the_health_service_refuses_them_too(server: Server) -> None:
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/grpc.health.v1.Health/Check")(NO_MESSAGE, timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
