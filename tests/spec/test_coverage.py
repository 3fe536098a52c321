"""Every item of the specification has a test that carries its number."""

import ast
from pathlib import Path

import pytest

from items import ITEMS, READING_NOTES

pytestmark = pytest.mark.smoke

TESTS = Path(__file__).parent.parent


def marked(source):
    """Return the ids in `@pytest.mark.spec(…)` above the test functions of a module."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    return {
        ast.literal_eval(argument)
        for function in functions
        if function.name.startswith("test_")
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.spec"
        for argument in decorator.args
    }


def found():
    return set().union(*(marked(path.read_text("utf-8")) for path in TESTS.rglob("test_*.py")))


def test_every_item_has_a_test():
    assert sorted(ITEMS.keys() - found()) == []


def test_every_mark_names_an_item():
    assert sorted(found() - ITEMS.keys()) == []


def test_the_list_of_items_is_complete():
    counts = {"S0": 14, "S1": 12, "S2": 11, "S3": 19, "S4": 5, "X": 4}
    numbered = {f"{part}.{k}" for part, last in counts.items() for k in range(1, last + 1)}
    assert ITEMS.keys() == numbered | {f"E{k}" for k in range(5)}
    assert {kind for kind, _ in ITEMS.values()} == {"equation", "algorithm", "claim", "notation", "errata"}
    assert all(note.split()[0] in ITEMS for note in READING_NOTES)


def test_a_mark_counts_only_above_a_test():
    source = '@pytest.mark.spec("A", "B")\ndef test_a(): ...\n\n@pytest.mark.spec("C")\ndef draw(): ...\n'
    assert marked(source) == {"A", "B"}
    assert marked('"""@pytest.mark.spec("D")"""\n# @pytest.mark.spec("E")\n') == set()
