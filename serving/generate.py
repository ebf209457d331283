"""Generate `serving/pb/` from `proto/`: `python -m serving.generate`, and `--check` to fail where the two differ.

protoc writes imports from the root of the proto tree (`from ebbtide.v1 import …`); here they are rewritten to the package
they live in, so that no top-level package named like the project is needed.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

from engine.errors import ExecutionError

_ROOT = Path(__file__).resolve().parent.parent
PROTO_ROOT = _ROOT / "proto"
STUBS_ROOT = _ROOT / "serving" / "pb"

_PROTO_PACKAGE = "ebbtide"
_PYTHON_PACKAGE = "serving.pb"
_PACKAGE_MARK = '"""Generated from proto/ by `python -m serving.generate`; do not edit."""\n'


def generate(target: Path) -> None:
    """Write the messages, the service and their type stubs below `target`.

    raises : ExecutionError, if protoc refuses the files
    """
    sources = sorted(str(path) for path in PROTO_ROOT.rglob("*.proto"))
    target.mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        f"--proto_path={PROTO_ROOT}",
        f"--proto_path={Path(grpc_tools.__file__).parent / '_proto'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        *sources,
    ]
    # The type-stub plugins are scripts beside the interpreter, which need not be on PATH.
    search_path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), search_path])
    try:
        if protoc.main(arguments) != 0:
            raise ExecutionError(f"protoc refused the files of {PROTO_ROOT}; its own words are above")
    finally:
        os.environ["PATH"] = search_path
    for path in _python_files(target):
        path.write_text(_in_package(path.read_text()))
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir() and path.name != "__pycache__")):
        (folder / "__init__.py").write_text(_PACKAGE_MARK)


def differences(generated: Path, committed: Path) -> list[str]:
    """Names of the files that only one of the two folders has, or that differ in content."""
    names = {str(path.relative_to(root)) for root in (generated, committed) for path in _python_files(root)}
    _, changed, missing = filecmp.cmpfiles(generated, committed, sorted(names), shallow=False)
    return sorted(changed + missing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where the stubs are (now) what the proto files say."""
    parser = argparse.ArgumentParser(prog="python -m serving.generate", description="Generate serving/pb from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where serving/pb is not up to date")
    if not parser.parse_args(arguments).check:
        generate(STUBS_ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder), STUBS_ROOT)
    if stale:
        print(f"serving/pb is not what proto/ says ({', '.join(stale)}); run: python -m serving.generate", file=sys.stderr)
        return 1
    return 0


def _python_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.py*") if path.suffix in {".py", ".pyi"}]


def _in_package(text: str) -> str:
    """Point the imports of generated code at `serving.pb`."""
    return re.sub(rf"^from {_PROTO_PACKAGE}\b", f"from {_PYTHON_PACKAGE}.{_PROTO_PACKAGE}", text, flags=re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main())
