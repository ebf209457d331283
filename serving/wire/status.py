"""Errors as gRPC statuses, and back: one table, complete by test."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from engine import errors

ERROR_DOMAIN = "ebbtide"

STATUS_CODES: dict[type[errors.EbbtideError], grpc.StatusCode] = {
    errors.EbbtideError: grpc.StatusCode.INTERNAL,
    errors.InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.AsOfError: grpc.StatusCode.OUT_OF_RANGE,
    errors.SourceError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownCustomerError: grpc.StatusCode.NOT_FOUND,
    errors.PrerequisiteError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoHistoryError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoBundleError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoSnapshotError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoStudyError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PromotionRefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.IntegrityError: grpc.StatusCode.DATA_LOSS,
    errors.StorageError: grpc.StatusCode.INTERNAL,
    # Not UNAVAILABLE: clients repeat that one by themselves, and a writer may hold the store for an hour.
    errors.StoreBusyError: grpc.StatusCode.ABORTED,
    errors.DeviceError: grpc.StatusCode.INTERNAL,
    errors.ExecutionError: grpc.StatusCode.INTERNAL,
    errors.OverloadError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.RemoteError: grpc.StatusCode.UNAVAILABLE,
}

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def errors_as_status(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """End the call with the right status when its body raises; what nobody foresaw is logged here and not told."""
    try:
        yield
    except errors.EbbtideError as error:
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
    except (grpc.aio.AbortError, grpc.aio.BaseError):
        raise
    except Exception:
        _logger.exception("a call failed for a reason that nobody foresaw")
        await context.abort(grpc.StatusCode.INTERNAL, "the server failed in a way that nobody foresaw; its log has the reason")


def status_of(error: errors.EbbtideError) -> status_pb2.Status:
    """Code, message and details of an error."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS_CODES)
    info = error_details_pb2.ErrorInfo(reason=_reason(kind), domain=ERROR_DOMAIN)
    details: list[Any] = [info]
    if isinstance(error, errors.InvalidArgumentError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=str(error).removeprefix(f"{error.field}: ")
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.UnknownCustomerError):
        info.metadata["customer_id"] = error.customer_id
    status = status_pb2.Status(code=STATUS_CODES[kind].value[0], message=str(error))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def error_of(call: grpc.RpcError, target: str, *, is_refused: bool = False) -> errors.EbbtideError:
    """The error that a failed call stands for.

    target     : what the caller connected to, for the message
    is_refused : there was no connection to it in all the time
    """
    code, message = call.code(), call.details() or "no message"
    info, violation = _details(call)
    if info.domain != ERROR_DOMAIN:
        return errors.RemoteError(_without_details(code, message, target, is_refused=is_refused))
    if code is grpc.StatusCode.INVALID_ARGUMENT and violation is not None:
        return errors.InvalidArgumentError(violation.field, violation.description)
    if code is grpc.StatusCode.NOT_FOUND:
        return errors.UnknownCustomerError(info.metadata["customer_id"])
    make = _BY_REASON.get(info.reason)
    return make(message) if make else errors.RemoteError(f"{target} answered {code.name}: {message}")


def _reason(kind: type[errors.EbbtideError]) -> str:
    """NoSnapshotError -> NO_SNAPSHOT."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


# The errors that say as much on this side of the wire as on the other. The rest are the server's own trouble: RemoteError.
_BY_REASON: dict[str, Callable[[str], errors.EbbtideError]] = {
    _reason(kind): kind
    for kind in (
        errors.InvalidInputError,
        errors.AsOfError,
        errors.PrerequisiteError,
        errors.NoHistoryError,
        errors.NoBundleError,
        errors.NoSnapshotError,
        errors.IntegrityError,
        errors.StoreBusyError,
    )
}


def _details(
    call: grpc.RpcError,
) -> tuple[error_details_pb2.ErrorInfo, error_details_pb2.BadRequest.FieldViolation | None]:
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(call)
    for packed in status.details if status else ():
        if packed.Is(info.DESCRIPTOR):
            packed.Unpack(info)
        elif packed.Is(request.DESCRIPTOR):
            packed.Unpack(request)
    return info, request.field_violations[0] if request.field_violations else None


def _without_details(code: grpc.StatusCode, message: str, target: str, *, is_refused: bool) -> str:
    """What to check when the answer did not come from ebbtide's own code."""
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return f"{target} does not answer ({message}); check the address, and that `ebbtide serve` runs there"
        case grpc.StatusCode.DEADLINE_EXCEEDED if is_refused:
            return (
                f"{target} refuses the connection: nobody listens there; check the address, and that `ebbtide serve` runs there"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{target} did not answer in time; check its load, or allow more time"
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{target} does not know this call ({message}); check that `ebbtide serve` of the same version runs there"
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return f"{target} is at its limits ({message}); try again later, or send less at once"
        case _:
            return f"{target} answered {code.name}: {message}"
