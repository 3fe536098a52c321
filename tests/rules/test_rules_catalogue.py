"""Laws that hold for every shipped rule of rows; what each one computes is in the test of its own file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import EXTREMES, consistent

from agreement import assert_agrees
from backproof import rules
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import ACTIVATIONS, CATALOGUE, identity, relu, softmax, tanh

N_IN = 3
BATCHES = ((), (2,), (4, 2), (1,), (0,))
DTYPES = ("float32", "bfloat16", "float16")
ROWS = jax.ShapeDtypeStruct((2, 3), "float32")


def maps_rows_to_rows(rule):
    return rule.domain == array("*batch n") and hasattr(rule.init(jax.random.key(0), ROWS)[1], "shape")


OF_ROWS = tuple(rule for rule in CATALOGUE if maps_rows_to_rows(rule))
every_rule = pytest.mark.parametrize("rule", OF_ROWS, ids=lambda rule: rule.name)
every_activation = pytest.mark.parametrize("rule", ACTIVATIONS, ids=lambda rule: rule.name)


def start(rule, x):
    """Return parameters of `rule` for x."""
    return rule.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))[0]


def gradients(rule):
    def by_hand(params, x, delta):
        return rule.backward(params, rule.forward(params, x)[1], delta)

    return by_hand


def autodiff_of_forward(rule):
    def by_autodiff(params, x, delta):
        return jax.vjp(lambda params, x: rule.forward(params, x)[0], params, x)[1](delta)

    return by_autodiff


def drawn(rule, batch, seed):
    """Return (params, x, cotangent) in float64."""
    rng = np.random.default_rng(seed)
    x = 3 * rng.standard_normal((*batch, N_IN))
    params = jax.tree.map(lambda p: rng.standard_normal(p.shape), start(rule, np.float32(x)))
    return params, x, rng.standard_normal(x.shape)


def assert_backward_is_the_gradient(rule, batch, seed):
    assert_agrees(gradients(rule), autodiff_of_forward(rule), *drawn(rule, batch, seed))


@pytest.mark.smoke
@every_rule
@given(st.sampled_from(BATCHES), st.integers(0, 2**32 - 1))
def test_backward_is_the_gradient_of_forward(rule, batch, seed):
    assert_backward_is_the_gradient(rule, batch, seed)


@pytest.mark.smoke
def test_an_error_not_multiplied_by_the_slope_is_caught():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_backward_is_the_gradient(tanh._replace(backward=identity.backward), (2,), 0)


def assert_rows_are_independent(rule, seed):
    params, x, delta = drawn(rule, (4,), seed)

    def together(params, x, delta):
        return rule.forward(params, x)[0], gradients(rule)(params, x, delta)[1]

    def one_by_one(params, x, delta):
        return jax.tree.map(
            lambda *rows: jnp.stack(rows), *map(lambda *row: together(params, *row), x, delta)
        )

    assert_agrees(together, one_by_one, params, x, delta)


@every_rule
@given(seed=st.integers(0, 2**32 - 1))
def test_rows_of_a_batch_are_independent(rule, seed):
    assert_rows_are_independent(rule, seed)


def test_a_rule_that_mixes_rows_is_caught():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_rows_are_independent(consistent("over batch", lambda z: jax.nn.softmax(z, axis=0)), 0)


@every_activation
@given(seed=st.integers(0, 2**32 - 1))
def test_activations_act_elementwise(rule, seed):
    _, z, delta = drawn(rule, (2,), seed)

    def flat(params, z, delta):
        return gradients(rule)(params, z.ravel(), delta.ravel())[1].reshape(z.shape)

    assert_agrees(lambda *args: gradients(rule)(*args)[1], flat, (), z, delta)


def test_softmax_is_no_activation():
    with pytest.raises(AssertionError, match="noise units apart"):
        test_activations_act_elementwise.hypothesis.inner_test(softmax, 0)


def assert_kept_and_finite_when_compiled(rule, dtype):
    x = np.stack([np.array(EXTREMES, dtype)] * N_IN, axis=-1)
    params = start(rule, x)
    forward = jax.jit(rule.forward)
    y, residuals = forward(params, x)
    outputs = y, jax.jit(rule.backward)(params, residuals, jnp.ones_like(y))
    for leaf in jax.tree.leaves(outputs):
        assert leaf.dtype == dtype
        assert jnp.isfinite(leaf).all()


@every_rule
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_is_kept_and_extremes_are_finite_when_compiled(rule, dtype):
    assert_kept_and_finite_when_compiled(rule, dtype)


@every_rule
def test_float64_is_kept_and_extremes_are_finite_when_compiled(rule):
    with jax.enable_x64(True):
        assert_kept_and_finite_when_compiled(rule, "float64")


@pytest.mark.as_user
@every_rule
def test_rules_work_under_the_default_settings_of_jax(rule):
    assert_kept_and_finite_when_compiled(rule, "float32")


def test_an_overflow_and_a_wider_dtype_are_caught():
    overflows = consistent("overflows", lambda z: jnp.log(1 + jnp.exp(z)))
    widens = consistent("widens", lambda z: z.astype(jnp.float32))
    with pytest.raises(AssertionError, match="all"):
        assert_kept_and_finite_when_compiled(overflows, "float32")
    with pytest.raises(AssertionError, match="dtype"):
        assert_kept_and_finite_when_compiled(widens, "bfloat16")


@every_rule
def test_integers_are_refused(rule):
    x = np.int32([[1, 2, 3], [4, 5, 6]])
    params = start(rule, np.float32(x))
    with pytest.raises(
        UsageError, match=r"the input must be floating, but found x of dtype int32; convert it first"
    ):
        rule.forward(params, x)


@every_rule
def test_at_most_one_array_of_the_size_of_the_input_is_kept(rule):
    _, x, _ = drawn(rule, (2,), 0)
    x = np.float32(x)
    kept = jax.tree.leaves(rule.forward(start(rule, x), x)[1])
    large = [leaf.shape for leaf in kept if leaf.shape[-1] > 1]
    assert large in ([], [x.shape])
    assert len(kept) - len(large) <= 2  # statistics, of one number a row


def test_every_rule_of_the_package_is_in_the_catalogue():
    found = {rule.name for rule in vars(rules).values() if isinstance(rule, type(relu))}
    assert found <= {rule.name for rule in CATALOGUE}
    assert {rule.name for rule in ACTIVATIONS} < {rule.name for rule in CATALOGUE}
    assert sorted(rules.__all__) == [name for name in dir(rules) if not name.startswith("_")]


def test_names_are_distinct():
    names = [rule.name for rule in CATALOGUE]
    assert len(set(names)) == len(names)
