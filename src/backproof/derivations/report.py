"""The report on a derivation: its lines, the first that does not follow, and the smallest example."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from backproof.derivations.latex import readable
from backproof.derivations.markdown import markdown
from backproof.derivations.marks import Mark
from backproof.page import derivation_in_notebook
from backproof.verification.blame.blame import Blame
from backproof.verification.report import SCHEMA, pasted, plain_json


class DerivationVerdict(StrEnum):
    """Names the outcome for one derivation; the first two are good."""

    HOLDS = "HOLDS"
    REFUTED = "REFUTED"
    FAILS = "FAILS"
    NOT_REFUTED = "NOT_REFUTED"
    BROKEN = "BROKEN"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def ok(self) -> bool:
        """Whether the derivation is what it says it is."""
        return self in (DerivationVerdict.HOLDS, DerivationVerdict.REFUTED)


# A failure stands wherever else one looked; of these verdicts a reader asks where it was tried.
TRIED = (DerivationVerdict.HOLDS, DerivationVerdict.INCONCLUSIVE, DerivationVerdict.NOT_REFUTED)


@dataclass(frozen=True)
class Refutes:
    """States how a derivation is expected to fail, e.g. because it repeats an erratum of a document.

    Attributes:
        line: the index of the first line that does not follow.
        erratum: the name of the erratum, e.g. `E0(c)`.
        cause: the cause that the report must name.
        because: what a reader needs to know, in a sentence or two.
    """

    line: int
    erratum: str
    cause: str
    because: str


@dataclass(frozen=True)
class Line:
    """Holds the judgement of one line.

    Attributes:
        number: its index; assumptions are not counted.
        kind: `value`, or the kind of the claim.
        latex, reason: its formula and why it follows.
        row: the line of the file.
        mark: the judgement.
        note: whether the first value is anchored, or which shipped code the last line runs; else empty.
        worst: the largest distance between the two sides where the line follows, in noise units.
        skipped: at how many points it was not judged: a side is not finite, or the line before raises.
    """

    number: int
    kind: str
    latex: str
    reason: str
    row: int
    mark: Mark
    note: str = ""
    worst: float = 0.0
    skipped: int = 0


@dataclass(frozen=True)
class Example:
    """Holds the smallest example found, and both sides there.

    Attributes:
        names: the names of the arguments.
        args: the argument tuple.
        sides: the names of the two sides.
        values: both sides in full.
        entry: the entry in which they differ most.
        distance: how many noise units lie between them there.
        differs: for each leaf of the sides, by its path, which entries differ; empty where none is compared.
    """

    names: tuple[str, ...]
    args: tuple[Any, ...]
    sides: tuple[str, ...]
    values: tuple[Any, ...]
    entry: str
    distance: float
    differs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def repro(self) -> str:
        """Python that rebuilds the arguments."""
        pairs = zip(self.names, self.args, strict=True)
        return "\n".join(f"{name} = {pasted(arg)}" for name, arg in pairs)


class About(NamedTuple):
    """Holds the part of a report that is known before anything is run.

    Attributes:
        name, latex, file, row, prose: which derivation.
        items: the items of a specification that it shows.
        uses: the names of the derivations it rests on.
        refutes: how it is expected to fail, or None.
    """

    name: str
    latex: str
    file: str
    row: int
    prose: str
    items: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    refutes: Refutes | None = None


@dataclass(frozen=True)
class DerivationReport:
    """Holds the outcome for one derivation; `str(report)` is what a person reads.

    Attributes:
        name, latex, file, row, prose: which derivation.
        items: the items of a specification that it shows.
        uses: the names of the derivations it rests on.
        verdict: the outcome; `ok` says whether it is good.
        lines: the judgement of each line.
        assumptions: the formulas of the assumptions.
        wrong: the index of the first line that does not follow, or None.
        cause: a short stable name of what is wrong, or None.
        explanation: that cause, or whatever else is wrong, in a sentence.
        example: the smallest example of the failure, or None.
        blame: the line of the code that is wrong, and what should stand there, where it is known.
        refutes: how it was expected to fail, or None.
        points: at how many points it was tried.
        shapes: how many shapes these points have.
        reach: how many points and which sizes were drawn, and which of them the assumptions admit, in words.
        notes: what else a reader should know.
        seconds: how long it took.
    """

    name: str
    latex: str
    file: str
    row: int
    prose: str
    verdict: DerivationVerdict
    items: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    assumptions: tuple[str, ...] = ()
    wrong: int | None = None
    cause: str | None = None
    explanation: str = ""
    example: Example | None = None
    blame: Blame | None = None
    refutes: Refutes | None = None
    points: int = 0
    shapes: int = 0
    reach: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the derivation is what it says it is."""
        return self.verdict.ok

    def __str__(self) -> str:
        """Return the report as a person reads it."""
        return "\n".join([self.headline, *self.body()])

    @property
    def headline(self) -> str:
        """The name, what is derived, the verdict and the place, in one line."""
        at = "" if self.wrong is None else f" at line {self.wrong}"
        cause = f" ({self.cause})" if self.cause else ""
        row = next((line.row for line in self.lines if line.number == self.wrong), self.row)
        return f"{self.name}, {readable(self.latex)}: {self.verdict}{at}{cause}  [{self.file}:{row}]"

    def body(self) -> list[str]:
        """Return the lines below the headline."""
        said = [f"  assumed  {readable(text)}" for text in self.assumptions]
        return [*said, *_table(self.lines), *self.details()]

    def details(self) -> list[str]:
        """Return the text below the lines: the explanation, what is refuted and used, the example."""
        said = [f"  {self.explanation}"] if self.explanation else []
        said += [f"  {line}" for line in self.blame.said()] if self.blame else []
        if self.refutes:
            said.append(f"  refutes {self.refutes.erratum}: {self.refutes.because}")
        said += [f"  rests on {', '.join(self.uses)}"] if self.uses else []
        said += [f"  tried {self.reach}"] if self.reach and self.verdict in TRIED else []
        said += [f"  note: {note}" for note in self.notes]
        return said + (_example(self.example) if self.example else [])

    @property
    def mend(self) -> str | None:
        """The wrong line, as it stands and as it should read; None where that is not known."""
        return self.blame.change if self.blame else None

    def _repr_markdown_(self) -> str:
        """Return the derivation as a notebook shows it, with its formulas."""
        return markdown(self)

    def _repr_html_(self) -> str | None:
        """Return the derivation as a notebook shows it; None where the packages for pages are missing."""
        return derivation_in_notebook(self)

    def to_json(self) -> str:
        """Return the report as JSON, in the form that `backproof.reporting.schema()` describes."""
        fields = {key: value for key, value in asdict(self).items() if key != "example"}
        fields |= {"blame": self.blame and self.blame._asdict(), "mend": self.mend}
        found = self.example
        example = found and {
            "args": plain_json(dict(zip(found.names, found.args, strict=True))),
            "values": plain_json(dict(zip(found.sides, found.values, strict=False))),
            "entry": found.entry,
            "noise_units": plain_json(found.distance),
            "repro": found.repro,
        }
        form = {"schema": SCHEMA, "kind": "derivation", "ok": self.ok}
        return json.dumps({**form, **plain_json(fields), "example": example})


def _table(lines: tuple[Line, ...]) -> list[str]:
    formulas = [readable(line.latex) for line in lines]
    width = min(max((len(text) for text in formulas), default=0), 48)
    rows = []
    for line, formula in zip(lines, formulas, strict=True):
        note = f"; {line.note}" if line.note else ""
        rows.append(f"  {line.number:>2}  {formula:<{width}}  {line.mark}: {line.reason}{note}")
    return rows


def _example(found: Example) -> list[str]:
    apart = f"  ({found.distance:.3g} noise units apart)" if 0 < found.distance < float("inf") else ""
    said = ["  smallest example:", *(f"    {text}" for text in found.repro.splitlines())]
    width = max((len(name) for name in found.sides), default=0)
    for name, value in zip(found.sides, found.values, strict=False):
        said.append(f"    {name:<{width}} = {pasted(value)}")
    return said + ([f"    they differ most in entry {found.entry}{apart}"] if found.entry and apart else [])
