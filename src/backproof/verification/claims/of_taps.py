"""The claim about the gradients by the values that a function taps."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.leaves import dtype_of, is_complex, is_floating, is_inexact
from backproof.numerics.rounding import epsilon
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.claims.numpy_in_jax import numpy_in_jax
from backproof.verification.claims.samples import shapes
from backproof.verification.claims.taps import gradients
from backproof.verification.points.domain import domain_of
from backproof.verification.points.draws import Points

Args = tuple[Any, ...]
ByHand = Callable[..., Mapping[str, Any]] | Mapping[str, Any]


def traceable(function: Callable[..., Any], args: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a function as JAX can trace it: as it is, or NumPy code run on arrays of JAX."""
    try:
        jax.eval_shape(function, *shapes(args))
    except Exception as error:
        # What a function of JAX raises is raised again where it is run.
        if is_numpy_code(function, error):
            inside = numpy_in_jax(function)
            inside.__name__ = function.__name__
            return inside
    return function


def written(by_hand: ByHand, args: tuple[Any, ...]) -> Callable[..., Mapping[str, Any]]:
    """Return what is written by hand as a function of the arguments."""
    if not isinstance(by_hand, Mapping):
        return traceable(by_hand, args)
    values = {name: np.asarray(value) for name, value in by_hand.items()}
    return lambda *_: values


def widened(tree: Any) -> Any:
    """Return floating leaves in float64 or complex128."""

    def wide(leaf: Any) -> Any:
        like = jnp if isinstance(leaf, jax.Array) else np
        if not is_inexact(leaf):
            return like.asarray(leaf)
        wanted = np.complex128 if is_complex(leaf) else np.float64
        return like.asarray(leaf, jax.dtypes.canonicalize_dtype(wanted) if like is jnp else wanted)

    return jax.tree.map(wide, tree)


def coarser(args: Args, given: Mapping[str, Any]) -> Args:
    """Return arguments in no more digits than the coarsest value that was given."""
    floats = [value for value in given.values() if is_inexact(value)]
    unit = max((epsilon(dtype_of(value)) for value in floats), default=0.0)
    coarsest = next((dtype_of(value) for value in floats if epsilon(dtype_of(value)) == unit), None)

    def coarse(leaf: Any) -> Any:
        fits = coarsest is None or not is_floating(leaf) or epsilon(dtype_of(leaf)) >= unit
        return leaf if fits else np.asarray(leaf).astype(coarsest)

    return jax.tree.map(coarse, args)


def claim_of_taps(
    function: Callable[..., Any],
    hand: Callable[..., Any],
    names: tuple[str, ...],
    points: Points | None,
    given: Args | None,
) -> Claim:
    """Return the claim about the gradients by some tapped values.

    Args:
        function: the function.
        hand: gives the gradients by hand.
        names: the names of these values.
        points: where both can be tried.
        given: the arguments at which values were given; autodiff then runs in their precision.
    """
    truth = gradients(function)

    def by_hand(args: Args, direction: Any) -> Any:
        found = hand(*args)
        return {name: _as_computed(found[name], args) for name in names}

    def by_autodiff(args: Args, direction: Any) -> Any:
        found = truth(*(args if given is None else jax.tree.map(_in_dtype_of, args, given)))
        return {name: widened(found[name]) for name in names}

    domain = points or domain_of([], function)
    claim = Claim(
        function.__name__, function, by_hand, by_autodiff, forward=True, points=domain, is_directed=False
    )
    return claim._replace(result="the gradient", meant="that by autodiff")


def _in_dtype_of(arg: Any, given: Any) -> Any:
    return jnp.asarray(arg, dtype_of(given))


def _as_computed(value: Any, args: Args) -> Any:
    """Return a value in float64; one that was given in fewer digits has their rounding."""
    if not is_inexact(value):
        return jnp.asarray(value, np.float64)
    if not isinstance(value, np.ndarray) or value.dtype in (np.float64, np.complex128):
        return value
    leaf = next(leaf for leaf in jax.tree.leaves(args) if is_inexact(leaf))
    nothing = 0 * jnp.real(jnp.ravel(leaf)[0]).astype(np.real(value).dtype)
    # an operation of the program, so that it is seen to be rounded
    return widened(jnp.asarray(value) + nothing)
