"""Every example runs as a user runs it, and prints what it is there to show."""

import pathlib
import runpy

import pytest

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def load(name):
    """Return the names of an example, without running its main."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_every_example_is_run_here():
    tested = {
        "bench_devices",
        "bench_step",
        "bench_sweep",
        "derive_your_own",
        "train_digits",
        "verify_a_custom_vjp",
    }
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested


@pytest.mark.as_user
def test_the_slip_is_found_and_the_mended_gradient_agrees(capsys):
    load("verify_a_custom_vjp")["main"]()
    slip, mended = capsys.readouterr().out.split("\n\n")
    assert slip.startswith("logsumexp: WRONG")
    assert "smallest example:" in slip
    assert mended.startswith("logsumexp: AGREES")


@pytest.mark.as_user
def test_the_wrong_line_is_named_and_the_mended_derivation_ends_in_a_verified_gradient(capsys):
    load("derive_your_own")["main"]()
    slip, mended, verified = capsys.readouterr().out.split("\n\n")
    assert slip.startswith("with_a_slip, x̄: FAILS at line 2")
    assert "smallest example:" in slip
    assert mended.startswith("mended, x̄: HOLDS")
    assert "anchored in jax.vjp" in mended
    assert verified.startswith("layer: AGREES")


@pytest.mark.as_user
def test_the_digits_are_learnt(capsys):
    outcome = load("train_digits")["main"](epochs=4)
    first, *epochs = capsys.readouterr().out.splitlines()
    assert first in ("mlp(3-4-2, relu, identity): AGREES", "mlp(3-4-2, relu, identity): SUBGRADIENT")
    assert [line.split()[1] for line in epochs] == ["1", "2", "3", "4"]
    assert outcome.history[-1].metric > 0.9


@pytest.mark.as_user
def test_the_bench_compiles_both_sides_to_the_same_figures():
    bench = load("bench_step")
    (hand, auto), args = bench["compiled_pair"](16)
    assert hand(*args)[0] == auto(*args)[0]
    assert hand.cost_analysis()["flops"] <= 1.1 * auto.cost_analysis()["flops"]


@pytest.mark.as_user
def test_the_bench_of_devices_compares_what_there_is_with_one_device(capsys):
    load("bench_devices")["main"](width=8, epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "data 1    1.00"


@pytest.mark.as_user
def test_the_bench_of_a_sweep_runs_both_ways(capsys):
    load("bench_sweep")["main"](layers=(4,), rates=(0.1, 0.2), seeds=range(2), epochs=1, rounds=1)
    lines = capsys.readouterr().out.splitlines()
    assert "4 experiments of 1 epochs" in lines[0]
    assert len(lines) == 4
