"""Mutants, which are shipped rules with one slip planted: is each detected, and is its slip named?

The slip is in the backward pass, or in the residuals that the forward pass keeps for it. Its labels are
the causes in the verifier's list that name it. A mutant must be WRONG, and its cause must be one of the
labels or, if the verifier cannot decide, `unknown`; it must never be another name.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from backproof.arguments import array
from backproof.network import mlp
from backproof.numerics.leaves import is_floating
from backproof.rule import Rule
from backproof.rules import (
    ACTIVATIONS,
    CATALOGUE,
    affine,
    elu,
    elu_with,
    gelu,
    hard_tanh,
    identity,
    leaky_relu,
    leaky_relu_with,
    relu,
    relu_with,
    sigmoid,
    silu,
    sin,
    softmax,
    softplus,
    tanh,
)
from backproof.verification import Report, verify

SQUARE = (
    affine(3)._replace(name="affine(3) of 3", domain=array("*batch 3")),
    mlp([3, 3], tanh),
    mlp([3, 3, 3], sigmoid),
)
NETWORKS = (affine(3), mlp([3, 4, 2], relu), mlp([4, 3, 5, 2], tanh, last=sigmoid))
ELEMENTWISE = (*ACTIVATIONS, relu_with(1.0), leaky_relu_with(-0.5), elu_with(0.5))
ELSEWHERE = ("affine(3)", "relu_with(0.5)")  # a network, and relu_with(1)
EVERY = (*(rule for rule in CATALOGUE if rule.name not in ELSEWHERE), *NETWORKS)
WITH_WEIGHTS = (*NETWORKS, *SQUARE)  # leaf 0 of the result of their backward pass is the first layer's ∂L/∂W
DEEP = (NETWORKS[1], NETWORKS[2], SQUARE[2])


class Slip(NamedTuple):
    """Holds one kind of slip.

    Attributes:
        name: the name of the slip.
        labels: the causes that name it.
        change: returns a rule with the slip planted in it.
        of: the rules that it is planted in.
    """

    name: str
    labels: frozenset[str]
    change: Callable[[Rule], Rule]
    of: tuple[Rule, ...]


class Mutant(NamedTuple):
    """Holds one rule and the slip that is planted in it."""

    slip: Slip
    of: Rule

    @property
    def name(self) -> str:
        """Return the name of the mutant, made from the slip and the rule."""
        return f"{self.slip.name} in {self.of.name}"

    @property
    def rule(self) -> Rule:
        """Return the rule with the slip."""
        return self.slip.change(self.of)

    def verified(self, *, examples: int = 60, seed: int = 0) -> Report:
        """Return the verifier's report on the mutant; the right rule's forward pass is the reference."""
        return verify(
            self.rule,
            of=lambda params, x: self.of.forward(params, x)[0],
            examples=examples,
            seed=seed,
            dtypes=(),
            second_order=False,
        )


def leaf_changed(rule: Rule, which: int, change: Callable[[Any, Any], Any]) -> Rule:
    """Return `rule` with leaf number `which` of the result of its backward pass changed."""

    def backward(params: Any, residuals: Any, delta_y: Any) -> Any:
        leaves, tree = jax.tree.flatten(rule.backward(params, residuals, delta_y))
        leaves[which] = change(leaves[which], delta_y)
        return tree.unflatten(leaves)

    return rule._replace(backward=backward)


def all_changed(rule: Rule, change: Callable[[Any], Any]) -> Rule:
    """Return `rule` with every leaf of the result of its backward pass changed."""
    return rule._replace(backward=lambda p, kept, d: jax.tree.map(change, rule.backward(p, kept, d)))


def _over_the_batch(grad: Any, delta_y: Any) -> Any:
    return grad / max(delta_y.size // max(delta_y.shape[-1], 1), 1)


def _slope_at_output(rule: Rule) -> Rule:
    def forward(params: Any, x: Any) -> Any:
        y, _ = rule.forward(params, x)
        return y, rule.forward(params, y)[1]

    return rule._replace(forward=forward)


def _times(factor: float) -> Callable[[Any], Any]:
    return lambda grad: factor * grad


def _first(change: Callable[[Any], Any]) -> Callable[[Rule], Rule]:
    return lambda rule: leaf_changed(rule, 0, lambda grad, _: change(grad))


def _last(change: Callable[[Any], Any]) -> Callable[[Rule], Rule]:
    return lambda rule: leaf_changed(rule, -1, lambda grad, _: change(grad))


def _cotangent_dropped(rule: Rule) -> Rule:
    return rule._replace(backward=lambda p, kept, d: rule.backward(p, kept, jax.tree.map(jnp.ones_like, d)))


def _cotangent_clipped(rule: Rule) -> Rule:
    def clipped(d: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.clip(leaf, -1, 1) if is_floating(leaf) else leaf, d)

    return rule._replace(backward=lambda p, kept, d: rule.backward(p, kept, clipped(d)))


def _not_summed(rule: Rule) -> Rule:
    """Return an affine map whose bias gradient is not summed over the samples."""

    def backward(params: Any, residuals: Any, delta_y: Any) -> Any:
        grads, delta_x = rule.backward(params, residuals, delta_y)
        return {**grads, "b": delta_y}, delta_x

    return rule._replace(backward=backward)


def _gates_dropped(rule: Rule) -> Rule:
    """Return a network in which every hidden σ′ is left out: δ^l = (W^{l+1})ᵀ δ^{l+1}."""

    def backward(params: Any, residuals: Any, delta_y: Any) -> Any:
        last = residuals[-1]
        delta = last.activation.backward((), last.kept, delta_y)[1]
        grads = []
        for layer, kept in zip(params[::-1], residuals[::-1], strict=True):
            batch = tuple(range(delta.ndim - 1))
            outer = jnp.tensordot(delta, kept.x, (batch, batch))
            grads.append({"W": outer, "b": delta.sum(batch)})
            delta = delta @ layer["W"]
        return tuple(grads[::-1]), delta

    return rule._replace(backward=backward)


def _shifted(grad: Any) -> Any:
    return jnp.roll(grad, 1, -1)


def _last_row_lost(grad: Any) -> Any:
    return grad.at[..., -1:].set(0)


def _three_at_zero(rule: Rule) -> Rule:
    return _slope_replaced(rule, lambda x: x == 0, 3)


def _none_on_the_left(rule: Rule) -> Rule:
    return _slope_replaced(rule, lambda x: x < 0, 0)


def _slope_replaced(rule: Rule, where: Callable[[Any], Any], slope: float) -> Rule:
    """Return an elementwise rule whose slope is a constant at some of its inputs."""

    def forward(params: Any, x: Any) -> Any:
        y, kept = rule.forward(params, x)
        return y, (kept, x)

    def backward(params: Any, residuals: Any, delta_y: Any) -> Any:
        kept, x = residuals
        grads, delta_x = rule.backward(params, kept, delta_y)
        return grads, jnp.where(where(x), slope * delta_y, delta_x)

    return rule._replace(forward=forward, backward=backward, descend=None)


def _second_term_lost(rule: Rule) -> Rule:
    """Return `rule`, whose slope is a sum, without the second term of that slope."""
    slopes = {
        "silu": lambda z: jax.nn.sigmoid(z),
        "gelu": lambda z: jax.scipy.stats.norm.cdf(z),
        "sigmoid": lambda a: a,
        "tanh": jnp.ones_like,
    }
    return rule._replace(backward=lambda _, kept, d: ((), d * slopes[rule.name](kept)))


def _named(*labels: str) -> frozenset[str]:
    return frozenset(labels)


# The smooth activations whose slope differs between their input and their output.
SLOPE_AT_OUTPUT = tuple(one for one in ACTIVATIONS if one.name in
                        {"sigmoid", "tanh", "softplus", "silu", "gelu", "gelu_tanh", "sin"})  # fmt: skip
WHOLE_LINE = tuple(one for one in ELEMENTWISE if one.name not in {"relu", "relu_with(1)", "hard_tanh"})
SUMS = tuple(one for one in ACTIVATIONS if one.name in {"silu", "gelu", "sigmoid", "tanh"})

SLIPS = (
    Slip("sign", _named("sign"), lambda r: all_changed(r, jnp.negative), EVERY),
    Slip("three times", _named("factor"), lambda r: all_changed(r, lambda g: 3 * g), EVERY),
    Slip("twice", _named("factor", "convention-half"), lambda r: all_changed(r, lambda g: 2 * g), EVERY),
    Slip("x twice", _named("factor", "convention-half"),
         _last(_times(2)), EVERY),
    Slip("zero x", _named("missing"), _last(_times(0)), EVERY),
    Slip("zero W", _named("missing"),
         _first(_times(0)), WITH_WEIGHTS),
    Slip("negative W", _named("sign"), _first(_times(-1)), WITH_WEIGHTS),
    Slip("mean W", _named("factor", "convention-mean"),
         lambda r: leaf_changed(r, 0, _over_the_batch), WITH_WEIGHTS),
    Slip("mean b", _named("factor", "convention-mean"),
         lambda r: leaf_changed(r, 1, _over_the_batch), WITH_WEIGHTS),
    Slip("cotangent dropped", _named("cotangent-ignored"), _cotangent_dropped,
         (*ELEMENTWISE, *NETWORKS[:2])),  # not the softmax, which turns a cotangent of ones into zero
    Slip("cotangent clipped", _named("cotangent-nonlinear"), _cotangent_clipped, EVERY),
    Slip("W transposed", _named("transpose"), _first(jnp.transpose), SQUARE),
    Slip("slope at output", _named("slope-at-output"), _slope_at_output, SLOPE_AT_OUTPUT),
    Slip("no gate", _named("dropped-factor"), _gates_dropped, DEEP),
    Slip("b not summed", _named("missing-sum"), _not_summed, (NETWORKS[0], SQUARE[0])),
    Slip("moved by one", _named("shifted"), _last(_shifted), EVERY),
    # at one length of an axis, "only some entries" and "the last" cannot be told apart
    Slip("last column lost", _named("last-row", "surplus"), _last(_last_row_lost), EVERY),
    Slip("wrong at zero", _named("at-zeros"), _three_at_zero, ELEMENTWISE),
    Slip("left half lost", _named("negative-inputs"), _none_on_the_left, WHOLE_LINE),
    Slip("second term lost", _named("dropped-term", "dropped-factor"), _second_term_lost, SUMS),
)  # fmt: skip


CROSS_SECTION = {
    "sign": [relu, softmax],
    "three times": [elu, NETWORKS[0]],
    "twice": [hard_tanh],
    "x twice": [sin, NETWORKS[1]],
    "zero x": [leaky_relu, NETWORKS[0]],
    "zero W": [SQUARE[1]],
    "negative W": [SQUARE[1]],
    "mean W": [SQUARE[0]],
    "mean b": [NETWORKS[0]],
    "cotangent dropped": [identity, gelu],
    "cotangent clipped": [sigmoid],
    "W transposed": [SQUARE[0]],
    "slope at output": [sigmoid, silu],
    "no gate": [NETWORKS[2]],
    "b not summed": [NETWORKS[0]],
    "moved by one": [tanh],
    "last column lost": [sin],
    "wrong at zero": [elu],
    "left half lost": [softplus],
    "second term lost": [silu],
}


def cross_section() -> list[Mutant]:
    """Return the mutants with every slip planted in one rule or two."""
    return [Mutant(slip, rule) for slip in SLIPS for rule in CROSS_SECTION[slip.name]]


def mutants(slips: Iterable[Slip] = SLIPS) -> Iterator[Mutant]:
    """Return the mutants with every slip planted in every rule that it applies to."""
    return (Mutant(slip, rule) for slip in slips for rule in slip.of)
