"""`backproof bench`: what it prints and writes, and one clear line for whatever goes wrong."""

import importlib.util
import json

import jax
import pytest

from backproof import benchmark
from backproof.benchmark import Grid
from backproof.cli import bench, main
from backproof.cli.parser import build_parser

TINY = [
    "bench",
    "--widths",
    "4,4096",
    "--depths",
    "2",
    "--batches",
    "3",
    "--dtypes",
    "float32",
    "--seconds",
    "0.001",
]
TINY += ["--longest-step", "1e-4"]


def failed(argv, capsys):
    """Return the one line on stderr after `argv` ends with status 2."""
    assert main(["bench", *argv]) == 2
    said = capsys.readouterr().err
    assert said.startswith("backproof: error: ")
    assert said.count("\n") == 1
    return said


@pytest.fixture
def without_stacks(monkeypatch):
    monkeypatch.setattr(bench, "TABLES", ())


@pytest.mark.usefixtures("without_stacks")
def test_a_run_prints_and_writes_what_it_measured_and_what_it_left_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "race", lambda: (benchmark.Peer("PyTorch", "not installed"),))
    files = {"json": tmp_path / "bench.json", "plot": tmp_path / "bench.png"}
    assert main([*TINY, "--peers", *(f"--{name}={path}" for name, path in files.items())]) == 0
    said = capsys.readouterr().out
    assert said.startswith("backproof 0.1.0 on ")
    assert "1 of 2 sizes are measured" in said
    assert "left out: width 4096, depth 2, batch 3, float32: a step would take about" in said
    assert "PyTorch            not installed" in said
    assert "\x1b" not in said
    read = json.loads(files["json"].read_text("utf-8"))
    assert [one["size"]["width"] for one in read["comparisons"]] == [4]
    assert [one["size"]["width"] for one in read["left_out"]] == [4096]
    assert read["settings"]["longest_step"] == 1e-4
    assert read["environment"]["jax"] == jax.__version__
    assert files["plot"].read_bytes().startswith(b"\x89PNG")
    assert jax.config.jax_enable_compilation_cache


def test_what_was_measured_is_not_lost_where_the_race_fails(monkeypatch):
    def fail():
        raise benchmark.FailedError("no device")

    monkeypatch.setattr(benchmark, "race", fail)
    assert bench._raced() == (benchmark.Peer("backproof", "failed: no device"),)


def test_the_grid_is_the_quick_one_the_full_one_or_what_is_given():
    def grid(*argv):
        return bench._grid(build_parser().read(["bench", *argv]))

    assert grid() == benchmark.QUICK
    assert grid("--full") == benchmark.FULL
    assert (min(benchmark.FULL.widths), max(benchmark.FULL.widths)) == (64, 4096)
    assert (min(benchmark.FULL.depths), max(benchmark.FULL.depths)) == (2, 1000)
    assert (min(benchmark.FULL.batches), max(benchmark.FULL.batches)) == (1, 4096)
    assert grid("--full", "--widths", "8", "--dtypes", "float16") == Grid(
        (8,), benchmark.FULL.depths, benchmark.FULL.batches, ("float16",)
    )


def test_an_unknown_dtype_is_refused(capsys):
    said = failed(["--dtypes", "float32,bfloat61"], capsys)
    assert "one of float32, bfloat16, float16, but found dtype='bfloat61'; did you mean bfloat16?" in said


def test_a_plot_without_matplotlib_is_refused_before_the_work(tmp_path, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else found(name, *rest)
    )
    said = failed(["--plot", str(tmp_path / "bench.png")], capsys)
    assert said.endswith('found no matplotlib; run: pip install "backproof[plot]"\n')


def test_a_plot_of_an_unknown_kind_is_refused_before_the_work(tmp_path, capsys):
    said = failed(["--plot", str(tmp_path / "bench.bmp")], capsys)
    assert "a plot must be one of .png, .svg, .pdf, but found bench.bmp" in said


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    for option in ("--json", "--plot"):
        with pytest.raises(SystemExit, match="2"):
            main(["bench", option, str(tmp_path / "nowhere" / "bench.png")])
        assert f"{option}: must be a file that can be written" in capsys.readouterr().err
