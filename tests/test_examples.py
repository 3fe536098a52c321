"""Every example runs as a user runs it, and prints what it is there to show."""

import importlib.util
import pathlib
import runpy
import shutil
import sys

import numpy as np
import pytest

from backproof.catalogue import SHIPPED
from backproof.coverage.found import find
from backproof.coverage.plan import plans
from backproof.numerics.tolerance import AGREES_WITHIN

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def load(name):
    """Return the names of an example, without running its main."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_every_example_is_run_here():
    tested = {
        "bench_devices",
        "bench_step",
        "bench_suite",
        "bench_sweep",
        "c_by_ctypes",
        "conv_digits",
        "derive_your_own",
        "own_network",
        "pallas_rms_norm",
        "pytorch_function",
        "train_digits",
        "transformer",
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
    assert verified.startswith("rmsnorm: AGREES")


def test_a_suite_of_the_catalogue_and_six_rules_is_measured(tmp_path, monkeypatch):
    (tmp_path / "my_kernels.py").write_text(load("bench_suite")["KERNELS"])
    monkeypatch.setattr("sys.path", [*sys.path])
    found = find(["backproof.catalogue", "my_kernels"], tmp_path)
    del sys.modules["my_kernels"]
    assert [plan.why_not for plan in plans(found, {})] == [""] * (len(SHIPPED) + 6)


@pytest.mark.as_user
def test_the_digits_are_learnt(capsys):
    outcome = load("train_digits")["main"](epochs=4)
    first, *epochs = capsys.readouterr().out.splitlines()
    assert first in ("mlp(3-4-2, relu, identity): AGREES", "mlp(3-4-2, relu, identity): SUBGRADIENT")
    assert [line.split()[1] for line in epochs] == ["1", "2", "3", "4"]
    assert outcome.history[-1].metric > 0.9


@pytest.mark.as_user
def test_the_digits_are_learnt_by_a_convolutional_network(capsys):
    accuracies = load("conv_digits")["main"](seeds=1, epochs=1)
    seed, median = capsys.readouterr().out.splitlines()
    assert seed.startswith("seed 0: ")
    assert median.startswith("median ")
    assert accuracies[0] > 0.9


@pytest.mark.as_user
def test_a_transformer_is_trained_as_by_jax_grad_to_within_rounding(capsys):
    by_hand, by_jax, nudged = load("transformer")["main"](steps=10, epochs=1)
    assert np.abs(by_hand - by_jax).max() <= AGREES_WITHIN * np.abs(nudged - by_jax).max()
    assert by_hand[-1] < by_hand[0]
    assert "epoch 1   loss " in capsys.readouterr().out


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


@pytest.mark.as_user
def test_the_pallas_kernel_is_right_and_the_slip_in_it_is_seen(capsys):
    example = load("pallas_rms_norm")
    example["test_the_kernel_has_the_gradient_of_its_reference"]()
    example["main"]()
    right, slipped = capsys.readouterr().out.split("\n\n")
    assert right.startswith("rms_norm: AGREES")
    assert slipped.startswith("rms_norm: WRONG")


@pytest.mark.as_user
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc)")
def test_the_c_code_adds_to_its_buffer_and_the_slip_of_overwriting_is_seen(capsys):
    load("c_by_ctypes")["main"]()
    right, slipped = capsys.readouterr().out.strip().split("\n\n")
    assert right.startswith("backward: AGREES")
    assert slipped.startswith("backward: WRONG")
    assert "does not add to buffer 0" in slipped


@pytest.mark.as_user
def test_the_torch_function_is_judged_or_its_skip_is_said(capsys):
    load("pytorch_function")["main"]()
    said = capsys.readouterr().out
    if importlib.util.find_spec("torch") is None:
        assert said == "skipped: torch is not installed (pip install torch)\n"
        return
    right, slipped = said.strip().split("\n\n")
    assert right.startswith("pullback: AGREES")
    assert slipped.startswith("pullback: WRONG (dropped-term)")


@pytest.mark.as_user
def test_a_network_of_ones_own_is_verified_trained_and_used_in_another_process(capsys):
    accuracies, same = load("own_network")["main"](seeds=1, epochs=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["convolution(2): AGREES", "pool: SUBGRADIENT"]
    assert accuracies[0] > 0.9
    assert same
