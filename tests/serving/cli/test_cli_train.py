"""`ebbtide train`: what survives a kill, where it computes, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.cli import main
from training.config import TrainConfig
from training.registry import champion

AS_OF = ("--as-of", "2024-01-01")
_ROOT = Path(__file__).parents[3]
_FEW_EPOCHS = """
import sys
from serving.cli import main
from training.config import TrainConfig
TrainConfig.__init__.__kwdefaults__["num_epochs"] = 3
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def cut_store(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store where a training was killed after its first checkpoint; here too, a pass takes three epochs."""
    store = Path(shutil.copytree(trained_store, tmp_path_factory.mktemp("cut") / "store"))
    arguments = [sys.executable, "-c", _FEW_EPOCHS, "train", "--store", str(store), *AS_OF, "--name", "cut"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(arguments, cwd=_ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while not (store / "models" / "cut" / ".training" / "checkpoint.json").exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TrainConfig.__init__.__kwdefaults__, "num_epochs", 3)
        yield store


def test_a_killed_training_is_resumed_to_the_bundle_that_it_would_have_been(
    cut_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resumed = Path(shutil.copytree(cut_store, tmp_path / "resumed"))
    assert run("train", "--store", resumed, *AS_OF, "--name", "cut", "--resume") == 0
    assert "Note: resuming the unfinished training of cut: trial pass, " in capsys.readouterr().err
    anew = Path(shutil.copytree(cut_store, tmp_path / "anew"))
    assert run("train", "--store", anew, *AS_OF, "--name", "cut", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["note"].split(":")[0] for line in lines if line["event"] == "note"] == [
        "replacing an unfinished training of cut"
    ]
    assert any("epochs, loss" in line["note"] and "holdout" in line["note"] for line in lines)
    assert champion(resumed, "cut").content_hash == champion(anew, "cut").content_hash
    assert not [*resumed.glob("models/cut/.training"), *anew.glob("models/cut/.training")]


def test_of_something_else_it_is_not_resumed_and_with_nothing_to_resume_it_begins_anew(
    cut_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("train", "--store", cut_store, *AS_OF, "--name", "cut", "--seed", 5, "--resume") == 2
    error = capsys.readouterr().err
    assert "seed 0 there, 5 here" in error
    assert "omit --resume to start over" in error
    monkeypatch.setattr("training.train.train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("train", "--store", cut_store, *AS_OF, "--name", "new", "--resume") == 130
    assert "Note: found no unfinished training of new, starting a new one." in capsys.readouterr().err
    assert not list(cut_store.glob("models/new/.training"))
    assert list(cut_store.glob("models/cut/.training/*.safetensors"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--device", "cuda"), "device cuda cannot be used: torch finds no CUDA device; use --device cpu or auto"),
        (("--device", "tpu"), "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (("--num-workers", "2"), "--num-workers: only with --executor ray, found --executor inline"),
        (("--executor", "ray", "--num-workers", "0"), "0 is not in the range 1<=x<=1024"),
    ],
)
def test_where_it_cannot_compute_is_refused_in_a_line(
    trained_store: Path, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run("train", "--store", trained_store, *AS_OF, *options) != 0
    assert words in capsys.readouterr().err


def test_without_what_ray_train_needs_it_is_said_what_to_install(
    trained_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "training.passes.ray_learning", None)
    assert run("train", "--store", trained_store, *AS_OF, "--executor", "ray") == 1
    assert "run `pip install 'ebbtide[train]'`" in capsys.readouterr().err
