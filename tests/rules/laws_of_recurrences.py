"""What a recurrence is held against: a plain loop by autodiff, and numbers of mpmath by differences."""

import inspect
import pathlib

import jax
import mpmath
import numpy as np
import pytest
from laws_of_rules import by_hand_with

from agreement import assert_agrees, assert_value

# Batch, and steps: no batch axis, one step, several batch axes, an empty batch, and no step at all.
SHAPES = (((), 3), ((2,), 1), ((3, 2), 4), ((0,), 2), ((2,), 0))

exp, tanh = (np.frompyfunc(f, 1, 1) for f in (mpmath.exp, mpmath.tanh))


def sigma(z):
    """Return 1 / (1 + exp(−z)) of an array of mpmath numbers."""
    return 1 / (1 + exp(-z))


def seeded(tree, seed):
    """Return normal numbers in the form of a tree of arrays or shapes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.standard_normal(np.shape(leaf)), tree)


def recurrent_point(gates, n, width, batch, steps, seed):
    """Return (params, x, δ) for a recurrent layer: signed and random, in float64."""
    rng, rows = np.random.default_rng(seed), gates * width
    shapes = {"W": (rows, n), "U": (rows, width), "b": (rows,)}
    params = {leaf: rng.standard_normal(shape) for leaf, shape in shapes.items()}
    return params, rng.standard_normal((*batch, steps, n)), rng.standard_normal((*batch, steps, width))


def assert_is_exactly(rule, f, params, x, delta):
    """Assert that value and all gradients of `rule` are those of f, computed in mpmath.

    Args:
        rule: the rule.
        f: the function of (params, x), written for arrays of mpmath numbers.
        params, x, delta: the point, in float64.
    """
    leaves, tree = jax.tree.flatten((params, x))
    with mpmath.workdps(40):
        exact = [_exact(leaf) for leaf in leaves]
        y = f(*tree.unflatten(exact))

        def loss(k, place, v):
            moved = exact[k].copy()
            moved[place] = v
            return (_exact(delta) * f(*tree.unflatten([*exact[:k], moved, *exact[k + 1 :]]))).sum()

        grads = [
            np.array([mpmath.diff(lambda v, k=k, i=i: loss(k, i, v), one[i]) for i in np.ndindex(one.shape)])
            for k, one in enumerate(exact)
        ]
    wanted = [g.astype(float).reshape(leaf.shape) for g, leaf in zip(grads, leaves, strict=True)]
    assert_value(by_hand_with(rule), (params, x, delta), (y.astype(float), tree.unflatten(wanted)))


def _exact(array):
    return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(array))


def assert_caught(rule, right, wrong, reference, point):
    """Assert that `rule` is the reference at a point, and is not with a slip in the text of its file.

    Args:
        rule: the rule; its backward pass is a function of a module, or one that such a function returns.
        right: text that stands once in the file of the rule.
        wrong: the text in its place.
        reference: f(params, x, δ) -> (y, gradients).
        point: (params, x, δ).
    """
    assert_agrees(by_hand_with(rule), reference, *point)
    module = inspect.getmodule(inspect.unwrap(rule.backward))
    text = pathlib.Path(module.__file__).read_text(encoding="utf-8")
    assert text.count(right) == 1, f"{right!r} stands {text.count(right)} times"
    names = {"__name__": "slipped"}
    exec(compile(text.replace(right, wrong), "slipped.py", "exec"), names)
    name, _, choice = rule.name.partition("(")
    slipped = names[name](int(choice[:-1])) if choice else names[name]
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(slipped), reference, *point)


def assert_in_wide_states(rule, params, x):
    """Assert that outputs and gradients in bfloat16 are those of float32, rounded once."""
    narrow = jax.tree.map(lambda leaf: leaf.astype("bfloat16"), (params, x))
    wide = jax.tree.map(lambda leaf: leaf.astype("float32"), narrow)
    y, kept = rule.forward(*narrow)
    y_wide, kept_wide = rule.forward(*wide)
    assert jax.numpy.array_equal(y, y_wide.astype("bfloat16"))
    delta = seeded(y, 1).astype("float32")
    delta = jax.numpy.asarray(delta, "bfloat16")
    ours = rule.backward(narrow[0], kept, delta)
    theirs = rule.backward(wide[0], kept_wide, delta.astype("float32"))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == "bfloat16"
        assert jax.numpy.array_equal(a, b.astype("bfloat16"))


def assert_last_step_does_not_move_the_first_ones(rule, params, x, delta):
    """Assert that a cotangent at the first step alone gives no gradient to inputs of later steps."""
    delta = np.where(np.arange(delta.shape[-2])[:, None] == 0, delta, 0)

    def later(params, x, delta):
        _, delta_x = by_hand_with(rule)(params, x, delta)[1]
        return jax.tree.map(lambda leaf: leaf[..., 1:, :], delta_x)

    assert_agrees(later, lambda *args: jax.tree.map(lambda leaf: 0 * leaf, later(*args)), params, x, delta)
