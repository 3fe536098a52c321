"""Derivations are found by the path of their file, in the order of the source."""

from pathlib import Path

import pytest

import backproof as bp
from backproof.derivations import find

GOOD = """
import backproof as bp
from jaxtyping import Array, Float

@bp.derivation("second in the alphabet, first in the file")
def b(x: Float[Array, " n"]):
    yield bp.line("x + x", x + x, "definition")
    yield bp.line("2 x", 2 * x, "sum")

@bp.derivation("a")
def a(x: Float[Array, " n"]):
    yield bp.line("x + x", x + x, "definition")
    yield bp.line("2 x", 2 * x, "sum")

again = b
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "other.py").write_text("raise SystemError('nobody imports me')\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "derivation.py").write_text(GOOD)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.py").write_text(f"from good import a as imported  # a derivation\n{GOOD}")
    return tmp_path


@pytest.mark.parametrize("name", ["book_of_the_same_name", "code"])  # the last is one of Python's own
def test_packages_of_the_same_name_are_told_apart(tmp_path, name):
    for place in ("first", "second"):
        package = tmp_path / place / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "one.py").write_text(GOOD.replace("def a", f"def of_{place}"))
    found = find([tmp_path / "first", tmp_path / "second"])
    assert [one.name for one in found] == ["b", "of_first", "b", "of_second"]


def test_files_of_a_package_may_import_each_other_and_are_read_again_when_they_change(tmp_path):
    package = tmp_path / "book_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("FACTOR = 2.0\n")
    (package / "one.py").write_text(f"from . import FACTOR\n{GOOD}")
    (package / "two.py").write_text(
        f"from .one import a as lemma\n{GOOD.replace('def b', 'def c').replace('again = b', '')}"
    )
    found = find([package])
    assert [one.name for one in found] == ["b", "a", "c", "a"]
    assert find([package / "two.py"])[0] is found[2]
    (package / "__init__.py").write_text("FACTOR = 3.0  # changed\n")
    again = find([package], anew=True)
    assert again[0].function.__globals__["FACTOR"] == 3.0
    assert again[0] is not found[0]


def test_a_file_gives_its_own_derivations_in_the_order_of_the_source(folder):
    assert [one.name for one in find([folder / "good.py"])] == ["b", "a"]


def test_a_folder_gives_those_of_its_files_and_hidden_ones_are_left_alone(folder):
    (folder / "sub" / "good.py").write_text(GOOD)
    found = find([folder])
    assert [(Path(one.path).name, one.name) for one in found] == [
        ("good.py", "b"), ("good.py", "a"), ("good.py", "b"), ("good.py", "a"), ("more.py", "b"),
        ("more.py", "a"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name\n", "bad.py:1: a file must be importable.*nothing_of_that_name"),
        ("def f(:\n", "bad.py: a file must be importable.*SyntaxError"),
        ("x = 1\n", "bad.py: a file must define a derivation"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, text, said):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(bp.UsageError, match=said):
        find([tmp_path / "bad.py"])


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(
        bp.UsageError, match=r"nowhere.py: a target is a Python file or a folder.*no such file"
    ):
        find([Path("nowhere.py")])
