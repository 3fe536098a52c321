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
from backproof.verification.points import Drawn, Long

# How many times the error and the spread of autodiff a row may err. Two stable ways of writing one
# gradient differ by a few; sums that saturate, overflow or cancellation by hundreds.
ACCURATE_WITHIN = 64.0
REPLICAS = 3
# A long sum of numbers near 1 that errs by more than this part of itself has saturated, if a short one
# errs by less than a quarter of that part.
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


class Summed(NamedTuple):
    """Holds a leaf that is summed over a long axis: its path, the value by hand and the truth."""

    path: str
    mine: Any
    true: Any

    @property
    def off(self) -> Any:
        """Return the error as a part of the truth."""
        with np.errstate(all="ignore"):
            return np.abs(self.mine - self.true) / np.abs(self.true)


class NativeRunner:
    """Runs a claim in one low precision; a class because it remembers what it traced and compiled."""

    def __init__(self, claim: Claim, dtype: str) -> None:
        """Prepare to run `claim` in `dtype`."""
        self.claim, self.dtype = claim, dtype
        self._hand = jax.jit(claim.hand)
        self._programs: dict[Any, Program] = {}

    def point(self, drawn: Drawn, kind: str = "random") -> Point | None:
        """Return the point in this precision, or None where the code does not run in it.

        Args:
            drawn: the arguments.
            kind: the kind of cotangent.
        """
        args = narrow(drawn.build(), self.dtype)
        if self.dtype != "float32" and any(_is_complex(leaf) for leaf in jax.tree.leaves(args)):
            return None  # of complex numbers there is none with parts of less
        try:
            like = self.claim.direction_like(args)
            ct = narrow(direction(like, drawn.seed, kind), None, like)
            jax.eval_shape(self.claim.hand, args, ct)
            jax.eval_shape(self.claim.truth, args, ct)
        except Exception:
            # Code that does not run in a precision makes no claim in it; the contract is judged elsewhere.
            return None
        complex_ = self.dtype != "float32" and any(_is_complex(leaf) for leaf in jax.tree.leaves(ct))
        return None if complex_ else Point(args, ct)

    def worst_row(self, point: Point) -> Row | None:
        """Return the row that errs most at `point`; None where autodiff itself is not finite there."""
        if not _finite(self._interpreted(lambda args, _: self.claim.primal(*args), point)[0]):
            return None
        hand = jax.device_get(self._hand(*point))
        auto, *replicas = self._interpreted(self.claim.truth, point, REPLICAS)
        exact = noise.measure(self.claim.truth, *widen(tuple(point))).value
        found = self._worst(point, hand, exact, auto, replicas)
        if found and found.distance > ACCURATE_WITHIN:
            # At a kink the formula by hand may be another subgradient, already judged: hold it to that.
            exact = noise.measure(self.claim.hand, *widen(tuple(point))).value
            own = self._worst(point, hand, exact, auto, replicas)
            return own if own and own.distance <= ACCURATE_WITHIN else found
        return found

    def _worst(self, point: Point, hand: Any, exact: Any, auto: Any, replicas: list[Any]) -> Row | None:
        found: Row | None = None
        parts = [jax.tree.leaves(tree) for tree in (exact, auto)]
        spreads = [jax.tree.leaves(replica) for replica in replicas]
        for i, (path, mine) in enumerate(jax.tree_util.tree_leaves_with_path(hand)):
            true, own = np.asarray(parts[0][i]), _float(parts[1][i])
            varied = [_float(replica[i]) for replica in spreads]
            row = self._row(jax.tree_util.keystr(path), point, _float(mine), true, own, varied)
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

    def _row(self, leaf: str, point: Point, mine: Any, true: Any, own: Any, varied: list[Any]) -> Row | None:
        if not true.size or not (np.all(np.isfinite(true)) and np.all(np.isfinite(own))):
            return None
        with np.errstate(all="ignore"):
            terms = np.abs(true) + max_of(point.direction)
            error = np.abs(mine - true)
            allowed = self._allowed(true, own, varied, terms)
            limit, worst = by_row(allowed), by_row(error) / by_row(allowed)
        worst = np.where(np.isfinite(worst), worst, np.inf)
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

    def saturated(self, length: Long) -> list[Row]:
        """Return an entry of each leaf whose sum over the long axis is lost, over the short one kept."""
        long = self.point(length.long, "ones")
        suspects = (
            [leaf for leaf in self.summed(long, length.size) if np.any(leaf.off > SATURATED)] if long else []
        )
        if long is None or not suspects:
            return []
        short = self.point(length.short, "ones")
        brief = {leaf.path: leaf for leaf in self.summed(short, length.short_size)} if short else {}
        rows = []
        for leaf in [leaf for leaf in suspects if leaf.path in brief]:
            kept = brief[leaf.path]
            grows = np.abs(leaf.true) > 0.25 * length.size / length.short_size * np.abs(kept.true)
            lost = grows & (leaf.off > SATURATED) & (kept.off < SATURATED / 4)
            for at in np.argwhere(lost)[:1]:
                index = tuple(int(i) for i in at)
                values = leaf.mine[index], leaf.true[index], 0.0, float(leaf.off[index])
                rows.append(Row(self.dtype, long, leaf.path, index, *values))
        return rows

    def summed(self, point: Point, long: int) -> list[Summed]:
        """Return each leaf that is summed over the `long` axis and fits this precision."""
        hand = jax.device_get(self._hand(*point))
        exact = jax.tree.leaves(noise.measure(self.claim.truth, *widen(tuple(point))).value)
        pairs = zip(jax.tree_util.tree_leaves_with_path(hand), exact, strict=True)
        leaves = [
            Summed(jax.tree_util.keystr(path), _float(mine), np.asarray(true)) for (path, mine), true in pairs
        ]
        most = float(jnp.finfo(self.dtype).max)
        return [
            one
            for one in leaves
            if long not in one.true.shape and one.true.size and np.max(np.abs(one.true)) < most
        ]


def by_row(values: Any) -> Any:
    """Return the largest of each row, a row being all entries along the last axis."""
    return np.asarray(values.max(-1) if values.ndim else values)


def judge_native(claim: Claim, dtype: str, draws: Sequence[Drawn]) -> list[Row]:
    """Return the worst row at each of `draws` where the code runs in `dtype` and autodiff is finite."""
    runner = NativeRunner(claim, dtype)
    points = [runner.point(one) for one in draws]
    rows = [runner.worst_row(point) for point in points if point is not None]
    return [row for row in rows if row is not None]


def at_smallest(row: Row, claim: Claim, groups: Sequence[Sequence[Drawn]]) -> Row:
    """Return a row of the same leaf that fails in the same precision at the smallest shape, or `row`.

    Args:
        row: what was found.
        claim: what is checked.
        groups: draws of one shape each, the smallest first.
    """
    for draws in groups:
        rows = judge_native(claim, row.dtype, draws)
        failing = [one for one in rows if one.distance > ACCURATE_WITHIN and one.leaf == row.leaf]
        if failing:
            return failing[0]
    return row


def judge_sums(claim: Claim, dtype: str, lengths: Sequence[Long]) -> list[Row]:
    """Return the entries of sums that saturate: right to a few digits when short, lost when long.

    Only sums that grow with their length count, and there it is no excuse that autodiff saturates too.
    """
    runner = NativeRunner(claim, dtype)
    rows = []
    for length in lengths:
        rows += runner.saturated(length)
    return rows


def narrow(tree: Any, dtype: str | None, like: Any = None) -> Any:
    """Return `tree` with its floating leaves in `dtype`, or each in the dtype of its leaf in `like`."""

    def one(leaf: Any, shape: Any = None) -> Any:
        held = np.asarray(leaf) if not _is_key(leaf) else leaf
        if _is_key(held) or held.dtype == jax.dtypes.float0 or not jnp.issubdtype(held.dtype, jnp.inexact):
            return leaf
        narrower = np.dtype(np.complex64) if _is_complex(held) else jnp.dtype(dtype or held.dtype)
        with np.errstate(all="ignore"):
            return held.astype(narrower if dtype else shape.dtype)

    return jax.tree.map(one, tree) if like is None else jax.tree.map(one, tree, like)


def max_of(direction: Any) -> float:
    """Return the largest entry of a direction: a result carries the rounding of terms of its size."""
    leaves = [leaf for leaf in jax.tree.leaves(direction) if leaf.dtype != jax.dtypes.float0]
    return max((float(np.max(np.abs(_float(leaf)), initial=0.0)) for leaf in leaves), default=0.0)


def _finite(tree: Any) -> bool:
    return all(bool(np.all(np.isfinite(_float(leaf)))) for leaf in jax.tree.leaves(tree) if not _is_key(leaf))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(getattr(leaf, "dtype", np.int32), jax.dtypes.extended)


def _is_complex(leaf: Any) -> bool:
    return not _is_key(leaf) and bool(np.iscomplexobj(leaf))


def _float(leaf: Any) -> Any:
    return np.asarray(leaf).astype(np.complex128 if _is_complex(leaf) else np.float64)
