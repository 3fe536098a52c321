"""What is written down about one published rule, and the gradient that it returns at a point."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from jax.extend.core import Literal

mpmath.mp.dps = 50

RIGHT = "right"
AS_AUTODIFF = "no better than autodiff"
RULES_OF_THEIR_OWN = {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr", "jit": "jaxpr"}


class Call(NamedTuple):
    """The arguments of `bp.verify`: the published function, the specifications, a plain reference, settings."""

    fn: Any
    args: list[Any]
    of: Any = None
    settings: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Witness:
    """One entry of the gradient of the sum of a function's results, computed without it and without autodiff.

    Attributes:
        at: the arguments, rounded to `dtype` before either side sees them.
        exact: the derivative, from mpmath numbers.
        argument, entry: which argument is differentiated, and which of its entries is looked at.
        result: the entry of the result that is differentiated; all of them are summed where it is None.
        right: whether the package returns it to five digits; False marks a fault.
        dtype: the precision of the package's arithmetic.
    """

    at: tuple[Any, ...]
    exact: Callable[..., Any]
    argument: int = 0
    entry: tuple[int, ...] = ()
    result: tuple[int, ...] | None = None
    right: bool = True
    dtype: str = "float32"


@dataclass(frozen=True)
class Published:
    """One published rule.

    Attributes:
        package: the name under which the package is installed.
        name: the function, as its users write it.
        call: returns how it is verified; the package is imported only there.
        domain: where its documentation says that it holds.
        truth: `RIGHT`, `AS_AUTODIFF` with where, "wrong at …" or "loses digits at …"; never by our verifier.
        proof: why, in a line or two.
        witnesses: points at which mpmath shows it.
    """

    package: str
    name: str
    call: Callable[[], Call]
    domain: str
    truth: str
    proof: str
    witnesses: tuple[Witness, ...] = field(default=())

    @property
    def version(self) -> str:
        """The version that is installed."""
        return version(self.package)

    @property
    def is_faulty(self) -> bool:
        """Whether a good verdict on it would be false."""
        return not self.truth.startswith((RIGHT, AS_AUTODIFF))


def derivative(f: Callable[..., Any], argument: int) -> Callable[..., Any]:
    """Return the derivative of `f` by one argument, as mpmath finds it from differences of 50 digits."""
    return lambda *at: mpmath.diff(f, at, tuple(int(j == argument) for j in range(len(at))))


def plain(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fn` without the rules that it carries: autodiff then goes through its own operations."""

    def without_rules(*args: Any) -> Any:
        traced, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
        leaves = _evaluated(traced.jaxpr, traced.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), leaves)

    return without_rules


def returned(fn: Callable[..., Any], witness: Witness) -> tuple[tuple[Any, ...], float]:
    """Return the arguments of a witness as mpmath numbers, and the entry of the gradient that `fn` gives."""
    with jax.enable_x64(witness.dtype == "float64"):
        rounded = [np.asarray(a, witness.dtype) for a in witness.at]

        def scalar(*args: Any) -> Any:
            if witness.result is not None:
                return fn(*args)[witness.result]
            return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(fn(*args)))

        gradient = jax.grad(scalar, witness.argument)(*(jnp.asarray(a) for a in rounded))
        found = float(np.asarray(gradient)[witness.entry])
    return tuple(_exactly(a) for a in rounded), found


def _evaluated(jaxpr: Any, consts: Any, values: Any) -> list[Any]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values], strict=True))
    read = lambda v: v.val if isinstance(v, Literal) else known[v]
    for equation in jaxpr.eqns:
        inside, operands = RULES_OF_THEIR_OWN.get(equation.primitive.name), [read(v) for v in equation.invars]
        if inside is not None:
            closed = equation.params[inside]
            results = _evaluated(closed.jaxpr, closed.consts, operands)
        else:
            results = equation.primitive.bind(*operands, **equation.params)
            results = results if equation.primitive.multiple_results else [results]
        known.update(zip(equation.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _exactly(values: np.ndarray) -> Any:
    exact = [mpmath.mpf(float(v)) for v in values.ravel()]
    return exact[0] if values.ndim == 0 else np.array(exact, object).reshape(values.shape)
