"""Fixtures that several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from engine.executors import Executor, InlineExecutor

# A first example may compile a kernel, and a busy machine may be slow: time is for benchmarks.
settings.register_profile("ebbtide", deadline=None)
settings.load_profile("ebbtide")


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
