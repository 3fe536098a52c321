"""One notation for what an argument may be, read from three forms and written back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Float, Int

from backproof import UsageError
from backproof.arguments import (
    LONG_DTYPES,
    array,
    bind,
    evaluate,
    from_annotations,
    integers,
    names_of,
    parse,
    parse_many,
    shape_of,
)

pytestmark = pytest.mark.smoke

NAMES = st.sampled_from(["b", "n", "n_in", "k"])
DIMENSIONS = st.one_of(NAMES, st.integers(0, 9).map(str), st.sampled_from(["2*n", "n+1", "b*n-1", "n//2"]))
BOUNDS = st.one_of(
    st.none(), st.integers(-9, 9), st.floats(-9, 9).filter(lambda x: x != int(x)), st.just("n-1")
)


@given(
    st.lists(DIMENSIONS, max_size=4),
    st.booleans(),
    st.sampled_from(sorted(LONG_DTYPES)),
    st.tuples(BOUNDS, BOUNDS),
    st.tuples(st.booleans(), st.booleans()),
)
def test_what_is_written_is_read_back(dims, starred, dtype, bounds, opens):
    spec = array(" ".join(["*batch"] * starred + dims), dtype, *bounds)
    fields = {"low_open": opens[0] and spec.low is not None, "high_open": opens[1] and spec.high is not None}
    spec = type(spec)(spec.dims, spec.dtype, spec.low, spec.high, **fields)
    assert parse(str(spec)) == spec


@given(st.lists(DIMENSIONS, max_size=4), st.sampled_from([(), (3,), (2, 4)]), st.booleans())
def test_a_shape_binds_the_names_it_was_made_from(dims, batch, starred):
    spec = array(" ".join(["*batch"] * starred + dims))
    sizes = {"b": 2, "n": 5, "n_in": 4, "k": 7, "*batch": batch}
    bound = bind(spec, shape_of(spec, sizes), {name: sizes[name] for name in names_of(spec)})
    assert all(bound[name] == sizes[name] for name in names_of(spec))


def test_short_and_long_forms_agree():
    assert parse("f32[b,n]") == array("b n")
    assert parse("i32[b]>=0<=v-1") == integers("b", 0, "v-1")
    assert parse_many("f32[b,n] f32[n] i32[b]<n") == [array("b n"), array("n"), parse("i32[b]<n")]
    assert array("") == parse("f32[]")


def test_annotations_are_read():
    def f(x: Float[Array, "*batch n"], i: Int[Array, " m"], w: Float[Array, "2*n 3"]):
        return x, i, w

    assert from_annotations(f) == [array("*batch n"), array("m", "int32"), array("2*n 3")]
    with pytest.raises(UsageError, match=r"y: None.*annotate it"):
        from_annotations(lambda y: y)


def test_expressions_are_arithmetic_and_nothing_else():
    assert evaluate("2*(n+1)//3 - 1", {"n": 4}) == 2
    for text in ("__import__('os')", "n.real", "n if n else 1", "m", "1 +"):
        with pytest.raises(UsageError, match="an expression of dims"):
            evaluate(text, {"n": 1})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: parse("b,n"), "written dtype"),
        (lambda: parse("f32[b]!3"), "may follow the shape"),
        (lambda: parse("f99[b]"), "a dtype is one of f16, bf16"),
        (lambda: array("*a *b"), "at most one axis may carry a star"),
        (lambda: array("b", low="import"), "an expression of dims"),
        (lambda: bind(array("b n"), (2,), {}), r"must fit \[b, n\], but found shape=\(2,\)"),
        (lambda: bind(array("n n"), (2, 3), {}), r"must fit \[n, n\]"),
        (lambda: bind(array("2*n"), (5,), {"n": 2}), r"with {'n': 2}, but found shape=\(5,\)"),
    ],
)
def test_what_cannot_be_read_says_what_must_hold(make, text):
    with pytest.raises(UsageError, match=text):
        make()


def test_predicates_are_kept_beside_the_notation():
    positive = array("n", where=lambda x: bool(np.all(x > 0)))
    assert positive.where is not None
    assert str(positive) == "f32[n]"
