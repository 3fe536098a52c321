"""No parameter of a primitive is ignored: an entry respects it, or JAX itself runs the operation."""

import functools
import itertools
from collections import defaultdict

import jax
import numpy as np
import pytest
from primitive_parameters import LEFT_TO_JAX, ROWS

from backproof.numerics.comparison import units
from backproof.numerics.coverage import READS, covers
from backproof.numerics.interpreter import run
from backproof.numerics.noise import measure
from backproof.numerics.primitives import NUMPY, UNCHANGED
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import float64, inner_programs, trace

pytestmark = [
    pytest.mark.as_user,
    pytest.mark.filterwarnings("ignore:Casting complex values to real"),
]
BY_NAME = {
    name: list(rows)
    for name, rows in itertools.groupby(sorted(ROWS, key=lambda row: row[0]), lambda row: row[0])
}


def equations(program):
    for eqn in getattr(program, "jaxpr", program).eqns:
        yield eqn
        for inner in inner_programs(eqn.params):
            yield from equations(inner)


def parameters(name, f, args):
    """Return the parameters of each operation of this name in the program of `f`."""
    return [eqn.params for eqn in equations(trace(f, *args).jaxpr) if eqn.primitive.name == name]


def expected_of(rows):
    """Return what XLA computes for each row; all are compiled as one program."""
    with float64():
        together = jax.jit(lambda tuples: [f(*args) for (_, f, *_), args in zip(rows, tuples, strict=True)])
        return jax.device_get(together([args for _, _, *args in rows]))


@functools.cache
def expected(name):
    return expected_of(BY_NAME[name])


def equal(got, want, noise):
    """Return whether two leaves have one shape, one dtype and, within noise, the same entries or NaN."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    return bool(np.all((units(got, want, noise) <= AGREES_WITHIN) | ((got != got) & (want != want))))


def all_equal(got, want, noise):
    leaves = map(jax.tree.leaves, (got, want, noise))
    return all(itertools.starmap(equal, zip(*leaves, strict=True)))


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_parameter_of_an_entry_means_what_it_means_to_xla(name):
    for (_, f, *args), want in zip(BY_NAME[name], expected(name), strict=True):
        found = parameters(name, f, args)
        assert found
        assert all(covers(name, one) for one in found)
        measured = measure(f, *args)
        assert all_equal(measured.value, want, measured.noise), (found, measured.value, want)


def seen():
    """Return the values that the rows give to each parameter which an entry reads, without repetitions."""
    values = defaultdict(list)
    for name, f, *args in ROWS:
        for params in parameters(name, f, args):
            for key in sorted(READS[name] & set(params)):
                if not any(repr(params[key]) == repr(one) for one in values[name, key]):
                    values[name, key].append(params[key])
    return values


@pytest.fixture(scope="module")
def values():
    return seen()


def test_the_rows_give_every_parameter_that_is_read(values):
    missing = {(name, key) for name, keys in READS.items() if name not in UNCHANGED for key in keys} - set(
        values
    )
    assert missing == set()


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name in sorted(READS) if name not in UNCHANGED for key in sorted(READS[name])],
)
def test_an_entry_that_ignores_a_parameter_is_noticed(name, key, values, monkeypatch):
    """Planted: the entry takes every parameter but one from the operation, and that one as first seen."""
    entry, constant = NUMPY[name], values[name, key][0]
    monkeypatch.setitem(
        NUMPY, name, lambda *operands, **params: entry(*operands, **{**params, key: constant})
    )
    for (_, f, *args), want in zip(BY_NAME[name], expected(name), strict=True):
        try:
            measured = run(trace(f, *args), args)[0]
        except Exception:
            return  # a shape that does not fit is noticed too
        if not all_equal(measured, want, jax.tree.map(lambda leaf: np.abs(leaf) * 1e-9, want)):
            return
    pytest.fail(f"nothing notices that {name} ignores {key}")


@pytest.mark.parametrize("row", LEFT_TO_JAX, ids=lambda row: row[0])
def test_what_no_entry_knows_is_left_to_jax(row):
    name, f, *args = row
    assert not all(covers(name, one) for one in parameters(name, f, args))
    measured = measure(f, *args)
    assert all_equal([measured.value], expected_of([row]), [measured.noise])


def test_a_parameter_that_nobody_thought_of_takes_an_operation_out_of_the_table():
    assert covers("reshape", {"new_sizes": (6,), "dimensions": (1, 0), "sharding": None})
    assert covers("mul", {"out_dtype": None})
    assert covers("exp", {"accuracy": "highest"})  # changes no value
    assert not covers("mul", {"out_dtype": np.dtype(np.float16)})
    assert not covers("reshape", {"new_sizes": (6,), "dimensions": None, "planted": 3})
    assert not covers("zeta", {})
    assert covers("name", {"name": "z"})  # it hands its operand on, whatever its parameters say
    for name in set(NUMPY) - set(UNCHANGED):
        assert not covers(name, {"planted": object()})


def test_an_algorithm_for_products_is_left_to_jax():
    numbers = {"dimension_numbers": (((1,), (0,)), ((), ())), "preferred_element_type": None}
    assert covers("dot_general", {**numbers, "precision": (jax.lax.Precision.HIGHEST, None)})
    assert not covers("dot_general", {**numbers, "precision": jax.lax.DotAlgorithmPreset.BF16_BF16_F32})
