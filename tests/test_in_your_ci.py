"""A user's test file with `bp.check`: plain pytest, and two processes, as a CI would run it."""

import os
import pathlib
import subprocess
import sys

import pytest

GIVEN = """
import jax
import jax.numpy as jnp

import backproof as bp

CONFIGURED = dict(jax.config.values)


def test_sin_is_right():
    bp.check(of=jnp.sin, vjp=lambda args, ct: (jnp.cos(args[0]) * ct,), args=[bp.array("n")], examples=20)


def test_sin_is_wrong():
    bp.check(of=jnp.sin, vjp=lambda args, ct: (-jnp.cos(args[0]) * ct,), args=[bp.array("n")], examples=20)


def test_nothing_global_was_touched():
    bp.verify(bp.rules.tanh, examples=5)
    assert dict(jax.config.values) == CONFIGURED
    assert jnp.ones(1).dtype == jnp.float32
"""


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["plain", "two processes"])
def test_a_users_file_runs_and_a_failure_prints_seed_and_repro(tmp_path, processes):
    (tmp_path / "test_gradients.py").write_text(GIVEN)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *processes]
    said = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "CI": "true"}
    )
    assert said.returncode == 1, said.stderr
    assert "1 failed, 2 passed" in said.stdout
    assert "GradientError" in said.stdout
    assert "WRONG (sign)" in said.stdout
    assert "seed 0" in said.stdout
    assert "args = (np.array([1.0]),)" in said.stdout
    assert list(tmp_path.iterdir()) != []
    assert not (tmp_path / ".hypothesis").exists()


def test_one_case_in_three_leaves_no_test_out(tmp_path):
    here = pathlib.Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    chosen = here / "numerics" / "test_decisions.py"

    def collected(*options):
        out = subprocess.run(
            [*command, chosen, *options], cwd=here.parent, capture_output=True, text=True
        ).stdout
        return [line for line in out.splitlines() if "::" in line]

    every, some = collected(), collected("--one-in", "3")
    assert {one.split("[")[0] for one in some} == {one.split("[")[0] for one in every}
    assert len(some) < len(every) / 2 + len({one.split("[")[0] for one in every})
    assert set(some) < set(every)
