"""The report on the gradients by the named values inside a function."""

import json
from dataclasses import dataclass
from typing import Any

from backproof.numerics.comparison import Entry
from backproof.verification.blame.blame import Blame
from backproof.verification.report import SCHEMA, Verdict, pasted, plain_json


@dataclass(frozen=True)
class Intermediate:
    """Holds the judgement of the gradient by one named value.

    Attributes:
        name: the name of its tap.
        verdict: `AGREES`, `WRONG`, `not given` where nothing is written by hand, or `not seen` where no point
            gives evidence.
        distance: how many noise units the two sides are apart at most; 0 where nothing is given.
        said: what is wrong with its form; empty where it can be compared.
    """

    name: str
    verdict: str
    distance: float = 0.0
    said: str = ""


@dataclass(frozen=True)
class Intermediates:
    """Holds the judgement of every named value; `str(report)` is what a person reads.

    Attributes:
        function: the name of the function.
        values: the judgement of each, in the order of the backward pass.
        points: at how many points they were compared.
        cause: the cause of the first wrong one; None if all agree.
        explanation: that cause in a sentence.
        example: the smallest argument tuple found at which the first wrong one is wrong; None where values
            are given, or none is wrong.
        worst: the entry of it that is furthest apart there.
        blame: the line that is wrong, where it is known.
    """

    function: str
    values: tuple[Intermediate, ...]
    points: int
    cause: str | None = None
    explanation: str = ""
    example: tuple[Any, ...] | None = None
    worst: Entry | None = None
    blame: Blame | None = None

    @property
    def first_wrong(self) -> str | None:
        """The name of the first wrong value in the order of the backward pass; None if all agree."""
        return next((one.name for one in self.values if one.verdict == "WRONG"), None)

    @property
    def verdict(self) -> str:
        """`AGREES` if every value that is tapped is given and agrees, else `WRONG` or `INCONCLUSIVE`."""
        if self.first_wrong is not None:
            return "WRONG"
        return "AGREES" if self.ok else "INCONCLUSIVE"

    @property
    def ok(self) -> bool:
        """Whether every value that is tapped is given, and agrees."""
        return all(one.verdict == "AGREES" for one in self.values)

    def __str__(self) -> str:
        """Return the report as a person reads it."""
        right = sum(one.verdict == "AGREES" for one in self.values)
        many = f"{self.points} point{'s' * (self.points != 1)}"
        head = f"{self.function}: {right} of {len(self.values)} intermediate gradients agree, at {many}"
        width = max(len(one.name) for one in self.values)
        lines = [head, *(f"  {one.name:<{width}}  {_shown(one)}" for one in self.values)]
        if self.first_wrong is None:
            return "\n".join(lines)
        lines.append(f"  the first wrong one on the way back is {self.first_wrong} ({self.cause})")
        lines += [
            f"  {self.explanation}",
            *(f"  {line}" for line in (self.blame.said() if self.blame else ())),
        ]
        if self.worst:
            at = list(self.worst.at) or ""
            sides = f"{self.worst.hand} by hand, {self.worst.truth} by autodiff"
            lines.append(f"  worst at  {self.first_wrong}{at}: {sides}")
        if self.example is not None:
            lines.append(f"  smallest example:  args = {pasted(self.example)}")
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the report as JSON, in the form that `backproof.reporting.schema()` describes."""
        values = [plain_json(one.__dict__) for one in self.values]
        first = {"name": self.first_wrong, "cause": self.cause, "explanation": self.explanation}
        blame = self.blame and self.blame._asdict()
        bad = Verdict.INCONCLUSIVE if self.first_wrong is None else Verdict.WRONG
        return json.dumps(
            {
                "schema": SCHEMA,
                "kind": "intermediates",
                "name": self.function,
                "verdict": str(Verdict.AGREES if self.ok else bad),
                "ok": self.ok,
                "cause": self.cause,
                "explanation": self.explanation,
                "points": self.points,
                "values": values,
                "first": first,
                "blame": blame,
                "mend": self.blame and self.blame.change,
            }
        )


def _shown(one: Intermediate) -> str:
    if one.verdict not in ("AGREES", "WRONG"):
        return f"{one.verdict}{': ' * bool(one.said)}{one.said}"
    if one.verdict == "WRONG":
        return f"WRONG   {one.said or f'({one.distance:.2g} noise units apart)'}"
    beside = f"; {one.said}" if one.said else ""
    return f"{one.verdict}  within {one.distance:.2g} noise units{beside}"
