"""The server as a process sees it: health, reflection, new and broken snapshots, ports and signals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from engine.errors import IntegrityError, InvalidArgumentError, NoSnapshotError, RemoteError, UnknownCustomerError
from serving.client import EbbtideClient
from serving.service import current, queries
from serving.service.rows import score_batch
from serving.service.server import SERVICE_NAME, Server, ServerConfig
from serving.snapshots import Snapshot, open_current, snapshot_folder
from tests.serving.conftest import WriteSnapshot
from tests.serving.server_thread import ServerThread

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def served_store(server_thread: ServerThread, tmp_path: Path) -> Iterator[tuple[Path, Server]]:
    """An empty store and a server that looks at it often."""
    server = server_thread.start(ServerConfig(store=tmp_path, listen="127.0.0.1:0", poll_interval_s=0.02, stop_grace_s=1.0))
    yield tmp_path, server
    server_thread.stop(server)


def health_of(target: str, service: str) -> int:
    with grpc.insecure_channel(target) as channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service)).status


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen within 20 s"
        time.sleep(0.02)


def test_a_server_with_a_snapshot_is_healthy_overall_and_by_service(server: Server) -> None:
    assert health_of(server.target, "") == SERVING
    assert health_of(server.target, SERVICE_NAME) == SERVING


def test_reflection_names_the_services_and_gives_the_file(server: Server) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE_NAME),
    ]
    with grpc.insecure_channel(server.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        services, file = stub.ServerReflectionInfo(iter(requests))
    names = {service.name for service in services.list_services_response.service}
    assert names == {SERVICE_NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert b"ListAtRisk" in file.file_descriptor_response.file_descriptor_proto[0]


def test_without_a_snapshot_it_runs_and_says_what_to_run(
    served_store: tuple[Path, Server], write_snapshot: WriteSnapshot
) -> None:
    store, server = served_store
    assert health_of(server.target, "") == NOT_SERVING
    assert health_of(server.target, SERVICE_NAME) == NOT_SERVING
    with EbbtideClient(server.target) as client:
        for ask in (lambda: client.score("c0001"), lambda: client.batch(), lambda: client.at_risk_page()):
            with pytest.raises(NoSnapshotError, match=r"run: ebbtide rescore --store .* --as-of DATE"):
                ask()
        write_snapshot(store)
        wait_until(lambda: health_of(server.target, SERVICE_NAME) == SERVING)
        assert client.score("c0001").eligible
        with pytest.raises(UnknownCustomerError):  # a store without a history knows nobody else
            client.score("nobody")
    assert health_of(server.target, "") == SERVING


def test_the_log_of_a_server_without_a_snapshot_says_what_to_run(
    server_thread: ServerThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server_thread.stop(server_thread.start(ServerConfig(store=tmp_path, listen="127.0.0.1:0")))
    (told,) = [line for line in caplog.messages if "nothing to answer from yet" in line]
    assert f"run: ebbtide rescore --store {tmp_path} --as-of DATE" in told


def test_a_newer_snapshot_is_taken_up_and_a_walk_goes_on_in_its_own(
    served_store: tuple[Path, Server], write_snapshot: WriteSnapshot
) -> None:
    store, server = served_store
    first = write_snapshot(store).snapshot_id
    with EbbtideClient(server.target) as client:
        wait_until(lambda: health_of(server.target, "") == SERVING)
        whole = client.at_risk_page(page_size=500).customers
        page = client.at_risk_page(page_size=100)
        second = write_snapshot(store, num_customers=40, history="3").snapshot_id
        wait_until(lambda: client.score("c0001").context.snapshot_id == second)
        rest = client.at_risk_page(page_size=500, page_token=page.next_page_token)
        assert rest.context.snapshot_id == first
        assert page.customers + rest.customers == whole
        third = write_snapshot(store, num_customers=40, history="4").snapshot_id
        wait_until(lambda: client.score("c0001").context.snapshot_id == third)
        with pytest.raises(InvalidArgumentError, match=r"page_token: .* no longer served .*begin again"):
            client.at_risk_page(page_size=500, page_token=page.next_page_token)


def test_a_broken_new_snapshot_is_refused_and_the_old_goes_on(
    served_store: tuple[Path, Server], write_snapshot: WriteSnapshot, caplog: pytest.LogCaptureFixture
) -> None:
    store, server = served_store
    first = write_snapshot(store).snapshot_id
    with EbbtideClient(server.target) as client:
        wait_until(lambda: health_of(server.target, "") == SERVING)
        pointer = (store / "snapshots" / "current.json").read_bytes()
        second = write_snapshot(store.with_name("elsewhere"), history="3").snapshot_id
        snapshot_folder(store.with_name("elsewhere"), second).rename(snapshot_folder(store, second))
        damaged = snapshot_folder(store, second) / "bucket=0001.arrow"
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-1] + b"x")
        (store.with_name("elsewhere") / "snapshots" / "current.json").rename(store / "snapshots" / "current.json")
        wait_until(lambda: any("refused the new snapshot" in line and damaged.name in line for line in caplog.messages))
        assert client.score("c0001").context.snapshot_id == first
        assert health_of(server.target, "") == SERVING

        damaged.write_bytes(whole)
        (store / "snapshots" / "current.json").write_bytes(pointer)
        wait_until(lambda: client.score("c0001").context.snapshot_id == first)


def test_a_broken_only_snapshot_is_data_loss(server_thread: ServerThread, tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    folder = snapshot_folder(tmp_path, write_snapshot(tmp_path).snapshot_id)
    (folder / "bucket=0001.arrow").unlink()
    server = server_thread.start(ServerConfig(store=tmp_path, listen="127.0.0.1:0"))
    assert health_of(server.target, "") == NOT_SERVING
    with EbbtideClient(server.target) as client, pytest.raises(IntegrityError, match=r"bucket=0001\.arrow is absent"):
        client.score("c0001")
    server_thread.stop(server)


@pytest.mark.parametrize("lost", ["manifest.json", "bucket=0001.arrow"])
def test_a_server_that_is_started_while_the_current_snapshot_is_broken_serves_the_one_before_until_it_is_whole(
    server_thread: ServerThread,
    tmp_path: Path,
    write_snapshot: WriteSnapshot,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lost: str,
) -> None:
    monkeypatch.setattr(current, "_FIRST_RETRY_S", 0.05)
    first, second = (write_snapshot(tmp_path, history=history).snapshot_id for history in ("3", "4"))
    damaged = snapshot_folder(tmp_path, second) / lost
    damaged.rename(tmp_path / lost)
    server = server_thread.start(ServerConfig(store=tmp_path, listen="127.0.0.1:0", poll_interval_s=0.02, stop_grace_s=1.0))
    with EbbtideClient(server.target) as client:
        assert health_of(server.target, "") == SERVING
        assert client.score("c0001").context.snapshot_id == first
        assert any("serving the previous one meanwhile" in line and lost in line for line in caplog.messages)
        (tmp_path / lost).rename(damaged)
        wait_until(lambda: client.score("c0001").context.snapshot_id == second)
    server_thread.stop(server)


def test_a_snapshot_that_found_no_memory_is_tried_again(
    served_store: tuple[Path, Server], write_snapshot: WriteSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, server = served_store
    write_snapshot(store)
    wait_until(lambda: health_of(server.target, "") == SERVING)
    monkeypatch.setattr(current, "_FIRST_RETRY_S", 0.05)
    failures = [MemoryError("no room for a second one")]

    def open_once_in_vain(where: Path) -> Snapshot:
        if failures:
            raise failures.pop()
        return open_current(where)

    monkeypatch.setattr(current, "open_current", open_once_in_vain)
    second = write_snapshot(store, history="3").snapshot_id
    with EbbtideClient(server.target) as client:
        wait_until(lambda: client.score("c0001").context.snapshot_id == second)


def test_a_batch_outlives_the_age_of_its_connection(
    server_thread: ServerThread, tmp_path: Path, write_snapshot: WriteSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_snapshot(tmp_path)

    def slowly(*arguments: Any) -> pa.RecordBatch:
        time.sleep(0.3)
        return score_batch(*arguments)

    monkeypatch.setattr(queries, "_ROWS_PER_STEP", 50)
    monkeypatch.setattr(queries, "score_batch", slowly)
    config = ServerConfig(store=tmp_path, listen="127.0.0.1:0", max_connection_age_s=0.2, stop_grace_s=0.2)
    server = server_thread.start(config)
    with EbbtideClient(server.target) as client:
        assert client.batch().read_all().num_rows == 500
    server_thread.stop(server)


def test_what_nobody_foresaw_is_logged_and_not_told(
    server: Server, client: EbbtideClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("serving.service.servicer.score_customer", fail)
    with pytest.raises(RemoteError, match=r"answered INTERNAL: .* its log has the reason") as caught:
        client.score("c0001")
    assert "secret" not in str(caught.value)
    assert "secret detail" in caplog.text


def test_a_port_in_use_is_refused_clearly(server: Server, server_thread: ServerThread, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"listen: cannot listen on 127\.0\.0\.1:{server.port} .*another server"):
        server_thread.start(ServerConfig(store=tmp_path, listen=server.target))


@pytest.mark.parametrize("listen", ["50051", ":50051", "localhost", "127.0.0.1:http", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"listen: found .*expected HOST:PORT"):
        ServerConfig(store=tmp_path, listen=listen)


def test_nobody_there_is_a_remote_error_that_names_the_target() -> None:
    with socket.socket() as held:  # bound and not listening: every connection is refused
        held.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{held.getsockname()[1]}"
        with (
            EbbtideClient(target, timeout_s=5) as client,
            pytest.raises(RemoteError, match=rf"{target} does not answer .*ebbtide serve"),
        ):
            client.score("c0001")
        with EbbtideClient(target, timeout_s=0.2) as client, pytest.raises(RemoteError, match=r"refuses .* nobody listens there"):
            client.score("c0001")


def test_a_server_that_is_silent_is_a_remote_error() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with EbbtideClient(target, timeout_s=0.3) as client, pytest.raises(RemoteError, match="did not answer in time"):
            client.score("c0001")


def test_sigterm_ends_a_server_process_gracefully(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    write_snapshot(tmp_path, num_customers=10)
    code = (
        "import logging, sys; from pathlib import Path; from serving.service.server import ServerConfig, run; "
        "logging.basicConfig(level=logging.INFO); run(ServerConfig(store=Path(sys.argv[1]), listen='127.0.0.1:0'))"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=root, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = iter(process.stderr.readline, "")
        target = next(line.split("listening on ")[1].split()[0] for line in lines if "listening on " in line)
        with EbbtideClient(target) as client:
            assert client.score("c0001").context.snapshot_id == open_current(tmp_path).snapshot_id
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert "stopped" in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
