"""`python -m spendwatch`, and the command `spendwatch`."""

import atexit
import gc
import os
import sys
import threading


def run() -> None:
    """Run one command. It ends at once: to take apart what it has loaded would take as long as to read the configuration."""
    gc.disable()
    from spendwatch.cli import main  # noqa: PLC0415 -- the collector would look through what is loaded

    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int) or threading.active_count() > 1:
            raise
        atexit._run_exitfuncs()  # noqa: SLF001 -- what the interpreter does at its end, which has no public name
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            raise end from None  # the interpreter tries once more, and says what is wrong
        os._exit(end.code)


if __name__ == "__main__":
    run()
