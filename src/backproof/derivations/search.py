"""Claims are searched, not only drawn: from the worst points, an inequality is pushed towards its violation.

A bound that is too small by a few percent is met by no random point, for the worst case lies in a corner: a
singular vector, a saturated slope. So (left − right)/(|left| + |right|) is maximised by its gradient, within
the domain and the numbers that are drawn, and the points that are reached are judged like any other.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr
from scipy.optimize import minimize

from backproof.derivations.judgement import State, admitted
from backproof.derivations.lines import Kind
from backproof.derivations.moving import Moving, moving
from backproof.derivations.places import Args, entries
from backproof.derivations.projection import Way, missed_at, nearest, way_to
from backproof.derivations.replay import Replay
from backproof.derivations.shortfall import EXACTLY
from backproof.derivations.table import Table
from backproof.derivations.walk import walk
from backproof.errors import UsageError
from backproof.numerics.effort import EFFORT
from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.tolerance import EXCESS, HALF_THE_DIGITS, SEARCHED
from backproof.numerics.tracing import float64
from backproof.verification.points.draws import Points

BOUNDS = (Kind.AT_MOST, Kind.LESS)


def searched(
    function: Callable[..., Any], points: Points, table: Table
) -> tuple[list[list[Args]], list[str]]:
    """Return points at which claims of an inequality are violated most, by shape, and notes.

    A claim that fails already is not searched.

    Args:
        function: the derivation.
        points: the points at which it can be tried.
        table: its lines at the drawn points.
    """
    found: list[list[Args]] = []
    notes: list[str] = []
    bounds = [n for n, position in enumerate(table.lines) if table.steps[position].kind in BOUNDS]
    slopes = functools.cache(lambda index: _Slopes(function, points, table.runs[index], bounds))
    for number in bounds:
        if table.row(number, None).fails:
            continue
        try:
            reached = [_pushed(slopes(index), points, table, number) for index in _shapes(table, number)]
            found += [one for one in reached if one]
        except Exception as error:
            # JAX cannot differentiate every claim and condition: then only what was drawn is looked at.
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            notes.append(f"the worst case of line {number} was not searched, for it has no slopes: {said}")
    return found, notes


def _shapes(table: Table, number: int) -> list[int]:
    """Return at which replays a claim is searched: at small shapes, of more than one number if any."""
    runs = table.runs
    able = [i for i, run in enumerate(runs) if len(run.lines) > number and np.any(admitted(run))]
    small = [i for i in able if entries(runs[i].points[0]) <= EFFORT.effects]
    rich = [i for i in small if all(np.size(leaf) > 1 for leaf in jax.tree.leaves(runs[i].points[0]))]
    return (rich or small)[: EFFORT.searched_shapes]


def _pushed(slopes: "_Slopes", points: Points, table: Table, number: int) -> list[Args]:
    """Return where the worst points of one shape are pushed to."""
    run = slopes.run
    position = run.lines[number]
    excess = _excess(*(side for side in run.values[position].value))
    states = table.seen(run, number, None).states
    follows = [int(i) for i in np.flatnonzero(states == State.FOLLOWS)]
    worst = sorted(follows, key=lambda i: -excess[i])[: EFFORT.searched_points]
    if not worst or not np.isfinite(excess[worst[0]]):
        return []
    if slopes.form.is_fixed:
        return []
    slope = slopes.of(number)
    reached = [_climbed(slope, points, moving(points, run.points[i]), slopes.way) for i in worst]
    kept = [args for args in reached if args is not None]
    if table.steps[table.lines[number]].kind is Kind.AT_MOST:
        return [args for args, _ in kept]
    # a strict bound that is approached, and met by rounding alone, is not violated
    return [args for args, height in kept if height > EXCESS]


def _excess(left: Any, right: Any) -> np.ndarray:
    """Return by how much left exceeds right at most, relative to both, at each point."""
    rows = jax.tree.map(_relative, left, right)
    return np.max([np.max(row.reshape(len(row), -1), axis=1) for row in jax.tree.leaves(rows)], axis=0)


def _relative(left: Any, right: Any) -> Any:
    like = np if isinstance(left, np.ndarray) else jnp
    size = like.abs(left) + like.abs(right)
    return (left - right) / like.where(size > 0, size, 1)


class _Slopes:
    """Traces the bounds of a derivation at one shape, once for all of them.

    This is a class because the trace, dear where lines are gradients, must live as long as one search does.
    """

    def __init__(
        self, function: Callable[..., Any], points: Points, run: Replay, bounds: Sequence[int]
    ) -> None:
        """Prepare to climb `bounds`, the numbers of lines, at the shape of a replay."""
        self.run, self.form = run, moving(points, run.points[0])
        self._function, self._bounds = with_own_arrays(function), bounds

    @functools.cached_property
    def way(self) -> Way | None:
        """What keeps to the assumptions, if there are any."""
        is_free = all(step.is_line for step in self.run.steps)
        return None if is_free else way_to(self._function, self.form, EXACTLY, self.run)

    @functools.cached_property
    def _sides(self) -> tuple[ClosedJaxpr, dict[int, tuple[int, Any]], str]:
        """The program from the numbers that move, and the leaves that stay, to the sides of all bounds.

        With it, for each bound that is reached, where its sides begin and their tree; and why others are not.
        """
        places: dict[int, tuple[int, Any]] = {}
        ended = ["it is not reached"]

        def sides(flat: jax.Array, leaves: Sequence[Any]) -> list[Any]:
            there = [number for number in self._bounds if number < len(self.run.lines)]
            walked, row = walk(self._function, self.form.at(flat, leaves), there[-1]), []
            ended[:] = [walked.ended.text] if walked.ended else ended
            for number in there:
                position = self.run.lines[number]
                if position < len(walked.steps):
                    both, tree = jax.tree.flatten(walked.steps[position].payload)
                    places[number] = len(row), tree
                    row += both
            return row

        with float64():
            return jax.make_jaxpr(sides)(self.form.flat, self.form.leaves), places, ended[0]

    def of(self, number: int) -> Callable[[np.ndarray, Sequence[Any]], tuple[float, np.ndarray]]:
        """Return the compiled function from numbers that move, and leaves that stay, to excess and slope.

        Raises:
            UsageError: the lines before it raise where they are traced.
        """
        whole, places, ended = self._sides
        if number not in places:
            raise UsageError(ended)
        start, tree = places[number]
        outs = [start <= i < start + tree.num_leaves for i in range(len(whole.jaxpr.outvars))]
        needed, _ = dce_jaxpr(whole.jaxpr, outs, instantiate=True)
        both = jaxpr_as_fun(ClosedJaxpr(needed, whole.consts))

        def height(flat: jax.Array, leaves: Sequence[Any]) -> jax.Array:
            left, right = tree.unflatten(both(flat, *jax.tree.leaves(leaves)))
            rows = jax.tree.leaves(jax.tree.map(_relative, left, right))
            return jnp.max(jnp.stack([jnp.max(row) for row in rows]))

        compiled = jax.jit(jax.value_and_grad(height))

        def at(flat: np.ndarray, leaves: Sequence[Any]) -> tuple[float, np.ndarray]:
            with float64():
                value, gradient = compiled(flat, leaves)
            return float(value), np.asarray(gradient)

        return at


def _climbed(
    slope: Callable[..., tuple[float, np.ndarray]], points: Points, start: Moving, way: Way | None
) -> tuple[Args, float] | None:
    """Return the point that is reached from one by its gradient, and the excess there; None if none is.

    Args:
        slope: returns the excess and its gradient.
        points: the points of the domain.
        start: where it begins.
        way: what keeps to the assumptions, if there are any.
    """

    def descent(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = slope(at, start.leaves)
        if not np.isfinite(value) or not np.all(np.isfinite(gradient)) or not points.admits(start.at(at)):
            return 1.0, np.zeros_like(at)
        return -value, -gradient

    reach = max(SEARCHED, 2 * float(np.max(np.abs(start.flat), initial=0.0)))
    if way is None:
        bounds = [(-reach, reach)] * len(start.flat)
        options = {"maxiter": EFFORT.climbs}
        flat = minimize(descent, start.flat, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    else:
        flat = nearest(way, start, _along(descent, way, start, reach))
    if flat is None or not points.admits(start.at(flat)):
        return None
    height = slope(flat, start.leaves)[0]
    return (start.at(flat), height) if np.isfinite(height) else None


def _along(
    descent: Callable[[np.ndarray], tuple[float, np.ndarray]], way: Way, start: Moving, reach: float
) -> np.ndarray:
    """Return where a descent leads along the assumptions, to which it comes back at each step."""
    flat, length = start.flat, 1.0
    height, gradient = descent(flat)
    for _ in range(EFFORT.climbs):
        # an assumption that is met with room to spare has no slope
        slopes = missed_at(way, start, flat)[1]
        along = gradient - slopes.T @ np.linalg.lstsq(slopes.T, gradient)[0]
        size = np.max(np.abs(along), initial=0.0)
        if not np.isfinite(size) or size == 0:
            break
        for _ in range(EFFORT.climbs):
            ahead = np.clip(flat - length * along / size, -reach, reach)
            missed, slopes = missed_at(way, start, ahead)
            ahead = ahead - np.linalg.lstsq(slopes, missed)[0]
            lower, next_gradient = descent(ahead)
            is_kept = np.all(np.abs(missed_at(way, start, ahead)[0]) <= HALF_THE_DIGITS)
            if is_kept and lower < height:
                break
            length /= 2
        else:
            break
        flat, height, gradient, length = ahead, lower, next_gradient, 2 * length
    return flat
