"""Arrays as small matrices: every entry of a small one, a window of a large one, and the marks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.page.grids import DOTS, LAYERS, MOST, compared, grid, grids, number

pytestmark = pytest.mark.smoke


def texts(layer):
    return [[cell.text for cell in row] for row in layer]


def marked(layer):
    return [[cell.differs for cell in row] for row in layer]


def test_a_matrix_shows_its_entries_and_its_marks():
    shown = grid(np.array([[1.0, -2.5, 3.0], [4.0, 5.0, np.nan]]), "x", np.arange(6).reshape(2, 3) == 4)
    assert shown.shape == "2 × 3"
    assert texts(shown.layers[0]) == [["1", "−2.5", "3"], ["4", "5", "nan"]]
    assert marked(shown.layers[0]) == [[False] * 3, [False, True, False]]
    assert shown.has_marks


@pytest.mark.parametrize(
    ("column", "rows", "shape"),
    [(None, [["1", "2"]], "2"), (False, [["1", "2"]], "1 × 2"), (True, [["1"], ["2"]], "2 × 1")],
)
def test_a_vector_is_a_row_or_a_column(column, rows, shape):
    shown = grid(np.array([1.0, 2.0]), "b", column=column)
    assert (texts(shown.layers[0]), shown.shape) == (rows, shape)


def test_a_number_has_no_shape_and_an_empty_array_no_entry():
    assert grid(np.float32(2), "s") == grid(np.array(2.0), "s")
    assert (grid(2.0, "s").shape, texts(grid(2.0, "s").layers[0])) == ("", [["2"]])
    assert texts(grid(np.zeros((0, 3)), "e").layers[0]) == [["no entry"]]
    assert grid(np.zeros((0, 3)), "e").shape == "0 × 3"


def test_of_a_large_matrix_the_part_around_the_first_mark_is_shown():
    values = np.arange(400.0).reshape(20, 20)
    layer = grid(values, "x", values == 219).layers[0]  # row 10, column 19
    assert any(cell.text == "219" and cell.differs for row in layer for cell in row)
    assert len(layer) == MOST + 2  # dots above and below
    assert len(layer[0]) == MOST + 1  # dots on the left alone
    assert {row[0].text for row in layer} == {DOTS}
    assert texts(grid(values, "x").layers[0])[0][:2] == ["0", "1"]


def test_of_more_than_two_axes_the_matrices_with_marks_come_first():
    values = np.arange(2.0 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    shown = grid(values, "x", values == 23)
    assert len(shown.layers) == LAYERS
    assert shown.places[-1] == "[1, 2]"
    assert marked(shown.layers[-1]) == [[False, False], [False, True]]


def test_a_tree_shows_each_leaf_by_its_path_and_what_is_no_array_as_text():
    tree = (
        {"W": np.ones((2, 1)), "b": np.zeros(2)},
        "<b>",
        jax.random.key(3),
        np.zeros(2, jax.dtypes.float0),
    )
    shown = grids(tree, "args", {"[0]['b']": np.array([True, False])})
    assert [one.name for one in shown] == ["args[0]['W']", "args[0]['b']", "args[1]", "args[2]"]
    assert [one.has_marks for one in shown] == [False, True, False, False]
    assert texts(shown[2].layers[0]) == [["'<b>'"]]
    assert texts(shown[3].layers[0]) == [["[0, 3]"]]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.float64(1 / 3), "0.333333"),
        (jnp.bfloat16(1.5), "1.5"),
        (np.int32(-7), "−7"),
        (np.bool_(True), "True"),
        (np.float64(-np.inf), "−inf"),
        (np.complex64(1 - 2j), "1−2j"),
    ],
)
def test_a_number_is_short(value, said):
    assert number(value) == said


def test_two_sides_have_as_many_digits_as_it_takes_to_tell_them_apart():
    one, other = np.array([1.0, 2.0]), np.array([1.0 + 1e-11, 2.0 + 1e-11])
    both = compared(one, other, "x", np.array([True, False]))
    assert [texts(side.layers[0])[0][0] for side in both] == ["1", "1.00000000001"]
    both = compared(one, other, "x", np.array([False, False]))
    assert [texts(side.layers[0]) for side in both] == [[["1", "2"]]] * 2
