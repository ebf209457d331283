"""What live scores are computed from: a snapshot, its bundle and a state of the history, laid out for one customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.history import History
from engine.history.customers import CustomerLookup
from engine.history.events import find_text
from engine.prefault import prefault
from serving.snapshots import Snapshot, floats
from training.bundles.bundle import Bundle
from training.inference import SingleForward
from training.network.hazard import bin_widths
from training.reasons import Usual


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a snapshot remembers of a customer.

    state : float32[state_size], after the first num_events events
    """

    num_events: int
    state: NDArray[np.float32]


class LiveState:
    """Immutable; safe to use from several threads.

    activity : of the history, orders of the whole chain per day
    usual    : among the snapshot's customers; None where there are none
    """

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        bundle: Bundle,
        history: History,
        activity: DailyActivity,
        usual: Usual | None,
    ) -> None:
        self.snapshot = snapshot
        self.num_buckets = history.num_buckets
        self.lookup = CustomerLookup(history)
        self.coverage = history.manifest.coverage
        self.first_order_us = history.manifest.first_order_us or 0  # there is one: without orders nothing is taken up
        self.activity = activity
        # The parts that each bucket was made from, whatever the history has become since. Of who lives in none of them any more
        # nothing that the snapshot remembers is believed.
        self.settled = {file.bucket: file.parts for file in snapshot.manifest.files}
        self.usual = usual
        self.forward = SingleForward(bundle.model)
        self.edges_days = snapshot.edges_days
        self.widths_days = bin_widths(self.edges_days)
        self.model = bundle.model
        self.state_size = bundle.model.state_size
        self._memories = [(memory.column("num_events").to_numpy(), floats(memory, "state")) for memory in snapshot.memories]

    def prefault(self, *, most_bytes: int, is_wanted: Callable[[], bool]) -> int:
        """Map what a call may look at, before there is one; returns the bytes mapped.

        most_bytes, is_wanted, raises : as `CustomerLookup.prefault` has them
        """
        num_bytes = 0
        for batch, memory in zip(self.snapshot.batches, self.snapshot.memories, strict=True):
            if num_bytes > most_bytes or not is_wanted():
                return num_bytes
            num_bytes += prefault(batch.select(["customer_id"])) + prefault(memory.select(["num_events", "state"]))
        return num_bytes + self.lookup.prefault(most_bytes=most_bytes - num_bytes, is_wanted=is_wanted)

    def recall(self, customer_id: str, hashed: int) -> Memory | None:
        """What the snapshot remembers of a customer; None where it has no row.

        hashed : of the id, as engine.hashing.hash_text gives it
        """
        bucket = hashed % len(self._memories)
        row = find_text(self.snapshot.batches[bucket].column("customer_id"), customer_id)
        if row < 0:
            return None
        num_events, states = self._memories[bucket]
        return Memory(num_events=int(num_events[row]), state=states[row])
