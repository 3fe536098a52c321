"""Cotangents in trees whose nodes hold static data, and at leaves that have no gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import backproof as bp
from backproof.verification import Verdict
from backproof.verification.claims.results import conformed

pytestmark = pytest.mark.as_user
INDICES = jnp.array([[0, 1], [1, 0], [2, 2]])
SORTED = sparse.BCOO((jnp.ones(3), INDICES), shape=(3, 3), indices_sorted=True, unique_indices=True)
AT_INDICES = {
    "indices": lambda i: i,
    "zeros": jnp.zeros_like,
    "float0": lambda i: np.zeros(i.shape, jax.dtypes.float0),
    "none": lambda i: None,
}


def verified(of, args, **how):
    return bp.verify(of=of, args=args, **{"examples": 16, "dtypes": (), "second_order": False, **how})


def sparse_back(at_indices, slip=1.0):
    def back(args, ct):
        m, x = args
        rows, cols = m.indices[:, 0], m.indices[:, 1]
        dm = sparse.BCOO((slip * ct[rows] * x[cols], m.indices), shape=m.shape)
        children, flags = dm.tree_flatten()
        dm = sparse.BCOO.tree_unflatten(flags, (children[0], at_indices(children[1])))
        return dm, m.T @ ct

    return back


@pytest.mark.parametrize("held", AT_INDICES)
def test_a_sparse_cotangent_may_have_other_flags_and_no_gradient_at_its_indices(held):
    report = verified(lambda m, x: m @ x, [SORTED, jnp.ones(3)], vjp=sparse_back(AT_INDICES[held]))
    assert report.verdict is Verdict.AGREES, str(report)


def test_a_wrong_sparse_cotangent_is_wrong():
    report = verified(lambda m, x: m @ x, [SORTED, jnp.ones(3)], vjp=sparse_back(lambda i: i, slip=2.0))
    assert report.verdict is Verdict.WRONG


def test_a_dense_cotangent_for_a_sparse_matrix_breaks_the_contract():
    dense = lambda args, ct: (jnp.outer(ct, args[1]), args[0].T @ ct)
    report = verified(lambda m, x: m @ x, [SORTED, jnp.ones(3)], vjp=dense)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-tree")


def test_a_sparse_matrix_of_rows_and_one_in_a_dict_are_judged():
    rows = sparse.BCSR.fromdense(jnp.array([[1.0, 0.0], [2.0, 3.0]]))
    autodiff = lambda m, x, ct: jax.vjp(lambda data: _filled(m, data) @ x, m.data)[1](ct)[0]

    def back(args, ct):
        m, x = args
        return _filled(m, autodiff(m, x, ct)), m.todense().T @ ct

    assert verified(lambda m, x: m @ x, [rows, jnp.ones(2)], vjp=back).verdict is Verdict.AGREES
    in_dict = lambda a, ct: ({"m": back((a[0]["m"], a[1]), ct)[0]}, back((a[0]["m"], a[1]), ct)[1])
    report = verified(lambda p, x: p["m"] @ x, [{"m": rows}, jnp.ones(2)], vjp=in_dict)
    assert report.verdict is Verdict.AGREES


def _filled(m, data):
    return sparse.BCSR((data, m.indices, m.indptr), shape=m.shape)


def test_a_whole_number_is_no_gradient_and_a_float_there_is_reported():
    times = lambda x, k: x * k
    args = [bp.array("n"), jnp.int32(3)]
    assert verified(times, args, vjp=lambda a, ct: (ct * a[1], jnp.zeros_like(a[1]))).ok
    report = verified(times, args, vjp=lambda a, ct: (ct * a[1], (ct * a[0]).sum()))
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-tree")


def test_trees_of_python_must_be_equal_and_none_is_zero_at_any_leaf():
    x = np.ones(2)
    assert conformed({"a": x, "b": None}, {"a": x, "b": x})["b"].tolist() == [0.0, 0.0]
    nothing = conformed(None, {"a": x, "k": 3})
    assert (nothing["a"].tolist(), nothing["k"]) == ([0.0, 0.0], None)
    for other in ({"a": x}, {"a": x, "c": x}, [x, x], x):
        assert conformed(other, {"a": x, "b": x}) is other
    pair = (x, x)
    assert conformed(pair, [x, x]) is pair
