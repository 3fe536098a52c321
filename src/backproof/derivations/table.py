"""Gathers what was seen of every line at every shape, and finds the first that does not follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backproof.derivations.judgement import Seen, State, admitted, claim, equality
from backproof.derivations.lines import Kind, Step
from backproof.derivations.replay import Replay


class Row(NamedTuple):
    """Holds what was seen of one line at all shapes together.

    Attributes:
        fails: whether it fails at some point.
        judged: at how many points it was judged.
        skipped: at how many it could not be.
        worst: the largest distance where it follows.
        broken: why it cannot be compared at some shape, or None.
        never_finite: whether it is finite nowhere, although what it must equal is.
    """

    fails: bool
    judged: int
    skipped: int
    worst: float
    broken: str | None
    never_finite: bool


@dataclass(frozen=True)
class Table:
    """Holds the replays of a derivation, shape by shape, and compares their lines.

    Attributes:
        runs: one replay for each shape, the smallest first.
    """

    runs: Sequence[Replay]

    @property
    def steps(self) -> list[Step]:
        """The lines as the shape that reached most of them shows them."""
        return max((run.steps for run in self.runs), key=len)

    @property
    def lines(self) -> list[int]:
        """The positions in `steps` of the lines."""
        return [i for i, step in enumerate(self.steps) if step.kind is not Kind.ASSUMED]

    def before(self, number: int) -> int | None:
        """Return the number of the value that line `number` must equal; None for the first and for claims."""
        kinds = [self.steps[i].kind for i in self.lines]
        if kinds[number] is not Kind.VALUE:
            return None
        earlier = [n for n in range(number) if kinds[n] is Kind.VALUE]
        return earlier[-1] if earlier else None

    def is_start(self, number: int) -> bool:
        """Return whether line `number` is a value with none before it."""
        return self.steps[self.lines[number]].kind is Kind.VALUE and self.before(number) is None

    def seen(self, run: Replay, number: int, other: int | None) -> Seen:
        """Return what is seen of line `number` against line `other`, or of its claim, where it counts."""
        here = self.lines[number]
        seen = claim(run, here) if other is None else equality(run, here, self.lines[other])
        return seen._replace(states=np.where(admitted(run), seen.states, State.SKIPPED))

    def row(self, number: int, other: int | None) -> Row:
        """Return what is seen of line `number` against `other` at all shapes that reach it."""
        if self.is_start(number):
            return Row(False, sum(int(np.sum(admitted(run))) for run in self.runs), 0, 0.0, None, False)
        found = [self.seen(run, number, other) for run in self.runs if len(run.lines) > number]
        kept = [admitted(run) for run in self.runs if len(run.lines) > number]
        states = np.concatenate([one.states[keep] for one, keep in zip(found, kept, strict=True)])
        distances = np.concatenate([one.distances[keep] for one, keep in zip(found, kept, strict=True)])
        lost = [
            one.not_finite[keep] for one, keep in zip(found, kept, strict=True) if one.not_finite is not None
        ]
        skipped = int(np.sum(states == State.SKIPPED))
        never = bool(len(states)) and skipped == len(states) and any(np.any(one) for one in lost)
        somewhere = self.steps[self.lines[number]].kind is Kind.DIFFERS_SOMEWHERE
        fails = np.any(states == State.FAILS) and not (somewhere and np.any(states == State.FOLLOWS))
        return Row(
            bool(fails) or never,
            len(states) - skipped,
            skipped,
            float(np.max(distances[states == State.FOLLOWS], initial=0.0)),
            next((one.broken for one in found if one.broken), None),
            never,
        )
