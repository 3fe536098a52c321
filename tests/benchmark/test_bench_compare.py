"""One size measured: the record is complete, and work that is planted on one side is told."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.benchmark import LeftOut, Size, Spread, compare_each
from backproof.benchmark import compare as compare_module
from backproof.benchmark.compare import compare
from backproof.benchmark.limit import LAYOUTS, best_layout, limit
from backproof.benchmark.problem import by_autodiff, by_hand, problem
from backproof.benchmark.program import compile_interleaved, quotient

SIZE = Size(24, 3, 16, "float32")


def twice(network, loss):
    """Return the hand sweep done again on other numbers, all of whose results are needed."""
    gradient = by_hand(network, loss)

    def doubled(params, x, labels):
        (value, grads), (other, others) = gradient(params, x, labels), gradient(params, jnp.sin(x), labels)
        return value + other, jax.tree.map(jnp.multiply, grads, others)

    return doubled


@pytest.mark.parametrize("size", [SIZE, Size(8, 33, 4, "bfloat16")])
def test_a_comparison_is_complete(size):
    (found,) = compare_each([size], seconds=0.0)
    assert found.size == size
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        if isinstance(value, Spread):
            assert 0 < value.low <= value.median <= value.high, field.name
    for program in (found.hand, found.autodiff):
        assert len(program.compile_seconds) == 2
        assert program.flops > 0
        assert program.temporary_bytes >= 0
    assert found.time.rounds >= 5
    assert json.loads(json.dumps(dataclasses.asdict(found)))["size"]["width"] == size.width


def test_doubled_work_on_one_side_shows_in_operations_and_memory():
    found = compare(SIZE, LAYOUTS[0], 0.0, hand=twice)
    assert 1.8 < found.flops < 2.5
    assert found.memory > 1.3
    assert found.hand.flops > found.autodiff.flops
    assert found.hand.temporary_bytes > found.autodiff.temporary_bytes


def test_both_sides_compute_the_same():
    shared = problem(Size(6, 4, 5, "float32"))
    for mine, its in zip(
        *(
            jax.tree.leaves(jax.jit(side(shared.network, shared.loss))(*shared.args))
            for side in (by_hand, by_autodiff)
        ),
        strict=True,
    ):
        np.testing.assert_array_max_ulp(np.asarray(mine) + 1, np.asarray(its) + 1, maxulp=8)


@pytest.mark.parametrize("size", [Size(8, 5, 3, "float32"), Size(8, 32, 3, "float32")])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_limit_does_the_products_of_a_step_and_nothing_else(size, layout):
    run = limit(size, layout)
    compiled = run.func.lower(*run.args).compile()
    counted = compiled.cost_analysis()["flops"]
    products = size.operations // (size.depth if size.is_loop else 1)
    assert products <= counted <= 1.02 * products + 50
    assert sum(leaf.size for leaf in jax.tree.leaves(run())) == size.depth * size.width**2


def test_the_best_layout_is_one_there_is():
    assert best_layout(8, 3, "float32", 0.0) in LAYOUTS


def test_a_size_that_the_device_cannot_run_is_named(monkeypatch):
    def refuse(*args):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore")

    monkeypatch.setattr(compare_module, "compare", refuse)
    assert list(compare_each([SIZE], 0.0)) == [
        LeftOut(SIZE, "the device says: RESOURCE_EXHAUSTED: Out of memory")
    ]


def test_compilations_are_interleaved_and_none_is_remembered():
    made = []

    def maker(name):
        def make():
            made.append(name)
            return lambda x: x + 1

        return make

    x = jnp.ones(3)
    one, other = compile_interleaved([maker("A"), maker("B")], [(x,), (x,)])
    assert "".join(made) == "AB" + "ABBA"  # traced once beforehand
    assert one.run(x).tolist() == [2, 2, 2]
    assert [len(side.program.compile_seconds) for side in (one, other)] == [2, 2]


def test_a_quotient_without_a_number_is_none():
    assert quotient(2, 4) == 0.5
    assert quotient(0, 0) == 1
    assert quotient(3, 0) is None
    assert quotient(None, 3) is None
