"""The evaluators of one claim: both its sides, its primal, and the hand-written side in low precision."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.cost import cost_of
from backproof.numerics.coverage import hides_roundings
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import dtype_of, is_inexact, shapes_of
from backproof.numerics.meshes import devices_of
from backproof.numerics.rounding import epsilon
from backproof.numerics.tracing import same_program
from backproof.verification.claims.claim import Claim
from backproof.verification.running.compiled import Compiled, Function, OnHost
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.point import Point, unstack


class Evaluators:
    """Holds the evaluators of one claim; it is a class because those in low precision are made on demand.

    Attributes:
        claim: the claim.
        hand, truth: the hand-written derivative, and autodiff of the primal.
        primal, forward: the value of the primal, and of the rule's own forward, if it has one.
        compiled: the hand-written derivative as its users run it.
        compiled_truth: autodiff, compiled.
        left_alone: the shapes at which the hand-written side was seen to change none of its inputs.
    """

    claim: Claim
    hand: Evaluator
    truth: Evaluator
    primal: Evaluator
    forward: Evaluator
    compiled: OnHost | Compiled
    compiled_truth: Compiled

    def __init__(self, claim: Claim) -> None:
        """Prepare to evaluate `claim`; nothing is traced yet."""
        own = claim.value or claim.primal
        self.claim = claim
        self.hand, self.truth = Evaluator(claim.hand), Evaluator(claim.truth)
        self.primal = Evaluator(lambda args, _: claim.primal(*args))
        self.forward = Evaluator(lambda args, _: own(*args))
        self.compiled = OnHost(claim.host) if claim.host else Compiled(claim.hand)
        self.compiled_truth = Compiled(claim.truth)
        self.left_alone: set[Any] = set()
        self._low: dict[tuple[str, bool], LowPrecision] = {}
        self._others: dict[Any, Evaluator] = {}
        self._is_autodiff: dict[Any, bool] = {}
        self._costs: dict[Any, int] = {}

    def low_precision(self, dtype: str, *, compiles: bool = True) -> LowPrecision:
        """Return the evaluator of both sides in float32, bfloat16 or float16.

        Args:
            dtype: the precision.
            compiles: whether the hand-written side is compiled.
        """
        key = dtype, compiles
        if key not in self._low:
            self._low[key] = LowPrecision(self.claim, dtype, self.truth, self.hand, compiles=compiles)
        return self._low[key]

    def also(self, name: Any, function: Callable[[], Function]) -> Evaluator:
        """Return the evaluator of another function of the claim, by its name; it keeps its programs as well.

        Args:
            name: the name.
            function: gives the function, a function of arguments and direction.
        """
        if name not in self._others:
            self._others[name] = Evaluator(function())
        return self._others[name]

    def affordable(self, point: Point) -> int:
        """Return at how many points of this shape both sides may be evaluated again to explain a failure."""
        key = shapes_of(point.args)
        if key not in self._costs:
            programs = (side.program(point).jaxpr for side in (self.hand, self.truth))
            self._costs[key] = sum(cost_of(program).interpreted for program in programs)
        return max(2, EFFORT.explained // max(self._costs[key], 1))

    def release(self) -> None:
        """Free the results that are kept; the programs stay."""
        for one in (self.hand, self.truth, self.primal, self.forward, *self._others.values()):
            one.release()

    def by_hand(self, points: Sequence[Point], witness: Witness | None = None) -> list[Any]:
        """Return the value by hand that is judged, at each point of one shape: interpreted, or of NumPy code.

        Args:
            points: the points.
            witness: where to write which decisions are met, if somewhere.
        """
        if self.claim.host:
            return [self.compiled(point) for point in points]
        return unstack(self.hand.values(points, witness=witness), len(points))

    def finite(self, points: Sequence[Point]) -> list[bool]:
        """Return whether the primal is finite at each point of one shape; elsewhere nothing can be judged."""
        real = [leaf for leaf in jax.tree.leaves(self.primal.values(points)) if is_inexact(leaf)]
        return [all(bool(np.all(np.isfinite(leaf[i]))) for leaf in real) for i in range(len(points))]

    def is_finite_at(self, point: Point) -> bool:
        """Return whether the primal is finite at one point."""
        return self.finite([point])[0]

    def is_coarse_kernel(self, point: Point) -> bool:
        """Return whether the hand-written side runs a kernel in fewer digits than float64 has."""
        return max(self.units(point), default=1.0) > 1 and hides_roundings(self.hand.program(point).jaxpr)

    def runs_on_several(self, point: Point) -> bool:
        """Return whether the hand-written side can be traced, and runs on several devices.

        Then what it raises on an empty array is XLA's: not every collective has a form for parts without
        entries.
        """
        try:
            return bool(devices_of(self.hand.program(point)))
        except Exception:
            # It raises where it is traced, which is its own doing.
            return False

    def is_autodiff(self, point: Point) -> bool:
        """Return whether the hand-written side is autodiff of the function, operation by operation."""
        key = shapes_of(point.args)
        if key not in self._is_autodiff:
            self._is_autodiff[key] = same_program(*(one.program(point) for one in (self.hand, self.truth)))
        return self._is_autodiff[key]

    def noise_of_both(self, point: Point) -> Any:
        """Return the noise of each entry of the difference of the two sides at one point."""
        return self.truth(point).with_noise_of(self.hand(point)).noise

    def noise_again(self, point: Point) -> Any:
        """Return the same noise, measured with more perturbed runs and another seed."""
        again = (one.noise_again(point) for one in (self.hand, self.truth))
        return jax.tree.map(np.add, *again)

    def units(self, point: Point) -> list[float]:
        """Return how much coarser than float64 the hand-written side may compute each leaf of the result.

        That is as coarse as it does compute it, but no coarser than the arguments are declared.
        """
        return [min(unit / epsilon(np.float64), self._declared) for unit in self.hand.program(point).units]

    @functools.cached_property
    def _declared(self) -> float:
        """Return how much coarser than float64 the finest floating argument is declared."""
        built = [one.build() for one in self.claim.points.plain()[:1]]
        dtypes = [dtype_of(leaf) for leaf in jax.tree.leaves(built) if is_inexact(leaf)]
        return min(map(epsilon, dtypes), default=epsilon(np.float32)) / epsilon(np.float64)
