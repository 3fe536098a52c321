"""What the command line says of every verification: how many points are drawn, and from which seed."""

from typing import TypedDict


class Options(TypedDict, total=False):
    """Holds the settings that were given; each function has a default of its own for the others."""

    examples: int
    seed: int


class Examples(TypedDict, total=False):
    """Holds the same without the seed, for many seeds."""

    examples: int


def without_seed(options: Options) -> Examples:
    """Return the options of a call that is given its seeds apart."""
    return Examples(examples=options["examples"]) if "examples" in options else Examples()
