"""Samples in memory: a stratified split, scales from the training part alone, and checked values."""

import numpy as np
import pytest

from backproof.datasets import digits
from backproof.errors import DataError, UsageError
from backproof.training import Data, split, standardise
from backproof.training.data import require_samples, require_usable

pytestmark = pytest.mark.smoke


def test_a_split_holds_out_one_in_five_and_loses_no_sample():
    x = np.arange(23)[:, None]
    data = split(x, np.arange(23) % 3, seed=0)
    assert len(data.x_test) == 5
    assert sorted([*data.x_train[:, 0], *data.x_test[:, 0]]) == list(range(23))
    assert (data.x_train[:, 0] % 3 == data.y_train).all()
    assert (data.x_test[:, 0] % 3 == data.y_test).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_split_is_stratified(seed):
    x, y = digits()
    data = split(x, y, seed)
    assert len(data.y_test) == 360
    apart = np.abs(np.bincount(data.y_test) - np.bincount(y) / 5)
    assert (apart < 1).all()


def test_the_seed_decides_the_split():
    x, y = digits()
    first, again, other = (split(x, y, seed) for seed in (0, 0, 1))
    assert (first.x_test == again.x_test).all()
    assert (first.x_test != other.x_test).any()


def test_a_split_needs_two_samples():
    with pytest.raises(DataError, match="split: a split needs at least 2 samples, but found 1; pass more"):
        split(np.ones((1, 2)), np.zeros(1, int), seed=0)


def test_standardised_training_features_have_mean_0_and_deviation_1():
    """Powers of two, so that both hold exactly."""
    x = np.array([[0.0, 4.0], [8.0, 4.5], [0.0, 4.5], [8.0, 4.0]])
    data = standardise(Data(x, np.zeros(4, int), np.array([[12.0, 5.0]]), np.zeros(1, int)))
    assert data.x_train.tolist() == [[-1, -1], [1, 1], [-1, 1], [1, -1]]
    assert data.x_test.tolist() == [[2, 3]]
    assert data.x_train.dtype == data.x_test.dtype == np.float32


def test_a_constant_feature_is_only_shifted():
    """The deviation of three times 0.1 is rounding, about 1e-17, and must not become the scale."""
    data = standardise(Data(np.full((3, 1), 0.1), None, np.array([[0.6]]), None))
    assert np.abs(data.x_train).max() < np.finfo(np.float64).eps
    assert data.x_test.tolist() == [[0.5]]


def test_a_test_part_is_not_needed():
    assert standardise(Data(np.eye(2), None)).x_test is None


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (
            np.ones((3, 2)),
            np.ones(2),
            r"one entry for each sample along their first axis, but found x: 3, y: 2",
        ),
        (np.ones((3, 2)), np.float32(1), r"found x: 3, y: None"),
        (np.ones((0, 2)), np.ones(0), r"at least one sample, but found 0"),
        ({"q": np.ones((3, 2)), "k": np.ones((4, 2))}, np.ones(3), r"found x\['k'\]: 4, x\['q'\]: 3, y: 3"),
        (
            np.array([[1.0, np.nan], [np.inf, 0]]),
            np.ones(2),
            r"must be finite, but found x\[0, 1\]=nan \(2 of 4 values\)",
        ),
        (np.ones((2, 1)), np.array([1, -np.inf]), r"must be finite, but found y\[1\]=-inf \(1 of 2 values\)"),
        (np.array([["a"], ["b"]]), np.ones(2), r"must be numbers, but found x.dtype=<U1"),
        (np.ones((2, 1)), None, r"found x: 2"),
    ],
    ids=["lengths", "scalar", "empty", "tree", "NaN", "infinite", "text", "no targets"],
)
def test_samples_no_network_can_learn_from_are_refused(x, y, text):
    with pytest.raises(DataError, match=f"here: .*{text}"):
        require_samples(x, y, "here")


def test_the_test_part_is_checked_too():
    good = np.ones((2, 1)), np.zeros(2, int)
    with pytest.raises(DataError, match=r"the test part: .* found x\[0, 0\]=nan"):
        require_usable(Data(*good, np.array([[np.nan]]), np.zeros(1, int)))


@pytest.mark.parametrize("y", [np.zeros((5, 2), int), np.zeros(5, complex), np.zeros(5, bool)])
def test_a_split_by_what_is_no_label_is_refused(y):
    with pytest.raises(
        DataError, match=rf"split: y must .*, but found y of shape .* and dtype {y.dtype}; pass"
    ):
        split(np.ones((5, 2)), y, seed=0)


def test_a_negative_seed_is_refused():
    with pytest.raises(
        UsageError, match="split: seed must be a whole number of at least 0, but found seed=-1"
    ):
        split(np.ones((5, 2)), np.zeros(5, int), seed=-1)


def test_parts_of_different_shape_are_refused():
    y = np.zeros(2, int)
    with pytest.raises(
        DataError, match=r"the test part: .*, x_train: \(3,\), but found x_test: \(4,\); prepare"
    ):
        require_usable(Data(np.ones((2, 3)), y, np.ones((2, 4)), y))


def test_targets_that_are_numbers_are_split_without_classes():
    y = np.arange(10, dtype=np.float32)[:, None]
    data = split(np.arange(10)[:, None], y, seed=0)
    assert (len(data.y_train), len(data.y_test), data.y_train.dtype) == (8, 2, np.float32)
    assert np.array_equal(data.x_train, data.y_train)
    assert sorted([*data.y_train.ravel(), *data.y_test.ravel()]) == list(range(10))
