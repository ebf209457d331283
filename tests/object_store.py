"""A real S3 server on loopback, in a process of its own: moto, which also checks who asks once a user has been made."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow.fs as pafs

# It ends when its standard input does, and so with whoever started it, however that ends.
_PROGRAM = """
import logging, sys
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
BUCKET = "chain"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectStore:
    """Where the server listens, and the environment that reaches it."""

    endpoint: str  # http://127.0.0.1:PORT

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "the-key",
            "AWS_SECRET_ACCESS_KEY": "never-to-be-seen",
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def filesystem(self) -> pafs.S3FileSystem:
        """A way in beside ebbtide's own, to look at what it left."""
        return pafs.S3FileSystem(
            access_key="the-key",
            secret_key="never-to-be-seen",
            region="us-east-1",
            endpoint_override=self.endpoint.removeprefix("http://"),
            scheme="http",
            allow_bucket_creation=True,
        )

    def check_credentials(self) -> None:
        """From here on only keys of users that were made are let in, and none was."""
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200

    def files(self, prefix: str) -> dict[str, bytes]:
        """Path below the prefix -> bytes, of every object but locks and the empty ones that stand for folders."""
        filesystem = self.filesystem
        selector = pafs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True)
        begin = len(f"{BUCKET}/{prefix}/")
        return {
            info.path[begin:]: filesystem.open_input_stream(info.path).readall()
            for info in filesystem.get_file_info(selector)
            if info.is_file and info.base_name != "writer.lock"
        }


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """A server with one empty bucket, gone at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            store = ObjectStore(endpoint=f"http://127.0.0.1:{int(process.stdout.readline())}")
            store.filesystem.create_dir(BUCKET)
            yield store
        finally:
            process.stdin.close()
            process.wait(10)
