"""Where live calls wait their turn: threads of their own, a bound on the calls, and a second look where a file is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from engine.errors import IntegrityError, OverloadError
from serving.answers import CustomerAnswer
from serving.service.live.source import LiveSource
from serving.service.live.state import LiveState


class LiveDesk:
    """Runs live calls beside the event loop; to be used from that loop alone, and closed.

    num_threads : that compute
    max_calls   : that wait or are worked on
    """

    def __init__(self, source: LiveSource, *, num_threads: int, max_calls: int) -> None:
        self._source = source
        self._max_calls = max_calls
        self._num_calls = 0
        # A customer's products are too small to share out: each thread computes alone.
        self._threads = ThreadPoolExecutor(
            num_threads, thread_name_prefix="ebbtide-live", initializer=torch.set_num_threads, initargs=(1,)
        )
        self.is_ready = asyncio.Event()  # once it is known whether there are live scores, and why not
        self._refreshing = ThreadPoolExecutor(1, thread_name_prefix="ebbtide-live-source")
        self._prefaulting = ThreadPoolExecutor(1, thread_name_prefix="ebbtide-live-prefault")

    async def run(self, answer: Callable[[LiveState, Any], CustomerAnswer], request: Any) -> CustomerAnswer:
        """What `answer` says to a request.

        raises : OverloadError, those of LiveSource.get, and what `answer` raises
        """
        if self._num_calls >= self._max_calls:
            raise OverloadError(
                f"{self._num_calls} live scores are waiting or being computed, which is the most that this server takes; "
                "try again in a moment, send fewer at once, or ask another replica"
            )
        self._num_calls += 1
        try:
            state = self._source.get()
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._threads, answer, state, request)
            except IntegrityError:
                # An ingest may have swept a part that was not open yet: then there is a newer history to ask.
                await self.refresh()
                newer = self._source.get()
                if newer is state:
                    raise
                return await loop.run_in_executor(self._threads, answer, newer, request)
        finally:
            self._num_calls -= 1

    async def refresh(self) -> None:
        """Take up the newest snapshot and history."""
        try:
            is_news = await asyncio.get_running_loop().run_in_executor(self._refreshing, self._source.refresh)
        finally:
            self.is_ready.set()
        if is_news:
            self._prefaulting.submit(self._source.prefault)

    def close(self) -> None:
        self._source.close()
        self._threads.shutdown()
        self._refreshing.shutdown()
        self._prefaulting.shutdown(cancel_futures=True)
