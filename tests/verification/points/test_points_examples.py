"""Integers of example arrays vary within what the example shows; the rest is said to be held."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import backproof as bp
from backproof.verification.points.examples import variations
from backproof.verification.points.from_arguments import FromArguments
from backproof.verification.points.hypothesis_draws import draw

pytestmark = pytest.mark.as_user

X = np.ones((8, 3), np.float32)


def varied(*example):
    """Return the distinct variations of the last argument, as nested lists, without the example."""
    points = FromArguments(tuple(example))
    draws = draw(points, 400, 0, "f")
    mine = np.asarray(example[-1])
    values = [(one.varied, np.asarray(one.build()[-1])) for one in draws]
    assert all(value.shape == mine.shape and value.dtype == mine.dtype for _, value in values)
    assert all(flag or np.array_equal(value, mine) for flag, value in values)
    assert sum(np.array_equal(value, mine) for _, value in values) > len(values) / 2
    return [value for _, value in values if not np.array_equal(value, mine)]


def test_sizes_of_groups_keep_their_sum_and_become_empty():
    found = varied(X, np.array([2, 2, 2, 2], np.int32))
    assert len(found) > 20
    assert all(sizes.sum() == 8 and sizes.min() == 0 and sizes.max() < 8 for sizes in found)
    unequal = varied(X, np.array([3, 1, 4]))
    assert unequal
    assert all(sizes.sum() == 8 and sizes.max() <= 4 for sizes in unequal)


def test_offsets_keep_their_ends_and_groups_become_empty():
    found = varied(X, np.array([0, 2, 5, 8]))
    assert all((np.diff(offsets) >= 0).all() and offsets[[0, -1]].tolist() == [0, 8] for offsets in found)
    assert any((np.diff(offsets) == 0).any() for offsets in found)


def test_as_many_numbers_as_their_sum_are_labels():
    found = varied(np.ones((4, 3)), np.array([2, 0, 2, 0]))
    assert {0, 1, 2} >= {int(label) for labels in found for label in labels}
    assert any(labels.sum() != 4 for labels in found)


@pytest.mark.parametrize(
    "example",
    [
        [2, 0, 1, 2, 0],
        [1, 0],
        [0, 0, 1, 3, 3],
        [1, 2, 4, 5],
        [9, 5, 5, 2, 1],
        [3, 1, 0, 2],
        [-100, 2, 0, 1, -100, 0],
        [0, 3, 255, 1],
        [[3, 1, 4, 1], [5, 9, 2, 6]],
        [[0, 7], [1, 9], [0, 8], [1, 7]],
    ],
    ids=str,
)
def test_indices_keep_what_the_example_shows(example):
    mine = np.asarray(example, np.int32)
    found = varied(X, mine)
    assert found
    for other in found:
        assert other.min() >= mine.min()
        assert other.max() <= mine.max()
        if mine.ndim == 2:
            assert len(np.unique(other, axis=0)) == len(mine)
            along = int(np.argmax(mine.shape))
            assert (
                (other >= mine.min(along, keepdims=True)) & (other <= mine.max(along, keepdims=True))
            ).all()
            continue
        assert len({*mine.tolist()}) < mine.size or len({*other.tolist()}) == mine.size
        for direction in (1, -1):
            if mine.size > 2 and (np.diff(direction * mine) >= 0).all():
                assert (np.diff(direction * other) >= 0).all()
                assert other[0] == mine[0]
                assert other[-1] == mine[-1]


@pytest.mark.parametrize(
    ("example", "others"), [([-100, 2, 0, 1], {-100, 0, 1, 2}), ([0, 3, 255, 1, 1], {0, 1, 3, 255})]
)
def test_no_value_is_made_up_between_a_sentinel_and_the_rest(example, others):
    assert {int(i) for other in varied(X, np.array(example)) for i in other} == others


def test_booleans_are_flipped_and_moved_and_masks_keep_their_form():
    assert {tuple(mask) for mask in varied(X, np.array([True, True]))} == {
        (True, False),
        (False, True),
        (False, False),
    }
    assert varied(X, np.array(True))[0] == np.array(False)
    padding = np.array([[True, True, True, False], [True, True, False, False]])
    assert all((np.diff(mask.astype(int)) <= 0).all() for mask in varied(X, padding))
    causal = np.tril(np.ones((4, 4), bool))
    assert all(not np.triu(mask, 1).any() for mask in varied(X, causal))


def test_what_has_a_form_keeps_it():
    adjacency = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert all((other == other.T).all() for other in varied(X, adjacency))
    hot = np.eye(3, dtype=np.int32)[[1, 0, 2, 0, 1, 2, 0]]
    assert all((other.sum(-1) == 1).all() for other in varied(X, hot))


HELD = [
    (np.array(3),),
    (np.array([2, 2, 2]),),
    (np.array([0, 1]),),
    (np.arange(5),),
    (np.array([0, 4, 7], np.uint32)[:2],),
]


@pytest.mark.parametrize("example", HELD, ids=str)
def test_what_cannot_be_varied_is_held_and_said(example):
    points = FromArguments((X, *example))
    assert points.held == ("the integers of args[1] (as given)",)
    assert not varied(X, *example)
    assert not any(one.varied for one in draw(points, 60, 0, "f"))


def test_keys_and_integers_inside_other_classes_are_held():
    indices = np.array([[0, 1], [2, 0], [1, 1], [2, 2], [0, 2]])
    assert varied(X, indices)
    matrix = sparse.BCOO((jnp.ones(5), jnp.asarray(indices)), shape=(3, 3), unique_indices=True)
    points = FromArguments((matrix, {"key": jax.random.key(0), "ids": np.array([2, 0, 1, 1])}))
    assert len(points.held) == 2
    assert points.held[0].startswith("the integers of args[0]")
    assert points.held[1] == "the key args[1]['key'] (as given)"


def test_what_is_drawn_holds_nothing():
    assert FromArguments((bp.array("b n"), bp.integers("b", 0, "n"))).held == ()
    assert variations((bp.array("b n"), bp.integers("b", 0, "n"))) == [None, None]


def test_plain_points_have_the_integers_as_given():
    points = FromArguments((X, np.array([2, 2, 2, 2])))
    assert all(one.build()[1].tolist() == [2, 2, 2, 2] for seed in range(9) for one in points.plain(seed))
