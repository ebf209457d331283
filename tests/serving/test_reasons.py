"""Reasons over the wire: with every score, in batches when asked, and a word in their place where there is no model."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import NoBundleError
from engine.executors import InlineExecutor
from engine.history import History
from engine.instants import DAY_US
from serving.answers import CustomerScore, ReasonKind, Reasons
from serving.cli import cli
from serving.client import EbbtideClient
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.pb.ebbtide.v1 import scoring_pb2_grpc as pb_grpc
from serving.rescoring.rescore import rescore
from serving.service.bundles import served_bundle
from serving.service.current import CurrentSnapshot
from serving.service.server import Server, ServerConfig
from serving.snapshots import Snapshot, open_current
from serving.wire.batches import REASONED_SCHEMA, customer_scores, read_arrow
from serving.wire.reasons import NUM_REASONS
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.server_thread import ServerThread
from training.reasons import THEMES


@pytest.fixture(scope="module")
def scored_store(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("scored") / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("snapshots"))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=TRAINED_AS_OF_US + 30 * DAY_US, executor=executor, device="cpu")
    return store


@pytest.fixture(scope="module")
def scored(scored_store: Path) -> Snapshot:
    return open_current(scored_store)


@pytest.fixture(scope="module")
def reasoning_server(server_thread: ServerThread, scored_store: Path) -> Server:
    return server_thread.start(ServerConfig(store=scored_store, listen="127.0.0.1:0", stop_grace_s=1.0))


@pytest.fixture
def asked(reasoning_server: Server) -> Iterator[EbbtideClient]:
    with EbbtideClient(reasoning_server.target) as connected:
        yield connected


def _check(score: CustomerScore) -> Reasons:
    reasons = score.reasons
    assert reasons is not None
    assert len(reasons.strongest) == NUM_REASONS
    assert not reasons.unavailable
    points = sum(reason.points for reason in reasons.strongest) + reasons.other_points
    assert 100 * reasons.baseline_churn_probability + points == pytest.approx(score.risk_score, abs=0.1)
    assert all(reason.sentence.endswith(".") and reason.indicator and reason.unit for reason in reasons.strongest)
    assert len({reason.theme for reason in reasons.strongest}) == NUM_REASONS
    assert {reason.theme for reason in reasons.strongest} <= set(THEMES)
    assert reasons.segment.startswith("customers ")
    assert 0 < reasons.chain_churn_probability < 1
    return reasons


def test_a_score_comes_with_its_three_strongest_reasons(asked: EbbtideClient, scored: Snapshot) -> None:
    for customer_id in scored.batches[0].column("customer_id").to_pylist()[:5]:
        customer = asked.score(customer_id, include_reasons=True).customer
        assert customer is not None
        _check(customer)


def test_reasons_speak_of_the_models_own_horizon_whatever_was_asked(asked: EbbtideClient, scored: Snapshot) -> None:
    customer_id = scored.batches[0].column("customer_id")[0].as_py()
    own, other = (
        asked.score(customer_id, include_reasons=True).customer,
        asked.score(customer_id, horizon_days=5, include_reasons=True).customer,
    )
    assert own is not None
    assert other is not None
    assert own.churn_probability != other.churn_probability
    assert own.reasons == other.reasons


def test_a_page_a_score_and_a_batch_give_the_same_reasons(asked: EbbtideClient, scored: Snapshot) -> None:
    page = {customer.customer_id: customer for customer in asked.at_risk_page(page_size=1000).customers}
    batch = asked.batch(include_reasons=True)
    rows = [score for piece in batch for score in customer_scores(piece)]
    assert len(rows) == len(page) == scored.num_customers
    for row in rows:
        listed, reasons = _check(page[row.customer_id]), _check(row)
        assert [reason.sentence for reason in reasons.strongest] == [reason.sentence for reason in listed.strongest]
        assert {reason.kind for reason in reasons.strongest} <= set(ReasonKind)
    some = [row.customer_id for row in rows[::17]]
    assert asked.batch(some, include_reasons=True).read_all().schema == REASONED_SCHEMA
    alone = asked.score(some[0], include_reasons=True).customer
    assert alone is not None
    assert _check(alone).strongest[0].sentence == _check(page[some[0]]).strongest[0].sentence


def test_neither_a_score_nor_the_rows_of_a_batch_have_any_unless_asked(asked: EbbtideClient, scored: Snapshot) -> None:
    customer = asked.score(scored.batches[0].column("customer_id")[0].as_py()).customer
    assert customer is not None
    assert customer.reasons is None
    assert "reasons" not in asked.batch().read_all().column_names


def test_packed_columns_say_what_arrow_says(asked: EbbtideClient, reasoning_server: Server) -> None:
    import grpc

    with grpc.insecure_channel(reasoning_server.target) as channel:
        stub = pb_grpc.ScoringServiceStub(channel)
        answers = [
            list(stub.BatchScore(pb.BatchScoreRequest(include_reasons=True, format=layout)))
            for layout in (pb.BATCH_FORMAT_PACKED_COLUMNS, pb.BATCH_FORMAT_ARROW_IPC)
        ]
    for packed, arrow in zip(*answers, strict=True):
        columns, rows = packed.columns.reasons, customer_scores(read_arrow(arrow.arrow_ipc))
        assert len(columns.subject) == len(columns.sentence) == NUM_REASONS * len(rows)
        for number, row in enumerate(rows):
            assert row.reasons is not None
            assert columns.baseline_churn_probability[number] == row.reasons.baseline_churn_probability
            assert columns.other_points[number] == row.reasons.other_points
            assert columns.chain_churn_probability == row.reasons.chain_churn_probability
            assert columns.segments[columns.segment[number]] == row.reasons.segment
            for place, reason in enumerate(row.reasons.strongest, start=NUM_REASONS * number):
                subject = columns.subjects[columns.subject[place]]
                assert (subject.indicator, subject.kind) == (reason.indicator, reason.kind)
                assert (subject.unit, subject.theme) == (reason.unit, reason.theme)
                assert (columns.points[place], columns.sentence[place]) == (reason.points, reason.sentence)
                np.testing.assert_equal(columns.value[place], np.nan if reason.value is None else reason.value)
                np.testing.assert_equal(columns.usual_value[place], np.nan if reason.usual_value is None else reason.usual_value)


def test_a_server_without_the_model_says_so_and_scores(
    server_thread: ServerThread, scored_store: Path, scored: Snapshot, tmp_path: Path
) -> None:
    replica = tmp_path / "replica"
    shutil.copytree(scored_store, replica, ignore=shutil.ignore_patterns("models"))
    server = server_thread.start(ServerConfig(store=replica, listen="127.0.0.1:0", stop_grace_s=1.0))
    customer_id = scored.batches[0].column("customer_id")[0].as_py()
    with EbbtideClient(server.target) as client:
        customer = client.score(customer_id, include_reasons=True).customer
        assert customer is not None
        assert customer.reasons is not None
        assert "not its model, default/0001" in customer.reasons.unavailable
        assert not customer.reasons.strongest
        assert client.at_risk_page().customers[0].reasons == customer.reasons
        assert client.batch().read_all().num_rows == scored.num_customers
        with pytest.raises(NoBundleError, match="no reasons to give"):
            client.batch(include_reasons=True)


def test_a_damaged_model_and_another_one_of_its_name_give_no_reasons(
    scored_store: Path, scored: Snapshot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert served_bundle(scored_store, scored.inputs) is not None
    with caplog.at_level(logging.WARNING):
        assert served_bundle(scored_store, replace(scored.inputs, model_hash="sha256:" + "3" * 64)) is None
    assert "holds no bundle default/0001 with hash sha256:333" in caplog.text
    store = tmp_path / "store"
    shutil.copytree(scored_store, store)
    path = store / "models" / "default" / "0001" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert served_bundle(store, scored.inputs) is None
    assert "the bundle is damaged" in caplog.text
    current = CurrentSnapshot(store)
    assert current.refresh()
    assert current.reasons(current.get()) is None


def test_a_manifest_keeps_as_much_of_the_chain_as_a_situation_looks_at(scored: Snapshot, scored_store: Path) -> None:
    whole, kept = History.open(scored_store).activity(), scored.manifest.activity
    assert kept is not None
    instants = np.array([scored.inputs.as_of_us])
    for days in (7, 28, 91):
        assert kept.daily().orders_before(instants, days) == whole.orders_before(instants, days)


def test_the_command_line_tells_why(reasoning_server: Server, scored: Snapshot) -> None:
    customer_id = scored.batches[0].column("customer_id")[0].as_py()
    target = ["--target", reasoning_server.target]
    text = CliRunner().invoke(cli, ["score", customer_id, *target]).output
    assert "; baseline" in text
    assert "strongest reason" in CliRunner().invoke(cli, ["at-risk", *target]).output
    document = json.loads(CliRunner().invoke(cli, ["score", customer_id, "--json", *target]).output)
    strongest = document["customers"][0]["reasons"]["strongest"]
    assert len(strongest) == NUM_REASONS
    for reason in strongest:  # those that say next to nothing are left out for a person
        assert (reason["sentence"] in text) == (abs(reason["points"]) >= 0.5)
        assert reason["kind"] in ReasonKind.__members__
