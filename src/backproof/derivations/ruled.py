"""From proof to code: a `jax.custom_vjp` whose backward pass is the last line of a derivation."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from backproof.arguments import from_annotations
from backproof.derivations.form import Derivation
from backproof.derivations.lines import PyTree
from backproof.derivations.walk import last_value, walk
from backproof.errors import UsageError, message
from backproof.verification import check


def custom_vjp_of(derivation: Derivation, of: Callable[..., PyTree] | None = None) -> Any:
    """Return `of` as a `jax.custom_vjp`, its backward pass the last value that a derivation yields.

    The derivation is verified first, and then its last line against autodiff of `of`, so that what is shown
    is what runs. When it runs, the lines above the last are not computed.

    Args:
        derivation: its arguments are those of `of`, and last the cotangent of the result; its last value is
            the cotangent of the argument, or of several a tuple with one for each.
        of: the function; without it, the one that the derivation was given as its `of=`.

    Raises:
        GradientError: the derivation does not hold, or its last line is not the pullback of `of`.
        UsageError: the derivation has other arguments, its last line another form, or no function is given.
    """
    of = of or derivation.definition
    if of is None:
        raise UsageError(
            message(
                must="the function must be given, here or as of= of the derivation",
                found="none",
                where=f"custom_vjp_of({derivation.name})",
                do="pass of=f",
            )
        )
    derivation.check()
    names = list(inspect.signature(derivation.function).parameters)
    wanted = list(inspect.signature(of).parameters)
    if len(names) != len(wanted) + 1 or (set(names[:-1]) == set(wanted) and names[:-1] != wanted):
        raise UsageError(
            message(
                must="the derivation must have the function's arguments, in order, and last the cotangent",
                found=f"{derivation.name}({', '.join(names)}) for a function of ({', '.join(wanted)})",
                where="custom_vjp_of",
                do="derive the pullback for a cotangent that is an argument of its own",
            )
        )
    ruled = jax.custom_vjp(of)
    ruled.defvjp(lambda *args: (of(*args), args), _backward(derivation, len(wanted)))
    given = from_annotations(derivation.function) if derivation.args is None else list(derivation.args)
    check(ruled, args=given[:-1])
    return ruled


def _backward(derivation: Derivation, count: int) -> Callable[..., tuple[PyTree, ...]]:
    @jax.jit
    def last_line(args: tuple[PyTree, ...], cotangent: PyTree) -> PyTree:
        return last_value(walk(derivation.function, (*args, cotangent)).steps)

    def backward(args: tuple[PyTree, ...], cotangent: PyTree) -> tuple[PyTree, ...]:
        found = last_line(args, cotangent)
        several = isinstance(found, tuple | list)
        if (len(found) if several else 1) != count:
            raise UsageError(
                message(
                    must=f"the last line must be a cotangent for each of {count} arguments",
                    found=f"{len(found)} of them" if several else "one array",
                    where=derivation.name,
                    do="yield a tuple last",
                )
            )
        whole = tuple(found) if several else (found,)
        pairs = zip(whole, args, strict=True)
        return tuple(jax.tree.map(lambda g, a: g.astype(a.dtype), one, arg) for one, arg in pairs)

    return backward
