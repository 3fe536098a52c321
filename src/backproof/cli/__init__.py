"""The command line: it parses arguments, prints results and returns an exit status."""

from backproof.cli._main import main

__all__ = ["main"]
