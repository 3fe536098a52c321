"""Both sides of a claim in the precision in which its users run them: float32, bfloat16 or float16.

Where a precision is judged, the hand-written code is compiled and runs on the user's device, at the user's
matmul precision; for advice it is interpreted. Autodiff is interpreted, in the same precision and in float64
at exactly the same inputs, for many points at once.
"""

from collections.abc import Callable, Sequence
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

    Attributes:
        claim, dtype: what is evaluated, and in which precision.
        compiles: whether the hand-written side is compiled.
        ran: whether both sides ran in this precision.
    """

    claim: Claim
    dtype: str
    compiles: bool
    ran: bool

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
        self._likes: dict[Any, Any] = {}
        self._errors: list[str] = []
        self.ran = False

    def point(self, drawn: Drawn, kind: str = "random") -> Point | None:
        """Return the point in this precision, or None where the code cannot be traced in it.

        Args:
            drawn: the arguments.
            kind: the kind of cotangent.
        """
        args = narrow(drawn.build(), self.dtype)
        key = shapes_of(args)
        if key not in self._likes:
            self._likes[key] = self._direction_like(args)
        like = self._likes[key]
        return None if like is None else Point(args, narrow(direction(like, drawn.seed, kind), None, like))

    def narrowed(self, point: Point) -> Point:
        """Return a point of float64, converted to this precision."""
        args = narrow(point.args, self.dtype)
        return Point(args, narrow(point.direction, None, self.claim.direction_like(args)))

    def _direction_like(self, args: tuple[Any, ...]) -> Any:
        """Return shapes and dtypes of the direction at `args`; None where the code cannot be traced there."""
        like = self._attempted(lambda: self.claim.direction_like(args))
        halved = self.dtype != "float32"  # no complex dtype has parts narrower than float32
        is_none = halved and any(is_complex(leaf) for leaf in jax.tree.leaves((args, like)))
        return None if is_none else like

    def _attempted(self, run: Callable[[], Any]) -> Any:
        """Return what a call of the user's code returns; None where it raises, which is remembered.

        Code that does not run in a precision makes no claim in it; the contract is judged elsewhere.
        """
        try:
            found = run()
        except Exception as error:
            # Any code of the user may raise, and what it says is told.
            self._errors.append(f"{type(error).__name__}: {error}".splitlines()[0])
            return None
        return found

    @property
    def refused(self) -> str | None:
        """Why the code runs at no point in this precision; None where it runs, or was not tried."""
        return None if self.ran or not self._errors else self._errors[0]

    def by_hand(self, point: Point, *, compiled: bool) -> Any:
        """Return the value by hand at a point, compiled or interpreted; None where it does not run."""
        run = self._compiled_at if compiled else self._interpreted
        return self._attempted(lambda: run([point])[0])

    def _compiled_at(self, points: Sequence[Point]) -> list[Any]:
        return [jax.device_get(self._compiled(*point)) for point in points]

    def _interpreted(self, points: Sequence[Point]) -> list[Any]:
        return [one[0] for one in self._hand.runs(points)]

    def judged(self, points: Sequence[Point], replicas: int) -> list[tuple[Point, Any, Varied]]:
        """Return the points at which the primal is finite and both sides run, with the two results.

        Args:
            points: points of one shape.
            replicas: how many perturbed replicas of autodiff there are.
        """
        found = self._attempted(lambda: self._judged(points, replicas))
        if found is not None or len(points) == 1:
            return found or []
        # rounding alone may make a matrix singular, so that the code refuses one point and not another
        alone = (self._attempted(lambda point=point: self._judged([point], replicas)) for point in points)
        return [one for several in alone if several is not None for one in several]

    def _judged(self, points: Sequence[Point], replicas: int) -> list[tuple[Point, Any, Varied]]:
        values = self._primal.runs(points)
        points = [point for point, value in zip(points, values, strict=True) if all_finite(value[0])]
        run = self._compiled_at if self.compiles else self._interpreted
        sides = (run(points), self.truths(points, replicas)) if points else ([], [])
        self.ran = True
        return list(zip(points, *sides, strict=True))

    def compiled_truth(self, point: Point) -> Any:
        """Return autodiff compiled in this precision: fused operations may overflow where others do not."""
        return jax.device_get(self._compiled_truth(*point))

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
