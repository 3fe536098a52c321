"""From proof to code: a `jax.custom_vjp` whose backward pass is the last line of a derivation."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from backproof.arguments import from_annotations
from backproof.derivations.form import Derivation
from backproof.derivations.lines import Kind, PyTree
from backproof.derivations.walk import walk
from backproof.errors import UsageError, message
from backproof.verification import check


def custom_vjp_of(derivation: Derivation, of: Callable[..., PyTree]) -> Any:
    """Return `of` as a `jax.custom_vjp`, its backward pass the last value that a derivation yields.

    The derivation is verified first, and then its last line against autodiff of `of`, so that what is shown
    is what runs. When it runs, the lines above the last are not computed.

    Args:
        derivation: its arguments are those of `of`, and last the cotangent of the result; its last value is
            the cotangent of the argument, or of several a tuple with one for each.
        of: the function.

    Raises:
        GradientError: the derivation does not hold, or its last line is not the pullback of `of`.
        UsageError: the derivation has other arguments, or its last line another form.
    """
    derivation.check()
    names = list(inspect.signature(derivation.function).parameters)
    wanted = list(inspect.signature(of).parameters)
    if len(names) != len(wanted) + 1:
        raise UsageError(
            message(
                must="the derivation must have the arguments of the function, and last the cotangent",
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
        walked = walk(derivation.function, (*args, cotangent))
        return next(step.payload for step in reversed(walked.steps) if step.kind is Kind.VALUE)

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
