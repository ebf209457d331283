"""Requests whose bytes are no message of their type: the caller's mistake, and answered as one.

gRPC itself would log a traceback and answer UNKNOWN, which tells a client to look for the fault in the server.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from engine.errors import InvalidArgumentError
from serving.wire.status import status_of

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Any  # grpc's stub knows handlers of the blocking server only


class RefuseUndecodable(grpc.aio.ServerInterceptor):
    """Decode the request of each call that takes one inside the call, where a failure can be told to the caller.

    max_bytes : of the requests of some methods, by full name; what is longer is refused undecoded, as small messages inside
                a long one take many times its memory
    """

    def __init__(self, max_bytes: Mapping[str, int] | None = None) -> None:
        self._max_bytes = max_bytes or {}

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]], handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """The handler of a call, made to decode by itself; one of a stream of requests stays as it is."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.request_deserializer is None:
            return handler
        decode = _limited(handler.request_deserializer, self._max_bytes.get(handler_call_details.method))
        if not handler.response_streaming:
            wrapped = _decoding_call(handler.unary_unary, decode)
            return grpc.unary_unary_rpc_method_handler(wrapped, None, handler.response_serializer)
        # A stream is a generator of messages, or a call that writes them to its context.
        wrap = _decoding_generator if inspect.isasyncgenfunction(handler.unary_stream) else _decoding_call
        return grpc.unary_stream_rpc_method_handler(wrap(handler.unary_stream, decode), None, handler.response_serializer)


def _limited(decode: Callable[[bytes], Any], max_bytes: int | None) -> Callable[[bytes], Any]:
    if max_bytes is None:
        return decode

    def decode_short(data: bytes) -> Any:
        if len(data) > max_bytes:
            raise InvalidArgumentError("request", f"found {len(data):,} bytes, expected at most {max_bytes:,}; send less at once")
        return decode(data)

    return decode_short


def _decoding_call(method: Callable[[Any, Context], Awaitable[Any]], decode: Callable[[bytes], Any]) -> Any:
    async def call(data: bytes, context: Context) -> Any:
        return await method(await _decode(decode, data, context), context)

    return call


def _decoding_generator(method: Callable[[Any, Context], AsyncIterator[Any]], decode: Callable[[bytes], Any]) -> Any:
    async def generate(data: bytes, context: Context) -> AsyncIterator[Any]:
        request = await _decode(decode, data, context)
        async for response in method(request, context):
            yield response

    return generate


async def _decode(decode: Callable[[bytes], Any], data: bytes, context: Context) -> Any:
    try:
        return decode(data)
    except InvalidArgumentError as refusal:
        error = refusal
    except DecodeError:
        error = InvalidArgumentError(
            "request",
            f"found {len(data):,} bytes that are no such message, expected one of proto/ebbtide/v1; "
            "check that client and server were built from the same version of it",
        )
    return await context.abort_with_status(rpc_status.to_status(status_of(error)))
