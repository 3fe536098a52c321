"""Rules made from other rules: in turn, added to the input, recomputed, or past a key or a state."""

import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, Update, descend, require_floating, require_rule

# A raw key of JAX.
KEY = array("2", "uint32", 0, 2**32 - 1)


def chain(*rules: Rule) -> Rule:
    """Return the composition of `rules`, the first applied first.

    With y_k = f_k(p_k, y_{k−1}), the sweep goes from the last rule to the first and carries only
    ∂L/∂y_k (S2.9). The parameters are a tuple, one entry per rule; a rule without any has `()`.

    Raises:
        UsageError: no rule is given, or an argument is not a rule.
    """
    if not rules:
        raise UsageError(
            message(must="a chain needs at least one rule", found="none", where="chain", do="pass one")
        )
    for rule in rules:
        require_rule(rule, "chain", "each part")

    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        params = []
        for rule, rule_key in zip(rules, jax.random.split(key, len(rules)), strict=True):
            rule_params, x = rule.init(rule_key, x)
            params.append(rule_params)
        return tuple(params), x

    def forward(params: Sequence[PyTree], x: PyTree) -> tuple[PyTree, PyTree]:
        require_one_each(params, rules, "chain")
        residuals = []
        for rule, rule_params in zip(rules, params, strict=True):
            x, kept = rule.forward(rule_params, x)
            residuals.append(kept)
        return x, tuple(residuals)

    def backward(
        params: Sequence[PyTree], residuals: Sequence[PyTree], delta: PyTree
    ) -> tuple[PyTree, PyTree]:
        grads = []
        for rule, rule_params, kept in zip(rules[::-1], params[::-1], residuals[::-1], strict=True):
            rule_grads, delta = rule.backward(rule_params, kept, delta)
            grads.append(rule_grads)
        return tuple(grads[::-1]), delta

    def descend_layers(
        params: Sequence[PyTree], residuals: Sequence[PyTree], delta: PyTree, update: Update
    ) -> tuple[PyTree, PyTree]:
        updated = []
        for rule, rule_params, kept in zip(rules[::-1], params[::-1], residuals[::-1], strict=True):
            rule_params, delta = descend(rule, rule_params, kept, delta, update)
            updated.append(rule_params)
        return tuple(updated[::-1]), delta

    return Rule(
        f"chain({', '.join(rule.name for rule in rules)})",
        init,
        forward,
        backward,
        rules[0].domain,
        "; ".join(f"{rule.name}: {rule.at_kinks}" for rule in rules if rule.at_kinks) or None,
        rules,
        descend_layers,
    )


def residual(rule: Rule) -> Rule:
    """Return y = x + f(x), for a rule f that keeps the shape of its input.

    Backward, from δy:   ∂L/∂x = δy + ∂L/∂x through f,   so the sweep reaches x on a path of slope 1, too.
    Parameters and residuals are those of f. Source: He, Zhang, Ren and Sun 2016, "Deep residual learning for
    image recognition", arXiv:1512.03385 (the paper was not at hand).

    Raises:
        UsageError: `rule` is not a rule, or (raised by `init` and `forward`) it changes the shape or the
            dtype of its input, or the input is not floating.
    """
    require_rule(rule, "residual")
    name = f"residual({rule.name})"

    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        require_floating(x, name)
        params, y = rule.init(key, x)
        require_kept(x, y, name)
        return params, y

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        require_floating(x, name)
        y, kept = rule.forward(params, x)
        require_kept(x, y, name)
        return jax.tree.map(operator.add, x, y), kept

    def backward(params: PyTree, residuals: PyTree, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        grads, through = rule.backward(params, residuals, delta_y)
        return grads, jax.tree.map(operator.add, delta_y, through)

    def descend_beside(
        params: PyTree, residuals: PyTree, delta_y: PyTree, update: Update
    ) -> tuple[PyTree, PyTree]:
        params, through = descend(rule, params, residuals, delta_y, update)
        return params, jax.tree.map(operator.add, delta_y, through)

    return Rule(name, init, forward, backward, rule.domain, rule.at_kinks, (rule,), descend_beside)


def carrying(rule: Rule, carried: PyTree = KEY) -> Rule:
    """Return `rule` on the first of two inputs, past which the second goes unchanged.

    y = (f(values), carried) for x = (values, carried), and likewise backward. In a chain it takes a key of
    `dropout`, or the state of a `batch_norm`, past the rules that know nothing of it.

    Args:
        rule: the rule.
        carried: the specification of the second input, by which `verify` draws it; a key unless said.

    Raises:
        UsageError: `rule` is not a rule.
    """
    require_rule(rule, "carrying")

    def init(key: jax.Array, x: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        params, y = rule.init(key, x[0])
        return params, (y, x[1])

    def forward(params: PyTree, x: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        y, residuals = rule.forward(params, x[0])
        return (y, x[1]), residuals

    def backward(params: PyTree, residuals: PyTree, delta: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        grads, delta_x = rule.backward(params, residuals, delta[0])
        return grads, (delta_x, _without_whole_numbers(delta[1]))

    def descend_layer(
        params: PyTree, residuals: PyTree, delta: tuple[PyTree, PyTree], update: Update
    ) -> tuple[PyTree, PyTree]:
        params, delta_x = descend(rule, params, residuals, delta[0], update)
        return params, (delta_x, _without_whole_numbers(delta[1]))

    name = f"carrying({rule.name})"
    domain = (rule.domain, carried)
    return Rule(name, init, forward, backward, domain, rule.at_kinks, (rule,), descend_layer)


def values_of(rule: Rule) -> Rule:
    """Return `rule` without the second part of its output: y = values for (values, carried).

    It ends a chain with `dropout` or `batch_norm`, so that a loss can follow. Nothing depends on what was
    carried, so its cotangent is 0, or None where it is not floating. `fit` hands every leaf of x out in
    batches, so a key or a state needs a training step of your own (`value_and_grad`).

    Raises:
        UsageError: `rule` is not a rule.
    """
    require_rule(rule, "values_of")

    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        params, (y, _) = rule.init(key, x)
        return params, y

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        (y, carried), residuals = rule.forward(params, x)
        return y, (residuals, carried)

    def both(carried: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
        return delta, jax.tree.map(jnp.zeros_like, _without_whole_numbers(carried))

    def backward(params: PyTree, kept: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
        return rule.backward(params, kept[0], both(kept[1], delta))

    def descend_inside(params: PyTree, kept: PyTree, delta: PyTree, update: Update) -> tuple[PyTree, PyTree]:
        return descend(rule, params, kept[0], both(kept[1], delta), update)

    name = f"values_of({rule.name})"
    return Rule(name, init, forward, backward, rule.domain, rule.at_kinks, (rule,), descend_inside)


def _without_whole_numbers(delta: PyTree) -> PyTree:
    """Return the cotangents with None for a leaf that is not floating, as a rule returns them."""
    return jax.tree.map(lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jnp.floating) else None, delta)


def remat(rule: Rule) -> Rule:
    """Return `rule` with its residuals recomputed in the backward pass instead of stored.

    Only `x` is kept. The backward pass holds all residuals of `rule` at once, so memory falls for a
    network made of several such parts, and not for `remat` of a whole network. Inside a loop it falls
    with every compiler: in `repeat(remat(rule), n)`, and most in `remat_repeat(rule, n)`, which chooses
    the parts. In a `chain` an optimization barrier keeps the compiler from merging the two forward
    passes; the CPU compiler of jax 0.10 drops that barrier (four parts of four layers hold 2.4 MB on
    jax 0.12 and 8.4 MB on jax 0.10, where the sixteen layers without `remat` hold 9.5 MB).

    Raises:
        UsageError: `rule` is not a rule.
    """
    require_rule(rule, "remat")

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        return rule.forward(params, x)[0], x

    def again(params: PyTree, x: PyTree, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        x, delta_y = lax.optimization_barrier((x, delta_y))
        return rule.forward(params, x)[1], delta_y

    def backward(params: PyTree, x: PyTree, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        return rule.backward(params, *again(params, x, delta_y))

    def descend_again(params: PyTree, x: PyTree, delta_y: PyTree, update: Update) -> tuple[PyTree, PyTree]:
        return descend(rule, params, *again(params, x, delta_y), update)

    name = f"remat({rule.name})"
    return rule._replace(name=name, forward=forward, backward=backward, parts=(rule,), descend=descend_again)


def require_kept(x: PyTree, y: PyTree, where: str) -> None:
    """Raise `UsageError` unless `y` has the tree, the shapes and the dtypes of `x`."""
    taken, returned = (jax.tree.map(_signature, tree) for tree in (x, y))
    if returned != taken:
        raise UsageError(
            message(
                must="the rule inside must keep the shape and dtype of its input",
                found=f"{taken} to {returned}",
                where=where,
                do="pass a rule with as many outputs as inputs",
            )
        )


def _signature(leaf: jax.Array | jax.ShapeDtypeStruct) -> str:
    return f"{jnp.result_type(leaf).name}[{','.join(map(str, jnp.shape(leaf)))}]"


def require_one_each(params: Sequence[PyTree], rules: Sequence[object], where: str) -> None:
    """Raise `UsageError` unless `params` is a sequence with one entry per rule."""
    if not isinstance(params, Sequence) or len(params) != len(rules):
        found = f"{len(params)} entries" if isinstance(params, Sequence) else type(params).__name__
        raise UsageError(
            message(
                must=f"params must be a tuple with {len(rules)} entries, one for each layer",
                found=found,
                where=where,
                do="initialise them with rule.init(key, x)",
            )
        )
