"""Gathers the judgements of every line at every shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from backproof.derivations.judgement import Seen, State, admitted, claim, equality, left_open
from backproof.derivations.lines import Kind, Step
from backproof.derivations.replay import Replay
from backproof.derivations.source import Source
from backproof.derivations.walk import Raised


class Row(NamedTuple):
    """Holds the judgement of one line at all shapes together.

    Attributes:
        fails: whether it fails at some point.
        judged: at how many points it was judged.
        skipped: at how many points it could not be judged.
        worst: the largest distance between its two sides where it follows.
        broken: why it cannot be compared at some shape, or None.
        never_finite: whether it is finite nowhere, although the line that it must equal is.
    """

    fails: bool
    judged: int
    skipped: int = 0
    worst: float = 0.0
    broken: str | None = None
    never_finite: bool = False


@dataclass(frozen=True)
class Table:
    """Holds the replays of a derivation, shape by shape, and compares their lines.

    Attributes:
        runs: one replay for each shape, the smallest first.
    """

    runs: Sequence[Replay]

    @cached_property
    def steps(self) -> list[Step]:
        """The steps, each from a shape at which it does not raise, if there is one."""
        longest = max((run.steps for run in self.runs), key=len)
        found = []
        for i, step in enumerate(longest):
            there = [run.steps[i] for run in self.runs if len(run.steps) > i]
            found.append(next((one for one in there if one.kind is not Kind.OPEN), step))
        return found

    @cached_property
    def lines(self) -> list[int]:
        """The positions in `steps` of the lines."""
        return [i for i, step in enumerate(self.steps) if step.is_line]

    @cached_property
    def ended(self) -> Raised | None:
        """The error that ended the derivation earliest at some shape; None if none did."""
        return min((run.ended for run in self.runs if run.ended), default=None, key=lambda one: one.number)

    def at_row(self, source: Source, row: int) -> list[int]:
        """Return the numbers of the lines that the yield on `row` gives: several if it stands in a loop."""
        found = source.line_at(row)
        return [n for n, i in enumerate(self.lines) if source.line_at(self.steps[i].row) is found]

    @property
    def points(self) -> int:
        """How many points the assumptions admit."""
        return sum(int(np.sum(admitted(run))) for run in self.runs)

    def is_value(self, number: int) -> bool:
        """Return whether line `number` is a value, and not a claim of another kind."""
        return self.steps[self.lines[number]].kind in (Kind.VALUE, Kind.OPEN)

    def before(self, number: int) -> int | None:
        """Return the number of the value that line `number` must equal; None for the first and for claims."""
        if number < len(self.lines) and not self.is_value(number):
            return None
        return next((n for n in reversed(range(number)) if self.is_value(n)), None)

    @property
    def start(self) -> int | None:
        """The number of the first value, which has no value before it."""
        return next((n for n in range(len(self.lines)) if self.is_value(n)), None)

    def seen(self, run: Replay, number: int, other: int | None) -> Seen:
        """Return the judgement of line `number` against line `other`, or of its claim, where admitted."""
        here = self.lines[number]
        if run.steps[here].kind is Kind.OPEN:
            seen = left_open(run, number)
        else:
            seen = claim(run, here) if other is None else equality(run, here, self.lines[other])
        return seen._replace(states=np.where(admitted(run), seen.states, State.SKIPPED))

    def row(self, number: int, other: int | None) -> Row:
        """Return the judgement of line `number` against `other` at all shapes that reach it."""
        runs = [run for run in self.runs if len(run.lines) > number]
        if number == self.start:
            opened = (run for run in runs if run.steps[self.lines[number]].kind is Kind.OPEN)
            broken = next((left_open(run, number).broken for run in opened), None)
            return Row(broken is not None, self.points, broken=broken)
        found = [self.seen(run, number, other) for run in runs]
        kept = [admitted(run) for run in runs]
        states, distances = (
            np.concatenate([getattr(one, what)[keep] for one, keep in zip(found, kept, strict=True)])
            for what in ("states", "distances")
        )
        pairs = zip(found, kept, strict=True)
        lost = any(np.any(one.not_finite[keep]) for one, keep in pairs if one.not_finite is not None)
        skipped = int(np.sum(states == State.SKIPPED))
        never = lost and skipped == len(states)
        somewhere = self.steps[self.lines[number]].kind is Kind.DIFFERS_SOMEWHERE
        fails = bool(np.any(states == State.FAILS)) and not (somewhere and np.any(states == State.FOLLOWS))
        return Row(
            fails or never,
            len(states) - skipped,
            skipped,
            float(np.max(distances[states == State.FOLLOWS], initial=0.0)),
            next((one.broken for one in found if one.broken), None),
            never,
        )
