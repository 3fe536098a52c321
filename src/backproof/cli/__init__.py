"""The command line: parse, print, exit status."""

from backproof.cli._main import main

__all__ = ["main"]
