"""Servers inside another program: the demo and the tests ask them over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from serving.service.server import Server, ServerConfig

_Result = TypeVar("_Result")


class ServerThread:
    """One thread with one event loop, for any number of servers: several loops in a process are more than grpc.aio can take.

    with ServerThread() as thread:
        server = thread.start(ServerConfig(store=store, listen="127.0.0.1:0"))
        EbbtideClient(server.target)

    The end of the block stops what still runs.
    """

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ebbtide-server", daemon=True)
        self._servers: list[Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in tuple(self._servers):
            self.stop(server)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, config: ServerConfig) -> Server:
        """A server that answers by the time this returns; errors are those of Server.start."""
        return self._run(self._start(config))

    def stop(self, server: Server) -> None:
        self._servers.remove(server)
        self._run(server.stop())

    async def _start(self, config: ServerConfig) -> Server:
        server = Server(config)
        await server.start()
        self._servers.append(server)
        return server

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
