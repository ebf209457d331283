"""Every command on a store in an object store: what it does, and that the answers are those of a local one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.errors import IntegrityError, RemoteError, UnknownCustomerError
from engine.executors import InlineExecutor
from engine.history import History
from engine.instants import format_instant
from engine.storage import Place, RemotePath, write_bytes
from serving.cli import main
from serving.client import EbbtideClient
from serving.rescoring.rescore import rescore
from serving.service.current import CurrentSnapshot
from serving.service.server import ServerConfig
from serving.snapshots import erase_from_snapshots, open_current, snapshot_folder
from serving.verification import verify_store
from tests.object_store import BUCKET, ObjectStore
from tests.serving.conftest import TRAINED_AS_OF_US, WriteSnapshot
from tests.serving.server_thread import ServerThread
from training.config import ModelConfig, TrainConfig
from training.registry import champion, list_bundles, register, version_folders
from training.train import train


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """The JSON document that a command prints."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0, capsys.readouterr().err
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_a_chain_is_ingested_learnt_scored_and_served_as_from_a_local_store(
    remote_store: Place,
    trained_store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    server_thread: ServerThread,
) -> None:
    local = tmp_path / "local"
    shutil.copytree(trained_store, local)
    uri, as_of = str(remote_store), format_instant(TRAINED_AS_OF_US)
    run(capsys, "ingest", "--store", uri, "--buckets", "4", str(local / "orders.csv"))
    config = TrainConfig(num_epochs=1, instants_per_epoch=8, model=ModelConfig(state_size=8, head_size=8))
    bundle = register(uri, train(History.open(uri), as_of_us=TRAINED_AS_OF_US, config=config))
    assert bundle.content_hash == champion(local).content_hash

    report = run(capsys, "rescore", "--store", uri, "--as-of", as_of)
    with InlineExecutor() as executor:
        beside = rescore(local, as_of_us=TRAINED_AS_OF_US, executor=executor)
    assert report["snapshot_id"] == beside.snapshot_id
    ours, theirs = open_current(uri), open_current(local)
    assert ours.manifest.files == theirs.manifest.files
    assert [batch.equals(other) for batch, other in zip(ours.batches, theirs.batches, strict=True)] == [True] * 4
    assert run(capsys, "rescore", "--store", uri, "--as-of", as_of)["num_buckets_scored"] == 0

    status = run(capsys, "status", "--store", uri)
    assert status | {"store": ""} == run(capsys, "status", "--store", str(local)) | {"store": ""}
    assert run(capsys, "verify", "--store", uri)["is_sound"] is True

    exports = [tmp_path / "remote.parquet", tmp_path / "local.parquet"]
    for out, store in zip(exports, (uri, str(local)), strict=True):
        run(capsys, "export", "--store", store, "--out", str(out))
    assert exports[0].read_bytes() == exports[1].read_bytes()
    assert run(capsys, "snapshots", "prune", "--store", uri, "--keep", "1")["removed"] == []
    assert run(capsys, "snapshots", "diff", "current", "current", "--store", uri)["num_both"] == report["num_customers"]

    server = server_thread.start(ServerConfig(store=remote_store, listen="127.0.0.1:0", stop_grace_s=1.0))
    worst = run(capsys, "at-risk", "--target", server.target, "--limit", "3")["customers"]
    assert isinstance(worst, list)
    expected = np.sort(np.concatenate([batch.column("churn_probability") for batch in theirs.batches]))[::-1][:3]
    assert [customer["churn_probability"] for customer in worst] == pytest.approx(list(expected))
    who = worst[0]["customer_id"]
    with EbbtideClient(server.target) as client:
        answer = client.score(who).customer
        assert answer is not None
        assert answer.churn_probability == worst[0]["churn_probability"]
        with pytest.raises(UnknownCustomerError):
            client.score("nobody")

    assert run(capsys, "forget", "--store", uri, who)["snapshots_rewritten"] == [beside.snapshot_id]
    assert run(capsys, "compact", "--store", uri)["num_buckets_folded"] == 0
    assert open_current(uri).lookup(who) is None
    assert verify_store(uri).problems == ()


def test_a_bundle_that_was_not_finished_does_not_count(remote_store: Place, trained_store: Path) -> None:
    trained = champion(trained_store).trained
    register(remote_store, trained)
    write_bytes(remote_store / "models" / "default" / "0002" / "weights.safetensors", b"broken off")
    assert [bundle.version for bundle in list_bundles(remote_store)] == ["0001"]
    assert [folder.name for folder in version_folders(remote_store)] == ["0001"]
    assert register(remote_store, trained).version == "0002"
    assert champion(remote_store).version == "0002"


def test_the_champion_is_moved_in_an_object_store(
    remote_store: Place, trained_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, uri = champion(trained_store).trained, str(remote_store)
    for _ in range(2):
        register(remote_store, trained)
    assert run(capsys, "models", "rollback", "--store", uri)["model_version"] == "default/0001"
    assert run(capsys, "models", "promote", "2", "--force", "--store", uri)["before"] == "default/0001"
    assert champion(remote_store).version == "0002"
    assert main(["models", "show", "--store", uri]) == 0
    assert capsys.readouterr().out.startswith("# default/0002")


def test_a_damaged_bucket_of_a_snapshot_is_refused(remote_store: RemotePath, write_snapshot: WriteSnapshot) -> None:
    manifest = write_snapshot(remote_store)  # type: ignore[arg-type]
    path = snapshot_folder(remote_store, manifest.snapshot_id) / manifest.files[1].path
    data = path.read_bytes()
    write_bytes(path, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="has hash"):
        open_current(remote_store)
    path.unlink()
    with pytest.raises(IntegrityError, match="is absent"):
        open_current(remote_store)


def test_a_customer_leaves_the_snapshots_of_an_object_store(
    remote_store: RemotePath, write_snapshot: WriteSnapshot, s3_environment: ObjectStore
) -> None:
    write_snapshot(remote_store)  # type: ignore[arg-type]
    erased = erase_from_snapshots(remote_store, "c0007")
    assert len(erased.rewritten) == 1
    assert open_current(remote_store).num_customers == 499
    files = s3_environment.files(remote_store.address.key.removeprefix(f"{BUCKET}/"))
    assert not [name for name, data in files.items() if b"c0007" in data]


def test_a_server_goes_on_when_the_endpoint_is_gone(
    remote_store: RemotePath, write_snapshot: WriteSnapshot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_snapshot(remote_store)  # type: ignore[arg-type]
    current = CurrentSnapshot(remote_store)
    assert current.refresh()

    def gone(_: RemotePath) -> None:
        raise RemoteError("the endpoint does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(RemotePath, "signature", gone)
        assert not current.refresh()
        assert not current.refresh()
    assert current.get().num_customers == 500
    assert caplog.text.count("looking for a newer snapshot failed") == 1
    write_snapshot(remote_store, history="3")  # type: ignore[arg-type]
    assert current.refresh()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "--store", "s3://nowhere/store"), "there is no bucket nowhere"),
        (("serve", "--store", "s3://nowhere/store"), "there is no bucket nowhere"),
        (("status", "--store", f"s3://{BUCKET}/nothing-here"), f"run `ebbtide ingest --store s3://{BUCKET}/nothing-here FILE`"),
        (("status", "--store", "ftp://host/store"), "found scheme ftp://"),
        (("status", "--store", "s3://key:hunter2@bucket/store"), "leave credentials out of the URI"),
    ],
)
def test_a_mistake_is_one_line(
    s3_environment: ObjectStore, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert main(arguments) in (1, 2)
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert "hunter2" not in error
