"""S0.6: the factor δ^l is shared by ∂J/∂W^l and ∂J/∂b^l, so one sweep computes it once a layer."""

import jax
import pytest
from hypothesis import given
from jax.extend.core import ClosedJaxpr

import backproof as bp
from backproof import rules
from networks import hand_deltas, networks

nets_of_sines = networks(activations=[rules.sin], lasts=[rules.sin])


def count(primitive, f, *args):
    """Return how often `primitive` stands in the traced program of f, inner programs included."""

    def within(jaxpr):
        inner = [v for eqn in jaxpr.eqns for v in eqn.params.values() if isinstance(v, ClosedJaxpr)]
        here = sum(eqn.primitive.name == primitive for eqn in jaxpr.eqns)
        return here + sum(within(closed.jaxpr) for closed in inner)

    return within(jax.make_jaxpr(f)(*args).jaxpr)


def residuals_of(net):
    return jax.eval_shape(net.rule.forward, net.params, net.x)[1]


@pytest.mark.spec("S0.6")
@given(nets_of_sines)
def test_the_errors_take_one_product_with_W_transposed_between_layers(net):
    products = count("dot_general", bp.deltas, net.params, residuals_of(net), net.delta)
    assert products == net.depth - 1  # Wᵀδ at l = L−1 … 1


@pytest.mark.spec("S0.6")
@given(nets_of_sines)
def test_the_sweep_adds_one_outer_product_a_layer_and_nothing_else(net):
    sweep = (net.rule.backward, net.params, residuals_of(net), net.delta)
    outer, to_the_input = net.depth, 1  # δ^l (a^{l−1})ᵀ at every layer; (W^1)ᵀ δ^1, which is ∂J/∂x
    assert count("dot_general", *sweep) == (net.depth - 1) + outer + to_the_input


@pytest.mark.spec("S0.6")
@given(nets_of_sines)
def test_the_slope_of_sigma_is_taken_once_a_layer(net):
    assert count("cos", net.rule.backward, net.params, residuals_of(net), net.delta) == net.depth
    assert count("cos", hand_deltas(net.rule), net.params, net.x, net.delta) == net.depth
