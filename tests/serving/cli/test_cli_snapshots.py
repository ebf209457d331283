"""`ebbtide snapshots` and the snapshots in `ebbtide status`, as a person and as a program use them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from engine.storage import write_bytes
from serving.snapshots import snapshot_folder
from tests.serving.cli.test_cli import run, run_json
from tests.serving.made_snapshots import inputs_of, make_snapshot

THEN = {"[bold]markup[/]": 0.2, "calm": 0.1, "rising": 0.35, "falling": 0.95, "leaver": 0.99}
NOW = {"[bold]markup[/]": 0.2, "calm": 0.1, "rising": 0.72, "falling": 0.25, "newcomer": 0.4}


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Three snapshots in tmp_path, a week apart."""
    return [
        make_snapshot(tmp_path, who, inputs_of(days_later=days)).snapshot_id for days, who in ((0, NOW), (7, THEN), (14, NOW))
    ]


def test_a_person_sees_which_there_are_and_which_is_served(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("snapshots", "list", "--store", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ids
    assert lines[3].rstrip().endswith("current")
    assert lines[2].rstrip().endswith("previous")
    assert "30 days" in lines[1]
    assert "kB" in lines[1]


def test_a_program_reads_the_same(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write_bytes(snapshot_folder(tmp_path, "20990101T000000Z-default-0001-00000000") / "bucket=0000.arrow", b"12345")
    document = run_json(capsys, "snapshots", "list", "--store", tmp_path)
    told = document["snapshots"][2]
    assert (told["snapshot_id"], told["is_current"], told["as_of"], told["num_customers"]) == (ids[2], True, "2024-06-15", 5)
    assert told["num_bytes"] > 1000
    (unfinished,) = document["unfinished"]
    assert (unfinished["num_bytes"], unfinished["hours_since_written"] < 1) == (5, True)
    assert run("snapshots", "list", "--store", tmp_path) == 0
    assert "Unfinished: 20990101" in capsys.readouterr().out


@pytest.mark.parametrize("num_kept", [3, 1])
def test_a_current_snapshot_that_lost_its_manifest_is_told_of_with_what_servers_do(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str], num_kept: int
) -> None:
    assert run("snapshots", "prune", "--store", tmp_path, "--keep", num_kept) == 0
    for snapshot_id in ids[-1:] if num_kept == 3 else ids[-2:]:
        (snapshot_folder(tmp_path, snapshot_id) / "manifest.json").unlink()
    capsys.readouterr()
    assert run("snapshots", "list", "--store", tmp_path) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"{ids[-1]} unreadable" in text
    assert "The current snapshot cannot be read: servers started now" in text
    assert ("serve the previous one" if num_kept == 3 else "have nothing to serve") in text
    (problem,) = [
        one["problem"] for one in run_json(capsys, "snapshots", "list", "--store", tmp_path)["snapshots"] if one["is_current"]
    ]
    assert "manifest.json is absent" in problem
    assert run("export", "--store", tmp_path, "--out", tmp_path / "x.csv") == 1
    assert "manifest.json is absent; restore it, or run `ebbtide rescore` again" in capsys.readouterr().err


def test_status_tells_sizes_and_the_served_one(trained_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("snapshots"))
    assert run("status", "--store", store) == 0
    assert f"No snapshot yet. Next: ebbtide rescore --store {store} --as-of 2024" in capsys.readouterr().out
    make_snapshot(store, NOW, inputs_of())
    (told,) = run_json(capsys, "status", "--store", store)["snapshots"]
    assert (told["is_current"], told["num_bytes"] > 1000) == (True, True)
    assert run("status", "--store", store) == 0
    assert "current" in capsys.readouterr().out


def test_pruning_tells_what_went_what_stays_and_what_was_freed(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("snapshots", "prune", "--store", tmp_path, "--keep", "1", "--dry-run") == 0
    assert f"Would remove {ids[0]}\n" in capsys.readouterr().out
    document = run_json(capsys, "snapshots", "prune", "--store", tmp_path, "--keep", "1")
    assert (document["removed"], document["kept"], document["is_dry_run"]) == ([ids[0]], ids[1:], False)
    assert document["num_bytes_freed"] > 1000
    assert run("snapshots", "prune", "--store", tmp_path, "--keep", "1") == 0
    text = capsys.readouterr().out
    assert "Nothing to remove." in text
    assert f"2 snapshots stay: {ids[1]} (previous), {ids[2]} (current)" in text


def test_a_person_sees_who_moved(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("snapshots", "diff", "--store", tmp_path) == 0
    text = capsys.readouterr().out
    assert "4 are in both" in text
    assert "1 moved to a worse grade, 1 to a better one, 2 stayed." in text
    assert "1 are new" in text
    (rising,) = [line for line in text.splitlines() if line.startswith("rising")]
    assert rising.split() == ["rising", "35.0", "%", "72.0", "%", "+37.0", "Y4", "to", "R3", "store", "g"]
    (yellow,) = [line for line in text.splitlines() if line.startswith("yellow")]
    assert yellow.split() == ["yellow", "1", "-", "-", "-"]
    assert run("snapshots", "diff", ids[0], "current", "--store", tmp_path, "--grades") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith(("R1", "B2"))] == ["R1", "B2"]


@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_no_width_of_a_terminal_cuts_an_id(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    for module in ("snapshots", "moves"):
        monkeypatch.setattr(f"serving.cli.{module}.console", lambda: Console(width=width, soft_wrap=True))
    assert run("snapshots", "list", "--store", tmp_path) == 0
    listed = capsys.readouterr().out
    assert run("snapshots", "diff", "--store", tmp_path, "--grades") == 0
    compared = capsys.readouterr().out
    assert all(snapshot_id in listed for snapshot_id in ids)
    assert all(snapshot_id in compared for snapshot_id in ids[1:])
    assert "…" not in listed + compared
    if width >= 80:
        rows = [line for line in (listed + compared).splitlines() if any(snapshot_id in line for snapshot_id in ids)]
        assert max(map(len, rows)) <= width


def test_a_program_reads_who_moved_and_everybody_from_a_file(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "moves.parquet"
    document = run_json(capsys, "snapshots", "diff", ids[1], ids[2], "--store", tmp_path, "--limit", "1", "--out", out)
    assert [move["customer_id"] for move in (*document["risen"], *document["fallen"])] == ["rising", "falling"]
    assert (document["num_both"], document["num_new"], document["num_left"]) == (4, 1, 1)
    assert sum(map(sum, document["num_by_grade_before_and_after"])) == 4
    assert pq.read_metadata(out).num_rows == 6
    assert run("snapshots", "diff", "--store", tmp_path, "--out", out) == 2
    assert "replace it with --force" in capsys.readouterr().err
    assert run("snapshots", "diff", "--store", tmp_path, "--out", out, "--force") == 0
    assert f"Wrote 6 rows to {out}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("list",), "No snapshot yet. Next: ebbtide rescore --store", 0),
        (("diff",), "holds no snapshot; run: ebbtide rescore", 1),
        (("prune", "--keep", "2"), "holds no snapshot; run: ebbtide rescore", 1),
        (("prune",), "Missing option '--keep'", 2),
        (("prune", "--keep", "0"), "0 is not in the range", 2),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str, status: int
) -> None:
    assert run("snapshots", *arguments, "--store", tmp_path) == status
    printed = capsys.readouterr()
    assert message in printed.out + printed.err
    assert len((printed.out + printed.err).splitlines()) == 1


@pytest.mark.parametrize("command", [("snapshots", "list"), ("models", "list")])
def test_a_mistyped_store_is_not_taken_for_an_empty_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert run(*command, "--store", tmp_path / "typo") == 1
    assert "typo is not a folder; run `ebbtide ingest" in capsys.readouterr().err


def test_help_tells_every_command_in_a_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ([], ["snapshots"], ["models"]):
        assert run(*group, "--help") == 0
        assert "..." not in capsys.readouterr().out.split("\n", 1)[1]
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert (
        text.index("Build and serve:")
        < text.index("  ingest")
        < text.index("Read scores:")
        < text.index("  export")
        < text.index("  forget")
    )


def test_an_unknown_id_names_those_that_there_are(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("snapshots", "diff", "--store", tmp_path, "1999-01-01", "current") == 2
    assert all(snapshot_id in capsys.readouterr().err for snapshot_id in ids[:1])
