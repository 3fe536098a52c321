"""Shipped rules, wrong by one labelled thing, is WRONG; its cause is that label or `unknown`."""

import os
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

import backproof as bp
from backproof import rules
from backproof.verification import Verdict
from backproof.verification.symptoms import TESTS

pytestmark = pytest.mark.as_user
WIDE = os.environ.get("BACKPROOF_PROFILE") == "wide"
SQUARE = [
    rules.affine(3)._replace(name="affine(3) of 3", domain=bp.array("*batch 3")),
    bp.mlp([3, 3], rules.tanh),
    bp.mlp([3, 3, 3], rules.sigmoid),
]
NETWORKS = [
    rules.affine(3),
    bp.mlp([3, 4, 2], rules.relu),
    bp.mlp([4, 3, 5, 2], rules.tanh, last=rules.sigmoid),
]
ELEMENTWISE = [*rules.ACTIVATIONS, rules.relu_with(1.0), rules.leaky_relu_with(-0.5), rules.elu_with(0.5)]
EVERY = [*ELEMENTWISE, rules.softmax, *NETWORKS]


def leaf_changed(rule, which, change):
    """Return `rule` with leaf number `which` of what its backward returns changed."""

    def backward(params, residuals, delta_y):
        leaves, tree = jax.tree.flatten(rule.backward(params, residuals, delta_y))
        leaves[which] = change(leaves[which], delta_y)
        return tree.unflatten(leaves)

    return rule._replace(backward=backward)


def all_changed(rule, change):
    return rule._replace(backward=lambda p, kept, d: jax.tree.map(change, rule.backward(p, kept, d)))


def over_the_batch(g, delta_y):
    return g / max(delta_y.size // max(delta_y.shape[-1], 1), 1)


def slope_at_output(rule):
    """Return the rule with the residuals of its output: σ′(a) for σ′(z)."""

    def forward(params, x):
        y, _ = rule.forward(params, x)
        return y, rule.forward(params, y)[1]

    return rule._replace(forward=forward)


class Mutant(NamedTuple):
    """One way to be wrong: its name, the causes that are its label, how it is made and of which rules."""

    name: str
    labels: set
    make: Callable
    of: list


FIRST = [*NETWORKS, *SQUARE]  # leaf 0 of these is the first layer's W
MUTANTS = [
    Mutant("sign", {"sign"}, lambda r: all_changed(r, jnp.negative), EVERY),
    Mutant("three times", {"factor"}, lambda r: all_changed(r, lambda g: 3 * g), EVERY),
    Mutant("twice", {"convention-half"}, lambda r: all_changed(r, lambda g: 2 * g), EVERY),
    Mutant(
        "x twice", {"factor", "convention-half"}, lambda r: leaf_changed(r, -1, lambda g, d: 2 * g), EVERY
    ),
    Mutant("zero x", {"missing"}, lambda r: leaf_changed(r, -1, lambda g, d: 0 * g), EVERY),
    Mutant("zero W", {"missing"}, lambda r: leaf_changed(r, 0, lambda g, d: jnp.zeros_like(g)), FIRST),
    Mutant("negative W", {"sign"}, lambda r: leaf_changed(r, 0, lambda g, d: -g), FIRST),
    Mutant("mean W", {"factor", "convention-mean"}, lambda r: leaf_changed(r, 0, over_the_batch), FIRST),
    Mutant("mean b", {"factor", "convention-mean"}, lambda r: leaf_changed(r, 1, over_the_batch), FIRST),
    Mutant(
        "cotangent dropped",
        {"cotangent-ignored"},
        lambda r: r._replace(backward=lambda p, kept, d: r.backward(p, kept, jnp.ones_like(d))),
        [*ELEMENTWISE, *NETWORKS[:2]],  # of ones the softmax makes zero, whatever else it does
    ),
    Mutant("W transposed", {"transpose"}, lambda r: leaf_changed(r, 0, lambda g, d: g.T), SQUARE),
    Mutant(
        "slope at output",
        {"slope-at-output"},
        slope_at_output,
        # the slope of the others is that at their output, or the rule does not act entry by entry
        [rules.sigmoid, rules.tanh, rules.softplus, rules.silu, rules.gelu, rules.gelu_tanh, rules.sin],
    ),
]
CROSS_SECTION = {
    "sign": [rules.relu, rules.softmax],
    "three times": [rules.elu, rules.affine(3)],
    "twice": [rules.hard_tanh],
    "x twice": [rules.sin, NETWORKS[1]],
    "zero x": [rules.leaky_relu, rules.affine(3)],
    "zero W": [SQUARE[1]],
    "negative W": [SQUARE[1]],
    "mean W": [SQUARE[0]],
    "mean b": [NETWORKS[0]],
    "cotangent dropped": [rules.identity, rules.gelu],
    "W transposed": [SQUARE[0], SQUARE[1]],
    "slope at output": [rules.sigmoid, rules.tanh, rules.silu],
}
PAIRS = [(mutant, rule) for mutant in MUTANTS for rule in (mutant.of if WIDE else CROSS_SECTION[mutant.name])]


def verified(rule):
    return bp.verify(rule, of=rule_forward(rule), examples=60, dtypes=(), second_order=False)


def rule_forward(rule):
    return lambda params, x: rule.forward(params, x)[0]


@pytest.mark.parametrize(("mutant", "rule"), PAIRS, ids=[f"{m.name} of {r.name}" for m, r in PAIRS])
def test_a_mutant_is_wrong_and_never_called_by_another_name(mutant, rule):
    report = verified(mutant.make(rule))
    assert report.verdict is Verdict.WRONG
    assert report.cause in mutant.labels | {"unknown"}


@pytest.mark.parametrize("rule", SQUARE, ids=lambda rule: rule.name)
def test_the_rules_made_square_are_right_themselves(rule):
    assert verified(rule).ok


def test_every_kind_of_mutant_is_in_the_cross_section_and_every_rule_has_one():
    assert set(CROSS_SECTION) == {mutant.name for mutant in MUTANTS}
    named = {rule.name for rule in EVERY}
    assert {rule.name for rule in rules.CATALOGUE} - named == {"relu_with(0.5)"}
    for mutant in MUTANTS:
        assert {r.name for r in CROSS_SECTION[mutant.name]} <= {r.name for r in mutant.of}


def test_labels_of_mutants_are_names_of_causes():
    for mutant in MUTANTS:
        assert mutant.labels <= set(TESTS)
