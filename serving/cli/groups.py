"""Groups of commands: in the order of the work, and each with its first sentence whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

# Longer than any first sentence: the formatter breaks lines, and nothing ends in dots.
_WHOLE = 1000


class OrderedGroup(click.Group):
    """Lists its commands as they were added, not by the alphabet, under headings where it has some.

    sections : heading -> commands
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections or {}
        for commands in self._sections.values():
            for command in commands:
                self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, self.commands), default=0)
        for heading, commands in (self._sections or {"Commands": [*self.commands.values()]}).items():
            rows = [((command.name or "").ljust(widest), command.get_short_help_str(_WHOLE)) for command in commands]
            with formatter.section(heading):
                formatter.write_dl(rows)
