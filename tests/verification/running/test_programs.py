"""The programs of one function: few, whatever the number of points, and none shared between dtypes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.comparison import agree
from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import run
from backproof.numerics.leaves import dtype_of
from backproof.numerics.tracing import traced
from backproof.verification.running.compiled import Compiled
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.point import Point
from backproof.verification.running.programs import Programs

RNG = np.random.default_rng(0)


def points(count, *shape):
    return [Point((RNG.standard_normal(shape),), RNG.standard_normal(shape)) for _ in range(count)]


def counted(function):
    """Return a function that counts how often it is traced."""
    number = itertools.count()

    def wrapped(args, direction):
        next(number)
        return function(args, direction)

    return wrapped, lambda: next(number)


def slope(args, direction):
    return jnp.cos(args[0]) * direction


def by_numpy(point):
    return np.cos(point.args[0]) * point.direction


def value(program, args):
    return run(program, args)[0]


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 300])
def test_every_number_of_points_gives_what_each_alone_gives(count):
    several = points(count, 3)
    found = Programs(slope).together(value, several)
    assert found.shape == (count, 3)
    assert all(np.array_equal(row, by_numpy(one)) for one, row in zip(several, found, strict=True))


def test_one_program_serves_several_numbers_of_points():
    function, traces = counted(slope)
    programs = Programs(function)
    for count in (3, 17, 32, 1):
        programs.together(value, points(count, 3))
    assert traces() == 1
    programs.together(value, points(3, 4))
    assert traces() == 3  # another shape is traced anew; the counter itself counts as well


def test_a_single_point_runs_in_the_program_for_several_once_that_is_known():
    function, traces = counted(slope)
    evaluator = Evaluator(function)
    several = points(5, 3)
    many = evaluator.each(several)
    alone = evaluator(several[2])
    assert traces() == 1
    np.testing.assert_array_equal(alone.value, many[2].value)


def test_code_that_cannot_be_vmapped_runs_at_one_point_at_a_time():
    @jax.custom_batching.custom_vmap
    def refusing(x):
        return jnp.sin(x)

    @refusing.def_vmap
    def _refuse(axis_size, in_batched, x):
        raise NotImplementedError

    several = points(4, 3)
    found = Programs(lambda args, direction: refusing(args[0]) * direction).together(value, several)
    assert np.array_equal(found[3], np.sin(several[3].args[0]) * several[3].direction)


def test_code_that_calls_back_into_python_runs_at_no_more_points_than_are_asked_for():
    calls = itertools.count()

    def called(x):
        next(calls)
        return np.sin(x)

    def back(args, direction):
        shape = jax.ShapeDtypeStruct(args[0].shape, args[0].dtype)
        return jax.pure_callback(called, shape, args[0], vmap_method="sequential") * direction

    Programs(back).together(value, points(4, 3))
    assert next(calls) == 4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_program_belongs_to_one_dtype(dtype):
    function, traces = counted(slope)
    programs = Programs(function, traced)
    single = Point((np.ones(3, dtype),), np.ones(3, dtype))
    assert str(dtype_of(programs.together(value, [single]))) == dtype
    wide = Point((np.ones(3, "float64"),), np.ones(3, "float64"))
    programs.together(value, [wide])
    assert traces() == 2


def test_what_is_large_and_heavy_is_compiled_and_gives_the_same():
    (large,) = points(1, EFFORT.large, 4)
    long_chain = lambda args, direction: (
        jax.lax.fori_loop(0, 80, lambda _, x: jnp.sin(x), args[0]) * direction
    )
    programs = Programs(lambda args, direction: jnp.sin(jnp.cos(args[0])) * direction)
    assert not programs.is_heavy(large)
    assert programs.is_heavy(large, 200)
    assert Programs(long_chain).is_heavy(large, 5)
    interpreted = programs.together(value, [large])[0]
    compiled = programs.compiled_at(large)(large)
    assert np.all(agree(compiled.value, interpreted, compiled.noise))


def test_what_is_compiled_runs_in_float64():
    (point,) = points(1, 5)
    assert np.all(agree(Compiled(slope)(point), by_numpy(point), np.spacing(np.abs(by_numpy(point)))))
