"""Where the `ebbtide` command begins: before anything is loaded, so that there is something to be interrupted."""

from __future__ import annotations

import signal


def main() -> int:
    """Load the command line and run one command; see `serving.cli.main`.

    Until it is loaded there is nothing to clean up and nobody to say so: Ctrl-C ends the process as it ends any program, and
    not with a traceback out of whatever library was being loaded.
    """
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is signal.default_int_handler:  # else it is to be ignored, as by what runs in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from serving import cli

    signal.signal(signal.SIGINT, interrupted)
    return cli.main()
