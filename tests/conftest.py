"""Fixtures that several rooms share."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from engine.executors import Executor, InlineExecutor
from engine.storage import Place, lease, resolve
from tests.object_store import BUCKET, ObjectStore, running_object_store

# Of what needs a Ray cluster: the word in the name of a test, of its file or of a parameter.
_OF_RAY = re.compile(r"(?<![a-z])ray(?![a-z])")

# A first example may compile a kernel, and a busy machine may be slow: time is for benchmarks.
settings.register_profile("ebbtide", deadline=None)
settings.register_profile("simulator", deadline=None, max_examples=12)  # a thread of a GPU is one of Python's there
settings.load_profile("ebbtide")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=4, help="random moments at which an ingest is killed; docs/log.md is about 100")


class _OneCluster(LoadScopeScheduling):
    """With `-n`, files run beside each other, and all of Ray in one process: they share its local cluster."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if _OF_RAY.search(nodeid) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _OneCluster:
    # Not by `xdist_group` marks: pytest-xdist 3.8 writes them into ids that pytest 9.2 no longer reads back.
    return _OneCluster(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("ray") and not _OF_RAY.search(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} is marked as of Ray, and neither it nor its file is named so (_ray_)")
    # First, for they take longest; and Ray forks, which may hang in a process that has had threads of gRPC.
    items.sort(key=lambda item: not _OF_RAY.search(item.nodeid))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray cluster for the whole session: starting one takes seconds."""
    import ray

    from engine.executors.ray import start_local_cluster

    start_local_cluster(num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(params=["inline", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """The same test over every executor; the inline one sends everything through pickle, as a cluster would."""
    if request.param == "inline":
        with InlineExecutor(isolate=True) as inline:
            yield inline
        return
    request.getfixturevalue("ray_cluster")
    from engine.executors.ray import RayExecutor

    with RayExecutor() as on_ray:
        yield on_ray


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One S3 server for the whole session; each test takes a prefix of its own."""
    with running_object_store() as store:
        yield store


@pytest.fixture
def s3_environment(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    """The server as the environment names it, a scratch folder of the test's own, and pauses as short as a loopback needs."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(lease, "DEFAULT_TIMES", lease.LeaseTimes(settle_s=0.3, num_attempts=20))
    return object_store


@pytest.fixture
def remote_store(s3_environment: ObjectStore) -> Place:
    """An empty store in the object store."""
    return resolve(f"s3://{BUCKET}/{uuid.uuid4().hex}/store")


@pytest.fixture(params=["local", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The same test over every kind of store."""
    if request.param == "local":
        return tmp_path / "any-store"
    store: Place = request.getfixturevalue("remote_store")
    return store
