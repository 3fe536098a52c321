"""What is claimed: a derivative written by hand, the function it belongs to, and where both live.

Every way into the verifier (a `Rule`, a `Loss`, a hand vjp, grad or jvp, a function that carries its
own rule) becomes one `Claim`: two functions of the same arguments and the same direction, `hand` and
`truth`, which must give the same tree.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from backproof.numerics.leaves import PyTree, is_inexact
from backproof.rule import Rule
from backproof.verification.points.draws import Points


class Claim(NamedTuple):
    """Holds a derivative to be checked.

    Attributes:
        name: what reports call it.
        primal: the function whose derivative it is, of the argument tuple.
        hand: `(args, direction) -> result`, the derivative written by hand.
        truth: `(args, direction) -> result`, the same from autodiff of the primal.
        forward: whether the direction is a tangent of the arguments (a jvp) or a cotangent of the
            result (a vjp).
        points: where it can be tried.
        at_kinks: the slope chosen where there is no derivative, in words.
        value: what the rule itself returns as the value; None where it returns none of its own.
        descent: a rule's update inside the sweep, and the two-phase step it must equal.
        rule: the rule that is claimed, so that its layers can be looked at one by one.
        call: Python that gives the result by hand from `args` and `cotangent`; empty where there is none.
        ruled: the function with a rule of its own, if it is one, so that parts of its pullback can be asked.
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

    def direction_like(self, args: tuple[PyTree, ...]) -> PyTree:
        """Return shapes and dtypes of the direction at `args`."""
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), args)
        return shapes if self.forward else jax.eval_shape(self.primal, *shapes)


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


def name_of(fn: Any) -> str:
    """Return what reports call a function."""
    return getattr(fn, "__name__", None) or getattr(getattr(fn, "fun", None), "__name__", None) or repr(fn)
