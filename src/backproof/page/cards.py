"""One report as a card of a page: what is judged, the verdict, and everything that explains it.

Reports come from above this place, so they are `Any` here: a `Report` of the verifier, and a
`DerivationReport`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backproof.numerics.leaves import leaves_with_paths
from backproof.page.axis import Axis, axis, in_words
from backproof.page.grids import Grid, compared, grids
from backproof.page.source import Row, excerpt
from backproof.page.templates import render

# How a verdict looks, and the sign that says the same without colour.
GOOD, UNSURE, BAD, OPEN = ("good", "✓"), ("unsure", "?"), ("bad", "✗"), ("open", "·")
VERDICTS = {
    "AGREES": GOOD,
    "SUBGRADIENT": GOOD,
    "DECLARED": GOOD,
    "WRONG": BAD,
    "UNSTABLE": BAD,
    "REFERENCE_SUSPECT": UNSURE,
    "INCONCLUSIVE": UNSURE,
    "HOLDS": GOOD,
    "REFUTED": GOOD,
    "FAILS": BAD,
    "NOT_REFUTED": BAD,
    "BROKEN": BAD,
}
MARKS = {
    "STARTS": OPEN,
    "FOLLOWS": GOOD,
    "AT_KINKS": GOOD,
    "HOLDS": GOOD,
    "FAILS": BAD,
    "IS_FALSE": BAD,
    "WOULD_BE_RIGHT": OPEN,
    "WOULD_BE_WRONG": OPEN,
    "UNSEEN": UNSURE,
}
NOISE_UNITS = "noise units apart"
# An example with more characters than this is cut on the page: it is no example to read.
LONGEST_CODE = 20_000


class Formula(NamedTuple):
    """Holds a formula in LaTeX and what it is called."""

    name: str
    latex: str


class Side(NamedTuple):
    """Holds one side of an example: its name and its leaves."""

    name: str
    leaves: list[Grid]


class Shown(NamedTuple):
    """Holds an example as a page shows it.

    Attributes:
        title: what it is an example of.
        inputs: its arguments, and the direction.
        sides: what is compared there.
        worst: the entry that is furthest apart, in words; empty where nothing is compared.
        code: Python that replays it, or makes its arguments.
        replays: whether the code replays it.
        is_kink: whether the sides may differ there.
    """

    title: str
    inputs: list[Grid]
    sides: list[Side]
    worst: str
    code: str
    replays: bool = False
    is_kink: bool = False


class Blamed(NamedTuple):
    """Holds the blamed lines in their source, and the mend.

    Attributes:
        title: a heading.
        file: the name of the file.
        why: what shows it.
        rows: the lines around.
        after: how the blamed line should read; empty where that is not known.
    """

    title: str
    file: str
    why: str
    rows: Sequence[Row]
    after: str = ""


def look_of(verdict: Any) -> tuple[str, str]:
    """Return the look of a verdict and its sign."""
    return VERDICTS[verdict.name]


def report_card(report: Any, anchor: str = "", formulas: Sequence[Formula] = (), more: str = "") -> str:
    """Return the card of a verifier's report.

    Args:
        report: a `Report`.
        anchor: the id by which a page links to it; none if empty.
        formulas: the formulas of the function and of its backward pass.
        more: what else belongs to it, e.g. the sweep of a network.
    """
    return render(
        "report.html",
        report=report,
        look=look_of(report.verdict),
        anchor=anchor,
        formulas=formulas,
        axis=axis_of(report),
        blamed=_blamed(report.blame),
        example=_example(report),
        looked_at=_looked_at(report),
        more=more,
    )


def derivation_card(
    report: Any, anchor: str = "", links: Mapping[str, str] | None = None, *, opened: bool = False
) -> str:
    """Return the card of a report on a derivation.

    Args:
        report: a `DerivationReport`.
        anchor: the id by which a page links to it; none if empty.
        links: the anchors of the derivations that it may rest on, by their names.
        opened: whether its lines are shown; those of a report that is not good always are.
    """
    return render(
        "derivation.html",
        report=report,
        look=look_of(report.verdict),
        anchor=anchor,
        paragraphs=paragraphs(report.prose),
        lines=[(line, MARKS[line.mark.name]) for line in report.lines],
        axis=axis_of_lines(report),
        blamed=_blamed(report.blame),
        example=_derived_example(report),
        looked_at=_tried(report),
        links=links or {},
        opened=opened or not report.ok,
    )


def axis_of(report: Any) -> Axis:
    """Return the distances of a verifier's report: of the right entries, and of the entry that is wrong."""
    found = [("right entries", report.worst, True)] if report.examples else []
    wrong = report.counterexample
    if wrong and wrong.hand is not None and not report.ok and wrong.unit == NOISE_UNITS:
        found.append(("the wrong entry", float(wrong.distance), False))
    return axis(found)


def axis_of_lines(report: Any) -> Axis:
    """Return the distance of every judged line of a derivation from the line before it."""
    return axis(
        (f"line {line.number}", distance_of(report, line), MARKS[line.mark.name] is not BAD)
        for line in report.lines
        if line.mark.name not in ("STARTS", "UNSEEN", "WOULD_BE_RIGHT", "WOULD_BE_WRONG", "HOLDS", "IS_FALSE")
    )


def distance_of(report: Any, line: Any) -> float:
    """Return how far a line is from the line before it, in noise units."""
    if line.number == report.wrong and report.example is not None:
        return float(report.example.distance)
    return float(line.worst)


def paragraphs(prose: str) -> list[str]:
    """Return the paragraphs of a docstring; one with indented lines keeps its lines."""
    parts = prose.strip().split("\n\n") if prose.strip() else []
    return [one if "\n " in one else " ".join(one.split("\n")) for one in parts]


def _looked_at(report: Any) -> list[tuple[str, str]]:
    rows = [("points judged", f"{report.examples:,}")]
    rows += [("not judged", f"{report.skipped:,} points")] if report.skipped else []
    rows += report.reach.rows()
    return [*rows, ("seed", str(report.seed)), ("seconds", f"{report.seconds:.1f}")]


def _tried(report: Any) -> list[tuple[str, str]]:
    rows = [("file", f"{report.file}:{report.row}")]
    rows += [("shows", ", ".join(report.items))] if report.items else []
    rows += [("tried", report.reach)] if report.reach else []
    return [*rows, ("seconds", f"{report.seconds:.1f}")]


def _blamed(blame: Any) -> Blamed | None:
    if blame is None:
        return None
    lines = blame.lines or ((blame.line,) if blame.line is not None else ())
    rows = excerpt(blame.file, lines, blame.text.splitlines())
    title = "The line that is wrong" if blame.line is not None else "Where the slip may be"
    return Blamed(title, Path(blame.file).name, blame.why, rows, blame.mend)


def _example(report: Any) -> Shown | None:
    found = report.counterexample
    if found is None:
        return None
    inputs = grids(found.args, "args") + grids(found.cotangent, found.direction)
    sides, worst = [], ""
    if found.hand is not None:
        whole = found.sides or (found.hand, found.oracle, None)  # where no more is known, the one entry
        leaves = compared(whole[0], whole[1], f"result{found.leaf}", whole[2])
        sides = [Side(name, [leaf]) for name, leaf in zip(("by hand", found.source), leaves, strict=True)]
        worst = _worst(found)
    is_kink = report.verdict.name == "SUBGRADIENT"
    replay = found.replay if found.hand is not None else ""
    code = _with_imports("\n".join(filter(None, [found.repro, replay])))
    title = "At a kink" if is_kink else "Smallest example"
    return Shown(title, inputs, sides, worst, code, bool(replay), is_kink)


def _worst(found: Any) -> str:
    apart = f", {found.distance:.3g} {found.unit}" if found.distance < float("inf") else ""
    checked = "" if found.difference is None else f"; a finite difference gives {found.difference:.10g}"
    return f"result{found.place}: {found.hand} by hand, {found.oracle} by {found.source}{apart}{checked}"


def _derived_example(report: Any) -> Shown | None:
    found = report.example
    if found is None:
        return None
    inputs = [one for name, arg in zip(found.names, found.args, strict=True) for one in grids(arg, name)]
    sides = [Side(name, leaves) for name, leaves in zip(found.sides, _derived_sides(found), strict=False)]
    is_far = bool(found.entry) and 0 < found.distance < float("inf")
    worst = f"furthest apart at {found.entry}, by {in_words(found.distance)}" if is_far else ""
    return Shown("Smallest example", inputs, sides, worst, _with_imports(found.repro))


def _derived_sides(found: Any) -> list[list[Grid]]:
    """Return the leaves of each side of an example, with digits that tell two sides of one form apart."""
    trees = [dict(leaves_with_paths(value)) for value in found.values]
    if len(trees) != 2 or not set(trees[0]) == set(trees[1]) <= set(found.differs):
        return [grids(value, "", found.differs) for value in found.values]
    pairs = [compared(trees[0][path], trees[1][path], path, found.differs[path]) for path in trees[0]]
    return [[pair[side] for pair in pairs] for side in (0, 1)]


def _with_imports(code: str) -> str:
    """Return the code of an example with the imports that it needs, cut where nobody would read it."""
    used = {"jax.": "import jax", "jnp.": "import jax.numpy as jnp", "np.": "import numpy as np"}
    lines = [line for name, line in used.items() if name in code]
    if len(code) > LONGEST_CODE:
        code = f"{code[:LONGEST_CODE]} … (cut; the report holds it whole)"
    return "\n".join([*lines, code])
