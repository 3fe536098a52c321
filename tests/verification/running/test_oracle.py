"""The oracle is compared with XLA: a wrong entry of the table is caught, and rounding and ties are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.errors import OracleError
from backproof.numerics.primitives import NUMPY
from backproof.numerics.tracing import float64
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.oracle import oracle_apart, require_oracle
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user
X = np.array([[0.3, -1.2, 2.0], [0.9, 0.1, -0.7]])


def evaluators_of(of, vjp=None, x=X):
    """Return the evaluators of `of` and a pullback by hand, by default autodiff, and a point."""
    pulled = vjp or (lambda a, ct: jax.vjp(of, *a)[1](ct))
    with float64():
        like = jax.eval_shape(of, x)
    ct = np.random.default_rng(0).standard_normal(like.shape)
    return Evaluators(of_vjp(of, pulled, StaticArguments.among([x]), None)), Point((x,), ct)


def ignoring(name, **params):
    """Return the entry of a primitive that computes as if its parameters had these values."""
    entry = NUMPY[name]
    return lambda *operands, **given: entry(*operands, **{**given, **params})


def turned(x):
    return jax.lax.reshape(jnp.sin(x), (6,), dimensions=(1, 0))


def test_rounding_is_no_difference():
    for of in (turned, lambda x: jnp.log1p(x * x), lambda x: jnp.sin(x) @ x.T, lambda x: jnp.prod(x, 1)):
        assert oracle_apart(*evaluators_of(of)) is None


def test_an_entry_that_ignores_a_parameter_is_caught(monkeypatch):
    monkeypatch.setitem(NUMPY, "reshape", ignoring("reshape", dimensions=None))
    found = oracle_apart(*evaluators_of(lambda x: turned(x) ** 2))
    assert found is not None
    assert found.startswith("autodiff of the function: leaf [0] at ")
    assert "interpreted" in found
    assert "compiled" in found


def test_an_entry_that_only_the_hand_written_side_uses_is_caught(monkeypatch):
    monkeypatch.setitem(NUMPY, "cumsum", ignoring("cumsum", reverse=False))
    back = lambda a, ct: (jax.lax.cumsum(ct * 2 * a[0], 1, reverse=True),)
    found = oracle_apart(*evaluators_of(lambda x: x * x, back))
    assert found is not None
    assert found.startswith("the hand-written derivative")


@pytest.mark.parametrize(
    "slip", [lambda x: np.sin(x) * (1 + 1e-4), lambda x: np.where(x > 1, np.nan, np.sin(x))]
)
def test_an_entry_that_is_wrong_by_little_or_at_some_numbers_is_caught(slip, monkeypatch):
    monkeypatch.setitem(NUMPY, "sin", lambda x, **_: slip(x))
    assert oracle_apart(*evaluators_of(lambda x: -jnp.cos(x)))


def test_the_error_says_which_side_where_both_values_and_whose_fault(monkeypatch):
    monkeypatch.setitem(NUMPY, "sin", lambda x, **_: np.sin(x) * 2)
    with pytest.raises(OracleError) as caught:
        require_oracle(*evaluators_of(lambda x: -jnp.cos(x)))
    for words in ("autodiff of the function", "[0] at (0, 0)", "a fault of backproof", "please report it"):
        assert words in str(caught.value)


def test_a_tie_that_rounding_decides_is_no_difference(monkeypatch):
    """Planted: sides of a comparison that are equal but for rounding, decided otherwise than by XLA."""
    tied = lambda x: jnp.where(jnp.sin(x) * 3 >= 3 * jnp.sin(x), x, 3 * x)
    monkeypatch.setitem(NUMPY, "ge", lambda x, y, **_: np.greater(x, y))
    assert oracle_apart(*evaluators_of(tied)) is None
    apart = lambda x: jnp.where(jnp.sin(x) * 3 >= 2 * jnp.sin(x), x, 3 * x)
    assert oracle_apart(*evaluators_of(apart)) is None
    monkeypatch.setitem(NUMPY, "ge", lambda x, y, **_: np.less(x, y))
    assert oracle_apart(*evaluators_of(apart))


def test_numbers_that_only_xla_flushes_say_nothing():
    assert oracle_apart(*evaluators_of(lambda x: jnp.exp(x * 1e-3 - 740) * 1e300, x=np.abs(X))) is None


def test_a_sampler_and_a_solver_are_evaluated_as_jax_does():
    key = jax.random.key(0)
    assert oracle_apart(*evaluators_of(lambda x: x * jax.random.normal(key, x.shape))) is None
    assert oracle_apart(*evaluators_of(lambda x: jnp.linalg.inv(x @ x.T + jnp.eye(2)))) is None


def test_what_computes_in_low_precision_inside_is_no_difference():
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        low = lambda x, d=dtype: jnp.tanh(x.astype(d) @ x.T.astype(d)).astype(x.dtype)
        assert oracle_apart(*evaluators_of(low)) is None
    assert bp.verify(of=jnp.sin, vjp=lambda a, ct: (jnp.cos(a[0]) * ct,), args=[bp.array("3")], examples=5).ok
