"""The entry point of the command line, which imports only the command that is used."""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from backproof.cli.parser import build_parser
from backproof.cli.spelling import as_typed
from backproof.errors import DivergedError, ProcessLostError, UsageError

GOOD, WRONG, MISUSED, INTERRUPTED, UNHEARD = 0, 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run `backproof` on `argv` and return its exit status.

    0: all good; 1: something is wrong or inconclusive; 2: usage, or data that cannot be used;
    130: interrupted; 141: the reader closed the output early (both as the shell numbers signals).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is replaced, and no traceback
            stream.reconfigure(errors="replace")
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return _unheard()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich turns a broken pipe into SystemExit
            return _unheard()
        raise


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    arguments = parser.read(argv)
    arguments.argv = sys.argv[1:] if argv is None else list(argv)  # for processes that repeat the command
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return MISUSED
    try:
        return import_module(f"backproof.cli.{arguments.command}").run(arguments)
    except UsageError as error:
        return _failed(as_typed(str(error)) if arguments.command == "verify" else error, MISUSED)
    except (DivergedError, ProcessLostError) as error:
        return _failed(error, WRONG)
    except KeyboardInterrupt:
        from backproof.cli.workers import leave

        return leave(_failed("interrupted", INTERRUPTED))


def _unheard() -> int:
    """Return the status for a closed output, and discard further output, as when `head` has read enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNHEARD


def _failed(error: object, status: int) -> int:
    print(f"backproof: error: {error}", file=sys.stderr)
    return status
