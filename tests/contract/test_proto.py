"""The wire contract: nothing that callers rely on goes away, and the stubs are what the proto says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving import generate

_ROOT = Path(__file__).resolve().parents[2]
_BASELINE = Path(__file__).with_name("ebbtide-v1.json")


def run_buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if buf is None:
        pytest.skip("buf is not installed; pip install buf-bin")
    return subprocess.run([buf, *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)


def test_the_proto_is_clean_and_every_field_has_a_comment() -> None:
    result = run_buf("lint", "proto")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_nothing_breaks_the_committed_contract() -> None:
    result = run_buf("breaking", "proto", "--against", str(_BASELINE))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_a_removed_field_would_be_found(tmp_path: Path) -> None:
    shutil.copytree(_ROOT / "proto", tmp_path / "proto")
    shutil.copy(_ROOT / "buf.yaml", tmp_path)
    path = tmp_path / "proto" / "ebbtide" / "v1" / "scoring.proto"
    path.write_text(path.read_text().replace("  int32 num_orders = 7;\n", "  int32 num_orders = 17;\n"))
    result = run_buf("breaking", str(tmp_path / "proto"), "--against", str(_BASELINE))
    assert result.returncode != 0
    assert "num_orders" in result.stdout


def test_the_stubs_are_what_the_proto_says() -> None:
    assert generate.main(["--check"]) == 0


def test_stale_stubs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    stubs = tmp_path / "pb"
    shutil.copytree(generate.STUBS_ROOT, stubs)
    (stubs / "ebbtide" / "v1" / "scoring_pb2.pyi").write_text("")
    (stubs / "left_over_pb2.py").write_text("")
    monkeypatch.setattr(generate, "STUBS_ROOT", stubs)
    assert generate.main(["--check"]) == 1
    message = capfd.readouterr().err
    assert "ebbtide/v1/scoring_pb2.pyi, left_over_pb2.py" in message
    assert "run: python -m serving.generate" in message
    assert generate.main([]) == 0
