"""Standardisation: numbers of the training part alone, the same in one pass as in memory, and kept."""

import jax
import numpy as np
import pytest

from agreement import assert_value
from backproof.errors import DataError
from backproof.training import Data, Standardiser, standardise


class Parts:
    """A stream of inputs in parts of the given sizes."""

    def __init__(self, x, *sizes):
        self.parts = np.split(x, np.cumsum(sizes))

    def inputs(self):
        return (part for part in self.parts if len(part))


def draw(samples=23, features=3):
    return np.random.default_rng(0).normal(size=(samples, features)) * [1.0, 30.0, 1e-3] + [0.0, 40.0, -1e-3]


def test_it_does_to_the_training_part_what_standardise_does():
    x = draw()
    data = standardise(Data(x, None, x[:4] + 1, None))
    standardiser = Standardiser.fitted(x)
    assert standardiser.apply(x).tobytes() == data.x_train.tobytes()
    assert standardiser.apply(x[:4] + 1).tobytes() == data.x_test.tobytes()


@pytest.mark.parametrize("sizes", [(), (1,), (7, 1, 9), (22,)])
def test_one_pass_over_a_stream_finds_mean_and_deviation(sizes):
    x = draw()
    found = Standardiser.fitted_on(Parts(x, *sizes))
    with jax.enable_x64(True):
        assert_value(lambda x: x.mean(0), (x,), found.mean)
        assert_value(lambda x: x.std(0), (x,), found.scale)


def test_a_mean_large_beside_the_deviation_costs_no_digits():
    """The sum of squares less the square of the sum would leave nothing: 1e8² holds no 1."""
    x = np.array([1e8, 1e8 + 2] * 6)[:, None]
    found = Standardiser.fitted_on(Parts(x, 4, 2))
    assert (found.mean.tolist(), found.scale.tolist()) == ([1e8 + 1], [1.0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.int64])
def test_narrow_numbers_are_summed_in_float64(dtype):
    x = np.full((3000, 1), 200, dtype)
    x[::2] = 100
    found = Standardiser.fitted_on(Parts(x, 1000, 1500))
    assert (found.mean.tolist(), found.scale.tolist()) == ([150.0], [50.0])


def test_a_feature_that_is_constant_over_all_parts_is_only_shifted():
    found = Standardiser.fitted_on(Parts(np.full((7, 1), 0.1), 3))
    assert found.scale.tolist() == [1.0]
    two = Standardiser.fitted_on(Parts(np.array([[1.0], [1.0], [3.0], [3.0]]), 2))
    assert two.scale.tolist() == [1.0]
    assert two.apply(np.array([[4.0]])).tolist() == [[2.0]]


def test_a_deviation_that_underflows_does_not_divide_by_zero():
    assert Standardiser.fitted(np.array([[1e-200], [2e-200]])).scale.tolist() == [1.0]


def test_inputs_of_another_width_are_refused():
    with pytest.raises(DataError, match=r"must have the shape \(3,\) .* found x.shape=\(5, 2\)"):
        Standardiser.fitted(draw()).apply(np.ones((5, 2)))


def test_a_stream_without_samples_is_refused():
    with pytest.raises(DataError, match="at least one sample, but found 0"):
        Standardiser.fitted_on(Parts(np.ones((0, 3))))
