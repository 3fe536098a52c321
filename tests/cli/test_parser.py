"""What the command line accepts and refuses, and how quickly it can say so."""

import os
import subprocess
import sys

import pytest

import backproof
from backproof.cli import main, networks
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


@pytest.mark.smoke
@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["train", "--help"],
        ["verify", "--help"],
        ["predict", "--help"],
        ["bench", "--help"],
        ["--version"],
    ],
)
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
    assert "predict " in said


def test_without_a_command_help_is_shown_and_the_status_is_2(capsys):
    assert main([]) == 2
    assert "usage: backproof" in capsys.readouterr().err


def test_the_optimizers_offered_are_those_there_are():
    assert set(OPTIMIZER_NAMES) == set(OPTIMIZERS)


def test_the_defaults_are_those_of_the_documented_run():
    arguments = build_parser().read(["train"])
    assert (networks.LAYERS, networks.ACTIVATION) == ((128, 128), "relu")
    assert {arguments.layers, arguments.activation, arguments.optimizer, arguments.network} == {None}
    assert (arguments.epochs, arguments.batch_size, arguments.seed) == (40, 32, 0)


def test_an_empty_list_of_layers_is_a_network_without_hidden_layer():
    assert build_parser().read(["train", "--layers", ""]).layers == ()


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
        (["--seed", "99999999999999999999"], "--seed: must be below 2**32, but found '99999999999999999999'"),
        (["--optimizer", "sdg"], "--optimizer: invalid choice: 'sdg'"),
    ],
)
def test_a_value_out_of_range_is_refused_with_status_2(argv, text, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", *argv])
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "found"),
    [("", "a folder"), ("nowhere/out.json", "no folder '"), ("file/out.json", "no folder '")],
)
def test_a_json_file_that_cannot_be_written_is_refused_before_the_work(name, found, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        main(["verify", "--json", str(tmp_path / name)])
    assert f"--json: must be a file that can be written, but found {found}" in capsys.readouterr().err


TINY = ["train", "--epochs", "2", "--layers", "1", "--batch-size", "9999"]


@pytest.mark.parametrize(("argv", "read"), [(["--help"], 0), (TINY, 0), (TINY, 1)])
def test_a_reader_that_stops_reading_ends_the_program_quietly(argv, read):
    """As `backproof … | head -1` does."""
    command = [sys.executable, "-m", "backproof", *argv]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=buffered) as program:
        for _ in range(read):
            assert program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == ""
        assert program.wait() == 141
