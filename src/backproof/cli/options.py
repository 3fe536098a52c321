"""The options that every verification takes: how many points are drawn, from which seed, for how long."""

import argparse
import shlex
from typing import TypedDict


class Draws(TypedDict, total=False):
    """Holds the given settings of the draws; each function has its own default for the others."""

    examples: int
    seed: int


class Options(Draws, total=False):
    """Holds the settings of a verification: those of its draws, and its budget in seconds."""

    budget: float


class Examples(TypedDict, total=False):
    """Holds the settings for a call that takes many seeds, and is given those separately."""

    examples: int


def draws_of(options: Options) -> Draws:
    """Return the settings of the draws alone."""
    found = Draws(seed=options["seed"]) if "seed" in options else Draws()
    if "examples" in options:
        found["examples"] = options["examples"]
    return found


def of_many_seeds(options: Draws) -> Examples:
    """Return the options for a call that is given its seeds separately."""
    return Examples(examples=options["examples"]) if "examples" in options else Examples()


def command_of(arguments: argparse.Namespace) -> str:
    """Return the command as it would be typed."""
    return shlex.join(["backproof", *arguments.argv])
