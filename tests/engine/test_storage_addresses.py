"""What names a store: plain paths, URIs, and the URIs that are refused without repeating what they hold."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from engine.errors import EbbtideError, InvalidArgumentError, RemoteError
from engine.history import History
from engine.storage import Place, RemotePath, resolve, signature_of, write_bytes
from tests.object_store import BUCKET, ObjectStore, running_object_store


@pytest.mark.parametrize("text", ["store", "./a:b", "/tmp/x y"])
def test_what_is_no_uri_is_a_path(text: str) -> None:
    assert resolve(text) == Path(text)
    assert resolve(Path(text)) == Path(text)


def test_a_file_uri_is_a_path() -> None:
    assert resolve("file:///srv/a%20b") == Path("/srv/a b")
    with pytest.raises(InvalidArgumentError, match="absolute path"):
        resolve("file://host/srv")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket",
        "s3://bucket/a/store",
        "s3://bucket/a%20b/store",
        "s3://bucket/store?endpoint_override=127.0.0.1%3A9000&scheme=http",
        "gs://bucket/store",
        "gs://anonymous@bucket/store",
        "hdfs://namenode:8020/chain/store",
    ],
)
def test_a_remote_place_is_its_uri_in_every_process(uri: str) -> None:
    place = resolve(uri)
    assert isinstance(place, RemotePath)
    assert str(place) == uri
    assert resolve(str(place / "history" / "manifest.json")).parent.parent == place
    assert pickle.loads(pickle.dumps(place)) == place
    assert place.resolve() == place


def test_names_are_taken_apart_as_pathlib_does() -> None:
    remote, local = resolve("s3://b/x/bucket=0001.done.json"), Path("/b/x/bucket=0001.done.json")
    assert (remote.name, remote.stem) == (local.name, local.stem)
    assert remote.with_suffix(".arrow").name == local.with_suffix(".arrow").name
    assert str(remote.with_name("y").parent) == "s3://b/x"


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:hunter2@bucket/store",
        "s3://hunter2@bucket/store",
        "s3://bucket/store?secret_key=hunter2",
        "s3://bucket/store?endpoint_override=u:hunter2@host",
        "gs://hunter2@bucket/store",
        "hdfs://user:hunter2@host/store",
    ],
)
def test_a_secret_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InvalidArgumentError, match="leave credentials out of the URI") as refused:
        resolve(uri)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("ftp://host/store", "found scheme ftp://, expected a folder, file://, or one of s3://, gs://, hdfs://"),
        ("s3:///store", "found no bucket"),
        ("s3://bucket/a/../b", "the path itself"),
        ("s3://bucket/a#b", "expected it as %23"),
        ("s3://bucket/a?colour=red", "found option colour"),
        ("store-\udcff", "a name that is not UTF-8"),
    ],
)
def test_what_cannot_be_a_store_is_refused_in_words(uri: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        resolve(uri)
    assert words in str(refused.value)


def test_a_uri_that_was_made_a_path_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="give a URI as text"):
        History.open(Path("s3://bucket/store"))


def test_a_bucket_that_is_not_there_is_told(s3_environment: ObjectStore) -> None:
    with pytest.raises(RemoteError, match="there is no bucket nowhere; create it"):
        History.open("s3://nowhere/store")


def test_an_endpoint_may_stand_in_the_uri(s3_environment: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    host = s3_environment.endpoint.removeprefix("http://")
    place = resolve(f"s3://{BUCKET}/by-uri?endpoint_override={host}&scheme=http")
    write_bytes(place / "file", b"1")
    assert s3_environment.files("by-uri") == {"file": b"1"}


def test_an_endpoint_that_is_down_is_told_without_a_secret() -> None:
    with running_object_store() as gone:
        pass
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gone.environment.items():
            patch.setenv(name, value)
        with pytest.raises(EbbtideError, match=r"the endpoint does not answer .* check AWS_ENDPOINT_URL_S3") as refused:
            History.open(f"s3://{BUCKET}/store")
    assert "never-to-be-seen" not in str(refused.value)


def test_wrong_credentials_are_told_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_object_store() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        store.check_credentials()
        with pytest.raises(RemoteError, match=r"refuses the credentials, .* check AWS_ACCESS_KEY_ID") as refused:
            History.open(f"s3://{BUCKET}/store")
    assert "never-to-be-seen" not in str(refused.value)


def test_a_file_that_is_replaced_has_another_signature(any_store: Place) -> None:
    path = any_store / "pointer.json"
    assert signature_of(path) is None
    write_bytes(path, b"1")
    first = signature_of(path)
    assert signature_of(path) == first
    write_bytes(path, b"2")
    assert signature_of(path) not in (first, None)
