"""One notation for what an argument may be, read from three forms and written back."""

import math
import pathlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Array, Float, Int

import backproof as bp
from backproof import UsageError
from backproof.arguments import (
    LONG_DTYPES,
    STRUCTURES,
    array,
    bind,
    evaluate,
    from_annotations,
    increasing,
    integers,
    names_of,
    one_hot,
    orthogonal,
    parse,
    partition,
    permutation,
    shape_of,
    simplex,
    spd,
)
from backproof.cli.arguments import arguments_in

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


LEAST = st.tuples(NAMES, st.sampled_from([">=", ">", " >= "]), st.integers(0, 9)).map(
    lambda parts: "".join(map(str, parts))
)
ALSO = st.lists(st.sampled_from([-100, 3, -0.5, math.inf, -math.inf, math.nan, "n", "n - 1"]), unique=True)


@given(st.lists(st.one_of(DIMENSIONS, LEAST, st.just("*batch>=1")), max_size=4), ALSO)
def test_least_sizes_and_further_values_are_read_back(dims, also):
    if sum("*batch" in dim for dim in dims) > 1:
        return
    spec = array(" ".join(dims), low=0, high="2*n", also=tuple(also))
    assert parse(str(spec)) == spec
    assert len(spec.also) == len(also)


@given(
    st.sampled_from(sorted(STRUCTURES)),
    st.sampled_from(["n", "b n", "*batch n", "b n>=2", "b n+1", "n n"]),
    st.sampled_from(["m", "2*(m + 1)", 7]),
)
def test_structures_are_read_back(name, dims, total):
    made = {"partition": lambda d: partition(d, of=total), "increasing": lambda d: increasing(d, -1, "n")}
    others = {"permutation": permutation, "simplex": simplex, "spd": spd, "orthogonal": orthogonal}
    spec = {**made, **others, "one_hot": one_hot}[name](dims)
    assert spec.structure == name
    assert parse(str(spec)) == spec
    assert arguments_in(f"f32[b] {spec} {spec}") == ([array("b"), spec, spec], {})


def test_a_least_size_is_a_name_and_the_largest_counts():
    assert str(array("b>=2 n")) == "f32[b>=2,n]"
    assert array("b>1") == array("b>=2") == array("b >= 2") == array("b>=2 ")
    assert array("b>=2 b>=3") == array("b>=3 b>=2") == array("b>=3 b") == array("b b>=3")
    assert array("b>=0") == array("b")
    assert names_of(array("b>=2 n")) == ["b", "n"]
    assert bind(array("b>=2 n"), (2, 0), {}) == {"b": 2, "n": 0}
    for least, shape, known in (("b>=2 n", (1, 3), {}), ("*b>=1 n", (2, 0, 3), {}), ("n>=4", (3,), {"n": 3})):
        with pytest.raises(UsageError, match=r"must fit \[.*>=\d.*found shape=.*pass an array of that shape"):
            bind(array(least), shape, known)


def test_a_multiple_has_a_least_size_too():
    assert array("8*b>=8 n") == array("8*b >= 1 n") == parse("f32[8*b>=8,n]")
    assert array("8*b>=8").least == (("b", 1),)
    assert array("8*b>=9").least == (("b", 2),)
    assert array("b-3>=1").least == (("b", 4),)
    assert array("8*b>=8000000000").least == (("b", 10**9),)
    assert array("b//4>=2").least == (("b", 8),)
    assert str(array("8*b>=16 n>=1")) == "f32[8*b>=16,n>=1]"
    assert str(array("8*b>=16 b")) == str(array("8*b b>=2")) == "f32[8*b,b>=2]"
    with pytest.raises(UsageError, match=r"must fit \[8\*b>=8\]"):
        bind(array("8*b>=8"), (0,), {})


@given(st.lists(DIMENSIONS, max_size=4), st.sampled_from([(), (3,), (2, 4)]), st.booleans())
def test_a_shape_binds_the_names_it_was_made_from(dims, batch, starred):
    spec = array(" ".join(["*batch"] * starred + dims))
    sizes = {"b": 2, "n": 5, "n_in": 4, "k": 7, "*batch": batch}
    bound = bind(spec, shape_of(spec, sizes), {name: sizes[name] for name in names_of(spec)})
    assert all(bound[name] == sizes[name] for name in names_of(spec))


def test_short_and_long_forms_agree():
    assert parse("f32[b,n]") == array("b n")
    assert parse("i32[b]>=0<=v-1") == integers("b", 0, "v-1")
    assert arguments_in("f32[b,n] f32[n] i32[b]<n")[0] == [array("b n"), array("n"), parse("i32[b]<n")]
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
        (lambda: array("n+m>=2"), r"behind an axis with one name, but found 'n\+m>=2'; .* n>=2 or 8\*b>=8"),
        (lambda: array("n-n>=9"), "some size of n must give an axis that long"),
        (lambda: array("n<=8"), "a least size is a number behind an axis"),
        (lambda: array("n=m"), "a least size is a number behind an axis"),
        (lambda: array("n", also=3), r"a tuple of values, but found also=3; write also=\(3,\)"),
        (lambda: array("n", also=(True,)), "also= names numbers"),
        (lambda: integers("n", 0, 3, also=(0.5,)), "an element of int32 must be able"),
        (lambda: array("n", "uint8", also=(-1,)), "an element of uint8 must be able"),
        (lambda: parse("i32[n]|"), "may follow the shape"),
        (lambda: parse("f32[n]:symmetric"), "a structure is one of partition, permutation"),
        (lambda: parse("f32[n]:spd"), "spd needs two last axes of one size, but found"),
        (lambda: parse("f32[n,n]>0:spd"), "spd says which values there are, .* drop the bounds"),
        (lambda: parse("i32[g]:partition"), "partition, and nothing else, says the size"),
        (lambda: parse("f32[n]:simplex(m)"), "partition, and nothing else, says the size"),
        (lambda: spd("n", "int32"), "spd needs a dtype with 'float' in its name"),
        (lambda: permutation("n", "float32"), "permutation needs a dtype with 'int'"),
        (lambda: simplex(""), "simplex needs a last axis of its own"),
        (lambda: simplex("*batch"), "simplex needs a last axis of its own"),
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


def test_the_table_of_the_docs_writes_each_specification_in_both_ways():
    page = pathlib.Path(__file__).parent.parent / "docs" / "what-can-be-checked.md"
    rows = re.findall(r"^\| `(bp\.\w+\(.*?\))` \| `(\S+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {parse(text.replace("\\|", "|")).structure for _, text in rows} == {*STRUCTURES, None}
    for made, text in rows:
        assert eval(made, {"bp": bp, "math": math}) == parse(text.replace("\\|", "|")), made
