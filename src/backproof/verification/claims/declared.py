"""Derivatives that the caller declares to be something other than the gradient; they are not compared.

An argument is declared as a whole, by a word, or in a region of its numbers, by a word and a predicate.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError, did_you_mean, message
from backproof.numerics.leaves import PyTree, is_inexact
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.names import name_of
from backproof.verification.claims.static_arguments import StaticArguments

# An argument that is declared: a word, or a word and the predicate of its region.
Declared = str | tuple[str, Callable[[Any], Any]]


def not_compared(
    claim: Claim, function: Any, declared: Mapping[str, Declared], held: StaticArguments | None
) -> Claim:
    """Return `claim` without the results that are declared; those in a region are 0 on both sides.

    Args:
        claim: the claim.
        function: the function whose arguments are named.
        declared: what the derivative for an argument is instead of the gradient.
        held: the static arguments of the function, None where it has none.

    Raises:
        UsageError: the function has no argument of that name, a declaration has another form, or the
            derivative is a jvp.
    """
    if claim.forward:
        raise UsageError(
            message(
                must="declared= needs a derivative that has a result for each argument",
                found="jvp=",
                where="verify",
                do="check the pullback, or leave declared= out",
            )
        )
    names = _names(function)
    for name, said in declared.items():
        _validate(claim, names, name, said)
    places = {name: _place(names, name, held) for name in declared}
    whole = {places[name] for name, said in declared.items() if isinstance(said, str)}
    regions = {places[name]: said[1] for name, said in declared.items() if not isinstance(said, str)}

    def kept(derivative: Callable[..., Any]) -> Callable[..., Any]:
        def of_the_rest(args: tuple[Any, ...], direction: Any) -> Any:
            results = derivative(args, direction)
            if not isinstance(results, tuple) or len(results) != len(args):
                return results  # it has not the tree of the arguments, which the contract reports
            return tuple(
                None if i in whole else _outside(regions.get(i), args[i], result)
                for i, result in enumerate(results)
            )

        return of_the_rest

    def excused(args: tuple[Any, ...]) -> int:
        masks = [mask for i, inside in regions.items() for mask in _masks(inside, args[i])]
        return sum(int(np.sum(mask)) for mask in masks)

    hand, truth = kept(claim.hand), kept(claim.truth)
    host = claim.host and claim.host.then(lambda result, args: kept(lambda *_: result)(args, None))
    return claim._replace(hand=hand, truth=truth, host=host, excused=excused if regions else None)


def in_words(declared: Mapping[str, Declared]) -> dict[str, str]:
    """Return what the derivative for each declared argument is, in words."""
    return {
        name: said if isinstance(said, str) else f"{said[0]} where {name_of(said[1])} holds"
        for name, said in declared.items()
    }


def excused(claim: Claim, points: Sequence[Any]) -> tuple[str, ...]:
    """Return a sentence that counts the entries in declared regions at `points`; none without a region."""
    if claim.excused is None:
        return ()
    counts = [claim.excused(point.args) for point in points]
    entries, places = sum(counts), sum(map(bool, counts))
    said = f"{entries} entries at {places} of {len(counts)} points lie in a declared region"
    return (f"{said} and were not compared",)


def _outside(inside: Callable[[Any], Any] | None, arg: PyTree, result: PyTree) -> PyTree:
    """Return a result with 0 where the predicate holds; unchanged without one."""
    if inside is None or result is None or jax.tree.structure(arg) != jax.tree.structure(result):
        return result
    masked = [_zeroed(m, leaf) for m, leaf in zip(_masks(inside, arg), jax.tree.leaves(result), strict=True)]
    return jax.tree.unflatten(jax.tree.structure(result), masked)


def _zeroed(mask: Any, leaf: Any) -> Any:
    like = np if isinstance(leaf, np.ndarray) else jnp
    return like.where(mask, like.zeros_like(leaf), leaf) if jnp.shape(leaf) == jnp.shape(mask) else leaf


def _masks(inside: Callable[[Any], Any], arg: PyTree) -> list[Any]:
    """Return where a predicate holds in each leaf of an argument that can be varied."""
    like = [np if isinstance(leaf, np.ndarray) else jnp for leaf in jax.tree.leaves(arg)]
    leaves = [
        leaf if home is np else jnp.asarray(leaf)
        for home, leaf in zip(like, jax.tree.leaves(arg), strict=True)
    ]
    return [
        home.broadcast_to(inside(leaf) if is_inexact(leaf) else False, jnp.shape(leaf))
        for home, leaf in zip(like, leaves, strict=True)
    ]


def _validate(claim: Claim, names: list[str], name: str, said: Any) -> None:
    if name not in names:
        raise UsageError(
            message(
                must=f"declared names arguments of {claim.name}: {', '.join(names)}",
                found=name,
                where="verify",
                do=f"use the name that the function gives the argument; {did_you_mean(name, names)}",
            )
        )
    is_region = isinstance(said, tuple) and len(said) == 2 and isinstance(said[0], str) and callable(said[1])
    if not isinstance(said, str) and not is_region:
        raise UsageError(
            message(
                must="what is declared must be a word, or a word and a predicate of the argument",
                found=f"{name}={said!r}",
                where="verify",
                do='write e.g. {"x": "straight-through"} or {"x": ("guard", lambda x: abs(x) < 1e-7)}',
            )
        )


def _place(names: list[str], name: str, held: StaticArguments | None) -> int:
    """Return where a named argument stands among those that are not static."""
    number = names.index(name)
    return number if held is None else number - sum(i < number for i in held.values)


def _names(function: Any) -> list[str]:
    plain = getattr(function, "fun", function)
    if callable(plain):
        return list(inspect.signature(plain).parameters)
    return ["params", "x"] if hasattr(function, "init") else ["prediction", "target"]
