"""The registry numbers versions, moves the champion, and leaves no half bundle behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import IntegrityError, InvalidArgumentError, NoBundleError, StoreBusyError
from engine.files import writer_lock
from engine.storage import Place
from training.bundles.bundle import DESCRIPTION_FILE, WEIGHTS_FILE
from training.registry import bundles as registry
from training.registry import champion, list_bundles, register
from training.trained import TrainedModel


def test_the_newest_version_is_champion(store: Path, trained: TrainedModel) -> None:
    bundles = [register(store, trained) for _ in range(2)]
    assert [bundle.version for bundle in bundles] == ["0001", "0002"]
    assert bundles[1].folder == (store / "models/default/0002").resolve()
    assert champion(store).version == "0002"
    listed = list_bundles(store)
    assert [(info.name, info.version, info.is_champion) for info in listed] == [
        ("default", "0001", False),
        ("default", "0002", True),
    ]
    assert listed[1].description is not None
    assert listed[1].description.content_hash == bundles[1].content_hash


def test_a_training_killed_after_it_was_registered_is_not_registered_again(
    any_store: Place, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(any_store, replace(trained, num_events=1))
    with monkeypatch.context() as patch:
        patch.setattr(registry, "write_aliases", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            register(any_store, trained)
    assert [info.is_champion for info in list_bundles(any_store)] == [True, False]
    for _ in range(2):  # before the alias was moved, and after
        assert register(any_store, trained, is_resumed=True).version == "0002"
        assert [info.is_champion for info in list_bundles(any_store)] == [False, True]
    assert register(any_store, replace(trained, num_events=2), is_resumed=True).version == "0003"
    assert register(any_store, replace(trained, num_events=2)).version == "0004"  # on purpose


def test_a_training_that_goes_on_beside_a_version_that_lost_its_description_is_registered(
    store: Path, trained: TrainedModel
) -> None:
    (register(store, trained).folder / DESCRIPTION_FILE).unlink()
    assert register(store, trained, is_resumed=True).version == "0002"


def test_names_are_apart(store: Path, trained: TrainedModel) -> None:
    register(store, trained, "north")
    assert champion(store).name == "north"  # the only one there is
    register(store, trained, "south")
    assert champion(store, "south").version == "0001"
    with pytest.raises(NoBundleError, match="north, south"):
        champion(store)
    register(store, trained)
    assert champion(store).name == "default"


def test_an_empty_store_says_what_to_run(store: Path) -> None:
    assert list_bundles(store) == []
    with pytest.raises(NoBundleError, match="ebbtide train"):
        champion(store)


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "/abs", "a\\b", ".hidden", "-x", "a\n", "ü", "a" * 65])
def test_a_name_cannot_leave_its_folder(store: Path, trained: TrainedModel, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name"):
        register(store, trained, name)
    with pytest.raises(InvalidArgumentError, match="name"):
        champion(store, name)
    assert not store.exists()


@pytest.mark.parametrize("alias", ["", "{}", "[]", '{"champion": "../../elsewhere"}', '{"champion": 1}', "\x00"])
def test_a_damaged_alias_is_refused(store: Path, trained: TrainedModel, alias: str) -> None:
    register(store, trained)
    (store / "models/default/aliases.json").write_text(alias)
    with pytest.raises(IntegrityError, match=r"aliases\.json"):
        champion(store)


def test_a_killed_registration_leaves_the_old_champion(
    store: Path, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(store, trained)

    def dies(*_: object, **__: object) -> None:
        (store / "models/default/.unfinished").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        register(store, trained)
    monkeypatch.undo()
    assert champion(store).version == "0001"
    assert len(list_bundles(store)) == 1
    assert register(store, trained).version == "0002"


def test_a_damaged_bundle_never_becomes_champion(store: Path, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    register(store, trained)
    save = registry.save

    def save_badly(model: TrainedModel, folder: Path, *, backtest: None) -> None:
        save(model, folder, backtest=backtest)
        (folder / WEIGHTS_FILE).write_bytes(b"damaged")

    monkeypatch.setattr(registry, "save", save_badly)
    with pytest.raises(IntegrityError):
        register(store, trained)
    assert champion(store).version == "0001"


def test_one_registers_at_a_time(store: Path, trained: TrainedModel) -> None:
    with writer_lock(store / "models/default"), pytest.raises(StoreBusyError):
        register(store, trained)
