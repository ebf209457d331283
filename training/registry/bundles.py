"""Versions in a store: registering, listing and loading them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.errors import IntegrityError, InvalidArgumentError, NoBundleError
from engine.storage import Place, RemotePath, StoreLike, remove_tree, resolve, sync, write_bytes, writer_lock
from training.bundles.bundle import DESCRIPTION_FILE, Bundle, BundleDescription, describe, load, save
from training.bundles.card import CARD_FILE, render_card
from training.registry.aliases import VERSION, Aliases, read_aliases, write_aliases
from training.trained import TrainedModel

MODELS_FOLDER = "models"
CHAMPION, CHALLENGER = "champion", "challenger"
DEFAULT_NAME = "default"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInfo:
    """A registered bundle, without its weights.

    description : None where it cannot be read, or is not of this version
    problem     : why, in words; else empty
    """

    name: str
    version: str
    folder: Place
    is_champion: bool
    is_challenger: bool
    description: BundleDescription | None
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a new version becomes.

    alias   : CHAMPION or CHALLENGER
    verdict : the comparison that decided, as JSON types
    """

    alias: str
    reason: str
    verdict: dict[str, Any] | None = None


Decide = Callable[[Bundle, Aliases], Decision]


def _newest_is_champion(_: Bundle, __: Aliases) -> Decision:
    return Decision(alias=CHAMPION, reason="the newest")


def register(
    store: StoreLike,
    trained: TrainedModel,
    name: str = DEFAULT_NAME,
    *,
    backtest: dict[str, Any] | None = None,
    decide: Decide = _newest_is_champion,
    is_resumed: bool = False,
) -> Bundle:
    """Save a model as the next version of a name, with its card, and let an alias point at it.

    The version appears whole or not at all: by a rename, or in a remote store by its description, which is written last. The
    alias moves only to a bundle that was read back and is sound.
    backtest : metrics of back-tests to keep with it
    decide   : asked with the bundle, as it was read back, and the aliases so far
    is_resumed : where the newest version is this model already, registered before a kill could tell, it is that version; nobody
               is asked again about one that has its alias
    raises   : InvalidArgumentError for a name that could leave the folder; StoreBusyError while another process registers;
               IntegrityError where the aliases are damaged
    """
    folder = name_folder(store, name)
    with writer_lock(folder) as lock:
        aliases = read_aliases(folder)
        earlier = versions(folder)
        version = f"{max((int(found.name) for found in earlier), default=0) + 1:04d}"
        unfinished = folder / version if isinstance(folder, RemotePath) else folder / _UNFINISHED
        remove_tree(unfinished)
        content_hash = save(trained, unfinished, backtest=backtest)
        is_known = is_resumed and bool(earlier) and _is_of(earlier[-1], content_hash)
        if is_known:
            remove_tree(unfinished)
            version = earlier[-1].name
        else:
            write_bytes(unfinished / CARD_FILE, render_card(name, version, describe(unfinished)).encode())
            if unfinished.name != version:
                unfinished.rename(folder / version)
        sync(folder)
        bundle = load(folder / version)
        if is_known and find_registered(aliases, version):
            return bundle
        decision = decide(bundle, aliases)
        moved = aliases.crowned(version) if decision.alias == CHAMPION else aliases.challenged(version)
        lock.check()
        write_aliases(
            folder,
            moved.logged("registered", version, alias=decision.alias, reason=decision.reason, verdict=decision.verdict),
        )
    return bundle


def find_registered(aliases: Aliases, version: str) -> Decision | None:
    """What a version became when it was registered; None where the log does not tell."""
    of_version = [change for change in aliases.log if (change.action, change.version) == ("registered", version)]
    if not of_version or of_version[-1].alias is None:
        return None
    return Decision(alias=of_version[-1].alias, reason=of_version[-1].reason, verdict=of_version[-1].verdict)


def champion(store: StoreLike, name: str | None = None) -> Bundle:
    """The serving bundle of a name; without a name that of "default", or of the only name that there is.

    raises : NoBundleError, IntegrityError, InvalidArgumentError; of a champion that cannot serve it says which version could
    """
    name = only_name(store) if name is None else name
    folder = name_folder(store, name)
    aliases = read_aliases(folder)
    version = aliases.champion
    if version is None:
        raise NoBundleError(
            f"{store} holds no bundle named {name!r}; run `ebbtide train --store {store} --as-of DATE --name {name}`"
        )
    try:
        return load(folder / version)
    except (IntegrityError, NoBundleError) as error:
        raise type(error)(f"{error}{_ways_back(folder, aliases)}") from error


def _ways_back(folder: Place, aliases: Aliases) -> str:
    """How another version can serve, as the end of a sentence; empty where there is none."""
    usable = [path.name for path in versions(folder) if path.name != aliases.champion and _is_usable(path)]
    if not usable:
        return ""
    option = "" if folder.name == DEFAULT_NAME else f" --name {folder.name}"
    ways = [f"`ebbtide models promote VERSION{option}` ({', '.join(usable)})"]
    if aliases.former and aliases.former[-1] in usable:
        ways.insert(0, f"`ebbtide models rollback{option}` (to {aliases.former[-1]})")
    return f", or let another version serve: {' or '.join(ways)}"


def _is_usable(path: Place) -> bool:
    try:
        describe(path)
    except (IntegrityError, NoBundleError):
        return False
    return True


def aliases_of(store: StoreLike, name: str) -> Aliases:
    """Champion and challenger of a name, and how they came to be that.

    raises : IntegrityError, InvalidArgumentError
    """
    return read_aliases(name_folder(store, name))


def find_version(store: StoreLike, version: str | None = None, name: str | None = None) -> Place:
    """The folder of a version.

    version : such as "0002" or "2", or an alias; the champion by default
    raises  : NoBundleError, saying which versions there are; IntegrityError, InvalidArgumentError
    """
    name = only_name(store) if name is None else name
    folder = name_folder(store, name)
    there = [found.name for found in versions(folder)]
    if not there:
        raise NoBundleError(f"{store} holds no bundle named {name!r}; run `ebbtide train --store {store} --as-of DATE`")
    listed = f"the versions of {name!r} are {', '.join(there)}"
    wanted = CHAMPION if version is None else version
    if wanted in (CHAMPION, CHALLENGER):
        aliases = read_aliases(folder)
        found = aliases.champion if wanted == CHAMPION else aliases.challenger
        if found is None:
            raise NoBundleError(f"{name!r} has no {wanted}; {listed}: name one")
    else:
        found = wanted.zfill(4)
    if found not in there:
        raise NoBundleError(f"{name!r} has no version {found}; {listed}")
    return folder / found


def list_bundles(store: StoreLike) -> list[BundleInfo]:
    """Every bundle of a store, by name and version; empty where there is none.

    raises : IntegrityError where the aliases are damaged
    """
    infos = []
    for folder in _name_folders(resolve(store)):
        aliases = read_aliases(folder)
        for path in versions(folder):
            description, problem = None, ""
            try:
                description = describe(path)
            except (IntegrityError, NoBundleError) as error:
                problem = str(error)
            infos.append(
                BundleInfo(
                    name=folder.name,
                    version=path.name,
                    folder=path,
                    is_champion=path.name == aliases.champion,
                    is_challenger=path.name == aliases.challenger,
                    description=description,
                    problem=problem,
                )
            )
    return infos


def read_card(folder: Place) -> str:
    """The card of a version: Markdown.

    raises : NoBundleError, IntegrityError
    """
    try:
        return (folder / CARD_FILE).read_bytes().decode(errors="replace")
    except FileNotFoundError:  # killed in between in a remote store, where the description makes the version appear
        return render_card(folder.parent.name, folder.name, describe(folder))


def version_folders(store: StoreLike) -> list[Place]:
    """The folder of every version of every name."""
    return [version for folder in _name_folders(resolve(store)) for version in versions(folder)]


def check_name(name: str) -> None:
    """Refuse a bundle name that could leave the models folder.

    raises : InvalidArgumentError
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            "name", f"found {name!r}, expected up to 64 letters, digits, _ and -, beginning with a letter or digit"
        )


def check_can_register(store: StoreLike, name: str) -> None:
    """Refuse before an hour of training, and not after it.

    raises : InvalidArgumentError for the name, IntegrityError where its aliases are damaged
    """
    read_aliases(name_folder(store, name))


def name_folder(store: StoreLike, name: str) -> Place:
    """Where the versions of a name lie.

    raises : InvalidArgumentError
    """
    check_name(name)
    return resolve(store) / MODELS_FOLDER / name


def only_name(store: StoreLike) -> str:
    """ "default", or the only name that has a champion.

    raises : NoBundleError where there are several
    """
    names = [folder.name for folder in _name_folders(resolve(store)) if read_aliases(folder).champion is not None]
    if DEFAULT_NAME in names or not names:
        return DEFAULT_NAME
    if len(names) > 1:
        raise NoBundleError(
            f"{store} holds bundles named {', '.join(names)} and none named {DEFAULT_NAME!r}; say which one with --name"
        )
    return names[0]


def _is_of(folder: Place, content_hash: str) -> bool:
    try:
        return describe(folder).content_hash == content_hash
    except (IntegrityError, NoBundleError):
        return False


def versions(folder: Place) -> list[Place]:
    """The versions of a name, ascending; a remote one is there from its description on."""
    if isinstance(folder, RemotePath):
        found: list[Place] = [path.parent for path in folder.glob(f"*/{DESCRIPTION_FILE}")]
    else:
        found = list(folder.iterdir()) if folder.is_dir() else []
    return sorted((version for version in found if VERSION.fullmatch(version.name)), key=lambda version: int(version.name))


def _name_folders(store: Place) -> list[Place]:
    folder = store / MODELS_FOLDER
    if not folder.is_dir():
        return []
    return sorted(found for found in folder.iterdir() if found.is_dir() and _NAME.fullmatch(found.name))
