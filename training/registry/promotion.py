"""Who becomes champion: a new bundle that is not clearly worse, one that a person promotes, or the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import IntegrityError, NoBundleError, PromotionRefusedError
from engine.history import History
from engine.instants import format_instant
from engine.storage import Place, StoreLike, writer_lock
from training.bundles.bundle import Bundle, load
from training.data.panel import newest_window_us
from training.registry.aliases import Aliases, read_aliases, write_aliases
from training.registry.bundles import (
    CHALLENGER,
    CHAMPION,
    DEFAULT_NAME,
    Decision,
    find_registered,
    find_version,
    name_folder,
    only_name,
    register,
)
from training.registry.judging import Verdict, judge_held_out, judge_newest
from training.trained import TrainedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """A new bundle and what it became."""

    bundle: Bundle
    decision: Decision


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """A change of champion.

    before  : the version that served; None where none did
    reason  : why it was allowed, in words
    verdict : the comparison that allowed it; None where there was none
    """

    name: str
    version: str
    before: str | None
    reason: str
    verdict: Verdict | None


def register_judged(
    store: StoreLike,
    history: History,
    trained: TrainedModel,
    name: str = DEFAULT_NAME,
    *,
    as_challenger: bool = False,
    backtest: dict[str, Any] | None = None,
    is_resumed: bool = False,
) -> Registration:
    """Register a model; it becomes champion unless it is clearly worse than the champion, older, or meant as a challenger.

    is_resumed : as `register` takes it

    The first of a name becomes champion whatever was meant: there is none to challenge. Every other is compared with the
    champion, whatever it becomes, and the verdict kept: what the training held out can be asked about now, and not later.

    raises : as `register`
    """
    folder = name_folder(store, name)
    decisions: list[Decision] = []

    def decide(bundle: Bundle, aliases: Aliases) -> Decision:
        decisions.append(_place(folder, history, trained, bundle, aliases, as_challenger=as_challenger))
        return decisions[-1]

    bundle = register(store, trained, name, backtest=backtest, decide=decide, is_resumed=is_resumed)
    decision = decisions[-1] if decisions else find_registered(read_aliases(folder), bundle.version)
    assert decision is not None  # nobody was asked because it is known
    return Registration(bundle=bundle, decision=decision)


def promote(
    store: StoreLike, history: History | None, version: str | None = None, name: str | None = None, *, is_forced: bool = False
) -> Promotion:
    """Make a version champion, the challenger by default.

    history  : to judge on; not needed where it is forced
    raises   : PromotionRefusedError where it is clearly worse than the champion; NoBundleError where there is no such version;
               IntegrityError where the bundle is not sound or not of this version. The champion then stays.
    """
    name = only_name(store) if name is None else name
    folder = name_folder(store, name)
    path = find_version(store, CHALLENGER if version is None else version, name)
    with writer_lock(folder) as lock:
        aliases = read_aliases(folder)
        bundle = _load(path, aliases.champion)
        if bundle.version == aliases.champion:
            reason = "it is champion already"
            return Promotion(name=name, version=bundle.version, before=bundle.version, reason=reason, verdict=None)
        verdict, reason = (None, "forced") if is_forced else _compare(folder, history, bundle, aliases)
        if verdict is not None and verdict.is_worse:
            raise PromotionRefusedError(
                f"{name}/{bundle.version} is refused, the champion stays: {reason}; train another, or use --force"
            )
        described = verdict.describe() if verdict else None
        lock.check()
        write_aliases(
            folder,
            aliases.crowned(bundle.version).logged("promoted", bundle.version, alias=CHAMPION, reason=reason, verdict=described),
        )
    return Promotion(name=name, version=bundle.version, before=aliases.champion, reason=reason, verdict=verdict)


def rollback(store: StoreLike, name: str | None = None) -> Promotion:
    """Make the champion before champion again; done twice it goes back twice.

    raises : NoBundleError where there was none before; IntegrityError where its bundle is not sound: the champion then stays
    """
    name = only_name(store) if name is None else name
    folder = name_folder(store, name)
    with writer_lock(folder) as lock:
        aliases = read_aliases(folder)
        if not aliases.former:
            raise NoBundleError(
                f"{name!r} had no champion before {aliases.champion or 'now'}; `ebbtide models promote VERSION` takes any version"
            )
        before, version = aliases.champion, aliases.former[-1]
        bundle = _load(folder / version, before)
        reason = f"back from {before}"
        lock.check()
        write_aliases(folder, aliases.rolled_back().logged("rolled back", bundle.version, alias=CHAMPION, reason=reason))
    return Promotion(name=name, version=version, before=before, reason=reason, verdict=None)


def _place(
    folder: Place, history: History, trained: TrainedModel, bundle: Bundle, aliases: Aliases, *, as_challenger: bool
) -> Decision:
    if aliases.champion is None:
        return Decision(alias=CHAMPION, reason="the first with this name")
    try:
        champion = load(folder / aliases.champion)
    except (IntegrityError, NoBundleError) as error:
        cannot = f"the champion {aliases.champion} cannot serve: {error}"
        if as_challenger:
            return Decision(alias=CHALLENGER, reason=f"as asked; nothing to compare on: {cannot}")
        return Decision(alias=CHAMPION, reason=cannot)
    verdict = _judge_new(history, trained, champion, bundle)
    found = f"nothing to compare on: {verdict}" if isinstance(verdict, str) else verdict.finding
    described = None if isinstance(verdict, str) else verdict.describe()
    if as_challenger:
        return Decision(alias=CHALLENGER, reason=f"as asked; {found}", verdict=described)
    if bundle.as_of_us < champion.as_of_us:
        older = (
            f"it is older: as of {format_instant(bundle.as_of_us)}, the champion {champion.version} as of "
            f"{format_instant(champion.as_of_us)}"
        )
        return Decision(alias=CHALLENGER, reason=f"{older}; {found}", verdict=described)
    if isinstance(verdict, str):
        return Decision(alias=CHAMPION, reason=f"the newest; {found}")
    return Decision(alias=CHALLENGER if verdict.is_worse else CHAMPION, reason=found, verdict=described)


def _judge_new(history: History, trained: TrainedModel, champion: Bundle, bundle: Bundle) -> Verdict | str:
    """A new bundle beside the champion, on the newest window, or on the held-out one where either has learnt from the newest."""
    newest_us = newest_window_us(history, bundle.horizon_days)
    is_unseen = newest_us is not None and newest_us >= max(bundle.as_of_us, champion.as_of_us)
    if trained.held_out is not None and not is_unseen:
        verdict = judge_held_out(history, champion, bundle, trained.held_out)
        if not isinstance(verdict, str):
            return verdict
    return judge_newest(history, champion, bundle)


def _compare(folder: Place, history: History | None, bundle: Bundle, aliases: Aliases) -> tuple[Verdict | None, str]:
    """The verdict that a promotion depends on, and why it is allowed if it is."""
    if aliases.champion is None:
        return None, "there was no champion"
    try:
        champion = load(folder / aliases.champion)
    except (IntegrityError, NoBundleError) as error:
        return None, f"the champion {aliases.champion} cannot serve: {error}"
    verdict: Verdict | str = "the store has no history" if history is None else judge_newest(history, champion, bundle)
    if (isinstance(verdict, str) or not verdict.is_fair) and (kept := _kept_verdict(bundle, champion, aliases)) is not None:
        # What a bundle has learnt from cannot speak against it; the window held out of its training can.
        verdict = kept
    if isinstance(verdict, str):
        return None, f"nothing to compare on: {verdict}"
    return verdict, verdict.finding


def _kept_verdict(bundle: Bundle, champion: Bundle, aliases: Aliases) -> Verdict | None:
    """The comparison made at its registration, if it was with this champion and on what neither had seen."""
    for change in reversed(aliases.log):
        if change.action == "registered" and change.version == bundle.version and change.verdict is not None:
            verdict = Verdict.parse(change.verdict)
            return verdict if verdict.champion == champion.version and verdict.is_fair else None
    return None


def _load(path: Place, champion: str | None) -> Bundle:
    try:
        return load(path)
    except (IntegrityError, NoBundleError) as error:
        stays = f"; the champion {champion} stays" if champion else ""
        raise IntegrityError(f"{path.parent.name}/{path.name} is refused: {error}{stays}") from error
