"""The aliases file: read as written, by hand if need be, and refused with what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import IntegrityError
from training.registry.aliases import ALIASES_FILE, Aliases, read_aliases, write_aliases


def test_aliases_come_back_as_they_were_written(tmp_path: Path) -> None:
    aliases = Aliases().crowned("0001").challenged("0002").logged("registered", "0002", alias="challenger", reason="as asked")
    write_aliases(tmp_path, aliases)
    assert read_aliases(tmp_path) == aliases
    assert read_aliases(tmp_path / "nothing") == Aliases()


def test_the_way_back_goes_through_every_champion() -> None:
    aliases = Aliases().crowned("0001").crowned("0002").crowned("0003")
    assert (aliases.champion, aliases.former) == ("0003", ("0001", "0002"))
    aliases = aliases.rolled_back()
    assert (aliases.champion, aliases.former) == ("0002", ("0001",))
    aliases = aliases.crowned("0004").rolled_back().rolled_back()
    assert (aliases.champion, aliases.former) == ("0001", ())


def test_a_crowned_challenger_is_no_challenger_any_more() -> None:
    aliases = Aliases().crowned("0001").challenged("0002").crowned("0002")
    assert (aliases.champion, aliases.challenger) == ("0002", None)
    assert aliases.crowned("0002") is aliases
    assert Aliases(champion="0001", challenger="0002").crowned("0003").challenger == "0002"


def test_a_file_by_hand_needs_the_champion_alone(tmp_path: Path) -> None:
    (tmp_path / ALIASES_FILE).write_text('{"champion": "0007"}')
    assert read_aliases(tmp_path) == Aliases(champion="0007")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"champion": 1}', '{"champion": "0001", "former": ["../up"]}', '{"champion": "0001", "log": [{"at": 1}]}'],
)
def test_a_damaged_file_says_how_to_mend_it(tmp_path: Path, text: str) -> None:
    (tmp_path / ALIASES_FILE).write_text(text)
    with pytest.raises(IntegrityError, match=r'aliases\.json is damaged .*\{"champion": "0001"\}; write that into it'):
        read_aliases(tmp_path)


def test_the_file_stays_small(tmp_path: Path) -> None:
    aliases = Aliases()
    for number in range(1, 1000):
        aliases = aliases.crowned(f"{number:04d}").logged("promoted", f"{number:04d}", alias="champion", reason="")
    assert len(aliases.former) == len(aliases.log) == 400
    assert aliases.former[-1] == "0998"
