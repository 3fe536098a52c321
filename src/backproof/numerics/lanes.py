"""What the interpreter carries: one value, or one for each run, and how the runs take their decisions.

The first run is unperturbed. Replicas follow, in which every rounding is varied; they take the decisions of
the first. Two more may follow for one side of a kink: one next to the point, which decides for itself, and
one at the point, which breaks its ties as that one does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backproof.numerics import coverage
from backproof.numerics.decisions import CHOOSES_BY, COMPARISONS, beside, decides, sorted_beside, ties
from backproof.numerics.indexing import sort_order
from backproof.numerics.leaves import is_inexact
from backproof.numerics.primitives import NUMPY
from backproof.numerics.tracing import inner_programs

# Operations that run programs of their own, a number of times or one of several.
RUNS = frozenset({"cond", "while", "scan", "custom_linear_solve"})
Values = tuple[Any, ...]  # one value, or one for each run


class Substitution(NamedTuple):
    """Says which one operation of a program is computed in another way.

    Attributes:
        eqn: the operation, as it stands in the program.
        change: what is computed in its place, from the same operands; a list where it has several results.
    """

    eqn: Any
    change: Callable[..., Any]


@dataclass(frozen=True)
class Arithmetic:
    """Says how the interpreter computes.

    Attributes:
        replicas: the number of perturbed runs in addition to the unperturbed one.
        wide: whether values of float64 are held in longdouble.
        rng: the source of the perturbations.
        substitution: the operation that is computed in another way, if one is.
        crossing: whether each replica takes its own decisions.
        sided: whether two more runs follow the replicas: one next to the point, and one at the point that
            breaks its ties as that one does.
        witness: where to write what is met, if somewhere.
    """

    replicas: int
    wide: bool
    rng: np.random.Generator
    substitution: Substitution | None = None
    crossing: bool = False
    sided: bool = False
    witness: "Witness | None" = None

    @property
    def lanes(self) -> int:
        """How many values are carried: the unperturbed run, the replicas, and the two of a side."""
        return 1 + self.replicas + 2 * self.sided

    def is_replica(self, run: int) -> bool:
        """Return whether the roundings of a run are varied."""
        return 0 < run <= self.replicas

    def is_limit(self, run: int) -> bool:
        """Return whether a run is the last of a side: at the point, with its ties broken as beside it."""
        return self.sided and run == self.lanes - 1


@dataclass(frozen=True)
class Lanes(Arithmetic):
    """Says that several values are carried as they are, each with its own decisions and no rounding varied.

    Attributes:
        count: how many.
    """

    count: int = 1

    @property
    def lanes(self) -> int:
        """How many values are carried."""
        return self.count

    def is_replica(self, run: int) -> bool:
        """Return False: no rounding is varied."""
        del run
        return False


@dataclass
class Witness:
    """Holds what a run has met; the run fills it in.

    Attributes:
        met: for each decision, the answers that were met where its operands are finite.
        tied: whether a decision was a tie.
    """

    met: dict[int, tuple[Any, set[bool]]] = field(default_factory=dict)
    tied: bool = False


def pick(values: Values, replica: int) -> Any:
    """Return the value of one run."""
    return values[replica if len(values) > 1 else 0]


def is_first(operands: list[Values], replica: int) -> bool:
    """Return whether a run holds the operands of the unperturbed one: no tie has parted them yet."""
    return all(pick(v, replica) is pick(v, 0) for v in operands)


def decided_beside(
    eqn: Any,
    operands: list[Values],
    operation: Callable[..., Any],
    params: dict[str, Any],
    how: Arithmetic,
    *,
    deciding: bool,
) -> list[Values]:
    """Return the decisions of each run: the replicas follow the first, and the last breaks its ties."""
    lanes = [[pick(v, lane) for v in operands] for lane in range(how.lanes)]
    *alike, moved, here = lanes
    first, next_to = (as_list(operation(*values, **params)) for values in (lanes[0], moved))
    if deciding:
        name = eqn.primitive.name
        limit = as_list(beside(name, operation, alike, moved, here, params))
    else:
        limit = first if is_first(operands, how.lanes - 1) else as_list(operation(*here, **params))
    return [(*[one] * len(alike), two, three) for one, two, three in zip(first, next_to, limit, strict=True)]


def witnessed(
    eqn: Any,
    operands: list[Values],
    params: dict[str, Any],
    how: Arithmetic,
    found: Witness,
    *,
    deciding: bool,
) -> None:
    """Write down which answers a comparison gave, and whether a decision was a tie."""
    name = eqn.primitive.name
    lanes = [[pick(v, lane) for v in operands] for lane in range(1 + how.replicas)]
    found.tied = found.tied or (deciding and bool(np.any(ties(name, lanes, params))))
    if name in COMPARISONS:
        finite = np.isfinite(lanes[0][0]) & np.isfinite(lanes[0][1])
        answers = np.asarray(NUMPY[name](*lanes[0]))[finite]
        found.met.setdefault(id(eqn), (eqn, set()))[1].update(map(bool, np.unique(answers)))


def operands_of(
    name: str, operands: list[Values], params: dict[str, Any], how: Arithmetic, run: int
) -> list[Any]:
    """Return the operands of one run; what chooses among them, chooses as the run that decides for it."""
    values = [pick(v, run) for v in operands]
    if how.crossing or not run:
        return values
    if name in CHOOSES_BY:
        which, decides = CHOOSES_BY[name], 0 if how.is_replica(run) else how.lanes - 2
        values[which] = pick(operands[which], decides)
    if name == "sort" and params["num_keys"] == 1 and how.is_replica(run):
        values[0] = _sorted_as(pick(operands[0], 0), values[0], params["dimension"])
    return values


def _sorted_as(first: Any, key: Any, axis: int) -> Any:
    """Return the numbers of a key in such an order that they sort as those of `first` do."""
    ranks = np.argsort(sort_order([first], axis), axis=-1)
    ordered = np.sort(np.moveaxis(key, axis, -1), axis=-1)
    return np.moveaxis(np.take_along_axis(ordered, ranks, -1), -1, axis)


def limit_of(
    name: str,
    operands: list[Values],
    params: dict[str, Any],
    how: Arithmetic,
    runs: list[Any],
    *,
    whole: bool,
) -> list[Any] | None:
    """Return the result of the last run of a side where it needs no computing of its own, else None.

    An operation that JAX runs as a whole hides its ties: there the result next to the point stands for it.
    """
    if whole:
        return runs[-1]
    if orders(name, params):
        return ordered_beside(name, operands, params, how)
    return runs[0] if is_first(operands, how.lanes - 1) and name not in CHOOSES_BY else None


def orders(name: str, params: dict[str, Any]) -> bool:
    """Return whether an operation orders its operands by one key, so that two equal keys are a tie."""
    return name == "top_k" or (name == "sort" and params["num_keys"] == 1)


def has_sides(program: Any) -> bool:
    """Return whether the result of a program may differ from side to side: something in it decides.

    What the table of primitives does not cover may hide decisions.
    """
    return any(map(_has_sides, getattr(program, "jaxpr", program).eqns))


def _has_sides(eqn: Any) -> bool:
    name = eqn.primitive.name
    if coverage.called(eqn) is not None or name in RUNS:
        return any(map(has_sides, inner_programs(eqn.params)))
    if name == "convert_element_type" and any(is_inexact(var.aval) for var in eqn.outvars):
        return False  # it rounds, but not to whole numbers
    decides_by = decides(name, [var.aval for var in eqn.invars]) or orders(name, eqn.params)
    return decides_by or name in CHOOSES_BY or not coverage.covers(name, eqn.params)


def ordered_beside(name: str, operands: list[Values], params: dict[str, Any], how: Arithmetic) -> list[Any]:
    """Return the result of an operation that orders its operands, its ties as they fall next to the point."""
    axis, sign = (params["axis"], -1) if name == "top_k" else (params["dimension"], 1)
    lanes = [sign * np.moveaxis(pick(operands[0], lane), axis, -1) for lane in range(how.lanes - 1)]
    order = sorted_beside(lanes[:-1], lanes[-1])[..., : params.get("k")]
    here = [np.moveaxis(pick(v, how.lanes - 1), axis, -1) for v in operands]
    found = [np.take_along_axis(v, order, -1) for v in here]
    return [np.moveaxis(v, -1, axis) for v in (found if name == "sort" else [*found, order.astype(np.int32)])]


def as_list(out: Any) -> list[Any]:
    """Return the results of an operation as a list."""
    return list(out) if isinstance(out, list | tuple) else [out]


def decided(values: Values, how: Arithmetic) -> Values:
    """Return whole numbers as every run takes them: the replicas follow the first."""
    if how.crossing or len(values) == 1:
        return values
    return (*values[:1] * (1 + how.replicas), *values[-2:]) if how.sided else values[:1]
