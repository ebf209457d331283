"""Servers in processes of their own, so that they share no interpreter with what measures them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_SERVE = (
    "import logging, sys; from pathlib import Path; from serving.service.server import ServerConfig, run; "
    "logging.basicConfig(level=logging.INFO); run(ServerConfig(store=Path(sys.argv[1]), listen='127.0.0.1:0'))"
)


def serving_process(store: Path) -> AbstractContextManager[str]:
    """ebbtide's server over a store; yields where it listens."""
    return process("-c", _SERVE, str(store))


@contextmanager
def process(*arguments: str) -> Iterator[str]:
    """A server in a Python process of its own; yields where it listens."""
    running = subprocess.Popen([sys.executable, *arguments], cwd=_ROOT, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    try:
        lines = iter(running.stderr.readline, "")
        yield next(line.split("listening on ")[1].split()[0] for line in lines if "listening on " in line)
    finally:
        running.terminate()
        running.wait(timeout=30)
        running.stderr.close()
