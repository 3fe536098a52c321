"""The judgements of one line of a derivation."""

from enum import StrEnum


class Mark(StrEnum):
    """Names the judgements of one line."""

    STARTS = "starts"
    FOLLOWS = "follows"
    AT_KINKS = "follows, with another choice at kinks"
    HOLDS = "holds"
    FAILS = "DOES NOT FOLLOW"
    IS_FALSE = "IS FALSE"
    WOULD_BE_RIGHT = "would be right"
    WOULD_BE_WRONG = "would not be right"
    UNSEEN = "not reached"
