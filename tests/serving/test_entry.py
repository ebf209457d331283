"""Ctrl-C before the command line is there."""

from __future__ import annotations

import signal
import subprocess
import sys

_BEGINS = """
import os, signal, sys

class Loading:  # stands for all the libraries that the command line loads
    def find_spec(self, name, path=None, target=None):
        if name == "serving.cli":
            {while_loading}

sys.meta_path.insert(0, Loading())
{before}
from serving.entry import main
sys.argv = ["ebbtide", "--version"]
status = main()
assert signal.getsignal(signal.SIGINT) is {handler}
sys.exit(status)
"""


def _run(*, while_loading: str, handler: str, before: str = "") -> subprocess.CompletedProcess[str]:
    code = _BEGINS.format(while_loading=while_loading, before=before, handler=handler)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_ctrl_c_while_libraries_are_loaded_ends_the_process_without_a_traceback() -> None:
    ended = _run(while_loading="os.kill(os.getpid(), signal.SIGINT)", handler="signal.default_int_handler")
    assert ended.returncode == -signal.SIGINT
    assert ended.stderr == ""


def test_once_they_are_loaded_the_command_hears_of_it() -> None:
    ended = _run(while_loading="pass", handler="signal.default_int_handler")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_who_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    ended = _run(while_loading="os.kill(os.getpid(), signal.SIGINT)", before=ignore, handler="signal.SIG_IGN")
    assert (ended.returncode, ended.stderr) == (0, "")
