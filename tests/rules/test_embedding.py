"""Embeddings against products with one-hot rows by autodiff, and against a loop over the places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.rule import descend
from backproof.rules import affine, embedding, softmax, tanh, tied_embedding
from slips_in_files import assert_named

VOCABULARY, WIDTH = 5, 3
KEY = jax.random.key(0)
IDS = np.int32([[0, 4, 0], [0, 2, 2]])
RULE = embedding(VOCABULARY, WIDTH)
BODY = bp.chain(affine(WIDTH), tanh)
TIED = tied_embedding(VOCABULARY, WIDTH, BODY)


def by_hand(rule, ids):
    """Return f(params, δ) -> (value, gradients of the parameters) at fixed ids."""

    def value_and_gradients(params, delta):
        y, kept = rule.forward(params, ids)
        grads, delta_ids = rule.backward(params, kept, delta)
        assert delta_ids is None
        return y, grads

    return value_and_gradients


def by_autodiff(f, ids):
    """Return the same by autodiff of f(params, one-hot rows of the ids)."""
    rows = np.eye(VOCABULARY)[ids]

    def value_and_gradients(params, delta):
        y, pullback = jax.vjp(lambda params: f(params, rows), params)
        return y, pullback(delta)[0]

    return value_and_gradients


def products(params, rows):
    return jnp.asarray(rows) @ params["E"]


def tied_products(params, rows):
    p = params["body"][0]
    e = jnp.asarray(rows) @ params["E"]
    h = jnp.tanh(jnp.einsum("...i,oi->...o", e, p["W"]) + jnp.broadcast_to(p["b"], e.shape))
    return jnp.einsum("...w,vw->...v", h, params["E"])


@st.composite
def points(draw, shapes=((), (2,), (3, 2), (1,), (0,))):
    """Draw ids, parameters of both rules, and a cotangent for each."""
    shape = draw(st.sampled_from(shapes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    E, W = rng.standard_normal((VOCABULARY, WIDTH)), rng.standard_normal((WIDTH, WIDTH))
    tied = {"E": E, "body": ({"W": W, "b": rng.standard_normal(WIDTH)}, ())}
    deltas = rng.standard_normal((*shape, WIDTH)), rng.standard_normal((*shape, VOCABULARY))
    return rng.integers(0, VOCABULARY, shape), tied, deltas


@given(points())
def test_an_embedding_is_the_product_with_one_hot_rows(point):
    ids, params, (delta, _) = point
    assert_agrees(by_hand(RULE, ids), by_autodiff(products, ids), {"E": params["E"]}, delta)


@given(points(shapes=((2,), (3, 2), (1,), (0,))))
def test_a_tied_embedding_is_the_products_with_one_hot_rows(point):
    ids, params, (_, delta) = point
    assert_agrees(by_hand(TIED, ids), by_autodiff(tied_products, ids), params, delta)


def test_rows_are_added_up_place_by_place():
    rng = np.random.default_rng(0)
    E, delta = rng.standard_normal((VOCABULARY, WIDTH)), rng.standard_normal((*IDS.shape, WIDTH))
    grad = np.zeros_like(E)
    for place, v in np.ndenumerate(IDS):
        grad[v] += delta[place]
    assert_value(by_hand(RULE, IDS), ({"E": E}, delta), (E[IDS], {"E": grad}))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint32"])
def test_ids_out_of_range_are_nan_and_have_no_gradient(dtype):
    large = embedding(1000, 2)
    params, _ = large.init(KEY, jax.ShapeDtypeStruct((), "int32"))
    most = np.iinfo(dtype).max
    ids = np.array([0, 2, most, np.iinfo(dtype).min if dtype[0] == "i" else most], dtype)
    inside = [0 <= int(v) < 1000 for v in ids]
    y, kept = large.forward(params, ids)
    assert np.isfinite(np.asarray(y)).all(axis=-1).tolist() == inside
    grads, _ = large.backward(params, kept, jnp.ones((4, 2)))
    assert float(grads["E"].sum()) == 2 * sum(inside)


def test_ids_beyond_int32_do_not_wrap_around():
    with jax.enable_x64(True):
        params = {"E": np.ones((VOCABULARY, WIDTH))}
        y, kept = RULE.forward(params, np.array([2**32, -(2**32), 1]))
        assert np.isnan(np.asarray(y)).all(axis=-1).tolist() == [True, True, False]
        assert float(RULE.backward(params, kept, jnp.ones((3, WIDTH)))[0]["E"].sum()) == WIDTH


def test_many_rows_are_added_in_float32():
    params = {"E": jnp.zeros((2, 1), jnp.bfloat16)}
    rule = embedding(2, 1)
    _, kept = rule.forward(params, jnp.zeros(1000, jnp.int32))
    grads, _ = rule.backward(params, kept, jnp.ones((1000, 1), jnp.bfloat16))
    assert grads["E"].dtype == jnp.bfloat16
    assert grads["E"].tolist() == [[1000], [0]]  # adding in bfloat16 stops at 256


def slipped(rule, backward):
    return rule._replace(backward=backward)


def rows_set(params, ids, delta):
    return {"E": jnp.zeros_like(params["E"]).at[ids].set(delta)}, None


def averaged(params, ids, delta):
    return {"E": RULE.backward(params, ids, delta)[0]["E"] / ids.size}, None


@pytest.mark.parametrize("mutant", [rows_set, averaged])
def test_a_slip_of_the_embedding_is_caught(mutant):
    rng = np.random.default_rng(0)
    point = {"E": rng.standard_normal((VOCABULARY, WIDTH))}, rng.standard_normal((*IDS.shape, WIDTH))
    assert_agrees(by_hand(RULE, IDS), by_autodiff(products, IDS), *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(slipped(RULE, mutant), IDS), by_autodiff(products, IDS), *point)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    params = TIED.init(KEY, jax.ShapeDtypeStruct(IDS.shape, "int32"))[0]
    params = jax.tree.map(lambda p: rng.standard_normal(p.shape), params)
    return params, rng.standard_normal((*IDS.shape, VOCABULARY))


def scatter_alone(params, residuals, delta):
    grads, _ = TIED.backward(params, residuals, delta)
    _, h, _ = residuals
    return {**grads, "E": grads["E"] - jnp.einsum("...v,...w->vw", delta, h)}, None


def output_alone(params, residuals, delta):
    grads, _ = TIED.backward(params, residuals, delta)
    return {**grads, "E": jnp.einsum("...v,...w->vw", delta, residuals[1])}, None


def rows_of_delta_h(params, residuals, delta):
    grads, _ = TIED.backward(params, residuals, delta)
    ids, h, _ = residuals
    E = jnp.einsum("...v,...w->vw", delta, h).at[ids].add(delta @ params["E"])
    return {**grads, "E": E}, None


@pytest.mark.parametrize("mutant", [scatter_alone, output_alone, rows_of_delta_h])
def test_a_slip_of_the_tied_embedding_is_caught(mutant):
    point = drawn()
    assert_agrees(by_hand(TIED, IDS), by_autodiff(tied_products, IDS), *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(slipped(TIED, mutant), IDS), by_autodiff(tied_products, IDS), *point)


def test_descending_is_backward_and_then_the_update():
    params, delta = drawn()

    def update(p, g):
        return p - 0.1 * g

    def in_sweep(params, delta):
        return descend(TIED, params, TIED.forward(params, IDS)[1], delta, update)[0]

    def afterwards(params, delta):
        grads, _ = TIED.backward(params, TIED.forward(params, IDS)[1], delta)
        return jax.tree.map(update, params, grads)

    assert_agrees(in_sweep, afterwards, params, delta)


def test_kinks_and_parts_are_those_of_the_body():
    tied = tied_embedding(4, 3, bp.rules.relu)
    assert tied.name == "tied_embedding(4, 3, relu)"
    assert (tied.at_kinks, tied.parts) == (bp.rules.relu.at_kinks, (bp.rules.relu,))


@pytest.mark.parametrize(
    ("domain", "ids"),
    [
        (bp.array("*batch n"), "*batch"),
        (bp.array("*batch s>=2 8"), "*batch s>=2"),
        (bp.array("4 n>=2"), "4"),
        (bp.array("*any"), "*batch s"),
        ({"x": bp.array("n")}, "*batch s"),
    ],
)
def test_the_ids_have_the_axes_of_the_body_but_the_last(domain, ids):
    body = affine(3)._replace(domain=domain)
    assert tied_embedding(5, 3, body).domain == bp.integers(ids, 0, 4)


def test_parameters_start_in_float32_with_rows_of_length_one():
    params, y = embedding(400, 50).init(KEY, jax.ShapeDtypeStruct((2,), "int32"))
    assert (y.shape, y.dtype) == ((2, 50), jnp.float32)
    chi_squared = float((params["E"] ** 2).sum()) * 50  # of mean N and variance 2 N
    N = 400 * 50
    assert abs(chi_squared - N) < 5 * (2 * N) ** 0.5
    params, logits = TIED.init(KEY, jax.ShapeDtypeStruct((2, 7), "int32"))
    assert logits.shape == (2, 7, VOCABULARY)
    assert params["E"].shape == (VOCABULARY, WIDTH)


@pytest.mark.parametrize("made", [embedding, lambda v, w: tied_embedding(v, w, softmax)])
@pytest.mark.parametrize(
    ("size", "name"), [((0, 3), "vocabulary"), ((3, 2.0), "width"), ((2**31, 3), "vocabulary")]
)
def test_sizes_that_are_no_whole_numbers_are_refused(made, size, name):
    with pytest.raises(UsageError, match=f"embedding: {name} must be a whole number"):
        made(*size)


@pytest.mark.parametrize("rule", [RULE, TIED], ids=lambda rule: rule.name)
def test_what_does_not_fit_is_refused(rule):
    params = rule.init(KEY, jax.ShapeDtypeStruct(IDS.shape, "int32"))[0]
    with pytest.raises(UsageError, match="ids must be one array of integers, but found ids of float32"):
        rule.forward(params, np.float32(IDS))
    with pytest.raises(UsageError, match="ids must be one array of integers, but found ids of tuple"):
        rule.init(KEY, (IDS, IDS))
    with pytest.raises(UsageError, match=r"E must have shape \(5, 3\), but found E.shape=\(4, 3\)"):
        rule.forward({**params, "E": np.ones((4, 3), "f4")}, IDS)
    with pytest.raises(UsageError, match="E must be floating"):
        rule.forward({**params, "E": np.ones((5, 3), "i4")}, IDS)


def test_a_body_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="tied_embedding: body must be a Rule"):
        tied_embedding(5, 3, "tanh")
    with pytest.raises(
        UsageError, match=r"body must return the shape of its input, \(2, 3\), but found y of"
    ):
        tied_embedding(5, 3, affine(4)).init(KEY, jax.ShapeDtypeStruct((2,), "int32"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (".add(delta.astype(dtype), mode", ".set(delta.astype(dtype), mode"),
        ("delta.astype(dtype), mode", "2 * delta.astype(dtype), mode"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(RULE, right, wrong, tmp_path, lambda module: module.embedding(4, 3))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(as_output + added_at(ids, delta_rows, E))", "(as_output)"),
        (
            "delta)  # δℓ E\n        grads, delta_rows",
            "2 * delta)  # δℓ E\n        grads, delta_rows",
        ),
    ],
)
def test_the_line_of_a_slip_in_the_tied_embedding_is_named(right, wrong, tmp_path):
    assert_named(TIED, right, wrong, tmp_path, lambda module: module.tied_embedding(4, 3, affine(3)))
