"""The blamed lines stand in their source; where that has changed, they stand alone."""

import pytest

from backproof.page.source import excerpt

pytestmark = pytest.mark.smoke

CODE = """import os


def f(x):
    y = x
    # a note
    z = 2 * y
    return z


def g(x):
    return x
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(CODE)
    return str(path)


def test_the_lines_around_are_shown_without_their_common_margin(file):
    rows = excerpt(file, [7], ["z = 2 * y"])
    assert [(row.number, row.text, row.blamed) for row in rows] == [
        (5, "y = x", False),
        (6, "# a note", False),
        (7, "z = 2 * y", True),
        (8, "return z", False),
    ]


def test_lines_far_apart_have_a_gap_between_them_and_a_single_line_fills_one(file):
    rows = excerpt(file, [1, 12], ["import os", "return x"])
    assert [row.number for row in rows] == [1, 2, 3, None, 10, 11, 12]
    assert [row.text for row in rows if row.number is None] == ["⋮"]
    near = excerpt(file, [1, 7], ["import os", "z = 2 * y"])
    assert [row.number for row in near] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [row.number for row in near if row.blamed] == [1, 7]


@pytest.mark.parametrize("text", ["z = 3 * y", "nothing like it"])
def test_a_line_that_has_changed_since_stands_alone(file, text):
    assert [(row.number, row.text) for row in excerpt(file, [7], [text])] == [(7, text)]


def test_a_file_that_is_gone_leaves_the_lines():
    assert [row.text for row in excerpt("/nowhere/at/all.py", [3, 5], ["a = 1", "b = 2"])] == [
        "a = 1",
        "b = 2",
    ]
