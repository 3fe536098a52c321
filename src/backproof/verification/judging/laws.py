"""Laws of conduct: how a hand-written derivative must behave apart from being right, checked at a point.

The rule's own forward is the primal, and its update inside the sweep is the two-phase step. Run twice, the
derivative gives the same bits; traced again, it gives the same values; it leaves its inputs alone; under
`vmap` it gives what it gives alone; for one argument or one output alone it gives that part of the whole; and
it is linear in its direction. Each law returns None, or the sentence that says how it is broken.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.comparison import Entry, difference, same_within, units
from backproof.numerics.interpreter import run
from backproof.numerics.leaves import (
    PyTree,
    has_direction,
    is_floating,
    shapes_of,
)
from backproof.numerics.noise import Measured
from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.tolerance import FEW_ROUNDINGS, SCALES
from backproof.numerics.tracing import float64
from backproof.verification.claims.claim import pullback
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, stack, unstack

Law = Callable[[Evaluators, Point], str | None]


def forward_is_primal(evaluators: Evaluators, point: Point) -> str | None:
    """Return how the value of the rule's own forward differs from the primal's."""
    if evaluators.claim.value is None:
        return None
    ours, theirs = evaluators.forward(point), evaluators.primal(point)
    if jax.tree.structure(ours.value) != jax.tree.structure(theirs.value):
        return "the rule's own forward returns another tree than the primal"
    shapes = [jax.tree.map(np.shape, side.value) for side in (ours, theirs)]
    if shapes[0] != shapes[1]:
        return f"the rule's own forward returns shapes {shapes[0]} where the primal returns {shapes[1]}"
    entry = difference(ours.value, theirs.with_noise_of(ours))
    if entry:  # all replicas of one measurement may be near by chance
        again = jax.tree.map(
            np.add, *(one.noise_again(point) for one in (evaluators.forward, evaluators.primal))
        )
        entry = difference(ours.value, theirs._replace(noise=again))
    if entry:
        return f"the rule's own forward gives {entry.hand} where the primal gives {entry.truth}"
    return None


def unlike_primal(evaluators: Evaluators, points: Sequence[Point]) -> tuple[str, Point] | None:
    """Return where the rule's own forward first differs from the primal: a sentence and the point.

    At each shape the law is checked at the one point where the values are furthest apart.
    """
    if evaluators.claim.value is None:
        return None
    for _, group in itertools.groupby(points, key=lambda point: shapes_of(point.args)):
        alike = list(group)
        gaps = _gaps(evaluators.forward.values(alike), evaluators.primal.values(alike), len(alike))
        furthest = alike[int(np.argmax(gaps))]
        sentence = forward_is_primal(evaluators, furthest) if np.any(gaps > FEW_ROUNDINGS) else None
        if sentence:
            return sentence, furthest
    return None


def _gaps(ours: Any, theirs: Any, count: int) -> np.ndarray:
    """Return how far two stacked values are apart at each of `count` points, relative to the larger entry."""
    if jax.tree.map(np.shape, ours) != jax.tree.map(np.shape, theirs):
        return np.full(count, np.inf)
    gaps = np.zeros(count)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        apart = units(one, other, np.maximum(np.abs(one), np.abs(other)))
        gaps = np.maximum(
            gaps, np.nan_to_num(apart, nan=0.0, posinf=np.inf).reshape(count, -1).max(1, initial=0)
        )
    return gaps


def descends_in_two_phases(evaluators: Evaluators, point: Point) -> str | None:
    """Return how a rule's update inside the sweep differs from backward first and update then (S4.3)."""
    steps = evaluators.claim.descent
    if steps is None:
        return None
    ours, theirs = (evaluators.also(("descent", i), lambda s=s: s)(point) for i, s in enumerate(steps))
    entry = difference(ours.value, theirs.with_noise_of(ours))
    if entry:
        return f"descend gives {entry.hand} where backward and then the update give {entry.truth}"
    return None


def parts_are_of_the_whole(evaluators: Evaluators, point: Point) -> str | None:
    """Return how the pullback for one argument, or one output, alone differs from that part of the whole.

    JAX passes symbolic zeros for the rest: a rule with `symbolic_zeros` learns which arguments are perturbed,
    and gets no array for the cotangent of an output that is not used.
    """
    ruled = evaluators.claim.ruled
    if ruled is None:
        return None
    whole = evaluators.hand(point)
    for i in [i for i, part in enumerate(whole.value) if jax.tree.leaves(part)]:
        one = evaluators.also(("argument", i), lambda i=i: pullback(ruled, (i,)))
        apart = _part_apart(one, point, _only(whole, i))
        if apart:
            return f"differentiated with respect to argument {i} alone, {apart}"
    outputs, tree = jax.tree.flatten(point.direction)
    chosen = [i for i, part in enumerate(whole.value) if jax.tree.leaves(part)]
    for k in [k for k, leaf in enumerate(outputs) if len(outputs) > 1 and has_direction(leaf)]:
        rest = [leaf if j == k else np.zeros_like(leaf) for j, leaf in enumerate(outputs)]
        wanted = evaluators.hand(Point(point.args, tree.unflatten(rest)))
        part = lambda *args, k=k: jax.tree.leaves(ruled(*args))[k]  # noqa: E731 - one of several
        one = evaluators.also(("output", k), lambda part=part: pullback(part, chosen))
        apart = _part_apart(one, Point(point.args, outputs[k]), wanted)
        if apart:
            return f"where output {k} alone is used, {apart}"
    return None


def _only(whole: Measured, i: int) -> Measured:
    value, noise = ([part if j == i else None for j, part in enumerate(side)] for side in whole)
    return Measured(tuple(value), tuple(noise))


def _part_apart(pulled_back: Evaluator, point: Point, wanted: Measured) -> str | None:
    """Return how a part of a pullback, taken alone, differs from the whole; None where they agree."""
    try:
        found = pulled_back(point)
    except Exception as error:
        # The whole could be traced, so the exception results from taking the part alone.
        return f"it raises {type(error).__name__}: {error}".splitlines()[0]
    entry = difference(found.value, wanted.with_noise_of(found))
    differs = entry and np.isfinite(entry.truth)
    return f"it gives {entry.hand} where the whole gives {entry.truth}" if entry and differs else None


def is_pure(evaluators: Evaluators, point: Point) -> str | None:
    """Return how tracing it again gives another function: it holds a counter, a clock, an unseeded draw."""
    hand = evaluators.claim.hand
    anew = evaluators.also(
        "anew", lambda: lambda args, direction: hand(args, direction)
    )  # jax caches by function
    first, again = evaluators.compiled(point), anew.value(point)
    if jax.tree.structure(first) != jax.tree.structure(again):
        return "traced twice, it gives results with different trees: it reads or changes state"
    entry = _beyond_noise(evaluators, point, first, again)
    if entry and np.isfinite(entry.hand):
        return f"traced twice, it gives {entry.hand} and then {entry.truth}: it reads or changes state"
    return None


def leaves_inputs_alone(evaluators: Evaluators, point: Point) -> str | None:
    """Return a sentence if it changes a dict or list among its arguments, or writes into an array."""
    if evaluators.claim.host:
        return evaluators.claim.host.changed(*point)
    if shapes_of(tuple(point)) in evaluators.left_alone:
        return None
    with float64():  # JAX arrays, which a traced number can index, in containers of their own
        containers = jax.tree.map(jnp.asarray, point.args)
    before = jax.tree.leaves(containers), jax.tree.structure(containers)
    with float64():
        hand = with_own_arrays(evaluators.claim.hand)
        jax.make_jaxpr(lambda direction: hand(containers, direction))(point.direction)
    leaves, structure = jax.tree.leaves(containers), jax.tree.structure(containers)
    kept = structure == before[1] and all(a is b for a, b in zip(leaves, before[0], strict=True))
    if not kept:
        return "it changes its arguments"
    evaluators.left_alone.add(shapes_of(tuple(point)))
    return None


def vmap_is_a_loop(evaluators: Evaluators, point: Point) -> str | None:
    """Return how the derivative under `vmap` differs from the same derivative run alone."""
    other = Point(jax.tree.map(_nearer_zero, point.args), jax.tree.map(_reversed, point.direction))
    places = [point, other]
    mapped = None if evaluators.claim.host else _mapped_over(evaluators, (0, 0), places)
    if mapped is None or not all(evaluators.finite(places)):
        return None
    for place, together in zip(places, mapped, strict=True):
        apart = _apart(evaluators, place, together)
        if apart:
            return f"{apart} under vmap: its batching rule is wrong"
    return None if point.is_huge else _vmap_of_one_side(evaluators, point, other)


def _vmap_of_one_side(evaluators: Evaluators, point: Point, other: Point) -> str | None:
    """Return how it differs under `vmap` over one side only: directions, as in `jax.jacrev`, or points."""
    ways = {
        "directions at one point": ((None, 0), [point, Point(point.args, other.direction)]),
        "points in one direction": ((0, None), [point, Point(other.args, point.direction)]),
    }
    for which, (axes, places) in ways.items():
        mapped = _mapped_over(evaluators, axes, places)
        if mapped is None:
            continue
        for place, together in zip(places, mapped, strict=True):
            apart = _apart(evaluators, place, together)
            if apart:
                return f"{apart} under vmap over {which}: its batching rule is wrong"
    return None


def _mapped_over(
    evaluators: Evaluators, axes: tuple[int | None, int | None], points: Sequence[Point]
) -> list[PyTree] | None:
    """Return the derivative at points that share arguments or direction, interpreted as one under vmap.

    Args:
        evaluators: the evaluators of the claim.
        axes: 0 for arguments or direction where the points differ, None where they share it.
        points: the points.

    Returns:
        one result for each point, or None where the code cannot be vmapped like this.
    """
    sides = zip(axes, stack(points), points[0], strict=True)
    shared = Point(*(alone if axis is None else many for axis, many, alone in sides))
    if not all(jax.tree.leaves(side) for side in shared):
        return None
    many = evaluators.also(("mapped", axes), lambda: jax.vmap(evaluators.claim.hand, axes))
    try:
        program = many.program(shared)
    except Exception:
        # Not every user's code can be vmapped; run alone it raises its own errors.
        return None
    return unstack(many.value(shared) if shared.is_large else run(program, shared)[0], len(points))


def _apart(evaluators: Evaluators, place: Point, together: Any) -> str | None:
    """Return both results, alone and under vmap, in words where they differ; None where they agree."""
    alone = evaluators.hand.value(place)
    if same_within(alone, together, FEW_ROUNDINGS):
        return None
    # of leaves: nodes of a user's own class compare by identity
    shapes = [tuple(map(np.shape, jax.tree.leaves(side))) for side in (alone, together)]
    if shapes[0] != shapes[1]:
        return f"alone it gives results of shapes {shapes[0]}, but {shapes[1]}"
    entry = _beyond_noise(evaluators, place, alone, together)
    differs = entry and np.any(np.isfinite([entry.hand, entry.truth]))
    return f"alone it gives {entry.hand}, but {entry.truth}" if entry and differs else None


def _beyond_noise(evaluators: Evaluators, point: Point, one: Any, other: Any) -> Entry | None:
    """Return where two results by hand differ beyond noise, and beyond a second measurement of it."""
    entry = difference(one, Measured(other, evaluators.hand(point).noise))
    return entry and difference(one, Measured(other, evaluators.noise_again(point)))


def is_linear(evaluators: Evaluators, point: Point) -> str | None:
    """Return how v(a·g + c·h) differs from a·v(g) + c·v(h), for signed g and h and v(0) = 0."""
    a, c = SCALES
    other = jax.tree.map(_reversed, point.direction)
    both = jax.tree.map(lambda g, h: a * g + c * h if has_direction(g) else g, point.direction, other)
    one, two, sum_ = (
        evaluators.hand(Point(point.args, direction)) for direction in (point.direction, other, both)
    )
    expected = jax.tree.map(lambda v, w: a * v + c * w, one.value, two.value)
    noise = jax.tree.map(lambda n, v, w: n + abs(a) * v + abs(c) * w, sum_.noise, one.noise, two.noise)
    entry = difference(sum_.value, Measured(expected, noise))
    if entry and np.isfinite(entry.truth):
        truth = evaluators.truth(Point(point.args, both))
        if not difference(sum_.value, truth.with_noise_of(sum_)):
            return None  # autodiff gives the same: a dtype inside the function overflows there
        return f"{a:g}·v(g) + {c:g}·v(h) is {entry.truth}, but v({a:g}·g + {c:g}·h) is {entry.hand}"
    return None


# Where one of these is broken a comparison of values says nothing, so they are checked first.
REPEATABLE: dict[str, Law] = {
    "contract-impure": is_pure,
    "transform-vmap": vmap_is_a_loop,
}
LAWFUL: dict[str, Law] = {
    "contract-forward": forward_is_primal,
    "contract-descend": descends_in_two_phases,
    "contract-mutates": leaves_inputs_alone,
    "symbolic-zeros": parts_are_of_the_whole,
    "cotangent-nonlinear": is_linear,
}


def _nearer_zero(leaf: Any) -> Any:
    return leaf * 0.75 if is_floating(leaf) else leaf


def _reversed(leaf: Any) -> Any:
    if not has_direction(leaf):
        return leaf
    return (np.flip(leaf) * 0.75 + 0.5).astype(leaf.dtype)
