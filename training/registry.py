"""The registry: bundles by name and version in a store, and which one serves.

store/models/<name>/<version>/      versions 0001, 0002, …; a version never changes once it is there
store/models/<name>/aliases.json    {"champion": "0002"}, replaced atomically
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from engine.errors import IntegrityError, InvalidArgumentError, NoBundleError
from engine.storage import Place, RemotePath, StoreLike, remove_tree, resolve, sync, write_json, writer_lock
from training.bundle import DESCRIPTION_FILE, Bundle, describe, load, save
from training.trained import TrainedModel

MODELS_FOLDER = "models"
ALIASES_FILE = "aliases.json"
CHAMPION = "champion"
DEFAULT_NAME = "default"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9]{4,}")
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInfo:
    """A registered bundle, without its weights."""

    name: str
    version: str
    folder: Place
    is_champion: bool
    content_hash: str
    as_of_us: int
    horizon_days: int
    active_within_days: int


def register(store: StoreLike, trained: TrainedModel, name: str = DEFAULT_NAME) -> Bundle:
    """Save a model as the next version of a name and make it that name's champion.

    The version appears whole or not at all: by a rename, or in a remote store by its description, which is written last. The
    alias moves only to a bundle that was read back and is sound.
    raises : InvalidArgumentError for a name that could leave the folder; StoreBusyError while another process registers
    """
    folder = _folder(store, name)
    with writer_lock(folder) as lock:
        version = f"{max((int(found.name) for found in _versions(folder)), default=0) + 1:04d}"
        unfinished = folder / version if isinstance(folder, RemotePath) else folder / _UNFINISHED
        remove_tree(unfinished)
        save(trained, unfinished)
        if unfinished.name != version:
            unfinished.rename(folder / version)
        sync(folder)
        bundle = load(folder / version)
        lock.check()
        write_json(folder / ALIASES_FILE, {CHAMPION: version})
    return bundle


def champion(store: StoreLike, name: str | None = None) -> Bundle:
    """The serving bundle of a name; without a name that of "default", or of the only name that there is.

    raises : NoBundleError, IntegrityError, InvalidArgumentError
    """
    if name is None:
        name = _only_name(resolve(store))
    folder = _folder(store, name)
    version = _champion_version(folder)
    if version is None:
        raise NoBundleError(
            f"{store} holds no bundle named {name!r}; run `ebbtide train --store {store} --as-of DATE --name {name}`"
        )
    return load(folder / version)


def list_bundles(store: StoreLike) -> list[BundleInfo]:
    """Every bundle of a store, by name and version; empty where there is none.

    raises : IntegrityError
    """
    infos = []
    for folder in _name_folders(resolve(store)):
        serving = _champion_version(folder)
        for path in _versions(folder):
            description = describe(path)
            infos.append(
                BundleInfo(
                    name=folder.name,
                    version=path.name,
                    folder=path,
                    is_champion=path.name == serving,
                    content_hash=description.content_hash,
                    as_of_us=description.as_of_us,
                    horizon_days=description.horizon_days,
                    active_within_days=description.active_within_days,
                )
            )
    return infos


def version_folders(store: StoreLike) -> list[Place]:
    """The folder of every version of every name."""
    return [version for folder in _name_folders(resolve(store)) for version in _versions(folder)]


def check_name(name: str) -> None:
    """Refuse a bundle name that could leave the models folder; to be asked before an hour of training, not after.

    raises : InvalidArgumentError
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError("name", f"found {name!r}, expected up to 64 letters, digits, _ and -, the first no sign")


def _folder(store: StoreLike, name: str) -> Place:
    check_name(name)
    return resolve(store) / MODELS_FOLDER / name


def _name_folders(store: Place) -> list[Place]:
    folder = store / MODELS_FOLDER
    if not folder.is_dir():
        return []
    return sorted(found for found in folder.iterdir() if found.is_dir() and _NAME.fullmatch(found.name))


def _only_name(store: Place) -> str:
    names = [folder.name for folder in _name_folders(store) if _champion_version(folder) is not None]
    if DEFAULT_NAME in names or not names:
        return DEFAULT_NAME
    if len(names) > 1:
        raise NoBundleError(
            f"{store} holds bundles named {', '.join(names)} and none named {DEFAULT_NAME!r}; say which one with --name"
        )
    return names[0]


def _versions(folder: Place) -> list[Place]:
    """The versions of a name, ascending; a remote one is there from its description on."""
    if isinstance(folder, RemotePath):
        found: list[Place] = [path.parent for path in folder.glob(f"*/{DESCRIPTION_FILE}")]
    else:
        found = list(folder.iterdir()) if folder.is_dir() else []
    return sorted((version for version in found if _VERSION.fullmatch(version.name)), key=lambda version: int(version.name))


def _champion_version(folder: Place) -> str | None:
    path = folder / ALIASES_FILE
    try:
        version = json.loads(path.read_bytes())[CHAMPION]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f'{path}: found no {{"{CHAMPION}": version}} ({error}); train again, or write it by hand') from error
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise IntegrityError(f"{path}: found version {version!r}, expected digits such as 0001; train again, or mend it by hand")
    return version
