"""Every entry of the NumPy table computes what XLA computes, and none is untested."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from backproof.numerics.comparison import agree, units
from backproof.numerics.coverage import covers
from backproof.numerics.interpreter import CONTROL, run
from backproof.numerics.noise import measure
from backproof.numerics.primitives import NUMPY
from backproof.numerics.tolerance import AGREES_WITHIN, MACHINERY
from backproof.numerics.tracing import float64, inner_programs, trace

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
Y = RNG.standard_normal((3, 4))
P = np.abs(X) + 0.1  # positive
U = np.tanh(X) * 0.9  # inside (−1, 1)
B = X > 0
INTS = RNG.integers(-5, 6, (3, 4))
ROWS = np.array([[2], [0], [7]])  # the last is out of range
TIES = np.round(X)
SMALL = np.full((200, 2), 1, np.int8)  # their sum wraps

CASES = {
    "neg": (jnp.negative, X), "sin": (jnp.sin, X), "cos": (jnp.cos, X), "tan": (jnp.tan, X),
    "asin": (lax.asin, U), "acos": (lax.acos, U), "atan": (lax.atan, X), "sinh": (lax.sinh, X),
    "cosh": (lax.cosh, X), "tanh": (jnp.tanh, X), "asinh": (lax.asinh, X), "acosh": (lax.acosh, P + 1),
    "atanh": (lax.atanh, U), "exp": (jnp.exp, X), "exp2": (lax.exp2, X), "log": (jnp.log, P),
    "log1p": (jnp.log1p, P), "expm1": (jnp.expm1, X), "sqrt": (jnp.sqrt, P), "cbrt": (lax.cbrt, X),
    "abs": (jnp.abs, X), "sign": (jnp.sign, TIES), "floor": (jnp.floor, X), "ceil": (jnp.ceil, X),
    "is_finite": (lambda x: lax.is_finite(1 / x), TIES), "square": (lax.square, X), "rsqrt": (lax.rsqrt, P),
    "real": (lambda x, y: lax.real(lax.complex(x, y)), X, Y), "imag": (lambda x, y: lax.imag(lax.complex(x, y)), X, Y),
    "conj": (lambda x, y: lax.conj(lax.complex(x, y)), X, Y), "complex": (lax.complex, X, Y),
    "add": (lax.add, X, Y), "sub": (lax.sub, X, Y), "mul": (lax.mul, X, Y), "div": (lax.div, X, Y),
    "rem": (lax.rem, X, Y), "max": (lax.max, X, Y), "min": (lax.min, X, Y), "pow": (lax.pow, P, Y),
    "atan2": (lax.atan2, X, Y), "nextafter": (lax.nextafter, X, Y),
    "eq": (lax.eq, TIES, INTS * 1.0), "ne": (lax.ne, TIES, INTS * 1.0), "lt": (lax.lt, TIES, INTS * 1.0),
    "le": (lax.le, TIES, INTS * 1.0), "gt": (lax.gt, TIES, INTS * 1.0), "ge": (lax.ge, TIES, INTS * 1.0),
    "and": (lax.bitwise_and, B, ~B), "or": (lax.bitwise_or, B, ~B), "xor": (lax.bitwise_xor, B, B),
    "not": (lax.bitwise_not, INTS), "logistic": (lax.logistic, X), "integer_pow": (lambda x: lax.integer_pow(x, -3), X),
    "round": (lambda x: (lax.round(x), lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)), INTS / 2),
    "clamp": (lambda x: lax.clamp(-0.5, x, 0.7), X), "select_n": (lax.select_n, B, X, Y),
    "erf": (lax.erf, X), "erfc": (lax.erfc, X), "erf_inv": (lax.erf_inv, U), "lgamma": (lax.lgamma, P),
    "bessel_i0e": (lax.bessel_i0e, X * 3), "bessel_i1e": (lax.bessel_i1e, X * 3),
    "igamma": (lax.igamma, P, P[::-1] * 2), "igammac": (lax.igammac, P, P[::-1] * 2),
    "regularized_incomplete_beta": (lax.betainc, P, P[::-1], np.abs(U)),
    "digamma": (lax.digamma, P), "convert_element_type": (lambda x: x.astype(jnp.float32) * x.astype(jnp.float32), X),
    "broadcast_in_dim": (lambda x: lax.broadcast_in_dim(x, (2, 3, 5, 4), (1, 3)), X),
    "reshape": (lambda x: (x.reshape(2, 6), lax.reshape(x, (6, 2), (1, 0))), X), "transpose": (lambda x: x.T, X), "squeeze": (lambda x: x[:1].squeeze(0), X),
    "rev": (lambda x: lax.rev(x, (1,)), X),
    "slice": (lambda x: lax.slice(x, (0, 1), (3, 4), (2, 2)), X),
    "dynamic_slice": (lambda x, i: lax.dynamic_slice(x, (i, i - 2), (2, 2)), X, np.int32(5)),
    "dynamic_update_slice": (lambda x, y, i: lax.dynamic_update_slice(x, y[:2, :2], (i, i - 2)), X, Y, np.int32(2)),
    "concatenate": (lambda x, y: lax.concatenate([x, y], 1), X, Y), "split": (lambda x: lax.split(x, (1, 3), 1), X),
    "pad": (lambda x: lax.pad(x, 0.5, ((1, -1, 1), (-2, 2, 0))), X), "iota": (lambda x: lax.broadcasted_iota(float, (3, 2), 0) + x[0, 0], X),
    "dot_general": (lambda x, y: (x @ y.T, lax.dot_general(x[None], y[None], (((1, 2), (1, 2)), ((0,), (0,))))), X, Y),
    "reduce_sum": (lambda x, i: (x.sum((0, 1)), i.sum(0, dtype=jnp.int8)), X, SMALL),
    "reduce_prod": (lambda x: x.prod(0), X),
    "reduce_and": (lambda x: x.all(0), B), "reduce_or": (lambda x: x.any(0), B),
    "reduce_max": (lambda x: (x.max(1), jnp.max(x[:, :0], 1, initial=-jnp.inf)), X), "reduce_min": (lambda x: x.min(1), X),
    "argmax": (lambda x: x.argmax(1), TIES), "argmin": (lambda x: x.argmin(1), TIES),
    "cumsum": (lambda x: (lax.cumsum(x, 1), lax.cumsum(x, 0, reverse=True)), X), "cumprod": (lambda x: lax.cumprod(x, 1), X),
    "cummax": (lambda x: lax.cummax(x, 1), X), "cummin": (lambda x: lax.cummin(x, 1), X),
    "cumlogsumexp": (lambda x: lax.cumlogsumexp(x, 1), X), "sort": (lambda x, y: lax.sort((x, y), num_keys=1), TIES, Y),
    "gather": (lambda x, i: (x[i, 1], x.at[i].get(mode="fill"), x.at[i].get(mode="clip"), jnp.take(x, i[:, 0], axis=1)), X, ROWS),
    "scatter": (lambda x, i, y: x.at[i[:2, 0]].set(y[:2]), X, ROWS, Y),
    "scatter-sub": (lambda x, i, y: x.at[i[:, 0]].subtract(y), X, ROWS, Y),
    "conv_general_dilated": (lambda x, y: lax.conv(x[None], y[None, :, :2], (1,), "SAME"), X, Y),
    "reduce_window_sum": (lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), "SAME"), X),
    "reduce_window_max": (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "SAME"), X),
    "reduce_window_min": (lambda x: lax.reduce_window(x, jnp.inf, lax.min, (2, 2), (1, 1), "SAME"), X),
    "reduce_xor": (lambda x: lax.reduce(x, False, lax.bitwise_xor, (0,)), B),
    "scatter-add": (lambda x, i, y: x.at[jnp.abs(i[:, 0] * 0)].add(y), X, ROWS, Y),
    "scatter-mul": (lambda x, i, y: x.at[i[:, 0]].multiply(y), X, ROWS, Y),
    "scatter-max": (lambda x, i, y: x.at[i[:, 0]].max(y), X, ROWS, Y),
    "scatter-min": (lambda x, i, y: x.at[i[:, 0]].min(y), X, ROWS, Y),
    "add_any": (jax.grad(lambda x: (jnp.sin(x) * jnp.exp(x)).sum()), X),
    "optimization_barrier": (lambda x, y: lax.optimization_barrier((x, y))[0], X, Y),
    "copy": (jnp.copy, X),
    "name": (lambda x: checkpoint_name(x, "x"), X),
    "stop_gradient": (lambda x: x * lax.stop_gradient(x), X),
    "device_put": (lambda x: jax.device_put(x) + 1, X),
    "cond": (lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), X),
    "while": (lambda x: lax.while_loop(lambda c: jnp.abs(c).max() < 50, lambda c: c * 1.5, x), X),
    "custom_linear_solve": (lambda x, y: jnp.linalg.solve(x @ x.T + jnp.eye(3), y), X, Y),
    "scan": (lambda x, y: lax.scan(lambda c, row: (c * row + y.sum(), c), x[0], y, reverse=True), X, Y),
}  # fmt: skip
# Only tracing under a mesh, or for a layout in memory, makes these.
MESH_ONLY = {"sharding_constraint", "pvary", "mesh_cast", "reshard", "layout_constraint"}


def test_every_entry_of_the_table_has_a_case():
    assert set(NUMPY) | set(CONTROL) == set(CASES) | MESH_ONLY


@pytest.mark.as_user
@pytest.mark.parametrize("name", sorted(CASES))
def test_numpy_agrees_with_xla(name):
    f, *args = CASES[name]
    measured = measure(f, *args)
    with float64():
        expected = jax.device_get(jax.jit(f)(*args))
    leaves = [jax.tree.leaves(tree) for tree in (measured.value, expected, measured.noise)]
    for got, want, noise in zip(*leaves, strict=True):
        assert np.shape(got) == np.shape(want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        apart = units(got, want, noise)
        both_nan = (
            np.isnan(got) & np.isnan(want) if np.issubdtype(np.asarray(want).dtype, np.inexact) else False
        )
        assert np.all((apart <= AGREES_WITHIN) | both_nan), f"{np.max(apart)} units apart"


@pytest.mark.as_user
def test_the_gradient_of_a_product_of_rows_is_xlas():
    """JAX differentiates a product by a reshape that turns the axes first."""
    gradient = jax.grad(lambda x: jnp.prod(x, axis=1).sum())
    measured = measure(gradient, X)
    with float64():
        expected = np.asarray(jax.jit(gradient)(X))
    assert np.all(agree(measured.value, expected, measured.noise))


@pytest.mark.as_user
@pytest.mark.parametrize("name", sorted(set(NUMPY) - MESH_ONLY))
def test_every_case_of_the_table_is_computed_by_the_table(name):
    """A parameter that a release of JAX adds takes an entry out of the table: that must be noticed here."""
    f, *args = CASES[name]
    params = [eqn.params for eqn in _equations(trace(f, *args).jaxpr) if eqn.primitive.name == name]
    assert params
    assert all(covers(name, one) for one in params)


def _equations(program):
    for eqn in getattr(program, "jaxpr", program).eqns:
        yield eqn
        for inner in inner_programs(eqn.params):
            yield from _equations(inner)


def test_a_loop_under_vmap_ends_for_each_sample_by_itself():
    def halved(x, key):
        step = lambda state: (state[0] / 2, jax.random.split(state[1])[0])
        x, key = lax.while_loop(lambda state: state[0] > 1, step, (x, key))
        return x + jax.random.uniform(key)

    with float64():
        keys = jax.random.split(jax.random.key(0), 3)
        program = trace(jax.vmap(halved), np.array([40.0, 0.7, 3.0]), keys)
        for x in (np.array([40.0, 0.7, 3.0]), np.array([0.1, 0.2, 0.3])):
            first, again = run(program, (x, keys), replicas=1)
            np.testing.assert_array_max_ulp(first, np.asarray(jax.vmap(halved)(x, keys)), maxulp=2)
            np.testing.assert_array_max_ulp(again, first, maxulp=64)


def test_an_unknown_primitive_is_run_by_jax():
    assert "zeta" not in NUMPY
    with float64():
        expected = np.asarray(jax.jit(lax.zeta)(P + 1, P))
    measured = measure(lax.zeta, P + 1, P)
    assert np.all(units(measured.value, expected, measured.noise) <= AGREES_WITHIN)
    assert np.all(measured.noise > 0)


@pytest.mark.parametrize("function", [lax.igamma, lax.igammac])
def test_outside_its_domain_an_incomplete_gamma_function_is_what_it_is_in_xla(function):
    a, x = (side.ravel() for side in np.meshgrid([-1.5, 0.0, 2.5, np.nan], [-1.0, 0.0, 3.0, np.inf, np.nan]))
    with float64():
        expected = np.asarray(jax.jit(function)(a, x))
    assert_same_places(measure(function, a, x).value, expected)


def test_outside_its_domain_an_incomplete_beta_function_is_what_it_is_in_xla():
    sides = np.meshgrid([-1.5, 0.0, 2.5], [-1.0, 0.0, 3.0], [-0.5, 0.0, 0.25, 1.0, 1.5])
    a, b, x = (side.ravel() for side in sides)
    with float64():
        expected = np.asarray(jax.jit(lax.betainc)(a, b, x))
    assert_same_places(measure(lax.betainc, a, b, x).value, expected)


def assert_same_places(found, expected):
    """Check that two results are NaN at the same places, and agree elsewhere."""
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    there = ~np.isnan(expected)
    assert np.all(agree(found[there], expected[there], MACHINERY))


@pytest.mark.as_user
def test_a_sampler_that_splits_and_broadcasts_its_keys_is_run():
    """The gamma sampler broadcasts a key, splits it for each draw, and rejects in a loop."""
    gamma = lambda shape: jax.random.gamma(jax.random.key(0), shape, (5,))
    shape = np.float64(1.7)
    with float64():
        expected = np.asarray(jax.jit(gamma)(shape))
    measured = measure(gamma, shape)
    assert np.all(agree(measured.value, expected, measured.noise))


def test_prng_keys_pass_through():
    def noisy(key, x):
        return x * jax.random.normal(jax.random.split(key)[0], x.shape)

    key = jax.random.key(3)
    with float64():
        expected = np.asarray(noisy(key, jnp.asarray(X)))
    measured = measure(noisy, key, X)
    assert np.all(units(measured.value, expected, measured.noise) <= AGREES_WITHIN)
