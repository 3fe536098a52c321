"""Examples of second derivatives, tangents and complex numbers: small, plain, and they can be pasted."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import backproof as bp

pytestmark = pytest.mark.as_user
N = [bp.array("n")]


def replayed(report, **names):
    """Return what the example of a report prints where it is pasted."""
    out, example = io.StringIO(), report.counterexample
    with contextlib.redirect_stdout(out):
        exec(f"{example.repro}\n{example.replay}", {"np": np, "jax": jax, "jnp": jnp, **names})
    return complex(out.getvalue())


def test_a_wrong_second_derivative_is_shown_at_small_sizes_and_plain_numbers():
    def frozen(args, ct):
        return (lax.stop_gradient(jnp.cos(args[0])) * ct,)

    report = bp.verify(of=jnp.sin, vjp=frozen, args=N, dtypes=())
    example = report.counterexample
    assert report.cause == "second-order"
    assert [np.size(leaf) for leaf in jax.tree.leaves((example.args, example.cotangent))] == [1, 1, 1]
    assert set(np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(example.cotangent)])) == {1.0}
    assert replayed(report, frozen=frozen) == example.hand == 0


def test_the_direction_of_a_jvp_is_called_tangents():
    def tangent(args, tangents):
        return 2 * jnp.cos(args[0]) * tangents[0]

    report = bp.verify(of=jnp.sin, jvp=tangent, args=N, dtypes=())
    assert report.counterexample.repro.splitlines()[1].startswith("tangents = ")
    assert "cotangent" not in str(report)
    assert replayed(report, tangent=tangent) == report.counterexample.hand


def test_complex_numbers_are_plain_in_an_example():
    def without_conjugate(args, ct):
        return (2 * ct * args[0],)

    of = lambda z: (z * z.conj()).real
    report = bp.verify(of=of, vjp=without_conjugate, args=[bp.array("n", dtype="complex64")], dtypes=())
    (z,) = report.counterexample.args
    assert z.tolist() == [1j]
    assert replayed(report, without_conjugate=without_conjugate) == report.counterexample.hand == 2j
