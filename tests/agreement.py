"""Equality as the tests mean it: within the rounding noise measured at the point, in float64."""

import jax
import numpy as np

from backproof.numerics.comparison import distance, units
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN


def assert_agrees(f, g, *args):
    """Assert f(*args) == g(*args), every entry of every leaf, within measured rounding noise."""
    d = distance(f, g, *args)
    assert d <= AGREES_WITHIN, (
        f"{d:.3g} noise units apart: {measure(f, *args).value} against {measure(g, *args).value}"
    )


def assert_value(f, args, expected):
    """Assert f(*args) == expected, where `expected` is known to full precision (mpmath, say)."""
    measured = measure(f, *args)
    for got, noise, want in zip(
        jax.tree.leaves(measured.value),
        jax.tree.leaves(measured.noise),
        jax.tree.leaves(expected),
        strict=True,
    ):
        assert np.shape(got) == np.shape(want)
        apart = units(got, want, noise)
        assert np.all(apart <= AGREES_WITHIN), f"{np.max(apart):.3g} noise units: {got} against {want}"
