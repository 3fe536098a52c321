"""`[tool.backproof]` of pyproject.toml: what it may say, and one clear error for anything else."""

import subprocess
import sys

import pytest

from backproof.coverage.project import files_of_derivations, is_whole, mentions_derivations, read
from backproof.errors import UsageError

pytestmark = pytest.mark.smoke


@pytest.fixture
def reading(tmp_path):
    def of(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return read(tmp_path / "pyproject.toml")

    return of


def test_a_table_is_read_whole(reading, tmp_path):
    project = reading(
        '[tool.backproof]\nmodules = ["a.b"]\nrequire = true\n'
        '[tool.backproof.rules."a.b:f"]\nargs = "f32[n]"\n'
    )
    assert project == (tmp_path, ("a.b",), (), {"a.b:f": {"args": "f32[n]"}}, True, True)


def test_a_project_without_the_table_and_no_project_say_nothing(reading, tmp_path):
    assert reading("[tool.other]\n") is None
    assert read(tmp_path / "none.toml") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.backproof]\nmodule = ['a']\n", "did you mean modules?"),
        ("[tool.backproof]\nmodules = 'a'\n", "modules must be a list of texts"),
        ("[tool.backproof]\nmodules = [1]\n", "every entry of modules must be a text"),
        ("[tool.backproof]\nrequire = 1\n", "require must be true or false"),
        ('[tool.backproof.rules]\n"a:f" = "f32[n]"\n', "must be a table"),
        ('[tool.backproof.rules."a:f"]\narg = "f32[n]"\n', "did you mean args?"),
        ("[tool.backproof\n", "it must be TOML"),
    ],
)
def test_a_slip_in_the_table_is_named(reading, text, said):
    with pytest.raises(UsageError) as raised:
        reading(text)
    assert said in str(raised.value)


def test_patterns_and_folders_name_the_files_that_mention_derivations(reading, tmp_path):
    (tmp_path / "proofs" / "deep").mkdir(parents=True)
    texts = {"a": "import backproof # derivation", "b": "x = 1", "deep/c": "backproof derivation"}
    for name, text in texts.items():
        (tmp_path / "proofs" / f"{name}.py").write_text(text)

    def of(text):
        project = reading(f"[tool.backproof]\nderivations = [{text}]\n")
        return {one.name for one in files_of_derivations(project)}

    assert of("'proofs/*.py'") == {"a.py"}
    assert of("'proofs'") == of("'proofs/**/*.py'") == {"a.py", "c.py"}
    with pytest.raises(UsageError, match="must name files or folders"):
        of("'proof/*.py'")
    assert not mentions_derivations(tmp_path / "pyproject.toml")


def test_reading_it_imports_neither_jax_nor_numpy():
    code = "import sys, backproof.coverage.project, backproof.coverage.tally\n"
    code += "print(*{'jax', 'numpy'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""


@pytest.mark.parametrize(
    ("given", "testpaths", "whole"),
    [
        (["tests"], ["tests"], True),
        (["."], ["tests"], True),
        (["tests/deep"], ["tests"], False),
        (["tests/deep"], [], True),
        (["tests/deep", "tests"], ["te*"], True),
        (["tests/a.py"], [], False),
        (["tests/a.py", "tests"], ["tests"], False),
        (["tests/a.py::test_x"], [], False),
        (["none"], [], False),
    ],
)
def test_folders_that_hold_all_test_paths_are_the_whole_suite(tmp_path, given, testpaths, whole):
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    (tmp_path / "tests" / "a.py").write_text("")
    assert is_whole(given, tmp_path, testpaths, tmp_path) is whole
