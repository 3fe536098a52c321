"""`backproof coverage`: the gradients of a project, and with `--tests` which of them these verify."""

import os
import subprocess
import sys

import pytest

from backproof.cli import main

KERNELS = """
import jax, jax.numpy as jnp
from jaxtyping import Array, Float

@jax.custom_vjp
def sine(x: Float[Array, " n"]):
    return jnp.sin(x)

sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (ct * jnp.cos(x),))

@jax.custom_vjp
def other(x):
    return x

other.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
"""
TESTS = """
import backproof as bp
import my_kernels_of_coverage as kernels

def test_sine():
    bp.check(kernels.sine, args=[bp.array("n")], examples=2)
"""
NAME = "my_kernels_of_coverage"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / f"{NAME}.py").write_text(KERNELS)
    (tmp_path / "test_mine.py").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop(NAME, None)


def test_the_gradients_of_a_module_are_listed_with_their_references(project, capsys):
    assert main(["coverage", NAME]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        f"{NAME}:sine",
        "custom_vjp",
        f"{NAME}.py:5",
        "compared",
        "with",
        "its",
        "own",
        "body",
    ]
    assert "its arguments are not known" in lines[1]
    assert lines[2] == "1 of 2 gradients by hand can be verified without a test"


def test_the_table_of_the_project_is_read(project, capsys):
    toml = f'[tool.backproof]\nmodules = ["{NAME}"]\n[tool.backproof.rules."{NAME}:other"]\nargs = "f32[n]"\n'
    (project / "pyproject.toml").write_text(toml)
    assert main(["coverage"]) == 0
    assert "2 of 2 gradients by hand can be verified" in capsys.readouterr().out


def test_misuse_ends_with_status_2(project, capsys):
    assert main(["coverage"]) == 2
    assert "a module must be named" in capsys.readouterr().err
    assert main(["coverage", NAME[:-1]]) == 2
    assert f"did you mean {NAME}?" in capsys.readouterr().err


def test_tests_are_run_and_what_they_never_verify_ends_with_status_1(project):
    command = [sys.executable, "-m", "backproof", "coverage", NAME, "--tests", "test_mine.py"]
    said = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "CI": "true"}
    )
    assert said.returncode == 1, said.stderr
    assert "1 passed" in said.stdout
    assert "backproof: 1 of 2 gradients by hand shown to be right" in said.stdout
    assert f"never verified: {NAME}:other" in said.stdout
