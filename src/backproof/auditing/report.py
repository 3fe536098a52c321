"""The report of an audit: which planted slips the test lets pass, and how loose its tolerance is."""

import html
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from backproof.auditing.slips import EXCHANGED
from backproof.numerics.tolerance import AGREES_WITHIN

SCHEMA = "backproof-audit/1"


class Outcome(StrEnum):
    """Names what the test did with a planted slip.

    CAUGHT, RAISED and TIMED_OUT are good: the test failed, by an assertion, by another exception, or by not
    ending. PASSED, HIDDEN, TOO_FEW and NEVER_RAN are slips that the test lets pass: with a gradient that is
    wrong where it looks, with one that its own points leave unchanged, and because it runs the backward pass
    too rarely or not at all. NO_SLIP and LEFT_OUT count for neither side.
    """

    CAUGHT = "caught"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    PASSED = "passed"
    HIDDEN = "hidden"
    TOO_FEW = "too few runs"
    NEVER_RAN = "never ran"
    NO_SLIP = "no slip here"
    LEFT_OUT = "left out"

    @property
    def killed(self) -> bool:
        """Whether the test saw the slip."""
        return self in (Outcome.CAUGHT, Outcome.RAISED, Outcome.TIMED_OUT)

    @property
    def survived(self) -> bool:
        """Whether the test let the slip pass."""
        return self in (Outcome.PASSED, Outcome.HIDDEN, Outcome.TOO_FEW, Outcome.NEVER_RAN)


@dataclass(frozen=True)
class PlantedSlip:
    """Holds one slip and what the test did with it.

    Attributes:
        kind: the name of the slip, e.g. `twice`.
        leaf: the leaf that it is planted in; empty where it concerns the whole result.
        outcome: what the test did.
        detail: the exception that was raised, or why the slip is hidden.
        other: the leaf that `leaf` is exchanged with.
    """

    kind: str
    leaf: str
    outcome: Outcome
    detail: str = ""
    other: str = ""

    @property
    def name(self) -> str:
        """The slip in words, e.g. `gain twice`."""
        if self.kind == EXCHANGED:
            return f"{self.leaf} and {self.other} exchanged"
        return f"{self.leaf} {self.kind}".strip()


@dataclass(frozen=True)
class Tolerance:
    """Holds how far a leaf may be off before the test fails.

    Attributes:
        leaf: the leaf.
        passes: the largest part by which the leaf was too large and the test passed; 0 if there is none.
        caught: the smallest such part at which the test failed; infinite if it never did.
        rounding: the measured rounding of the leaf's largest entry, as a part of it.
    """

    leaf: str
    passes: float
    caught: float
    rounding: float

    @property
    def factor(self) -> float:
        """How many times looser the tolerance is than rounding asks for; at least 1."""
        return max(1.0, self.caught / (AGREES_WITHIN * self.rounding))

    def __str__(self) -> str:
        """Return the tolerance in a sentence."""
        if math.isinf(self.caught):
            return (
                f"{self.leaf}: no factor up to {1 + self.passes:.2g} is caught: "
                "it is not compared, or with a tolerance that cannot fail"
            )
        said = f"{self.leaf}: first caught when it is off by {percent(self.caught)}"
        needed = percent(AGREES_WITHIN * self.rounding)
        if self.factor < 2:
            return f"{said}; rounding asks for no less"
        return f"{said}; rounding asks for {needed}: {_two_digits(self.factor)} times too loose"


@dataclass(frozen=True)
class RuleAudit:
    """Holds the audit of one rule.

    Attributes:
        name, kind: the rule.
        executed: how often the test executed its backward pass.
        traced: how often JAX traced it.
        slips: what was planted, and what the test did with it.
        tolerances: how loose the test is, leaf by leaf, where that could be measured.
        notes: what else a reader should know.
    """

    name: str
    kind: str
    executed: int
    traced: int
    slips: Sequence[PlantedSlip] = ()
    tolerances: Sequence[Tolerance] = ()
    notes: Sequence[str] = ()

    @property
    def ran(self) -> bool:
        """Whether the backward pass ever ran."""
        return self.executed > 0

    @property
    def killed(self) -> int:
        """How many slips the test saw."""
        return sum(one.outcome.killed for one in self.slips)

    @property
    def survivors(self) -> tuple[PlantedSlip, ...]:
        """The slips that the test lets pass."""
        return tuple(one for one in self.slips if one.outcome.survived)

    @property
    def planted(self) -> int:
        """How many slips count: those that the test saw, and those that it let pass."""
        return self.killed + len(self.survivors)

    @property
    def kill_rate(self) -> float:
        """The part of the slips that the test saw; 0 if there is none."""
        return self.killed / self.planted if self.planted else 0.0

    @property
    def ok(self) -> bool:
        """Whether the backward pass ran, every slip was planted, and the test saw each."""
        left = any(one.outcome is Outcome.LEFT_OUT for one in self.slips)
        return self.ran and self.planted == self.killed > 0 and not left

    def lines(self) -> list[str]:
        """Return the audit of the rule as a person reads it."""
        times = f"{self.executed} time{'s' * (self.executed != 1)}"
        ran = f"its backward pass ran {times}" if self.ran else "its backward pass NEVER RAN"
        rate = f"{self.killed} of {self.planted} slips killed ({math.floor(100 * self.kill_rate)} %)"
        found = [f"{self.name} ({self.kind}): {rate}; {ran}"]
        for outcome, said in SAID.items():
            found += _listed(said, [one for one in self.slips if one.outcome is outcome])
        if self.tolerances:
            found += ["  the tolerance", *(f"    {one}" for one in self.tolerances)]
        return found + [f"  note: {note}" for note in self.notes]


SAID = {
    Outcome.PASSED: "passes, although the gradient is wrong at the points of the test",
    Outcome.HIDDEN: "passes, because the points of the test hide it",
    Outcome.TOO_FEW: "passes, because the backward pass runs too rarely",
    Outcome.NEVER_RAN: "passes, because the backward pass never runs",
    Outcome.CAUGHT: "caught",
    Outcome.RAISED: "caught by another exception",
    Outcome.TIMED_OUT: "caught, the test did not end",
    Outcome.NO_SLIP: "not planted: no slip here, the result stays right",
    Outcome.LEFT_OUT: "left out",
}


def _listed(said: str, slips: Sequence[PlantedSlip]) -> list[str]:
    """Return the slips of one outcome: those of a leaf in a line, after that leaf's name."""
    if not slips:
        return []
    by_leaf: dict[tuple[str, str], list[str]] = {}
    for one in slips:
        whole = not one.leaf or one.kind == EXCHANGED
        reason = one.detail if one.outcome is not Outcome.CAUGHT else ""
        by_leaf.setdefault(("" if whole else one.leaf, reason), []).append(one.name if whole else one.kind)
    lines = []
    for (leaf, reason), kinds in by_leaf.items():
        lines.append(
            f"    {leaf + ': ' if leaf else ''}{', '.join(kinds)}{f'  ({reason})' if reason else ''}"
        )
    return [f"  {said}", *lines]


@dataclass(frozen=True)
class AuditReport:
    """Holds the audit of one test; `str(report)` is what a person reads.

    Attributes:
        test: the test.
        rules: the audit of each rule under test.
        runs: how often the test was run.
        seconds: how long it took.
    """

    test: str
    rules: Sequence[RuleAudit]
    runs: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the test sees every slip in every rule."""
        return bool(self.rules) and all(rule.ok for rule in self.rules)

    @property
    def verdict(self) -> str:
        """`CATCHES ALL`, `MISSES SLIPS`, or `NEVER RAN` where no backward pass ran."""
        if not any(rule.ran for rule in self.rules):
            return "NEVER RAN"
        return "CATCHES ALL" if self.ok else "MISSES SLIPS"

    @property
    def kill_rate(self) -> float:
        """The part of the slips that the test saw, over all rules."""
        planted = sum(rule.planted for rule in self.rules)
        return sum(rule.killed for rule in self.rules) / planted if planted else 0.0

    def __str__(self) -> str:
        """Return the report as a person reads it."""
        lines = [f"{self.test}: {self.verdict}"]
        for rule in self.rules:
            lines += [f"  {line}" for line in rule.lines()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the report as a notebook shows it."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(
            {
                "schema": SCHEMA,
                "test": self.test,
                "verdict": self.verdict,
                "ok": self.ok,
                "kill_rate": self.kill_rate,
                "runs": self.runs,
                "seconds": self.seconds,
                "rules": [_rule_json(rule) for rule in self.rules],
            }
        )


def _rule_json(rule: RuleAudit) -> dict[str, Any]:
    def number(value: float) -> float | str:
        return value if math.isfinite(value) else str(value)

    tolerances = [{**asdict(one), "factor": one.factor} for one in rule.tolerances]
    return {
        "rule": rule.name,
        "kind": rule.kind,
        "ok": rule.ok,
        "ran": rule.ran,
        "executed": rule.executed,
        "traced": rule.traced,
        "killed": rule.killed,
        "planted": rule.planted,
        "kill_rate": rule.kill_rate,
        "slips": [{**asdict(one), "name": one.name, "killed": one.outcome.killed} for one in rule.slips],
        "tolerances": [
            {key: number(value) if isinstance(value, float) else value for key, value in one.items()}
            for one in tolerances
        ],
        "notes": list(rule.notes),
    }


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}" if number < 1e9 else f"{number:.2g}"


def percent(part: float) -> str:
    """Return a part in per cent, in two digits."""
    return f"{100 * part:.2g} %" if part < 10 else f"a factor of {part:.2g}"


__all__ = ["AuditReport", "Outcome", "PlantedSlip", "RuleAudit", "Tolerance"]
