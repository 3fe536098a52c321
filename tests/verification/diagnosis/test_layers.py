"""The first wrong layer of a network is named, with what of it is wrong, and seen without autodiff too."""

import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof import rules
from backproof.verification.diagnosis.layers import first_wrong_layer
from backproof.verification.running.point import Point
from mutants import (
    Terms,
    averaged,
    gradient_of_b,
    gradient_of_W,
    output_error,
    sweep,
    transposed,
    without_slope,
)

pytestmark = pytest.mark.as_user
SIZES = (3, 4, 4, 4)
HIDDEN, BALANCE = "at layer 2 ≠ ⟨z − b,δ⟩ at layer 3", "⟨W,∂W⟩ + ⟨b,∂b⟩ ≠ ⟨z,δ⟩"


def network(terms, sizes=SIZES, activation=rules.relu):
    return bp.mlp(sizes, activation)._replace(backward=sweep(terms))


def point(sizes=SIZES, batch=(), seed=0):
    rng = np.random.default_rng(seed)
    layers = zip(sizes[1:], sizes, strict=False)
    params = tuple({"W": rng.normal(size=(n, m)), "b": rng.normal(size=n)} for n, m in layers)
    return Point((params, rng.normal(size=(*batch, sizes[0]))), rng.normal(size=(*batch, sizes[-1])))


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("terms", "layer", "what", "slip", "law"),
    [
        (Terms(output=lambda *args: 2 * output_error(*args)), 3, "δ^3", "twice the value", None),
        (Terms(hidden=without_slope), 2, "δ^2", "σ′ left out", HIDDEN),
        (Terms(hidden=transposed), 2, "δ^2", "W for Wᵀ", HIDDEN),
        (Terms(W=lambda *args: -gradient_of_W(*args)), 3, "∂W^3 alone", "the opposite sign", BALANCE),
        (Terms(b=lambda delta: 0 * gradient_of_b(delta)), 3, "∂b^3 alone", "zero in its place", BALANCE),
    ],
    ids=["doubled at the output", "no gate", "no transpose", "negative W", "zero b"],
)
def test_the_first_wrong_layer_from_the_output_is_named(terms, layer, what, slip, law):
    found = first_wrong_layer(network(terms), [point()])
    assert (found.layer, found.of) == (layer, 3)
    assert found.what.startswith(what)
    assert found.slip == slip
    assert any(law in one for one in found.unbalanced) if law else not found.unbalanced


def test_the_law_between_layers_is_not_asked_of_an_activation_that_does_not_keep_it():
    found = first_wrong_layer(network(Terms(hidden=without_slope), activation=rules.tanh), [point()])
    assert (found.layer, found.unbalanced) == (2, ())


def test_a_mistake_of_the_batch_alone_is_found_with_the_batch():
    found = first_wrong_layer(network(Terms(b=averaged)), [point(batch=(5,))])
    assert (found.layer, found.what, found.unbalanced) == (3, "∂b^3 alone", ())


def test_a_wrong_last_step_is_told_from_a_wrong_layer():
    right = bp.mlp(SIZES, rules.relu)

    def backward(params, residuals, delta_y):
        grads, delta_x = right.backward(params, residuals, delta_y)
        return grads, -delta_x

    found = first_wrong_layer(right._replace(backward=backward), [point()])
    assert (found.layer, found.notes()[0][:46]) == (0, "seen from the output, ∂J/∂x is the first that ")


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 4)])
def test_a_right_network_has_no_wrong_layer(batch):
    assert first_wrong_layer(bp.mlp(SIZES, rules.tanh, rules.sigmoid), [point(batch=batch)]) is None


def test_a_rule_without_layers_has_none_to_name():
    wrong = rules.affine(2)._replace(backward=lambda params, x, delta: ({"W": 0, "b": 0}, x))
    params = {"W": np.ones((2, 3)), "b": np.ones(2)}
    assert first_wrong_layer(wrong, [Point((params, np.ones(3)), np.ones(2))]) is None


def test_the_report_names_the_layer():
    report = bp.verify(network(Terms(hidden=without_slope)), examples=30, dtypes=(), second_order=False)
    assert any("layer 2 of 3 is the first that is wrong" in n for n in report.notes)
    assert jnp.isfinite(report.counterexample.hand)


def test_a_slip_that_gives_the_same_at_one_point_by_chance_is_not_named():
    one, other = point(seed=1), point(seed=2)
    shared = network(Terms(b=lambda delta: jnp.full_like(delta, 1) * jnp.sum(delta)))
    ones = Point(one.args, np.array([1.0, 0.0, 0.0, 0.0]))  # its sum is its first entry
    assert first_wrong_layer(shared, [one, other]).slip is None
    assert first_wrong_layer(shared, [one, ones]).slip is None


def two_axes_only(params, residuals, delta):
    """Is written for a batch: `delta.T @ x`; every gate is left out."""
    grads = []
    for layer, kept in zip(params[::-1], residuals[::-1], strict=True):
        grads.append({"W": delta.T @ kept.x, "b": delta.sum(0)})
        delta = delta @ layer["W"]
    return tuple(grads[::-1]), delta


def test_a_backward_for_one_batch_axis_is_seen_sample_by_sample_too():
    rule = bp.mlp(SIZES, rules.relu)._replace(backward=two_axes_only, domain=bp.array("b 3"))
    report = bp.verify(rule, examples=30, dtypes=(), second_order=False)
    assert (report.verdict, report.cause) == ("WRONG", "dropped-factor")
    found = first_wrong_layer(rule, [point(batch=(5,))])
    assert (found.layer, found.slip) == (2, "σ′ left out")


def test_a_backward_that_needs_its_whole_batch_is_seen_as_a_whole():
    def five_only(params, residuals, delta):
        assert delta.shape[0] == 5
        return two_axes_only(params, residuals, delta)

    rule = bp.mlp(SIZES, rules.relu)._replace(backward=five_only)
    found = first_wrong_layer(rule, [point(batch=(5,))])
    assert (found.layer, found.slips, found.unbalanced) == (2, (), ())
