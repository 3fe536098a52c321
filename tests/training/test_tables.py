"""A CSV file gives features and targets; what it lacks is said with row and column."""

import numpy as np
import pytest

from backproof.errors import DataError
from backproof.training import load, load_inputs
from backproof.training.files import columns_of, numbered
from backproof.training.tables import Columns, read_table

ROWS = "a,b,kind\n1,2.5,dog\n-3,4e1,cat\n\n5,6,dog\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_the_last_column_is_the_target_unless_another_is_named(written):
    table = read_table(written(ROWS))
    assert table.x.tolist() == [[1, 2.5], [-3, 40], [5, 6]]
    assert (table.y.tolist(), table.features, table.target) == (["dog", "cat", "dog"], ("a", "b"), "kind")
    named = read_table(written("y,a\n1,2\n3,4\n"))
    assert (named.x.tolist(), named.y.tolist(), named.y.dtype) == ([[2], [4]], [1, 3], np.int64)
    asked = read_table(written("y,a\n1,2.5\n3,4\n"), target="a")
    assert (asked.x.tolist(), asked.y.tolist(), asked.features) == ([[1], [3]], [2.5, 4.0], ("y",))


def test_a_byte_order_mark_and_spaces_do_no_harm(written):
    table = read_table(written(b"\xef\xbb\xbfa, y \r\n 1 , 0\r\n2,1\r\n"))
    assert (table.features, table.x.tolist(), table.y.tolist()) == (("a",), [[1], [2]], [0, 1])


def test_a_file_with_as_many_columns_as_the_model_needs_has_no_target(written):
    path = written("a,b\n1,2\n")
    x, y = load_inputs(path, width=2)
    assert (x.tolist(), y) == ([[1, 2]], None)
    assert load_inputs(path, width=1)[1].tolist() == [2]


def test_the_columns_of_a_model_are_taken_by_their_names(written):
    known = Columns(("a", "b"), "kind")
    x, y = load_inputs(written("kind,b,a,extra\ndog,2.5,1,9\n"), known=known)
    assert (x.tolist(), y.tolist()) == ([[1, 2.5]], ["dog"])
    assert load_inputs(written("b,a\n2.5,1\n"), known=known)[1] is None
    with pytest.raises(
        DataError, match="must have the column 'a', on which the model was trained, but found b"
    ):
        load_inputs(written("b,kind\n1,dog\n"), known=known)
    assert columns_of(written(ROWS)) == known


def test_texts_are_classes_in_the_order_of_the_alphabet(written):
    _, y = load(written(ROWS))
    numbers, labels = numbered(y)
    assert (numbers.tolist(), labels) == ([1, 0, 1], ("cat", "dog"))
    assert numbered(np.array([2, 0]))[1] == ()


def test_numbers_to_be_predicted_are_rows(written):
    _, y = load(written("a,y\n1,2.5\n2,3\n"), numbers=True)
    assert (y.tolist(), y.dtype) == ([[2.5], [3.0]], np.float64)
    with pytest.raises(DataError, match="the target must hold one number"):
        load(written(ROWS), numbers=True)
    with pytest.raises(DataError, match="train with --loss half_squared_error"):
        load(written("a,y\n1,2.5\n2,3\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a header and at least one sample, but found 0 rows"),
        ("a,b\n", "a header and at least one sample, but found 1 row"),
        ("1,2\n3,4\n", "the first row must name the columns, but found 1, 2"),
        ("a,b\n1\n", "every row must have 2 cells, as the header has, but found 1 in row 2"),
        ("a,b\n1,2\nx,3\n", "every feature must be a number, but found 'x' in row 3, column 'a'"),
        ("a;b;y\n1;2;3\n", "separate the columns by commas"),
        ("a,a,y\n1,2,3\n", "a name of its own, but found 'a' twice"),
        ("a,y\n,3\n", "found an empty cell in row 2, column 'a'"),
        ("a\n1\n", "a feature beside the target, but found one column, 'a'"),
        (b"a,b\n\xff,1\n", "readable as CSV in UTF-8, but found UnicodeDecodeError"),
        ("a,b\nnan,1\n", r"every value must be finite, but found x\[0, 0\]=nan"),
    ],
)
def test_what_a_file_lacks_is_said(written, text, said):
    with pytest.raises(DataError, match=said):
        load(written(text))


def test_a_missing_column_and_a_missing_file_are_said(written, tmp_path):
    with pytest.raises(DataError, match="a column 'kinds', but found a, b, kind; did you mean kind"):
        load(written(ROWS), target="kinds")
    with pytest.raises(DataError, match="FileNotFoundError"):
        load(tmp_path / "nothing.csv")
