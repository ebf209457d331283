"""The `ebbtide` command: one file per verb, nothing heavy imported before a verb needs it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from engine.errors import EbbtideError, InvalidInputError
from engine.refusals import refusal_of
from serving.cli.commands import cli

__all__ = ["cli", "main"]

_EXIT_FAILED = 1
_EXIT_MISUSED = 2
_EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status and writes one line on standard error where it is not 0."""
    # gRPC's core writes lines of its own on standard error for what is told in one line here.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # A terminal or a log that has no ü shows \xfc: work that is done is not to end in a failure to say so.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = cli.main(args=arguments, prog_name="ebbtide", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.ctx.get_help() if error.ctx else error.format_message())
        return 0
    except click.ClickException as error:
        hint = f" (see {error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
        return _fail(error.format_message() + hint, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", _EXIT_INTERRUPTED)
    except InvalidInputError as error:
        return _fail(str(error), _EXIT_MISUSED)
    except EbbtideError as error:
        return _fail(str(error), _EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone, as `| head` does
        return _EXIT_FAILED
    except FileNotFoundError as error:
        where = error.filename or error
        return _fail(f"{where}: not found; if the store was moved or removed meanwhile, put it back and run again", _EXIT_FAILED)
    except OSError as error:
        refusal = refusal_of(error, "the store")
        if refusal is None:
            raise
        return _fail(str(refusal), _EXIT_FAILED)
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    print(f"ebbtide: {' '.join(message.split())}", file=sys.stderr)
    return status
