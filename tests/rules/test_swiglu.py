"""Gated units against `jax.nn`, and against mpmath at extremes."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import by_autodiff, by_hand, points

from agreement import assert_agrees, assert_value
from backproof.compose import chain
from backproof.errors import UsageError
from backproof.rules import affine, geglu, swiglu
from slips_in_files import assert_named

OF_JAX = {swiglu: jax.nn.silu, geglu: lambda z: jax.nn.gelu(z, approximate=False)}
EXACT = {
    swiglu: lambda z: z / (1 + mpmath.exp(-z)),
    geglu: lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2,
}
both = pytest.mark.parametrize("rule", OF_JAX, ids=lambda rule: rule.name)


def halved(activation):
    def f(x):
        gate, up = jnp.split(x, 2, axis=-1)
        return activation(gate) * up

    return f


@both
@given(points(shapes=((4,), (2, 6), (3, 2, 4), (1, 2), (0, 4), (3, 0))), st.integers(0, 2**32 - 1))
def test_it_is_the_product_of_jax(rule, point, seed):
    x, _ = point
    delta = np.random.default_rng(seed).standard_normal((*x.shape[:-1], x.shape[-1] // 2))
    assert_agrees(by_hand(rule), by_autodiff(halved(OF_JAX[rule])), x, delta)


@both
@pytest.mark.parametrize("gate", [-800.0, -40.0, -6.0, -0.5, 0.0, 0.5, 6.0, 40.0, 800.0])
def test_value_and_slopes_have_their_digits_at_extremes(rule, gate):
    up, delta = mpmath.mpf(3) / 2, mpmath.mpf(-2)
    with mpmath.workdps(900):
        a, slope = EXACT[rule](mpmath.mpf(gate)), mpmath.diff(EXACT[rule], mpmath.mpf(gate))
        y, gradient = float(a * up), [float(delta * up * slope), float(delta * a)]
    point = np.array([gate, 1.5]), np.array([-2.0])
    assert_value(by_hand(rule), point, (np.array([y]), np.array(gradient)))


MUTANTS = {
    "the halves swapped": lambda a, slope, up, d: (d * a, d * up * slope),
    "the slope forgotten": lambda a, slope, up, d: (d * up, d * a),
    "the other half forgotten": lambda a, slope, up, d: (d * slope, d * a),
    "the activation forgotten": lambda a, slope, up, d: (d * up * slope, d),
}


@both
@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(rule, name):
    f = OF_JAX[rule]

    def with_halves(of_halves):
        def backward(params, x, delta):
            gate, up = jnp.split(x, 2, axis=-1)
            a, pullback = jax.vjp(f, gate)
            return (), jnp.concatenate(of_halves(a, pullback(jnp.ones_like(a))[0], up, delta), axis=-1)

        return by_hand(rule._replace(backward=backward))

    rng = np.random.default_rng(0)
    point = rng.standard_normal((2, 6)), rng.standard_normal((2, 3))
    assert_agrees(
        with_halves(lambda a, slope, up, d: (d * up * slope, d * a)), by_autodiff(halved(f)), *point
    )
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(with_halves(MUTANTS[name]), by_autodiff(halved(f)), *point)


def test_the_first_half_is_the_gate_and_the_other_order_is_caught():
    x, delta = np.array([1.0, -2.0]), np.array([1.0])
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(swiglu), by_autodiff(lambda x: halved(jax.nn.silu)(x[::-1])), x, delta)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@both
def test_the_input_alone_is_kept_and_the_dtype_stays(rule, dtype):
    x = jnp.array([[-800.0, 0.0, 1.0, 2.0]], dtype)
    y, kept = rule.forward((), x)
    assert kept is x
    assert (y.shape, y.dtype) == ((1, 2), x.dtype)
    delta_x = rule.backward((), kept, y)[1]
    assert delta_x.dtype == x.dtype
    assert jnp.isfinite(delta_x).all()


def test_it_stands_between_two_affine_maps():
    layer = chain(affine(6), swiglu, affine(4))
    x = jax.ShapeDtypeStruct((2, 4), "float32")
    params, y = layer.init(jax.random.key(0), x)
    assert y.shape == (2, 4)
    assert params[2]["W"].shape == (4, 3)


@both
def test_what_has_no_halves_is_refused(rule):
    for run in (rule.forward, rule.init):
        with pytest.raises(
            UsageError, match=f"{rule.name}: the last axis must be even: .* but found x.shape="
        ):
            run((), jnp.ones((2, 3)))
        with pytest.raises(UsageError, match="the input must be one array with at least one axis"):
            run((), jnp.ones(()))
    with pytest.raises(UsageError, match="the input must be floating"):
        rule.forward((), jnp.ones((2, 4), "i4"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("delta_up = delta * a", "delta_up = delta"), ("kept, delta * up)[1]", "kept, delta)[1]")],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(swiglu, right, wrong, tmp_path)
