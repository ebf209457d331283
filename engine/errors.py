"""Everything that ebbtide raises on purpose.

    EbbtideError
    ├── InvalidInputError           the caller can mend it: another value, another file
    │   ├── InvalidArgumentError    a setting or request field is out of its limits
    │   ├── AsOfError               an instant or horizon that the data cannot answer for
    │   └── SourceError             a source file is refused whole
    ├── UnknownCustomerError        no history holds this customer
    ├── PrerequisiteError           a step has to run first
    │   ├── NoHistoryError          run `ebbtide ingest`
    │   ├── NoBundleError           run `ebbtide train`
    │   ├── NoSnapshotError         run `ebbtide rescore`
    │   └── NoStudyError            run `ebbtide tune`
    ├── IntegrityError              stored bytes are not those that were written
    ├── StorageError                the machine refuses to read or write a file
    ├── PromotionRefusedError       a bundle is worse than the one that serves
    ├── StoreBusyError              another process is writing to the store
    ├── DeviceError                 the asked-for device cannot be used
    ├── ExecutionError              a task failed for good
    ├── OverloadError               more was asked for at once than can be answered
    └── RemoteError                 a server answered with an error, or did not answer

A message says what was found, what was expected and what to do next. `serving/wire/status.py` maps the tree to gRPC status codes.
"""

from __future__ import annotations


class EbbtideError(Exception):
    """Root of the tree; its message is written for the person who has to act on it.

    A subclass passes its own arguments on to `Exception`, so that it survives the way back from another process.
    """


class InvalidInputError(EbbtideError):
    """The caller can mend it with another value or another file."""


class InvalidArgumentError(InvalidInputError):
    """A setting or a request field is out of its limits.

    field : the setting or field as the caller spells it
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field

    def __str__(self) -> str:
        return ": ".join(self.args)


class AsOfError(InvalidInputError):
    """An as-of instant or a horizon lies outside what the data can answer."""


class SourceError(InvalidInputError):
    """A source file is refused whole; the store is untouched.

    source : the file as the caller named it
    """

    def __init__(self, source: str, message: str) -> None:
        super().__init__(source, message)
        self.source = source

    def __str__(self) -> str:
        return ": ".join(self.args)


class UnknownCustomerError(EbbtideError):
    """No history holds this customer."""

    def __init__(self, customer_id: str) -> None:
        super().__init__(customer_id)
        self.customer_id = customer_id

    def __str__(self) -> str:
        return f"customer {self.customer_id!r} is not in the history; check the id, or ingest the orders of this customer"


class PrerequisiteError(EbbtideError):
    """A step has to run before this one."""


class NoHistoryError(PrerequisiteError):
    """The store holds no history."""


class NoBundleError(PrerequisiteError):
    """The store holds no trained bundle of this name."""


class NoSnapshotError(PrerequisiteError):
    """The store holds no committed snapshot."""


class NoStudyError(PrerequisiteError):
    """The store holds no study of this name."""


class IntegrityError(EbbtideError):
    """Stored bytes are not those that were written."""


class StorageError(EbbtideError):
    """The machine refuses to read or write a file: its disk is full, a right is missing."""


class PromotionRefusedError(EbbtideError):
    """A bundle is worse than the one that serves."""


class StoreBusyError(EbbtideError):
    """Another process is writing to the store."""


class DeviceError(EbbtideError):
    """The asked-for device cannot be used."""


class ExecutionError(EbbtideError):
    """A task failed for good."""


class OverloadError(EbbtideError):
    """More was asked for at once than can be answered in time."""


class RemoteError(EbbtideError):
    """A server answered with an error, or did not answer."""
