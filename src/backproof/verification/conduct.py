"""How a hand-written derivative must behave beside being right: laws that are predicates at one point.

Its forward is the primal; run twice it gives the same bits; traced again it computes the same; it leaves
its inputs alone; under `vmap` it does what it does alone; eager and compiled it agrees; for one argument or
one output alone it gives that part of the whole; it is linear in its direction. Each law returns None, or
the sentence that says how it is broken.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.claim import pullback
from backproof.verification.differences import is_number
from backproof.verification.noise import AGREES_WITHIN, Measured, measure, units
from backproof.verification.oracles import Point, Runner, shapes_of
from backproof.verification.tracing import float64
from backproof.verification.worst import worst_entry

Law = Callable[[Runner, Point], str | None]
# The second is large, or a clip of large cotangents would be met by luck only.
SCALES = (-3.7, 1e6)
# Values nearer to one another, as a part of themselves, are the same but for a few roundings.
ROUNDED = 1e-14


def forward_is_primal(runner: Runner, point: Point) -> str | None:
    """Return how the value of the rule's own forward differs from the primal's."""
    if runner.claim.value is None:
        return None
    ours, theirs = measure(runner.claim.value, *point.args), measure(runner.claim.primal, *point.args)
    if jax.tree.structure(ours.value) != jax.tree.structure(theirs.value):
        return "the rule's own forward returns another tree than the primal"
    shapes = [jax.tree.map(np.shape, side.value) for side in (ours, theirs)]
    if shapes[0] != shapes[1]:
        return f"the rule's own forward returns shapes {shapes[0]}, the primal {shapes[1]}"
    entry = worst_entry(ours.value, _both(theirs, ours))
    if entry and entry.distance > AGREES_WITHIN:
        return f"the rule's own forward gives {entry.hand} where the primal gives {entry.truth}"
    return None


def unlike_primal(runner: Runner, points: Sequence[Point]) -> tuple[str, str, Point] | None:
    """Return the first of many points where the rule's own forward is not the primal: law, sentence, point.

    At each shape the law is asked at the one point where the values are furthest apart.
    """
    if runner.claim.value is None:
        return None
    for _, group in itertools.groupby(points, key=lambda point: shapes_of(point.args)):
        alike = list(group)
        gaps = _gaps(*runner.values(alike), len(alike))
        furthest = alike[int(np.argmax(gaps))]
        sentence = forward_is_primal(runner, furthest) if np.any(gaps > ROUNDED) else None
        if sentence:
            return "contract-forward", sentence, furthest
    return None


def _gaps(ours: Any, theirs: Any, count: int) -> np.ndarray:
    """Return how far two stacked values are apart at each of `count` points, in parts of the larger entry."""
    if jax.tree.map(np.shape, ours) != jax.tree.map(np.shape, theirs):
        return np.full(count, np.inf)
    gaps = np.zeros(count)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        apart = units(one, other, np.maximum(np.abs(one), np.abs(other)))
        gaps = np.maximum(
            gaps, np.nan_to_num(apart, nan=0.0, posinf=np.inf).reshape(count, -1).max(1, initial=0)
        )
    return gaps


def descends_in_two_phases(runner: Runner, point: Point) -> str | None:
    """Return how a rule's update inside the sweep differs from backward first and update then (S4.3)."""
    if runner.claim.descent is None:
        return None
    ours, theirs = (measure(step, *point) for step in runner.claim.descent)
    entry = worst_entry(ours.value, _both(theirs, ours))
    if entry and entry.distance > AGREES_WITHIN:
        return f"descend gives {entry.hand} where backward and then the update give {entry.truth}"
    return None


def parts_are_of_the_whole(runner: Runner, point: Point) -> str | None:
    """Return how a pullback differs for one argument, or one output, alone: there zeros are symbolic.

    A rule with `symbolic_zeros` is told which arguments are perturbed, and gets no array for the cotangent of
    an output that is not used.
    """
    ruled = runner.claim.ruled
    if ruled is None:
        return None
    whole = runner.hand(point)
    for i in [i for i, part in enumerate(whole.value) if jax.tree.leaves(part)]:
        apart = _part_apart(pullback(ruled, (i,)), point, _only(whole, i))
        if apart:
            return f"differentiated in argument {i} alone, {apart}"
    outputs, tree = jax.tree.flatten(point.direction)
    chosen = [i for i, part in enumerate(whole.value) if jax.tree.leaves(part)]
    for k in [k for k, leaf in enumerate(outputs) if len(outputs) > 1 and leaf.dtype != jax.dtypes.float0]:
        rest = [leaf if j == k else np.zeros_like(leaf) for j, leaf in enumerate(outputs)]
        wanted = runner.hand(Point(point.args, tree.unflatten(rest)))
        one = pullback(lambda *args, k=k: jax.tree.leaves(ruled(*args))[k], chosen)
        apart = _part_apart(one, Point(point.args, outputs[k]), wanted)
        if apart:
            return f"where output {k} alone is used, {apart}"
    return None


def _only(whole: Measured, i: int) -> Measured:
    value, noise = ([part if j == i else None for j, part in enumerate(side)] for side in whole)
    return Measured(tuple(value), tuple(noise))


def _part_apart(pulled_back: Callable[..., Any], point: Point, wanted: Measured) -> str | None:
    """Return what a part of a pullback gives in place of what the whole has, None where they agree."""
    try:
        found = measure(pulled_back, *point)
    except Exception as error:
        # The whole could be traced: what is raised comes of the part.
        return f"it raises {type(error).__name__}: {error}".splitlines()[0]
    entry = worst_entry(found.value, _both(wanted, found))
    differs = entry and entry.distance > AGREES_WITHIN and np.isfinite(entry.truth)
    return f"it gives {entry.hand}, as a part of the whole {entry.truth}" if entry and differs else None


def is_deterministic(runner: Runner, point: Point) -> str | None:
    """Return where two runs of the compiled derivative on the same input differ in a bit."""
    same = _same_bits(runner.compiled(point), runner.compiled(point))
    return None if same else "run twice on the same input, it gives different bits"


def is_pure(runner: Runner, point: Point) -> str | None:
    """Return whether tracing it again gives another function: a counter, a clock, an unseeded draw."""
    first, again = runner.compiled(point), runner.traced_anew(point)
    if jax.tree.structure(first) != jax.tree.structure(again):
        return "traced twice, it gives results of two trees: it reads or changes state"
    entry = worst_entry(first, Measured(again, runner.hand(point).noise))
    if entry and entry.distance > AGREES_WITHIN:
        entry = worst_entry(first, Measured(again, runner.noise_again(point)))
    if entry and entry.distance > AGREES_WITHIN and np.isfinite(entry.hand):
        return f"traced twice, it gives {entry.hand} and then {entry.truth}: it reads or changes state"
    return None


def leaves_inputs_alone(runner: Runner, point: Point) -> str | None:
    """Return whether tracing it changes a dict or list among its arguments."""
    with float64():  # arrays of JAX, which may be indexed by a traced number, in containers of their own
        containers = jax.tree.map(jnp.asarray, point.args)
    before = jax.tree.leaves(containers), jax.tree.structure(containers)
    with float64():
        jax.eval_shape(lambda direction: runner.claim.hand(containers, direction), point.direction)
    leaves, structure = jax.tree.leaves(containers), jax.tree.structure(containers)
    kept = structure == before[1] and all(a is b for a, b in zip(leaves, before[0], strict=True))
    return None if kept else "it changes its arguments"


def vmap_is_a_loop(runner: Runner, point: Point) -> str | None:
    """Return whether the derivative under `vmap` differs from the same derivative run alone."""
    other = Point(jax.tree.map(_nearer_zero, point.args), jax.tree.map(_reversed, point.direction))
    places = [point, other]
    mapped = runner.vmapped(places)
    if mapped is None or not all(runner.finite(places)):
        return None
    for place, together in zip(places, mapped, strict=True):
        apart = _apart(runner, place, together)
        if apart:
            return f"{apart} under vmap: its batching rule is wrong"
    return _vmap_of_one_side(runner, point, other)


def _vmap_of_one_side(runner: Runner, point: Point, other: Point) -> str | None:
    """Return how it differs for two directions at one point, as `jax.jacrev` runs it, and the reverse."""
    ways = {
        "directions at one point": ((None, 0), [point, Point(point.args, other.direction)]),
        "points in one direction": ((0, None), [point, Point(other.args, point.direction)]),
    }
    for which, (axes, places) in ways.items():
        mapped = runner.mapped_over(axes, places)
        if mapped is None:
            continue
        for place, together in zip(places, mapped, strict=True):
            apart = _apart(runner, place, together)
            if apart:
                return f"{apart} under vmap over {which}: its batching rule is wrong"
    return None


def _apart(runner: Runner, place: Point, together: Any) -> str | None:
    """Return what it gives alone and what under vmap where these differ, None where they agree."""
    if _same_bits(runner.compiled(place), together):
        return None
    alone = runner.hand(place)
    shapes = [jax.tree.map(np.shape, sides) for sides in (alone.value, together)]
    if shapes[0] != shapes[1]:
        return f"alone it gives results of shapes {shapes[0]}, {shapes[1]}"
    entry = worst_entry(alone.value, Measured(together, alone.noise))
    if entry and entry.distance > AGREES_WITHIN:
        entry = worst_entry(alone.value, Measured(together, runner.noise_again(place)))
    differs = entry and entry.distance > AGREES_WITHIN and np.any(np.isfinite([entry.hand, entry.truth]))
    return f"alone it gives {entry.hand}, {entry.truth}" if entry and differs else None


def is_linear(runner: Runner, point: Point) -> str | None:
    """Return how v(a·g + c·h) differs from a·v(g) + c·v(h), for signed g and h and v(0) = 0."""
    a, c = SCALES
    other = jax.tree.map(_reversed, point.direction)
    both = jax.tree.map(
        lambda g, h: a * g + c * h if g.dtype != jax.dtypes.float0 else g, point.direction, other
    )
    one, two, sum_ = (
        runner.hand(Point(point.args, direction)) for direction in (point.direction, other, both)
    )
    expected = jax.tree.map(lambda v, w: a * v + c * w, one.value, two.value)
    noise = jax.tree.map(lambda n, v, w: n + abs(a) * v + abs(c) * w, sum_.noise, one.noise, two.noise)
    entry = worst_entry(sum_.value, Measured(expected, noise))
    if entry and np.isfinite(entry.truth) and entry.distance > AGREES_WITHIN:
        truth = runner.truth(Point(point.args, both))
        same = worst_entry(sum_.value, _both(truth, sum_))
        if same and same.distance <= AGREES_WITHIN:
            return None  # autodiff too: a dtype inside the function overflows there
        return f"{a:g}·v(g) + {c:g}·v(h) is {entry.truth}, but v({a:g}·g + {c:g}·h) is {entry.hand}"
    return None


# Without these a comparison of values says nothing, so they come before it.
REPEATABLE: dict[str, Law] = {
    "not-deterministic": is_deterministic,
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
    return leaf * 0.75 if is_number(leaf) else leaf


def _reversed(leaf: Any) -> Any:
    if leaf.dtype == jax.dtypes.float0:
        return leaf
    return (np.flip(leaf) * 0.75 + 0.5).astype(leaf.dtype)


def _both(one: Measured, other: Measured) -> Measured:
    return Measured(one.value, jax.tree.map(np.add, one.noise, other.noise))


def _same_bits(one: Any, other: Any) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(
        np.array_equal(a, b, equal_nan=jnp.issubdtype(np.asarray(a).dtype, jnp.inexact)) for a, b in leaves
    )
