"""The second verdict: is the implementation accurate in the precision in which it runs?

The hand-written code runs in float32, bfloat16 and float16, on the user's device, at the user's matmul
precision; the truth is autodiff in float64 at exactly those inputs. What may be asked of it is what
autodiff achieves in the same precision: its own error, and how far it spreads when each of its roundings
is varied. Rows (all but the last axis) are judged one by one, so that a large row hides no small one.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification import noise
from backproof.verification.claim import Claim
from backproof.verification.directions import direction
from backproof.verification.interpreter import Program, run
from backproof.verification.oracles import Point, shapes_of, widen
from backproof.verification.perturbation import epsilon
from backproof.verification.points import Drawn

# How many times the error and the spread of autodiff a row may err. Two stable ways of writing one
# gradient differ by a few; sums that saturate, overflow or cancellation by hundreds.
ACCURATE_WITHIN = 64.0
REPLICAS = 3
# A row of a long sum of numbers near 1 that errs by more than this part of itself has saturated.
SATURATED = 0.25
DTYPES = ("float32", "bfloat16", "float16")


class Row(NamedTuple):
    """Holds the row of one result that errs most, in units of what autodiff errs there."""

    dtype: str
    point: Point
    leaf: str
    at: tuple[int, ...]
    hand: Any
    truth: Any
    allowed: float
    distance: float


class NativeRunner:
    """Runs a claim in one low precision; a class because it remembers what it traced and compiled."""

    def __init__(self, claim: Claim, dtype: str) -> None:
        """Prepare to run `claim` in `dtype`."""
        self.claim, self.dtype = claim, dtype
        self._hand = jax.jit(claim.hand)
        self._programs: dict[Any, Program] = {}

    def point(self, drawn: Drawn) -> Point | None:
        """Return the point in this precision, or None where the code does not run in it."""
        args = narrow(drawn.build(), self.dtype)
        if any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(args) if not _is_key(leaf)):
            return None
        try:
            like = self.claim.direction_like(args)
            ct = narrow(direction(like, drawn.seed, ("random", "ones")[drawn.seed % 2]), None, like)
            jax.eval_shape(self.claim.hand, args, ct)
            jax.eval_shape(self.claim.truth, args, ct)
        except Exception:
            # Code that does not run in a precision makes no claim in it; the contract is judged elsewhere.
            return None
        return None if any(np.iscomplexobj(leaf) for leaf in jax.tree.leaves(ct)) else Point(args, ct)

    def worst_row(self, point: Point, *, benign: bool) -> Row | None:
        """Return the row that errs most at `point`; None where autodiff itself is not finite there.

        At a `benign` point, long sums of numbers near 1, a row must also keep its leading digits: there
        it is no excuse that autodiff saturates too.
        """
        if not _finite(self._interpreted(lambda args, _: self.claim.primal(*args), point)[0]):
            return None
        hand = jax.device_get(self._hand(*point))
        auto, *replicas = self._interpreted(self.claim.truth, point, REPLICAS)
        exact = noise.measure(self.claim.truth, *widen(tuple(point))).value
        found = self._worst(point, hand, exact, auto, replicas, benign)
        if found and found.distance > ACCURATE_WITHIN:
            # At a kink the formula by hand may be another subgradient, already judged: hold it to that.
            exact = noise.measure(self.claim.hand, *widen(tuple(point))).value
            own = self._worst(point, hand, exact, auto, replicas, benign)
            return own if own and own.distance <= ACCURATE_WITHIN else found
        return found

    def _worst(
        self, point: Point, hand: Any, exact: Any, auto: Any, replicas: list[Any], benign: bool
    ) -> Row | None:
        found: Row | None = None
        parts = [jax.tree.leaves(tree) for tree in (exact, auto)]
        spreads = [jax.tree.leaves(replica) for replica in replicas]
        for i, (path, mine) in enumerate(jax.tree_util.tree_leaves_with_path(hand)):
            true, own = np.asarray(parts[0][i]), _float(parts[1][i])
            varied = [_float(replica[i]) for replica in spreads]
            row = self._row(jax.tree_util.keystr(path), point, _float(mine), true, own, varied, benign)
            if row and (found is None or row.distance > found.distance):
                found = row
        return found

    def _interpreted(self, f: Callable[..., Any], point: Point, replicas: int = 0) -> list[Any]:
        """Return `f` at `point`, traced and run in this precision, with perturbed replicas of it."""
        key = (replicas, shapes_of(tuple(point)))
        if key not in self._programs:
            jaxpr, shape = jax.make_jaxpr(f, return_shape=True)(*point)
            self._programs[key] = Program(jaxpr, jax.tree.structure(shape))
        return run(self._programs[key], point, replicas=replicas)

    def _row(
        self, leaf: str, point: Point, mine: Any, true: Any, own: Any, varied: list[Any], benign: bool
    ) -> Row | None:
        if not true.size or not (np.all(np.isfinite(true)) and np.all(np.isfinite(own))):
            return None
        with np.errstate(all="ignore"):
            terms = np.abs(true) + max_of(point.direction)
            error = np.abs(mine - true)
            allowed = self._allowed(true, own, varied, terms)
            limit, worst = by_row(allowed), by_row(error) / by_row(allowed)
            saturated = benign & (by_row(error) > SATURATED * by_row(terms))
        worst = np.where(np.isfinite(worst) & ~saturated, worst, np.inf)
        at = np.unravel_index(int(np.argmax(worst)), worst.shape)
        inside = (int(np.argmax(np.nan_to_num(error[at], nan=np.inf))),) if true.ndim else ()
        index = tuple(int(i) for i in (*(at if true.ndim else ()), *inside))
        return Row(
            self.dtype, point, leaf, index, mine[index], true[index], float(limit[at]), float(worst[at])
        )

    def _allowed(self, true: Any, own: Any, varied: list[Any], terms: Any) -> Any:
        """Return what autodiff errs in this precision, how far it spreads, and the rounding of the terms."""
        spread = np.max([np.abs(v - own) for v in varied], axis=0)
        least = epsilon(jnp.dtype(self.dtype)) * terms + float(jnp.finfo(self.dtype).tiny)
        return np.abs(own - true) + np.where(np.isfinite(spread), spread, 0) + least


def by_row(values: Any) -> Any:
    """Return the largest of each row, a row being all entries along the last axis."""
    return np.asarray(values.max(-1) if values.ndim else values)


def judge_native(claim: Claim, dtype: str, draws: Sequence[Drawn], large: Sequence[Drawn]) -> list[Row]:
    """Return the worst row at each draw where the code runs in `dtype` and autodiff is finite.

    Args:
        claim: what is judged.
        dtype: the precision.
        draws: points of any kind.
        large: benign points with one long axis.
    """
    runner = NativeRunner(claim, dtype)
    rows = []
    for one, benign in [*((one, False) for one in draws), *((one, True) for one in large)]:
        point = runner.point(one)
        row = runner.worst_row(point, benign=benign) if point is not None else None
        if row is not None:
            rows.append(row)
    return rows


def narrow(tree: Any, dtype: str | None, like: Any = None) -> Any:
    """Return `tree` with its floating leaves in `dtype`, or each in the dtype of its leaf in `like`."""

    def one(leaf: Any, shape: Any = None) -> Any:
        held = np.asarray(leaf) if not _is_key(leaf) else leaf
        if _is_key(held) or held.dtype == jax.dtypes.float0 or not jnp.issubdtype(held.dtype, jnp.floating):
            return leaf
        with np.errstate(all="ignore"):
            return held.astype(jnp.dtype(dtype) if dtype else shape.dtype)

    return jax.tree.map(one, tree) if like is None else jax.tree.map(one, tree, like)


def max_of(direction: Any) -> float:
    """Return the largest entry of a direction: a result carries the rounding of terms of its size."""
    leaves = [leaf for leaf in jax.tree.leaves(direction) if leaf.dtype != jax.dtypes.float0]
    return max((float(np.max(np.abs(_float(leaf)), initial=0.0)) for leaf in leaves), default=0.0)


def _finite(tree: Any) -> bool:
    return all(bool(np.all(np.isfinite(_float(leaf)))) for leaf in jax.tree.leaves(tree) if not _is_key(leaf))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", np.int32), jax.dtypes.extended)


def _float(leaf: Any) -> Any:
    return np.asarray(leaf).astype(np.float64)
