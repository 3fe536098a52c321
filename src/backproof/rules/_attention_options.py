r"""The options of attention, and the shapes that its inputs have.

x is (q, k, v) or (q, k, v, padding): q of shape (*batch, h, s, d), k (*batch, h_kv, t, d) and v
(*batch, h_kv, t, w), with h = group · h_kv. Query heads group · i … group · i + group − 1 share head i of k
and v. Source of grouped heads: Ainslie et al. 2023, "GQA: Training generalized multi-query transformer models
from multi-head checkpoints", arXiv:2305.13245 (the paper was not at hand).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from backproof.arguments import Specification, array, integers
from backproof.errors import UsageError, message
from backproof.rule import (
    PyTree,
    parameter_dtype,
    require_floating,
    require_number,
    require_shape,
    require_whole_number,
)

Params = dict[str, Array]
Padding = Bool[Array, "*batch t"] | Int[Array, "*batch"]
# q, k and v, and the padding of the keys if there is one.
Input = tuple[Array, ...]
PADDINGS = ("mask", "lengths")
ORDER = "pass (q, k, v), or (q, k, v, padding) if padding is given"


class Options(NamedTuple):
    """Holds the options of `attention_with`.

    Attributes:
        causal: whether query i sees no key after i + t − s: the last query sees the last key.
        window: a query sees only keys whose distance from its own, i + t − s, is below this number; None for
            all.
        soft_cap: c in c · tanh(score / c); None leaves the scores as they are.
        sink: whether each head has a parameter that is one more logit in the denominator.
        padding: what the fourth leaf of x is. "mask": a boolean array (*batch, t), True at the keys that
            count; "lengths": an integer array (*batch), how many of the first keys count; None: there is no
            such leaf.
        group: how many query heads share one head of k and v.
        lse: whether y is (o, the logarithm of the denominator) rather than o.
    """

    causal: bool = False
    window: int | None = None
    soft_cap: float | None = None
    sink: bool = False
    padding: str | None = None
    group: int = 1
    lse: bool = False

    def __str__(self) -> str:
        """Return what differs from plain attention, as arguments of a call."""
        default = self._field_defaults
        return ", ".join(
            f"{name}={value:g}" if name == "soft_cap" else f"{name}={value!r}"
            for name, value in self._asdict().items()
            if value != default[name]
        )

    @property
    def domain(self) -> tuple[Specification, ...]:
        """The specification of x at few heads and features, which show as much as many."""
        q, k, v = array(f"*batch {2 * self.group} s 3"), array("*batch 2 t 3"), array("*batch 2 t 2")
        padding = {"mask": array("*batch t", "bool"), "lengths": integers("*batch", 0, "t")}
        return (q, k, v, padding[self.padding]) if self.padding else (q, k, v)


def checked(options: Options, where: str) -> Options:
    """Return the options, their numbers as numbers of Python.

    Raises:
        UsageError: an option is none of those that `Options` names.
    """
    for name in ("causal", "sink", "lse"):
        _require_one_of(getattr(options, name), (False, True), name, where)
    _require_one_of(options.padding, (None, *PADDINGS), "padding", where)
    window, cap = options.window, options.soft_cap
    if window is not None:
        window = require_whole_number(window, "window", where)
    if cap is not None:
        cap = require_number(cap, "soft_cap", where, "above 0", lambda c: c > 0)
    group = require_whole_number(options.group, "group", where)
    return options._replace(window=window, soft_cap=cap, group=group)


def require_input(x: PyTree, options: Options, where: str) -> None:
    """Raise `UsageError` unless x is (q, k, v), or (q, k, v, padding), of shapes that fit."""
    count = 3 + (options.padding is not None)
    if not isinstance(x, tuple) or len(x) != count:
        found = f"{len(x)} of them" if isinstance(x, tuple) else type(x).__name__
        raise UsageError(message(must=f"x must be a tuple of {count}", found=found, where=where, do=ORDER))
    q, k, v = x[:3]
    require_floating((q, k, v), where)
    for name, leaf in zip("qkv", (q, k, v), strict=True):
        if jnp.ndim(leaf) < 3:
            axes = "heads, positions and features"
            raise _no_fit(f"{name} must have axes of {axes}", f"{name}.shape={jnp.shape(leaf)}", where)
    *batch, heads, t, d = k.shape
    queries = f"k has shape {k.shape} and group={options.group}"
    require_shape(q, (*batch, options.group * heads, q.shape[-2], d), where, "q", queries)
    require_shape(v, (*batch, heads, t, v.shape[-1]), where, "v", f"k has shape {k.shape}")
    if options.padding == "mask":
        _require_padding(x[3], jnp.bool_, (*batch, t), where)
    elif options.padding == "lengths":
        _require_padding(x[3], jnp.integer, tuple(batch), where)


def require_sink(params: PyTree, q: Array, options: Options, where: str) -> None:
    """Raise `UsageError` unless `params` holds one sink for each head of q, or nothing if there are none."""
    keys = sorted(params) if isinstance(params, dict) else None
    if not options.sink:
        if params != ():
            raise _no_fit("there are no parameters, so params must be ()", f"params={params!r}", where)
        return
    if keys != ["sink"]:
        found = type(params).__name__ if keys is None else f"keys {keys}"
        raise _no_fit("the parameters must be a dict of sink", found, where)
    require_floating(params["sink"], where, "sink")
    require_shape(params["sink"], (q.shape[-3],), where, "sink", "it has one number for each head of q")


def initial(x: PyTree, options: Options, where: str) -> tuple[PyTree, PyTree]:
    """Return the parameters, sinks of 0, and shape and dtype of y."""
    require_input(x, options, where)
    q, _, v = x[:3]
    sinks: Any = {"sink": jnp.zeros(q.shape[-3], parameter_dtype(x))} if options.sink else ()
    o = jax.ShapeDtypeStruct((*q.shape[:-1], v.shape[-1]), q.dtype)
    return sinks, (o, jax.ShapeDtypeStruct(q.shape[:-1], q.dtype)) if options.lse else o


def _require_one_of(value: object, known: tuple[object, ...], name: str, where: str) -> None:
    if not any(value is one or (isinstance(one, str) and value == one) for one in known):
        raise UsageError(
            message(
                must=f"{name} must be one of {', '.join(map(repr, known))}",
                found=f"{name}={value!r}",
                where=where,
                do="choose one of them",
            )
        )


def _require_padding(padding: Array, kind: Any, shape: tuple[int, ...], where: str) -> None:
    if not jnp.issubdtype(jnp.result_type(padding), kind):
        what = "boolean" if kind is jnp.bool_ else "integer"
        raise _no_fit(f"the padding must be {what}", f"dtype {jnp.result_type(padding)}", where)
    require_shape(padding, shape, where, "the padding", "it belongs to the keys")


def _no_fit(must: str, found: str, where: str) -> UsageError:
    return UsageError(message(must=must, found=found, where=where, do=ORDER))
