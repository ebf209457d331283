"""The gRPC server: ScoringService, health and reflection over one store, and the watch for newer snapshots."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine.errors import InvalidArgumentError
from engine.storage import Place
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.service.current import CurrentSnapshot
from serving.service.decoding import RefuseUndecodable
from serving.service.known import KnownCustomers
from serving.service.live.desk import LiveDesk
from serving.service.live.requests import MAX_HISTORY_EVENTS, MAX_RECENT_EVENTS
from serving.service.live.source import LiveSource
from serving.service.servicer import ScoringService
from serving.snapshots import no_snapshot_error
from serving.wire.events import MAX_EVENT_BYTES

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
# What the longest events and ids of a call come to; the others have the limit of all.
MAX_REQUEST_BYTES = {
    f"/{SERVICE_NAME}/ScoreCustomer": MAX_RECENT_EVENTS * MAX_EVENT_BYTES + 1024,
    f"/{SERVICE_NAME}/ScoreHistory": MAX_HISTORY_EVENTS * MAX_EVENT_BYTES + 1024,
}

_logger = logging.getLogger(__name__)

# Live scores need the orders of the whole history counted; the snapshot is not made to wait for a large one.
_LIVE_WAIT_S = 5.0
# A snapshot and a history are a file for each bucket and part, all of them mapped.
_NUM_OPEN_FILES = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """Where and how to serve."""

    store: Place
    """Where the history and the snapshots are."""

    listen: str = "127.0.0.1:50051"
    """host:port; port 0 takes a free one. There is no authentication yet: another host than loopback is everybody's."""

    poll_interval_s: float = 1.0
    """How often to look for a newer snapshot: one `stat` each time, or one request to a remote store."""

    stop_grace_s: float = 10.0
    """How long running calls may go on after a stop was asked for."""

    max_receive_bytes: int = 32 << 20
    """A BatchScore request of 100,000 of the longest ids is 26 MB."""

    max_connection_age_s: float = 300.0
    """Connections take no new calls after this time, so that clients find new replicas."""

    max_connection_age_grace_s: float = 600.0
    """How long calls that run then may go on: as long as the client gives a batch, which a reader may take slowly."""

    max_concurrent_calls: int = 512
    """More are refused with RESOURCE_EXHAUSTED at once, rather than answered late."""

    num_threads: int = 4
    """For batches, pages and look-ups in the history."""

    num_live_threads: int = 2
    """For live scores; a score is about half a millisecond of one of them."""

    max_live_calls: int = 256
    """Live scores that wait or are worked on; more are refused with RESOURCE_EXHAUSTED at once."""

    def __post_init__(self) -> None:
        host, separator, port = self.listen.rpartition(":")
        if not (separator and host and port.isdecimal() and int(port) <= 65_535):
            raise InvalidArgumentError("listen", f"found {self.listen!r}, expected HOST:PORT such as 127.0.0.1:50051")
        for name in (
            "poll_interval_s",
            "max_receive_bytes",
            "max_connection_age_s",
            "max_connection_age_grace_s",
            "max_concurrent_calls",
            "num_threads",
            "num_live_threads",
            "max_live_calls",
        ):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(name, f"found {getattr(self, name)}, expected more than 0")
        if self.stop_grace_s < 0:
            raise InvalidArgumentError("stop_grace_s", f"found {self.stop_grace_s}, expected 0 or more")

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0]


class Server:
    """A server over one store; start and stop it on one event loop.

    server = Server(ServerConfig(store=Path("store"), listen="127.0.0.1:0"))
    await server.start()
    print(server.target)
    await server.stop()

    Without a snapshot it runs, says NOT_SERVING, and answers FAILED_PRECONDITION until there is one.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._current = CurrentSnapshot(config.store)
        self._threads = ThreadPoolExecutor(config.num_threads, thread_name_prefix="ebbtide")
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._source = LiveSource(config.store, self._current.get)
        self._live = LiveDesk(self._source, num_threads=config.num_live_threads, max_calls=config.max_live_calls)
        self._watches: list[asyncio.Task[None]] = []
        self.port = 0

    @property
    def target(self) -> str:
        """host:port that a client can connect to."""
        return f"{self._config.host}:{self.port}"

    async def start(self) -> None:
        """Listen, with the current snapshot loaded if there is one.

        raises : InvalidArgumentError, if the address cannot be listened on
        """
        try:
            server = self._bind()
        except BaseException:
            self._threads.shutdown()
            self._live.close()
            raise
        _warn_if_open(self._config.host)
        await self._refresh()
        await self._announce()
        self._watches = [asyncio.create_task(watch()) for watch in (self._watch_for_snapshots, self._watch_for_live_scores)]
        with suppress(TimeoutError):
            await asyncio.wait_for(self._live.is_ready.wait(), _LIVE_WAIT_S)
        await server.start()
        self._server = server
        _logger.info("listening on %s over %s", self.target, self._config.store)
        if self._current.is_missing:  # one that is refused was told of where that happened
            _logger.warning("nothing to answer from yet: %s", no_snapshot_error(self._config.store))

    async def stop(self) -> None:
        """Refuse new calls, let running ones end within the grace, then close."""
        for watch in self._watches:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await self._server.stop(self._config.stop_grace_s)
        self._threads.shutdown()
        self._live.close()
        _logger.info("stopped")

    def _bind(self) -> grpc.aio.Server:
        config = self._config
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # a port in use is an error, not a share of the calls
                ("grpc.max_receive_message_length", config.max_receive_bytes),
                ("grpc.max_connection_age_ms", int(config.max_connection_age_s * 1000)),
                ("grpc.max_connection_age_grace_ms", int(config.max_connection_age_grace_s * 1000)),
            ],
            maximum_concurrent_rpcs=config.max_concurrent_calls,
            interceptors=[RefuseUndecodable(MAX_REQUEST_BYTES)],
        )
        service = ScoringService(self._current, KnownCustomers(config.store), self._threads, self._live)
        pb_grpc.add_ScoringServiceServicer_to_server(service, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        try:
            self.port = server.add_insecure_port(config.listen)
        except RuntimeError as error:
            raise InvalidArgumentError(
                "listen", f"cannot listen on {config.listen} ({error}); is another server on this port? choose another one"
            ) from error
        return server

    async def _watch_for_snapshots(self) -> None:
        while True:
            await asyncio.sleep(self._config.poll_interval_s)
            try:
                if await self._refresh():
                    await self._announce()
            except Exception:  # the watch has to outlive whatever the disk does
                _logger.exception("looking for a newer snapshot failed; the next look is in %g s", self._config.poll_interval_s)

    async def _watch_for_live_scores(self) -> None:
        """Apart from the other watch, which is not to wait while the orders of a new history are counted."""
        while True:
            try:
                await self._live.refresh()
            except Exception:  # as above
                _logger.exception("taking up live scores failed; the next look is in %g s", self._config.poll_interval_s)
            await asyncio.sleep(self._config.poll_interval_s)

    async def _refresh(self) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._current.refresh)

    async def _announce(self) -> None:
        """Tell the health service, overall and for the one service, whether calls can be answered."""
        state = health_pb2.HealthCheckResponse.SERVING if self._current.is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in (health.OVERALL_HEALTH, SERVICE_NAME):
            await self._health.set(service, state)


def run(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully, on an event loop that takes a fifth less of a call than asyncio's own.

    raises : InvalidArgumentError, if the address cannot be listened on
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config))


async def serve(config: ServerConfig) -> None:
    """The same on the event loop that is running.

    raises : InvalidArgumentError, if the address cannot be listened on
    """
    _raise_file_limit()
    stop_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_asked.set)
    server = Server(config)
    await server.start()
    # What is there now stays: without it each full collection would walk over all that was imported, 50 ms of every call's time.
    gc.freeze()
    await stop_asked.wait()
    await server.stop()


def _raise_file_limit() -> None:
    """To what this process may have: the usual 1,024 of a shell are for shells."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _NUM_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_NUM_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _warn_if_open(host: str) -> None:
    try:
        is_loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        _logger.warning("listening on %s without TLS and authentication: everybody who reaches it can read the scores", host)
