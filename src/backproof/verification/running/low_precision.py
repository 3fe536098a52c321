"""Both sides of a claim in the precision in which its users run them: float32, bfloat16 or float16.

The hand-written code is compiled and runs on the user's device, at the user's matmul precision. Autodiff
is interpreted, in the same precision and in float64 at exactly the same inputs, for many points at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.interpreter import run
from backproof.numerics.leaves import all_finite, is_complex, is_inexact, is_key, shapes_of, widen
from backproof.numerics.tracing import Program, float64, traced
from backproof.verification.claims.claim import Claim
from backproof.verification.points.directions import direction
from backproof.verification.points.draws import Drawn
from backproof.verification.running.point import Point, stack, unstack

DTYPES = ("float32", "bfloat16", "float16")
# The value first, then the perturbed replicas of it.
Varied = list[Any]


class LowPrecision:
    """Evaluates both sides of a claim in one low precision.

    It is a class because it remembers the programs that it traced and compiled.
    """

    def __init__(self, claim: Claim, dtype: str) -> None:
        """Prepare to evaluate `claim` in `dtype`; nothing is traced yet."""
        self.claim, self.dtype = claim, dtype
        self._hand, self._truth = claim.host or jax.jit(claim.hand), jax.jit(claim.truth)
        self._programs: dict[Any, Program] = {}
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
            self.hand(point)  # a factorisation can be traced in every precision, but runs in two only
            self.truths([point], 0)
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

    def hand(self, point: Point) -> Any:
        """Return the compiled hand-written derivative at a point."""
        return jax.device_get(self._hand(*point))

    def runs_at(self, point: Point) -> bool:
        """Return whether the hand-written side runs at a point; what it refuses by its values is remembered.

        Rounding alone may make a matrix singular.
        """
        try:
            self.hand(point)
        except Exception as error:
            # Where the function is finite, but only just, a refusal is no finding about the digits.
            self._errors.append(f"{type(error).__name__}: {error}".splitlines()[0])
            return False
        return True

    def compiled_truth(self, point: Point) -> Any:
        """Return autodiff compiled in this precision: fused operations may overflow where others do not."""
        return jax.device_get(self._truth(*point))

    def finite(self, points: Sequence[Point]) -> list[bool]:
        """Return whether the primal itself is finite in this precision, point by point."""
        values = self._each("primal", lambda args, _: self.claim.primal(*args), points)
        return [all_finite(value[0]) for value in values]

    def truths(self, points: Sequence[Point], replicas: int, *, crossing: bool = False) -> list[Varied]:
        """Return autodiff in this precision at points of one shape, with perturbed replicas of it.

        Args:
            points: the points.
            replicas: how many.
            crossing: whether each replica takes its own decisions, and so may fall on another side of a kink.
        """
        return self._each("truth", self.claim.truth, points, replicas, crossing=crossing)

    def exact(self, points: Sequence[Point], *, by_hand: bool = False) -> list[Any]:
        """Return autodiff in float64 (or the hand-written formula) at exactly these points."""
        kind, f = ("exact hand", self.claim.hand) if by_hand else ("exact truth", self.claim.truth)
        with float64():
            values = self._each(kind, f, [Point(*widen(tuple(point))) for point in points])
        return [value[0] for value in values]

    def rounds_by_hand(self, point: Point) -> bool:
        """Return whether the hand-written code rounds to fewer digits in float64 too: it is not exact."""
        with float64():
            program = self._traced("exact hand", self.claim.hand, Point(*widen(tuple(point))))
        return max(program.units, default=0.0) > np.finfo(np.float64).eps

    def _each(
        self,
        kind: str,
        f: Callable[..., Any],
        points: Sequence[Point],
        replicas: int = 0,
        *,
        crossing: bool = False,
    ) -> list[Varied]:
        """Return `f` at each point: as one under `vmap`, or one by one where that cannot be traced."""
        stacked = stack(points)
        together = self._together(kind, f, stacked)
        if together is not None:
            many = run(together, stacked, replicas=replicas, crossing=crossing)
            return unstack(many, len(points))
        alone = self._traced(kind, f, points[0])
        return [run(alone, point, replicas=replicas, crossing=crossing) for point in points]

    def _together(self, kind: str, f: Callable[..., Any], stacked: Point) -> Program | None:
        try:
            return self._traced(f"many {kind}", jax.vmap(f), stacked)
        except Exception:
            # Not every user's code can be vmapped; traced for one point it raises its own errors.
            return None

    def _traced(self, kind: str, f: Callable[..., Any], point: Point) -> Program:
        key = (kind, shapes_of(tuple(point)))
        if key not in self._programs:
            self._programs[key] = traced(f, *point)
        return self._programs[key]


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
