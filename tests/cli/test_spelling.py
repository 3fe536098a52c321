"""What is misspelt is answered with the nearest word, in the words of the command line."""

import os
import subprocess
import sys

import pytest

from backproof.cli import main
from backproof.cli.spelling import as_typed

WRONG_LINE = '''
import jax.numpy as jnp
import backproof as bp
from jaxtyping import Array, Float


@bp.derivation(r"\\delta", of=lambda z: jnp.sum(jnp.tanh(z)), wrt="z")
def slipped(z: Float[Array, " n"]):
    """The slope of σ."""
    yield bp.line("1 + a^2", 1 + jnp.tanh(z) ** 2, "slope of σ")
'''


def refused(argv, capsys):
    """Return what is said of a call that makes no sense."""
    try:
        status = main(argv)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["verfy"], "did you mean verify?"),
        (["train", "--optimizer", "adm"], "did you mean adam?"),
        (["train", "--actvation", "relu"], "did you mean --activation?"),
        (["verify", "--exmples=3"], "did you mean --examples?"),
        (["train", "--activation", "rel"], "did you mean relu?"),
        (["verify", "math:sine"], "did you mean sin?"),
        (["verify", "backprof:sin"], "check the spelling"),
    ],
)
def test_the_nearest_word_is_proposed(argv, meant, capsys):
    assert meant in refused(argv, capsys)


def test_a_module_of_this_folder_is_proposed(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_kernels.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert "did you mean my_kernels?" in refused(["verify", "my_kernel:f"], capsys)


@pytest.mark.parametrize("command", ["verify", "show", "audit", "coverage", "train", "predict", "bench"])
def test_usage_takes_one_line_and_the_error_another(command, capsys):
    usage, error = refused([command, "x", "--nonsense"], capsys).splitlines()
    assert usage.startswith(f"usage: backproof {command} ")
    assert error.startswith(f"backproof {command}: error: ")


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        (
            "pass of=the function and vjp=, grad= or jvp=f",
            "pass --of the function and --vjp, --grad or --jvp f",
        ),
        ("pass args=[backproof.array('b n'), 1e-6]", "pass --args 'f32[b,n] 1e-6'"),
        ("pass args=[backproof.array('b n'), …]", "pass --args 'f32[b,n] …'"),
        ("loss=3 of them, a.of=b", "loss=3 of them, a.of=b"),
    ],
)
def test_errors_speak_of_options_as_they_are_typed(said, typed):
    assert as_typed(said) == typed


def test_a_folder_without_derivations_is_said_to_have_none(tmp_path, capsys):
    (tmp_path / "plain.py").write_text("x = 1\n")
    for command in ("show", "verify"):
        said = refused([command, str(tmp_path)], capsys)
        assert "a folder must hold derivations, but found none" in said


@pytest.mark.as_user
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_terminal_cannot_show_is_replaced_and_no_folder_is_left(encoding, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG_LINE, encoding="utf-8")
    command = [sys.executable, "-m", "backproof", "show", "mine.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True
    )
    said = ran.stdout.decode(encoding)
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert "DOES NOT FOLLOW" in said
    assert "slope of ?" in said
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"mine.py"}
