"""A bundle that is clearly worse does not become champion by itself, and what is broken never does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import IntegrityError, NoBundleError, PromotionRefusedError
from engine.history import History
from engine.instants import DAY_US, parse_instant
from tests.training.conftest import AS_OF_US
from training.bundles import bundle as bundle_module
from training.bundles.bundle import WEIGHTS_FILE
from training.data.panel import ask_panel
from training.network.calibration import Calibration
from training.registry import Decision, Verdict, aliases_of, champion, find_version, promote, register, register_judged, rollback
from training.trained import HeldOut, TrainedModel

# Of the newest window of the session's history, which ends at 2024-08-07, a day of which is known in part; see conftest.
NEWEST_US = parse_instant("2024-07-24")


@pytest.fixture(scope="module")
def worse(trained: TrainedModel) -> TrainedModel:
    """Tells everybody to stay."""
    assert trained.held_out is not None
    return replace(
        trained,
        model=replace(trained.model, calibration=Calibration(shift=1.5)),
        held_out=replace(trained.held_out, probability=np.full(len(trained.held_out.probability), 0.02)),
    )


def _promised(trained: TrainedModel, history: History) -> HeldOut:
    """What the model that is handed over says of the held-out window, in place of the first pass."""
    assert trained.held_out is not None
    as_of_us, config = trained.held_out.as_of_us, trained.model.config
    panel = ask_panel(
        history,
        {"": trained.model},
        as_of_us=as_of_us,
        horizon_days=config.horizon_days,
        active_within_days=config.active_within_days,
    )
    return HeldOut(as_of_us=as_of_us, customer_ids=panel.customer_ids, probability=panel.probability[""])


def test_the_first_is_champion_and_one_as_good_follows(store: Path, history: History, trained: TrainedModel) -> None:
    first = register_judged(store, history, trained, as_challenger=True)
    assert (first.decision.alias, first.decision.reason) == ("champion", "the first with this name")
    second = register_judged(store, history, trained)
    assert second.decision.alias == "champion"
    assert "not clearly worse: 0002 against 0001" in second.decision.reason
    assert champion(store).version == "0002"
    assert aliases_of(store, "default").former == ("0001",)


def test_a_worse_one_becomes_challenger_and_says_why(
    store: Path, history: History, trained: TrainedModel, worse: TrainedModel
) -> None:
    register(store, trained)
    found = register_judged(store, history, worse)
    assert found.decision.alias == "challenger"
    assert found.decision.verdict is not None
    verdict = Verdict.parse(found.decision.verdict)
    assert verdict.is_worse
    assert (verdict.as_of_us, verdict.seen_by, verdict.is_first_pass) == (NEWEST_US, (), False)
    assert verdict.log_loss_low < verdict.log_loss_difference < verdict.log_loss_high
    assert abs(verdict.auc_difference) < 1e-9  # a monotone map leaves the order alone
    assert all(words in found.decision.reason for words in ("log loss", "95 % interval", "neither had seen it"))
    assert champion(store).version == "0001"


def test_an_older_one_and_one_that_is_meant_so_are_challengers(store: Path, history: History, trained: TrainedModel) -> None:
    register(store, trained)
    older = register_judged(store, history, replace(trained, as_of_us=AS_OF_US - DAY_US))
    assert (older.decision.alias, "it is older" in older.decision.reason) == ("challenger", True)
    meant = register_judged(store, history, trained, as_challenger=True)
    assert meant.decision.alias == "challenger"
    assert meant.decision.reason.startswith("as asked; not clearly worse: 0003 against 0001")
    assert older.decision.verdict is not None
    assert meant.decision.verdict is not None
    assert champion(store).version == "0001"
    assert aliases_of(store, "default").challenger == "0003"


def test_worse_is_what_promises_worse_or_ranks_worse(
    store: Path, history: History, trained: TrainedModel, worse: TrainedModel
) -> None:
    register(store, trained)
    found = register_judged(store, history, worse).decision.verdict
    assert found is not None
    promises = Verdict.parse(found)
    assert (promises.is_worse, promises.auc_high) == (True, pytest.approx(0))
    # As the audit found it: an order that is clearly worse, behind a level that suits the season.
    ranks = replace(promises, log_loss_low=-0.002, log_loss_high=0.003, auc_low=-0.0091, auc_high=-0.0018)
    assert ranks.is_worse
    assert ranks.finding.startswith("worse than the champion: 0002 against 0001")
    assert not replace(ranks, auc_high=0.0001).is_worse


def test_where_all_is_learnt_from_the_held_out_window_decides(
    store: Path, history: History, trained: TrainedModel, worse: TrainedModel
) -> None:
    assert trained.held_out is not None
    before_us, late = trained.held_out.as_of_us, parse_instant("2024-08-01")
    register(store, replace(worse, as_of_us=before_us), "other")
    good = register_judged(store, history, replace(trained, as_of_us=late), "other")
    assert good.decision.alias == "champion"
    assert good.decision.verdict is not None
    assert Verdict.parse(good.decision.verdict).is_first_pass
    register(store, replace(trained, as_of_us=before_us))
    # Its weights know the newest window by heart, so that only the held-out one can speak against it, then and later.
    cheat = replace(trained, as_of_us=late, held_out=worse.held_out)
    found = register_judged(store, history, cheat)
    assert found.decision.alias == "challenger"
    assert "the first pass of 0002" in found.decision.reason
    with pytest.raises(PromotionRefusedError, match="the first pass of 0002"):
        promote(store, history)


def test_a_challenger_is_judged_before_it_learns_and_promoted_by_that(
    store: Path, history: History, trained: TrainedModel, worse: TrainedModel
) -> None:
    assert trained.held_out is not None
    late = parse_instant("2024-08-01")
    register(store, replace(trained, as_of_us=trained.held_out.as_of_us))
    cheat = replace(trained, as_of_us=late, held_out=worse.held_out)
    meant = register_judged(store, history, cheat, as_challenger=True)
    assert meant.decision.alias == "challenger"
    assert meant.decision.reason.startswith("as asked; worse than the champion: 0002 against 0001")
    with pytest.raises(PromotionRefusedError, match=r"the champion stays: worse than .*the first pass of 0002 had seen it"):
        promote(store, history)
    register_judged(store, history, replace(trained, as_of_us=late, held_out=_promised(trained, history)), as_challenger=True)
    found = promote(store, history)
    assert found.verdict is not None
    assert (found.version, found.verdict.is_first_pass, found.verdict.is_fair) == ("0003", True, True)


def test_what_can_only_be_compared_unfairly_says_so(
    store: Path, history: History, trained: TrainedModel, worse: TrainedModel
) -> None:
    late = parse_instant("2024-08-01")
    register(store, replace(trained, as_of_us=late))
    older = register_judged(store, history, worse, as_challenger=True)
    unfair = "no unseen data to compare on; on training data, worse than the champion: 0002 against 0001"
    assert unfair in older.decision.reason
    assert "(in the training data of 0001)" in older.decision.reason
    with pytest.raises(PromotionRefusedError, match=f"the champion stays: {unfair}"):
        promote(store, history)
    register_judged(store, history, replace(trained, as_of_us=late), as_challenger=True)
    found = promote(store, history)
    assert found.reason.startswith("no unseen data to compare on; on training data, not clearly worse: 0003 against 0001")
    assert "(in the training data of 0001 and 0003)" in found.reason


def test_a_challenger_of_before_whose_log_has_no_verdict_is_judged_as_it_is(
    store: Path, history: History, trained: TrainedModel
) -> None:
    register(store, trained)
    register(store, replace(trained, num_events=1), decide=lambda *_: Decision(alias="challenger", reason="as asked"))
    assert promote(store, history).version == "0002"


def test_promote_takes_the_challenger_and_refuses_a_worse_one(
    store: Path, history: History, trained: TrainedModel, worse: TrainedModel
) -> None:
    register(store, trained)
    register_judged(store, history, trained, as_challenger=True)
    found = promote(store, history)
    assert (found.version, found.before, found.verdict is not None) == ("0002", "0001", True)
    register_judged(store, history, worse, as_challenger=True)
    with pytest.raises(PromotionRefusedError, match=r"default/0003 is refused, .*95 % interval \+.*--force"):
        promote(store, history)
    assert champion(store).version == "0002"
    assert promote(store, None, is_forced=True).reason == "forced"
    assert champion(store).version == "0003"
    assert promote(store, history, "3").reason == "it is champion already"


def test_rollback_goes_back_as_often_as_there_were_champions(store: Path, trained: TrainedModel) -> None:
    with pytest.raises(NoBundleError, match="no champion before"):
        rollback(store)
    for _ in range(3):
        register(store, trained)
    assert [rollback(store).version for _ in range(2)] == ["0002", "0001"]
    with pytest.raises(NoBundleError, match="no champion before 0001"):
        rollback(store)
    assert [change.action for change in aliases_of(store, "default").log] == ["registered"] * 3 + ["rolled back"] * 2


def test_what_is_broken_or_of_another_catalogue_is_refused_and_the_champion_stays(
    store: Path, history: History, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(store, trained)
    register_judged(store, history, trained, as_challenger=True)
    (store / "models/default/0002" / WEIGHTS_FILE).write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match=r"default/0002 is refused: .*the champion 0001 stays"):
        promote(store, history, is_forced=True)
    with monkeypatch.context() as patch:
        patch.setattr(bundle_module, "SITUATION_NAMES", ("an_older_indicator",))
        bundle_module.save(trained, store / "models/default/0003")
    with pytest.raises(IntegrityError, match="an_older_indicator"):
        promote(store, history, "0003", is_forced=True)
    with monkeypatch.context() as patch:
        patch.setattr(bundle_module, "catalogue_hash", lambda *_: "sha256:other")
        bundle_module.save(trained, store / "models/default/0004")
    with pytest.raises(IntegrityError, match="catalogue of indicators"):
        promote(store, history, "0004", is_forced=True)
    assert champion(store).version == "0001"
    with pytest.raises(NoBundleError, match="no version 0009; the versions of 'default' are 0001, 0002, 0003, 0004"):
        promote(store, history, "9")
    assert find_version(store, "challenger").name == "0002"


def test_a_champion_that_cannot_serve_is_followed(store: Path, history: History, trained: TrainedModel) -> None:
    register(store, trained)
    (store / "models/default/0001" / WEIGHTS_FILE).unlink()
    found = register_judged(store, history, trained)
    assert (found.decision.alias, "cannot serve" in found.decision.reason) == ("champion", True)
