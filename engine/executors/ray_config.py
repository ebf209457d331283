"""Settings of the Ray executor, apart from it: reading them must not import Ray, which takes a second."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InvalidArgumentError

AUTO_ADDRESS = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class RayConfig:
    """Which cluster, how many workers, and what a task asks for.

    raises : InvalidArgumentError for a value out of its limits
    """

    address: str | None = None
    """HOST:PORT of a running cluster, "auto" for the one that runs on this machine; None starts one and ends it afterwards."""

    num_workers: int | None = None
    """Tasks that run at the same time; one for each core by default."""

    gpu_share: float = 0.25
    """Share of a GPU that a task asks for where the cluster has one: at 0.25, four tasks share it."""

    max_retries: int = 3
    """How often a task runs again after its worker or its node has died."""

    answer_limit_s: float = 10.0
    """How long a running cluster may take to answer."""

    def __post_init__(self) -> None:
        if self.address is not None and self.address != AUTO_ADDRESS and not _is_host_and_port(self.address):
            raise InvalidArgumentError("address", f"found {self.address!r}, expected HOST:PORT, such as 10.0.0.5:6379, or auto")
        if self.num_workers is not None and self.num_workers < 1:
            raise InvalidArgumentError("num_workers", f"found {self.num_workers}, expected 1 or more")
        if not 0 < self.gpu_share <= 1:
            raise InvalidArgumentError("gpu_share", f"found {self.gpu_share:g}, expected more than 0 and at most 1")
        if self.max_retries < 0:
            raise InvalidArgumentError("max_retries", f"found {self.max_retries}, expected 0 or more")
        if self.answer_limit_s <= 0:
            raise InvalidArgumentError("answer_limit_s", f"found {self.answer_limit_s:g}, expected more than 0")


def _is_host_and_port(address: str) -> bool:
    host, colon, port = address.rpartition(":")
    # "ray://" would be Ray Client, which sends every result through a proxy.
    return bool(host and colon and "/" not in host and port.isdecimal() and 0 < int(port) < 65536)
