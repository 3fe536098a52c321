"""S3.1 and S3.2: the chain rule on simple functions, and the m × n Jacobian that it multiplies.

The examples are those of the course notes that document 003 refers to (cs231n, "Backpropagation,
Intuitions"): x + y, xy, max(x, y) and a sigmoid neuron.
"""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees, assert_value
from backproof import rules
from backproof.numerics.noise import measure
from networks import networks, output, seeds

numbers = st.floats(-100, 100)
NEURON = bp.mlp((2, 1), rules.sigmoid, last=rules.sigmoid)


def pulled_back(rule, params, x, delta_y):
    """Return (grads, delta_x) of the shipped rule at x."""
    return rule.backward(params, rule.forward(params, x)[1], delta_y)


def gate(rule, x, y):
    """Return the gradient of max(x, y) = y + relu(x − y), with the slope of the shipped rule at a tie."""
    _, slope = measure(lambda v: pulled_back(rule, (), v, jnp.ones(1)), np.array([x - y])).value
    return slope[0], 1 - slope[0]


@pytest.mark.spec("S3.1")
@given(x=numbers, y=numbers)
def test_a_sum_hands_its_error_to_both_terms(x, y):
    total = {"W": np.ones((1, 2)), "b": np.zeros(1)}  # f = x + y
    _, delta = measure(lambda v: pulled_back(rules.affine(1), total, v, jnp.ones(1)), np.array([x, y])).value
    assert np.array_equal(delta, [1, 1])


@pytest.mark.spec("S3.1")
@given(x=numbers, y=numbers)
def test_a_product_hands_each_factor_the_other(x, y):
    product = {"W": np.array([[x]]), "b": np.zeros(1)}  # f = xy, one factor a weight
    both = measure(lambda p, v: pulled_back(rules.affine(1), p, v, jnp.ones(1)), product, np.array([y]))
    grads, delta = both.value
    assert (grads["W"][0, 0], delta[0]) == (y, x)


@pytest.mark.spec("S3.1")
@given(x=numbers, y=numbers, slope=st.floats(0, 1))
def test_a_maximum_hands_its_error_to_the_larger_input(x, y, slope):
    assume(x - y != 0)
    assert gate(rules.relu_with(slope), x, y) == (x >= y, y >= x)


@pytest.mark.spec("S3.1")
@given(x=numbers, slope=st.floats(0, 1))
def test_at_a_tie_no_subgradient_of_the_maximum_is_one_and_one(x, slope):
    of_x, of_y = gate(rules.relu_with(slope), x, x)
    assert (of_x, of_y) == (slope, 1 - slope)  # raising both by h raises the maximum by h
    assert (of_x, of_y) != (x >= x, x >= x)  # cs231n's indicators, which raise it by 2h
    assert gate(rules.relu_with(0.5), x, x) == measure(jax.grad(jnp.maximum, argnums=(0, 1)), x, x).value


@pytest.mark.spec("S3.1")
def test_the_neuron_of_the_course_has_the_gradients_given_there():
    f = 1 / (1 + mpmath.exp(-1))  # w0 x0 + w1 x1 + w2 = 1 at w = (2, −3, −3), x = (−1, −2)
    slope = float(f * (1 - f))
    params, x = ({"W": np.array([[2.0, -3.0]]), "b": np.array([-3.0])},), np.array([-1.0, -2.0])
    assert_value(lambda p, x: NEURON.forward(p, x)[0], (params, x), np.array([float(f)]))
    dw = ({"W": np.array([[-slope, -2 * slope]]), "b": np.array([slope])},)
    dx = np.array([2 * slope, -3 * slope])
    assert_value(lambda p, x: pulled_back(NEURON, p, x, jnp.ones(1)), (params, x), (dw, dx))


@pytest.mark.spec("S3.1")
@given(seed=seeds)
def test_a_neuron_s_gradient_is_f_times_1_minus_f_times_the_other_factor(seed):
    w, x = np.random.default_rng(seed).normal(size=(2, 2))
    params = ({"W": w[None], "b": np.array([w.sum()])},)

    def by_steps(params, x):  # d(1/u) · d(1 + v) · d(eˢ) · d(−s), then the product and the sum
        (layer,) = params
        f = 1 / (1 + jnp.exp(-(layer["W"][0] @ x + layer["b"][0])))
        slope = f * (1 - f)
        return ({"W": (slope * x)[None], "b": slope[None]},), slope * layer["W"][0]

    assert_agrees(lambda p, x: pulled_back(NEURON, p, x, jnp.ones(1)), by_steps, params, x)
    f = lambda p, x: (1 / (1 + jnp.exp(-(p[0]["W"] @ x + p[0]["b"]))))[0]
    assert_agrees(lambda p, x: pulled_back(NEURON, p, x, jnp.ones(1)), jax.grad(f, argnums=(0, 1)), params, x)


@pytest.mark.spec("S3.2")
@given(net=networks(batches=[()]))
def test_row_i_of_the_m_by_n_jacobian_is_the_backward_pass_of_component_i(net):
    m, n = len(net.y), len(net.x)

    def shipped(params, x):
        _, residuals = net.rule.forward(params, x)
        return jnp.stack([net.rule.backward(params, residuals, e_i)[1] for e_i in np.eye(m)])

    assert measure(shipped, net.params, net.x).value.shape == (m, n)
    assert_agrees(shipped, lambda p, x: jax.jacobian(lambda x: output(net.sigma, p, x))(x), net.params, net.x)


@pytest.mark.spec("S3.2")
@given(n=st.sampled_from([1, 2, 4]), seed=seeds)
def test_the_jacobian_of_relu_is_the_diagonal_of_its_gates(n, seed):
    z = np.random.default_rng(seed).normal(size=n)
    backward = lambda z: jnp.stack([pulled_back(rules.relu, (), z, e_i)[1] for e_i in np.eye(n)])
    assert np.array_equal(measure(backward, z).value, np.diag(z > 0))
    autodiff = jax.jacobian(lambda z: rules.relu.forward((), z)[0])
    assert np.array_equal(measure(autodiff, z).value, np.diag(z > 0))
