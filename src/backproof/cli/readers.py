"""How the text of an option is read: each function returns what it means, or says what is wrong with it."""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path


def whole_number(least: int) -> Callable[[str], int]:
    """Return a function that reads a whole number of at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}, but found {text!r}"
            )
        return int(text)

    return read


def seed(text: str) -> int:
    """Read a whole number that a key of jax.random can hold: 32 bits."""
    number = whole_number(0)(text)
    if number >= 2**32:
        raise argparse.ArgumentTypeError(f"must be below 2**32, but found {text!r}")
    return number


def new_file(text: str) -> Path:
    """Read the path of a file that can be written, so that a bad path is found before any work is done."""
    path = Path(text)
    if path.is_dir():
        found = "a folder"
    elif not path.parent.is_dir():
        found = f"no folder {str(path.parent)!r}"
    elif not os.access(path.parent, os.W_OK):
        found = f"no permission to write in {str(path.parent)!r}"
    else:
        return path
    raise argparse.ArgumentTypeError(f"must be a file that can be written, but found {found}")


def address(text: str) -> str:
    """Read a host and a port, as in `node0:1234`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise argparse.ArgumentTypeError(f"must be host:port, but found {text!r}")
    return text


def positive_number(text: str) -> float:
    """Read a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, but found {text!r}")
    return number


def positive_numbers(text: str) -> tuple[float, ...]:
    """Read finite numbers above 0, separated by commas."""
    return tuple(positive_number(part.strip()) for part in text.split(","))


def widths(text: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas; an empty text means that there are none."""
    return tuple(whole_number(1)(part.strip()) for part in text.split(",")) if text.strip() else ()


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(part.strip() for part in text.split(","))
