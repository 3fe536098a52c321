"""Both sides of a claim in the precision in which its users run them: float32, bfloat16 or float16.

Where a precision is judged, the hand-written code is compiled and runs on the user's device, at the user's
matmul precision; for advice it is interpreted. Autodiff is interpreted, in the same precision and in float64
at exactly the same inputs, for many points at once.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.leaves import all_finite, is_complex, is_inexact, is_key, shapes_of, widen
from backproof.numerics.tracing import traced
from backproof.verification.claims.claim import Claim
from backproof.verification.points.directions import direction
from backproof.verification.points.draws import Drawn
from backproof.verification.running.evaluator import Evaluator, Varied
from backproof.verification.running.point import Point

DTYPES = ("float32", "bfloat16", "float16")


class LowPrecision:
    """Evaluates both sides of a claim in one low precision.

    It is a class because it remembers the programs that it traced and compiled.
    """

    def __init__(
        self, claim: Claim, dtype: str, truth: Evaluator, hand: Evaluator, *, compiles: bool = True
    ) -> None:
        """Prepare to evaluate `claim` in `dtype`; nothing is traced yet.

        Args:
            claim: the claim.
            dtype: the precision.
            truth: autodiff in float64.
            hand: the hand-written formula in float64.
            compiles: whether the hand-written side is compiled, as in a precision that is judged; for advice
                it is interpreted.
        """
        self.claim, self.dtype, self.compiles = claim, dtype, compiles or bool(claim.host)
        self._compiled, self._compiled_truth = claim.host or jax.jit(claim.hand), jax.jit(claim.truth)
        self._exact_truth, self._exact_hand = truth, hand
        self._hand, self._truth = (Evaluator(one, traced) for one in (claim.hand, claim.truth))
        self._primal = Evaluator(lambda args, _: claim.primal(*args), traced)
        self._runs_at: dict[Any, Any] = {}
        self._errors: list[str] = []

    def point(self, drawn: Drawn, kind: str = "random") -> Point | None:
        """Return the point in this precision, or None where the code does not run in it.

        Args:
            drawn: the arguments.
            kind: the kind of cotangent.
        """
        args = narrow(drawn.build(), self.dtype)
        key = shapes_of(args)
        if key not in self._runs_at:
            self._runs_at[key] = self._direction_like(args, drawn.seed, kind)
        like = self._runs_at[key]
        return None if like is None else self._point(args, like, drawn.seed, kind)

    def narrowed(self, point: Point) -> Point:
        """Return a point of float64, converted to this precision."""
        args = narrow(point.args, self.dtype)
        return Point(args, narrow(point.direction, None, self.claim.direction_like(args)))

    def _point(self, args: tuple[Any, ...], like: Any, seed: int, kind: str) -> Point:
        return Point(args, narrow(direction(like, seed, kind), None, like))

    def _direction_like(self, args: tuple[Any, ...], seed: int, kind: str) -> Any:
        """Return shapes and dtypes of the direction at `args`; None where the code does not run there."""
        halved = self.dtype != "float32"  # no complex dtype has parts narrower than float32
        if halved and any(is_complex(leaf) for leaf in jax.tree.leaves(args)):
            return None
        try:
            like = self.claim.direction_like(args)
            if halved and any(is_complex(leaf) for leaf in jax.tree.leaves(like)):
                return None
            point = self._point(args, like, seed, kind)
            self.by_hand([point])  # a factorisation can be traced in every precision, but runs in two only
        except Exception as error:
            # Code that does not run in a precision makes no claim in it; the contract is judged elsewhere.
            self._errors.append(f"{type(error).__name__}: {error}".splitlines()[0])
            return None
        return like

    @property
    def refused(self) -> str | None:
        """Why the code runs at no point in this precision; None where it runs, or was not tried."""
        return None if self.ran or not self._errors else self._errors[0]

    @property
    def ran(self) -> bool:
        """Return whether the code ran at any shape in this precision."""
        return any(like is not None for like in self._runs_at.values())

    def by_hand(self, points: Sequence[Point]) -> list[Any]:
        """Return the value by hand at points of one shape, compiled or interpreted."""
        return self.compiled(points) if self.compiles else [one[0] for one in self._hand.runs(points)]

    def compiled(self, points: Sequence[Point]) -> list[Any]:
        """Return the value by hand at points of one shape, compiled as its users run it."""
        return [jax.device_get(self._compiled(*point)) for point in points]

    def where_it_runs(self, points: Sequence[Point], replicas: int) -> list[tuple[Point, Any, Varied]]:
        """Return the points of one shape at which both sides run, each with the value by hand and autodiff.

        What is refused by its values is remembered: rounding alone may make a matrix singular.

        Args:
            points: the points.
            replicas: how many perturbed replicas of autodiff there are.
        """
        try:
            return list(zip(points, self.by_hand(points), self.truths(points, replicas), strict=True))
        except Exception as error:
            # Where the function is finite, but only just, a refusal is no finding about the digits.
            if len(points) == 1:
                self._errors.append(f"{type(error).__name__}: {error}".splitlines()[0])
                return []
        return [one for point in points for one in self.where_it_runs([point], replicas)]

    def compiled_truth(self, point: Point) -> Any:
        """Return autodiff compiled in this precision: fused operations may overflow where others do not."""
        return jax.device_get(self._compiled_truth(*point))

    def finite(self, points: Sequence[Point]) -> list[bool]:
        """Return whether the primal itself is finite in this precision, point by point."""
        return [all_finite(value[0]) for value in self._primal.runs(points)]

    def truths(self, points: Sequence[Point], replicas: int, *, crossing: bool = False) -> list[Varied]:
        """Return autodiff in this precision at points of one shape, with perturbed replicas of it.

        Args:
            points: the points.
            replicas: how many.
            crossing: whether each replica takes its own decisions, and so may fall on another side of a kink.
        """
        return self._truth.runs(points, replicas=replicas, crossing=crossing)

    def exact(self, points: Sequence[Point], *, by_hand: bool = False) -> list[Any]:
        """Return autodiff in float64 (or the hand-written formula) at exactly these points."""
        formula = self._exact_hand if by_hand else self._exact_truth
        return [one[0] for one in formula.runs([Point(*widen(tuple(point))) for point in points])]

    def rounds_by_hand(self, point: Point) -> bool:
        """Return whether the hand-written code rounds to fewer digits in float64 too: it is not exact."""
        program = self._exact_hand.program(Point(*widen(tuple(point))))
        return max(program.units, default=0.0) > np.finfo(np.float64).eps


def narrow(tree: Any, dtype: str | None, like: Any = None) -> Any:
    """Return `tree` with its floating leaves in `dtype`, or each in the dtype of its leaf in `like`.

    A number too small for the dtype becomes its smallest normal number. Below that number digits are lost one
    by one, 1 / x overflows and devices flush to 0, so implementations are not judged there.
    """

    def one(leaf: Any, shape: Any = None) -> Any:
        held = np.asarray(leaf) if not is_key(leaf) else leaf
        if not is_inexact(held):
            return leaf
        narrower = np.dtype(np.complex64) if is_complex(held) else jnp.dtype(dtype or held.dtype)
        with np.errstate(all="ignore"):
            return _normal(held, held.astype(narrower if dtype else shape.dtype))

    return jax.tree.map(one, tree) if like is None else jax.tree.map(one, tree, like)


def _normal(wide: Any, narrowed: Any) -> Any:
    """Return `narrowed` with the smallest normal number, of the same sign, for smaller ones except 0."""
    if is_complex(narrowed):
        return narrowed  # in single precision, whose smallest normal number is below all that are drawn
    least = float(jnp.finfo(narrowed.dtype).tiny)
    lost = (np.abs(wide) < least) & (wide != 0)
    normal = np.copysign(least, wide).astype(narrowed.dtype)
    return np.where(lost, normal, narrowed)
