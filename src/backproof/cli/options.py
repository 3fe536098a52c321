"""The options that every verification takes: how many points are drawn, and from which seed."""

from typing import TypedDict


class Options(TypedDict, total=False):
    """Holds the given settings; each function has its own default for the others."""

    examples: int
    seed: int


class Examples(TypedDict, total=False):
    """Holds the settings without the seed, for a call that takes many seeds."""

    examples: int


def without_seed(options: Options) -> Examples:
    """Return `options` without the seed, for a call that is given its seeds separately."""
    return Examples(examples=options["examples"]) if "examples" in options else Examples()
