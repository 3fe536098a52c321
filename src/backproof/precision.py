"""Mixed precision: parameters in float32, computation and activations in a narrower dtype."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, Update, descend, require_rule

COMPUTE = ("bfloat16", "float16")


@partial(jax.tree_util.register_dataclass, data_fields=["kept"], meta_fields=["dtypes"])
@dataclasses.dataclass(frozen=True)
class Narrowed:
    """Holds the residuals of a rule run in a narrower dtype, and the dtypes of the floating leaves of x."""

    kept: PyTree
    dtypes: tuple[str, ...]


def mixed_precision(rule: Rule, compute: str = "bfloat16") -> Rule:
    """Return `rule` computing in `compute` instead of float32, its parameters and gradients in float32.

    The policy, for x in float32:

    - parameters are float32, and so is every gradient of them and every update;
    - x is cast to `compute` on entry, and the output is cast back to float32; in between, activations,
      residuals and δ are held in `compute`;
    - a rule takes its products in the dtype of its input: `affine` casts W and b where they are used,
      so that no second copy of all parameters is held;
    - a gradient is summed over the batch in float32, the dtype of the parameter, and never rounded to
      `compute`: ∂L/∂W is one product with `preferred_element_type=float32`. `affine` and `mlp` do so; a
      rule that you write yourself must sum in the dtype of its parameter.

    Leaves of another dtype are left alone, so in float64 the policy does nothing. `verify` makes use of
    that: it judges the formula in float64, without the policy, and then the code in float32, with the
    policy, where each row is compared with what autodiff of the same mixed forward pass achieves. Losses
    and optimizers stay outside, in float32. There is no loss scaling, which float16 may need.

    Raises:
        UsageError: `rule` is not a rule; `compute` is neither bfloat16 nor float16; or the rule returns
            another dtype than that of its input (raised by `forward`).
    """
    require_rule(rule, "mixed_precision")
    if compute not in COMPUTE:
        raise UsageError(
            message(
                must=f"compute must be one of {', '.join(COMPUTE)}",
                found=f"compute={compute!r}",
                where=f"mixed_precision({rule.name})",
                do="pass such a name",
            )
        )
    name = f"mixed_precision({rule.name}, {compute})"

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, Narrowed]:
        dtypes = tuple(str(jnp.result_type(leaf)) for leaf in jax.tree.leaves(x) if _is_floating(leaf))
        y, kept = _forward(rule, params, narrowed(x), compute, name)
        if "float32" not in dtypes:
            return y, Narrowed(kept, dtypes)
        _require_compute(y, compute, name)
        return jax.tree.map(lambda leaf: leaf.astype("float32") if _is_floating(leaf) else leaf, y), Narrowed(
            kept, dtypes
        )

    def backward(params: PyTree, residuals: Narrowed, delta: PyTree) -> tuple[PyTree, PyTree]:
        delta = narrowed(delta) if "float32" in residuals.dtypes else delta
        grads, delta = rule.backward(params, residuals.kept, delta)
        return jax.tree.map(_as_param, params, grads), widened(delta, residuals.dtypes)

    def descend_mixed(
        params: PyTree, residuals: Narrowed, delta: PyTree, update: Update
    ) -> tuple[PyTree, PyTree]:
        def in_float32(param: jax.Array, grad: jax.Array) -> jax.Array:
            return update(param, _as_param(param, grad))

        delta = narrowed(delta) if "float32" in residuals.dtypes else delta
        params, delta = descend(rule, params, residuals.kept, delta, in_float32)
        return params, widened(delta, residuals.dtypes)

    def narrowed(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.astype(compute) if leaf.dtype == "float32" else leaf, tree)

    def widened(delta: PyTree, dtypes: tuple[str, ...]) -> PyTree:
        leaves, tree = jax.tree.flatten(delta)
        return tree.unflatten([leaf.astype(dtype) for leaf, dtype in zip(leaves, dtypes, strict=True)])

    return rule._replace(name=name, forward=forward, backward=backward, parts=(rule,), descend=descend_mixed)


def _forward(rule: Rule, params: PyTree, x: PyTree, compute: str, where: str) -> tuple[PyTree, PyTree]:
    """Return what the rule's forward returns for an input in `compute`.

    Raises:
        UsageError: it raises, as JAX does where an operation is given two dtypes.
    """
    try:
        return rule.forward(params, x)
    except TypeError as error:
        dtypes = {str(jnp.result_type(leaf)) for leaf in jax.tree.leaves(params)} - {compute}
        if not dtypes:
            raise
        raise UsageError(
            message(
                must=f"the rule {rule.name} must compute in the dtype of its input, here {compute}",
                found=f"{type(error).__name__}: {error}".splitlines()[0],
                where=where,
                do=f"cast its parameters, which are in {', '.join(sorted(dtypes))}, where they are used, "
                "e.g. params['W'].astype(x.dtype), and their gradients to the dtype of the parameters",
            )
        ) from error


def _as_param(param: jax.Array, grad: jax.Array) -> jax.Array:
    return grad.astype(param.dtype)


def _is_floating(leaf: jax.Array) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _require_compute(y: PyTree, compute: str, where: str) -> None:
    """Raise `UsageError` unless every floating leaf of `y` is in `compute`."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(y):
        if _is_floating(leaf) and leaf.dtype != compute:
            raise UsageError(
                message(
                    must=f"the rule must compute in the dtype of its input, here {compute}",
                    found=f"y{jax.tree_util.keystr(path)} of dtype {leaf.dtype}",
                    where=where,
                    do="cast its parameters where they are used, e.g. params['W'].astype(x.dtype)",
                )
            )
