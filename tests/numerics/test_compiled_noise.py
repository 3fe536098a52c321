"""The compiled ensemble measures what the interpreter measures: the same values, the same noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backproof.numerics.comparison import units
from backproof.numerics.compiled_noise import CompiledNoise
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import is_inexact
from backproof.numerics.noise import measure_program
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import trace

X = np.random.default_rng(0).standard_normal((64, 32))
SQUARE = X[:32] @ X[:32].T + np.eye(32)


def steps(x):
    return lax.scan(lambda h, row: (jnp.tanh(h + row), h * row), jnp.zeros(x.shape[1]), x)


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "VALID")


FUNCTIONS = {
    "a normalized row": lambda x: (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5),
    "its pullback": jax.grad(lambda x: (jax.nn.standardize(x) * jnp.cos(x)).sum()),
    "softmax": jax.nn.softmax,
    "a product": lambda x: x @ x.T,
    "sums": lambda x: (x.sum(0), x.sum(), jnp.cumsum(x, 0), jnp.zeros((5, 32)).at[jnp.arange(64) % 5].add(x)),
    "orders": lambda x: (jnp.sort(x * x, 1), lax.top_k(x * x, 3)[0], jnp.argsort(x), jnp.max(x, 1)),
    "pullback of a maximum": jax.grad(lambda x: (pooled(x) ** 2).sum()),
    "scan": steps,
    "its pullback through time": jax.grad(lambda x: steps(x)[1].sum()),
    "while": lambda x: lax.while_loop(lambda s: jnp.max(jnp.abs(s)) > 1e-3, lambda s: jnp.sin(s) * 0.9, x),
    "branches": lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x),
    "a guard": lambda x: jnp.where(x > 0, x * 2, jnp.exp(x)),
    "solvers": lambda x: (jnp.linalg.solve(SQUARE, x[0]), jnp.linalg.cholesky(SQUARE * x[0, 0] ** 2)),
    "a reduction with a literal": lambda x: lax.reduce(x, np.float64(0), lambda a, b: a + b, (0,)),
    "complex numbers": lambda x: jnp.abs(jnp.fft.fft(x)),
    "float32 inside": lambda x: x.astype(jnp.float32).astype(x.dtype) ** 2,
    "library functions": lambda x: jnp.tanh(x) ** 3 / (1 + jnp.abs(x) ** 1.7),
}


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_values_and_noise_are_those_of_the_interpreter(f):
    program = trace(f, X)
    wanted, found = measure_program(program, (X,)), CompiledNoise(program)((X,))
    leaves = zip(*map(jax.tree.leaves, (*wanted, *found)), strict=True)
    for value, noise, compiled, own in leaves:
        assert np.shape(own) == np.shape(noise)
        if not is_inexact(value):
            assert np.array_equal(value, compiled)
            continue
        assert np.max(units(compiled, value, noise + own)) <= AGREES_WITHIN
        ratio = own / noise
        assert 0.5 < np.median(ratio) < 2
        assert np.min(ratio) > 1 / 32
        assert np.max(ratio) < 32


def test_replicas_of_another_seed_differ_and_more_of_them_spread_further():
    compiled = CompiledNoise(trace(jax.nn.softmax, X))
    few, other, many = compiled((X,)), compiled((X,), seed=1), compiled((X,), replicas=16)
    assert np.any(few.noise != other.noise)
    assert np.mean(many.noise) > np.mean(few.noise)


def test_runs_are_as_far_from_the_first_as_their_noise():
    compiled = CompiledNoise(trace(jnp.exp, X))
    first, *others = compiled.runs((X,), 3)
    assert np.array_equal(first, compiled((X,)).value)
    assert len(others) == 3
    assert all(0 < np.max(np.abs(one - first) / first) < 1e-14 for one in others)
    assert len(compiled.runs((X,), 0)) == 1


def test_the_answers_of_comparisons_are_written_down():
    witness = Witness()
    CompiledNoise(trace(lambda x: jnp.where(x > 0, x, 0) + jnp.where(x > 100, 1.0, 0.0), X)).watch(
        (X,), witness
    )
    assert [answers for _, answers in witness.met.values()] == [{True, False}, {False}]
