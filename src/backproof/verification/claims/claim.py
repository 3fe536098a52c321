"""A claim: a derivative written by hand, the function it belongs to, and the points at which both exist.

Every way into the verifier (a `Rule`, a `Loss`, a hand vjp, grad or jvp, a function that carries its
own rule) becomes one `Claim`: two functions of the same arguments and the same direction, `hand` and
`truth`, which must return the same values.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from backproof.numerics.leaves import PyTree, is_inexact
from backproof.numerics.tracing import form_of
from backproof.rule import Rule
from backproof.verification.claims.by_differences import Differences
from backproof.verification.claims.host import HostCode
from backproof.verification.points.draws import Points


class Claim(NamedTuple):
    """Holds a derivative to be checked.

    Attributes:
        name: its name in reports.
        primal: the function whose derivative is claimed, called as `primal(*args)`.
        hand: `(args, direction) -> result`, the derivative written by hand.
        truth: `(args, direction) -> result`, the same from autodiff of the primal.
        forward: whether the direction is a tangent of the arguments (a jvp) or a cotangent of the
            result (a vjp).
        points: the points at which it can be tried.
        at_kinks: the slope chosen where there is no derivative, in words.
        value: the value that the rule's own forward returns; None where that is the primal itself.
        descent: a rule's update inside the sweep, and the two-phase step it must equal.
        rule: the rule, if the claim is about one; its layers can then be examined one by one.
        call: Python that gives the result by hand from `args` and `cotangent`; empty where there is none.
            All its lines but the last prepare the call.
        ruled: the function with a rule of its own, if it is one; parts of its pullback can then be called
            alone.
        order: 1 for a derivative, 2 for the derivative of one.
        host: the code by hand, if it is NumPy code; `jit`, `vmap` and a second derivative do not apply to it.
        by_point: whether autodiff of the primal runs at one point at a time, in float64 only.
        differences: the differences of the primal, where these are the truth, and not autodiff.
        excused: how many entries of an argument tuple the caller excuses, where a region is declared.
        notes: what a reader of the report should know about the claim.
        beside: functions of the arguments that are right and use the same code; a mend must leave them alone.
        is_directed: whether the two functions have a direction; a line of a derivation has none.
        result, meant: what the result by hand, and what it should be, are called in a sentence.
        inside: the places, `file:line`, of the functions with a rule of their own that `ruled` calls, if it
            has none itself.
    """

    name: str
    primal: Callable[..., PyTree]
    hand: Callable[[tuple[PyTree, ...], PyTree], PyTree]
    truth: Callable[[tuple[PyTree, ...], PyTree], PyTree]
    forward: bool
    points: Points
    at_kinks: str | None = None
    value: Callable[..., PyTree] | None = None
    descent: tuple[Callable[..., PyTree], Callable[..., PyTree]] | None = None
    rule: Rule | None = None
    call: str = ""
    ruled: Callable[..., PyTree] | None = None
    order: int = 1
    host: HostCode | None = None
    by_point: bool = False
    differences: Differences | None = None
    excused: Callable[[tuple[PyTree, ...]], int] | None = None
    notes: tuple[str, ...] = ()
    beside: tuple[Callable[..., PyTree], ...] = ()
    is_directed: bool = True
    result: str = "result"
    meant: str = "the gradient"
    inside: tuple[str, ...] = ()

    def direction_like(self, args: tuple[PyTree, ...]) -> PyTree:
        """Return shapes and dtypes of the direction at `args`."""
        if not self.is_directed:
            return ()
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), args)
        return shapes if self.forward else form_of(self.primal, *shapes)


def pullback(of: Callable[..., PyTree], wrt: Sequence[int] | None = None) -> Callable[..., PyTree]:
    """Return `(args, cotangent) -> cotangents`, one entry for each argument, by autodiff of `of`.

    An argument outside `wrt`, and every leaf that is not differentiable, has None.
    """

    def truth(args: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        chosen = range(len(args)) if wrt is None else wrt
        leaves, tree = jax.tree.flatten(tuple(args[i] for i in chosen))
        active = [i for i, leaf in enumerate(leaves) if is_inexact(leaf)]

        def of_active(*values: Any) -> PyTree:
            filled = list(leaves)
            for i, value in zip(active, values, strict=True):
                filled[i] = value
            full = dict(zip(chosen, tree.unflatten(filled), strict=True))
            return of(*(full.get(i, arg) for i, arg in enumerate(args)))

        _, pull = jax.vjp(of_active, *(leaves[i] for i in active))
        found: list[Any] = [None] * len(leaves)
        for i, g in zip(active, pull(cotangent), strict=True):
            found[i] = g
        by_argument = dict(zip(chosen, tree.unflatten(found), strict=True))
        return tuple(by_argument.get(i) for i in range(len(args)))

    return truth
