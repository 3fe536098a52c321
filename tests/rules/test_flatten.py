import jax
import numpy as np
import pytest
from laws_of_rules import by_hand

from agreement import assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import flatten
from slips_in_files import assert_named


def entry_by_entry(x, axes, delta):
    """Return y and δx, whose entries are taken one by one, the last axis fastest."""
    batch, inner = x.shape[: x.ndim - axes], x.shape[x.ndim - axes :]
    y, delta_x = np.zeros(delta.shape), np.zeros(x.shape)
    for rows in np.ndindex(batch):
        for i, place in enumerate(np.ndindex(inner)):
            y[(*rows, i)] = x[(*rows, *place)]
            delta_x[(*rows, *place)] = delta[(*rows, i)]
    return y, delta_x


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (4,), (3, 2), (0,)])
def test_entries_keep_their_order(axes, batch):
    rng, inner = np.random.default_rng(0), (2, 3, 5)[:axes]
    x, delta = rng.standard_normal((*batch, *inner)), rng.standard_normal((*batch, int(np.prod(inner))))
    assert_value(by_hand(flatten(axes)), (x, delta), entry_by_entry(x, axes, delta))


def test_empty_axes_keep_their_shape():
    rule, x = flatten(2), np.ones((3, 0, 4), "f4")
    y, kept = rule.forward((), x)
    assert (y.shape, kept.size) == ((3, 0), 0)
    assert rule.backward((), kept, y)[1].shape == x.shape


def test_another_order_is_caught():
    x = np.arange(6.0, dtype="f4").reshape(2, 3)
    _, wrong = flatten(2).backward((), np.zeros((0, 3, 2)), x.T.ravel())
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(by_hand(flatten(2)), (x, x.ravel()), (x.ravel(), wrong.T + x[::-1]))


def test_shape_and_dtype_are_those_that_init_states():
    _, y = flatten(3).init(jax.random.key(0), jax.ShapeDtypeStruct((5, 2, 3, 4), "bfloat16"))
    assert (y.shape, y.dtype.name) == ((5, 24), "bfloat16")


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="flatten: axes must be a whole number of at least 1"):
        flatten(0)
    with pytest.raises(UsageError, match=r"flatten\(3\): the input must be one array of at least 3 axes"):
        flatten(3).forward((), np.ones((2, 2), "f4"))
    with pytest.raises(UsageError, match="the input must be floating"):
        flatten(1).forward((), np.ones((2, 2), "i4"))
    kept = flatten(2).forward((), np.ones((2, 3), "f4"))[1]
    with pytest.raises(UsageError, match=r"delta_y must have shape \(6,\)"):
        flatten(2).backward((), kept, np.ones(5, "f4"))


@pytest.mark.as_user
@pytest.mark.parametrize("wrong", ["delta_y.reshape(shape[::-1]).T", "-delta_y.reshape(shape)"])
def test_the_line_of_a_slip_is_named(wrong, tmp_path):
    def made(module):
        return module.flatten(2)._replace(domain=array("3 n"))

    assert_named(flatten(2), "delta_y.reshape(shape)", wrong, tmp_path, made)
