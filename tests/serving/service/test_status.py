"""The table from errors to statuses, and the way back."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from engine import errors
from serving.wire.status import STATUS_CODES, status_of


def every_error(kind: type[errors.EbbtideError] = errors.EbbtideError) -> list[type[errors.EbbtideError]]:
    return [
        kind,
        *(below for child in kind.__subclasses__() if child.__module__ == "engine.errors" for below in every_error(child)),
    ]


def test_the_table_has_every_error_of_the_tree_and_no_other() -> None:
    assert set(STATUS_CODES) == set(every_error())


def test_every_error_in_the_module_is_in_the_tree() -> None:
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(every_error())


def test_a_subclass_from_elsewhere_has_the_status_of_its_parent() -> None:
    class RowError(errors.InvalidInputError):
        pass

    status = status_of(RowError("found 3, expected 4"))
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "INVALID_INPUT" in str(status.details[0])


@pytest.mark.parametrize("kind", [kind for kind in every_error() if issubclass(kind, errors.PrerequisiteError)])
def test_a_missing_step_is_a_failed_precondition(kind: type[errors.PrerequisiteError]) -> None:
    assert STATUS_CODES[kind] is grpc.StatusCode.FAILED_PRECONDITION


def test_a_bad_field_is_named_in_the_details() -> None:
    status = status_of(errors.InvalidArgumentError("page_size", "found -1, expected 1 to 1000"))
    request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(request)
    assert [(entry.field, entry.description) for entry in request.field_violations] == [
        ("page_size", "found -1, expected 1 to 1000")
    ]
