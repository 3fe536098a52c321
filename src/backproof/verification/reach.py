"""The reach of a verification: what was looked at, what gave no evidence, and what was never met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from backproof.numerics.leaves import dtype_of, is_complex, is_inexact, is_key
from backproof.verification.running.point import Point
from backproof.verification.running.sides import Answers, Comparison

# How many lines of code are named in a sentence.
NAMED = 3
KINDS: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda x: x == 0,
    "positive": lambda x: x > 0,
    "negative": lambda x: x < 0,
    "whole": lambda x: (x != 0) & (x == np.rint(x)),
    "below 1e-3": lambda x: (x != 0) & (np.abs(x) < 1e-3),
    "above 1e3": lambda x: np.abs(x) > 1e3,
    "infinite": np.isinf,
}


@dataclass(frozen=True)
class NoEvidence:
    """Counts points that say nothing, for one reason, with the arguments of one of them."""

    reason: str
    count: int
    example: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Reach:
    """Holds what a verdict rests on.

    Attributes:
        points: how many points gave evidence.
        no_evidence: the points that gave none, by reason.
        axes: the sizes of each named axis at points that gave evidence.
        values: the kinds of numbers met there, for all floating arguments together.
        integers: the range of each integer argument there.
        held: what was held fixed.
        comparisons: the answers of each comparison in the code of both sides there.
        missed: comparisons with the answer that was met only where no point could be judged.
        landmarks: the values that a specification names and no judged point holds; whether another point
        does.
        precisions: the precisions in which the code was judged.
        advised: those in which it was run as advice.
        device: where the code ran.
        runs: how often the compiled code ran on one input.
        budget: the seconds after which nothing new was begun, if there were such.
        left_out: what was left out for that.
    """

    points: int = 0
    no_evidence: tuple[NoEvidence, ...] = ()
    axes: Mapping[str, tuple[Any, ...]] | None = None
    values: tuple[str, ...] = ()
    integers: Mapping[str, tuple[int, int]] | None = None
    held: tuple[str, ...] = ()
    comparisons: Answers | None = None
    missed: tuple[tuple[Comparison, bool], ...] = ()
    landmarks: Mapping[str, bool] | None = None
    precisions: tuple[str, ...] = ()
    advised: tuple[str, ...] = ()
    device: str = ""
    runs: int = 0
    budget: float | None = None
    left_out: tuple[str, ...] = ()

    @property
    def one_sided(self) -> tuple[Comparison, ...]:
        """The comparisons that gave one answer only."""
        return tuple(one for one, answers in (self.comparisons or {}).items() if len(answers) == 1)

    def lines(self) -> list[str]:
        """Return the lines of a report."""
        return [f"{name}: {said}" for name, said in self.rows()]

    def rows(self) -> list[tuple[str, str]]:
        """Return what was looked at, as pairs of a name and what is said about it."""
        axes = ", ".join(f"{name} {_listed(sizes)}" for name, sizes in (self.axes or {}).items())
        integers = ", ".join(f"{name} {low} to {high}" for name, (low, high) in (self.integers or {}).items())
        values = "; ".join(filter(None, [", ".join(self.values), integers]))
        said = [("sizes", axes)] if axes else []
        said += [("numbers", values)] if values else []
        said += [("held fixed", ", ".join(self.held))] if self.held else []
        never = [name for name, drawn in (self.landmarks or {}).items() if not drawn]
        said += [("never drawn", ", ".join(never))] if never else []
        said += [("comparisons", self._comparisons())] if self.comparisons else []
        ran = [f"{self.runs} runs on one input"] if self.runs else []
        ran += [f"judged in float64{''.join(f', {one}' for one in self.precisions)}"]
        ran += [f"advice in {', '.join(self.advised)}"] if self.advised else []
        said += [(f"ran on {self.device}", "; ".join(ran))] if self.device else []
        said += [(f"left out after {self.budget:g} s", ", ".join(self.left_out))] if self.left_out else []
        said += [(f"no evidence at {one.count} points", one.reason) for one in self.no_evidence]
        return said

    def _comparisons(self) -> str:
        met, single = self.comparisons or {}, self.one_sided
        both = f"both answers of {len(met) - len(single)} of {len(met)}"
        named = [f"only {_only(met[one])} at {one}" for one in single[:NAMED]]
        more = [f"{len(single) - NAMED} more"] if len(single) > NAMED else []
        return "; ".join([both, *named, *more])

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON can hold it, without the examples."""
        comparisons = {str(one): sorted(answers) for one, answers in (self.comparisons or {}).items()}
        return {
            "points": self.points,
            "no_evidence": {one.reason: one.count for one in self.no_evidence},
            "axes": {name: [str(size) for size in sizes] for name, sizes in (self.axes or {}).items()},
            "values": list(self.values),
            "integers": {name: list(both) for name, both in (self.integers or {}).items()},
            "held": list(self.held),
            "comparisons": comparisons,
            "landmarks": dict(self.landmarks or {}),
            "missed": [f"{answer} at {one}" for one, answer in self.missed],
            "precisions": ["float64", *self.precisions],
            "advised": list(self.advised),
            "device": self.device,
            "runs": self.runs,
            "left_out": list(self.left_out),
        }


def _only(answers: frozenset[bool]) -> str:
    return "true" if True in answers else "false"


def _listed(sizes: Sequence[Any]) -> str:
    return " ".join(
        "×".join(map(str, size)) or "()" if isinstance(size, tuple) else str(size) for size in sizes
    )


def sizes_met(points: Sequence[Point], sizes_at: Any) -> dict[str, tuple[Any, ...]]:
    """Return the sizes of each axis at some points, in order; `sizes_at` gives those of an argument tuple."""
    found: dict[str, set[Any]] = {}
    seen: set[Any] = set()
    for point in points:
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(point.args))
        if shapes not in seen:
            seen.add(shapes)
            for name, size in sizes_at(point.args).items():
                found.setdefault(name, set()).add(size)
    return {name: tuple(sorted(sizes)) for name, sizes in found.items()}


def kinds_met(points: Sequence[Point]) -> tuple[str, ...]:
    """Return the kinds of numbers among the floating arguments of some points."""
    met: set[str] = set()
    for point in points:
        for leaf in jax.tree.leaves(point.args):
            if not is_inexact(leaf) or len(met) == len(KINDS):
                continue
            parts = np.stack([np.real(leaf), np.imag(leaf)]) if is_complex(leaf) else np.asarray(leaf)
            met |= {kind for kind, holds in KINDS.items() if kind not in met and np.any(holds(parts))}
    return tuple(kind for kind in KINDS if kind in met)


def integers_met(points: Sequence[Point]) -> dict[str, tuple[int, int]]:
    """Return the least and the greatest number in each integer argument of some points."""
    found: dict[str, tuple[int, int]] = {}
    for point in points:
        for path, leaf in jax.tree_util.tree_leaves_with_path(point.args):
            if not is_key(leaf) and np.size(leaf) and np.issubdtype(dtype_of(leaf), np.integer):
                low, high = int(np.min(leaf)), int(np.max(leaf))
                name = f"args{jax.tree_util.keystr(path)}"
                before = found.get(name, (low, high))
                found[name] = min(low, before[0]), max(high, before[1])
    return found


def missed_landmarks(points: Sequence[Point], others: Sequence[Point], landmarks: Any) -> dict[str, bool]:
    """Return the values that a specification names and no judged point holds, and whether another one does.

    Args:
        points: the judged points.
        others: the points that could not be judged.
        landmarks: gives, for each such value, whether an argument tuple holds it.
    """
    met: dict[str, bool] = {}
    drawn: dict[str, bool] = {}
    for found, several in ((met, points), (drawn, others)):
        for point in several:
            for name, holds in landmarks(point.args).items():
                found[name] = found.get(name, False) or holds
    return {name: drawn.get(name, False) for name in {**met, **drawn} if not met.get(name, False)}


def missed_answers(met: Answers, elsewhere: Answers) -> tuple[tuple[Comparison, bool], ...]:
    """Return the answers that comparisons gave only where no point could be judged."""
    return tuple(
        (one, answer)
        for one, answers in elsewhere.items()
        for answer in sorted(answers - met.get(one, frozenset()))
    )
