"""What the command line accepts and refuses, and how quickly it can say so."""

import subprocess
import sys

import pytest

import backproof
from backproof.cli import main
from backproof.cli.parser import OPTIMIZER_NAMES, build_parser
from backproof.training import OPTIMIZERS

HEAVY = ("jax", "jaxlib", "optax", "hypothesis", "numpy", "rich")


def imported_by(code):
    """Return which of the heavy packages `code` imports in a fresh interpreter."""
    script = f"{code}\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_backproof_imports_nothing_heavy():
    assert imported_by("import backproof") == []


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["verify", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(argv):
    code = (
        "import contextlib, io\nfrom backproof.cli import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main({argv})"
    )
    assert imported_by(code) == []


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"backproof {backproof.__version__}\n"


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert "verify " in said
    assert "train " in said


def test_without_a_command_help_is_shown_and_the_status_is_2(capsys):
    assert main([]) == 2
    assert "usage: backproof" in capsys.readouterr().err


def test_the_optimizers_offered_are_those_there_are():
    assert set(OPTIMIZER_NAMES) == set(OPTIMIZERS)


def test_the_defaults_are_those_of_the_documented_run():
    arguments = build_parser().parse_args(["train"])
    assert arguments.layers == (128, 128)
    assert (arguments.activation, arguments.optimizer) == ("relu", "sgd")
    assert (arguments.epochs, arguments.batch_size, arguments.seed) == (40, 32, 0)


def test_an_empty_list_of_layers_is_a_network_without_hidden_layer():
    assert build_parser().parse_args(["train", "--layers", ""]).layers == ()


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--layers", "12,x"], "--layers: must be a whole number of at least 1, but found 'x'"),
        (["--layers", "0"], "--layers: must be a whole number of at least 1, but found '0'"),
        (["--epochs", "0"], "--epochs: must be a whole number of at least 1, but found '0'"),
        (["--batch-size", "-3"], "--batch-size: must be a whole number of at least 1, but found '-3'"),
        (["--learning-rate", "nan"], "--learning-rate: must be a finite number above 0, but found 'nan'"),
        (["--learning-rate", "fast"], "--learning-rate: must be a finite number above 0, but found 'fast'"),
        (["--seed", "1.5"], "--seed: must be a whole number of at least 0, but found '1.5'"),
        (["--optimizer", "sdg"], "--optimizer: invalid choice: 'sdg'"),
    ],
)
def test_a_value_out_of_range_is_refused_with_status_2(argv, text, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", *argv])
    assert text in capsys.readouterr().err
