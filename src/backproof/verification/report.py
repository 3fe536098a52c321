"""The verifier's report: a verdict and the smallest example behind it, as text and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.page import report_in_notebook
from backproof.verification.blame.blame import Blame
from backproof.verification.claims.pasting import pasted
from backproof.verification.reach import Reach

LONGEST_LINE = 400
# The form of a report as JSON; the number is raised when a field goes or changes its meaning.
SCHEMA = "backproof-report/1"
WIDE = (np.float64, np.complex128)


class Verdict(StrEnum):
    """Names the outcome of a verification; the first three are good."""

    AGREES = "AGREES"
    SUBGRADIENT = "SUBGRADIENT"
    DECLARED = "DECLARED"
    WRONG = "WRONG"
    UNSTABLE = "UNSTABLE"
    REFERENCE_SUSPECT = "REFERENCE_SUSPECT"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def ok(self) -> bool:
        """Whether the derivative was shown to be right."""
        return self in (Verdict.AGREES, Verdict.SUBGRADIENT, Verdict.DECLARED)


class Sides(NamedTuple):
    """Holds the leaf of a counterexample in full.

    Attributes:
        hand, oracle: the leaf by hand, and as it should be.
        differs: which of their entries differ beyond the noise measured there.
    """

    hand: np.ndarray
    oracle: np.ndarray
    differs: np.ndarray


@dataclass(frozen=True)
class Counterexample:
    """Holds the smallest example found, and the entry where the two sides differ most.

    Attributes:
        args: the argument tuple.
        cotangent: the cotangent of the result (for a jvp, the tangents of the arguments).
        leaf: the path of the leaf in the result, e.g. `[0]['W']`.
        index: the index of the entry in that leaf.
        hand, oracle: the two values there: by hand, and by autodiff in float64.
        noise: the measured rounding noise of that entry.
        distance: how far apart they are, counted in what `unit` says.
        difference: the finite difference of the primal for that entry, where there is one.
        call: Python that gives the result by hand from `args` and `cotangent`; empty where there is none.
            All its lines but the last prepare the call.
        unit: the words after the distance: noise units, or in low precision another measure.
        source: who says what the value should be: autodiff, or where that is not the derivative, the sides.
        direction: the name of `cotangent` in the code: `tangents` for a jvp.
        sides: the leaf in full; None where only the entry is known, as in low precision.
    """

    args: tuple[Any, ...]
    cotangent: Any
    leaf: str
    index: tuple[int, ...]
    hand: Any
    oracle: Any
    noise: float
    distance: float
    difference: float | None = None
    call: str = ""
    unit: str = "noise units apart"
    source: str = "autodiff"
    direction: str = "cotangent"
    sides: Sides | None = None

    @property
    def place(self) -> str:
        """The leaf and index, as Python reads them."""
        return f"{self.leaf}{list(self.index) if self.index else ''}"

    @property
    def repro(self) -> str:
        """Python that rebuilds the example: `args` and `cotangent`, or `tangents` for a jvp."""
        return f"args = {pasted(self.args)}\n{self.direction} = {pasted(self.cotangent)}"

    @property
    def replay(self) -> str:
        """Python that shows the entry by hand, as it was judged; empty without `call` or a path to it."""
        if not self.call or "<" in self.leaf:  # a leaf of a class that gives its leaves no names
            return ""
        *before, call = self.call.split("\n")
        said = f"should be {self.oracle}" if np.isfinite(self.oracle) else f"{self.source}: {self.oracle}"
        shown = f"print({call}{self.place})  # {said}"
        wide = any(getattr(leaf, "dtype", None) in WIDE for leaf in jax.tree.leaves(self.args))
        return "\n".join([*before, f"with jax.enable_x64(True):\n    {shown}" if wide else shown])


@dataclass(frozen=True)
class Report:
    """Holds the outcome of one verification; `str(report)` is what a person reads.

    Attributes:
        name: what was checked.
        verdict: the outcome; `ok` says whether it is good.
        cause: a short stable name of what is wrong, or None.
        explanation: that cause, or the convention at a kink, in a sentence.
        counterexample: the smallest example, or None where both sides agree everywhere.
        examples: how many points were judged.
        skipped: how many drawn points could not be judged, because the function itself is not finite
            there or does not exist at that shape, or because so many kinks meet there that not every side
            could be tried.
        worst: the largest distance, in noise units, among the points where both sides agree.
        seed: the seed of every draw: the same call with it repeats the run.
        seconds: how long it took.
        shapes: the argument shapes that were tried.
        notes: what else a reader should know, e.g. that a leaf is zero at every point.
        reach: what was looked at, and what gave no evidence.
        blame: the line of the code by hand that is wrong: `file`, `line`, its `text`, and `why`; where
            several are in question, `line` is None and `lines` has them. None where nothing is known.
    """

    name: str
    verdict: Verdict
    cause: str | None = None
    explanation: str = ""
    counterexample: Counterexample | None = None
    examples: int = 0
    skipped: int = 0
    worst: float = 0.0
    seed: int = 0
    seconds: float = 0.0
    shapes: Sequence[str] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)
    reach: Reach = field(default_factory=Reach)
    blame: Blame | None = None

    @property
    def mend(self) -> str | None:
        """How the wrong line should read, seen to be right at every point looked at; None if not known."""
        return self.blame.change if self.blame else None

    @property
    def ok(self) -> bool:
        """Whether the derivative was shown to be right."""
        return self.verdict.ok

    def __str__(self) -> str:
        """Return the report as a person reads it."""
        head = f"{self.name}: {self.verdict}"
        if self.cause:
            head += f" ({self.cause})"
        near = f"right entries within {self.worst:.2g} noise units (1 is the rounding measured there)"
        tried = f"  {self.examples} examples, seed {self.seed}; {near}"
        blamed = [f"  {line}" for line in self.blame.said()] if self.blame else []
        lines = [head, *([f"  {self.explanation}"] if self.explanation else []), *blamed, tried]
        if self.verdict not in (Verdict.WRONG, Verdict.UNSTABLE):  # a fault stands wherever else one looked
            lines += [f"  {line}" for line in self.reach.lines()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines + (_example_lines(self.counterexample) if self.counterexample else []))

    def _repr_html_(self) -> str:
        """Return the report as a notebook shows it."""
        return report_in_notebook(self)

    def to_json(self) -> str:
        """Return the report as JSON, in the form that `backproof.reporting.schema()` describes."""
        found = self.counterexample
        example = found and {
            "args": plain_json(found.args),
            "cotangent": plain_json(found.cotangent),
            "leaf": found.leaf,
            "index": list(found.index),
            "hand": plain_json(found.hand),
            "oracle": plain_json(found.oracle),
            "finite_difference": found.difference,
            "noise_units": plain_json(found.distance),
            "repro": found.repro,
            "replay": found.replay,
        }
        keys = ("name", "cause", "explanation", "examples", "skipped", "worst", "seed", "seconds")
        fields = {key: plain_json(getattr(self, key)) for key in keys}
        return json.dumps(
            {
                "schema": SCHEMA,
                "kind": "gradient",
                "verdict": str(self.verdict),
                "ok": self.ok,
                **fields,
                "shapes": list(self.shapes),
                "notes": list(self.notes),
                "reach": self.reach.to_json(),
                "counterexample": example,
                "blame": self.blame and self.blame._asdict(),
                "mend": self.mend,
            }
        )


def _example_lines(found: Counterexample) -> list[str]:
    apart = "" if not np.isfinite(found.distance) else f"  ({found.distance:.3g} {found.unit})"
    values = [
        f"  worst at  result{found.place}",
        f"  by hand   {found.hand}",
        f"  {found.source:8s}  {found.oracle}{apart}",
    ]
    if found.difference is not None:
        values.append(f"  finite difference  {found.difference:.10g}")
    shown = values if found.hand is not None else []
    code = [*found.repro.splitlines(), *(found.replay.splitlines() if shown else [])]
    return [*shown, "  smallest example:", *(f"    {_shortened(line)}" for line in code)]


def _shortened(line: str) -> str:
    """Return a line of the example, cut where it is too long to read; `counterexample.repro` has it whole."""
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … (whole in counterexample.repro)"


def plain_json(tree: Any) -> Any:
    """Return `tree` as JSON can hold it: arrays as lists, and what is not finite as text."""
    if isinstance(tree, dict):
        return {str(key): plain_json(value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return [plain_json(value) for value in tree]
    if isinstance(tree, float):
        return tree if np.isfinite(tree) else str(tree)
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    array = np.asarray(tree)
    if array.dtype.kind in "biuf" or jnp.issubdtype(array.dtype, jnp.floating):
        return plain_json(
            array.astype(np.float64).tolist() if array.dtype.kind not in "biu" else array.tolist()
        )
    return str(array.tolist())
