"""The answer to a batch, as the Python client hands it out: ids without a score first, then record batches as they come."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from engine.errors import RemoteError
from serving.answers import ScoreContext
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.wire.batches import BATCH_SCHEMA, read_arrow
from serving.wire.messages import read_context


class BatchScores:
    """The answer to a batch: iterate over its record batches once, or take them all at once.

    schema                  : of the record batches, BATCH_SCHEMA or REASONED_SCHEMA
    context                 : what the answer was computed from
    not_found_customer_ids  : asked for, but in no history
    ineligible_customer_ids : known, but without a score in this snapshot

    All three are complete from the start; the rows follow as they are read.
    """

    def __init__(self, responses: Iterator[pb.BatchScoreResponse], schema: pa.Schema = BATCH_SCHEMA) -> None:
        self.schema = schema
        self._responses = responses
        self.not_found_customer_ids: list[str] = []
        self.ineligible_customer_ids: list[str] = []
        first = next(responses, None)
        if first is None:
            raise RemoteError("the server ended a batch without a message")
        self.context: ScoreContext = read_context(first.context)
        response: pb.BatchScoreResponse | None = first
        while response is not None and not response.WhichOneof("rows"):
            self.not_found_customer_ids.extend(response.not_found_customer_ids)
            self.ineligible_customer_ids.extend(response.ineligible_customer_ids)
            response = next(responses, None)
        self._first_rows = response

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        first, self._first_rows = self._first_rows, None  # before it is handed out: whoever stops there may go on later
        if first is not None:
            yield read_arrow(first.arrow_ipc)
        for response in self._responses:
            yield read_arrow(response.arrow_ipc)

    def reader(self) -> pa.RecordBatchReader:
        """The same for whatever takes an Arrow stream."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))

    def read_all(self) -> pa.Table:
        return pa.Table.from_batches(list(self), self.schema)
