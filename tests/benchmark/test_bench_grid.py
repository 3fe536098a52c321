"""The grid, and what is left out of it."""

import jax
import pytest

from backproof.benchmark import Grid, Size, Speed, feasible, sizes
from backproof.benchmark.estimate import step_seconds
from backproof.benchmark.problem import by_hand, problem
from backproof.errors import UsageError

pytestmark = pytest.mark.smoke


def test_every_size_of_a_grid_stands_once_in_order():
    grid = Grid((8, 4, 8), (2,), (3, 1), ("bfloat16", "float32"))
    found = [(one.dtype, one.width, one.depth, one.batch) for one in sizes(grid)]
    assert found == [(d, n, 2, b) for d in ("bfloat16", "float32") for n in (4, 8) for b in (1, 3)]


def test_an_unknown_dtype_is_refused_with_the_list():
    with pytest.raises(
        UsageError, match="one of float32, bfloat16, float16, but found dtype='bfloat15'; did"
    ):
        sizes(Grid((4,), (2,), (1,), ("bfloat15",)))
    with pytest.raises(UsageError, match="choose one of them"):
        sizes(Grid((4,), (2,), (1,), ("int",)))


def test_a_number_out_of_range_is_refused():
    with pytest.raises(UsageError, match="depths must be a whole number of at least 1, but found depths=0"):
        sizes(Grid((4,), (0,), (1,), ("float32",)))


@pytest.mark.parametrize("depth", [1, 3, 40])
def test_the_operations_counted_are_those_of_the_program(depth):
    """XLA counts the body of a loop once; the products of the rest are nearly all there is."""
    size = Size(48, depth, 16, "float32")
    shared = problem(size)
    compiled = jax.jit(by_hand(shared.network, shared.loss)).lower(*shared.args).compile()
    counted = compiled.cost_analysis()["flops"]
    expected = size.operations / (depth if size.is_loop else 1)
    assert expected <= counted <= 1.3 * expected


def test_sizes_that_take_too_long_or_too_much_are_named_with_the_reason():
    quick, slow, big = Size(4, 2, 1, "float32"), Size(64, 4, 32, "float32"), Size(32, 2, 1, "float32")
    speeds = {"float32": Speed(flops_per_second=1e6, bytes_per_second=1e9)}
    kept, left_out = feasible([quick, slow, big], speeds, longest=0.5, memory=40_000)
    assert kept == [quick]
    assert [one.size for one in left_out] == [slow, big]
    assert left_out[0].reason == "a step would take about 2.9 s, over 0.5 s"
    assert "GiB, and 3.73e-05 are free" in left_out[1].reason


def test_without_a_figure_for_memory_nothing_is_left_out_for_it():
    kept, left_out = feasible([Size(4096, 2, 1, "float32")], {"float32": Speed(1e12, 1e12)}, 1.0, None)
    assert len(kept) == 1
    assert not left_out


def test_a_batch_of_one_is_estimated_by_the_weights_it_reads():
    size = Size(100, 10, 1, "float32")
    assert step_seconds(size, Speed(1e12, 1e6)) == 3 * 10 * 100 * 100 * 4 / 1e6
    assert step_seconds(size, Speed(1e6, 1e12)) == 2 * 100 * 100 * 29 / 1e6
