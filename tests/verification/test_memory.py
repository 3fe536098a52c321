"""What `verify` keeps from call to call: a claim is recognized, and a changed one is not taken for it."""

import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.numerics.effort import EFFORT
from backproof.verification import memory
from backproof.verification.fingerprint import Fingerprint

pytestmark = pytest.mark.as_user
N = [bp.array("n", low=-3, high=3)]
QUICK = {"examples": 20, "dtypes": (), "second_order": False}


@pytest.fixture(autouse=True)
def _forgotten():
    bp.forget()
    yield
    bp.forget()


def verdict(of, vjp, args=N, **settings):
    return str(bp.verify(of=of, vjp=vjp, args=args, **{**QUICK, **settings}).verdict)


def module(text):
    """Return a module with this text, as a notebook's cells make one."""
    made = types.ModuleType("cells")
    exec(compile(text, "cells.py", "exec"), made.__dict__)
    return made


def test_a_second_call_traces_and_compiles_nothing():
    traced, compiled = itertools.count(), []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))

    def square(x):
        next(traced)
        return x * x

    def back(args, ct):
        next(traced)
        return (2 * args[0] * ct,)

    settings = {"dtypes": None, "second_order": True}
    first = bp.verify(of=square, vjp=back, args=N, **settings)
    number = next(traced)
    compiled.clear()
    again = bp.verify(of=square, vjp=back, args=[bp.array("n", low=-3, high=3)], **settings)
    assert next(traced) == number + 1
    assert [name for name in compiled if "compil" in name or "trace" in name] == []
    assert str(again) == str(first)
    bp.forget()
    bp.verify(of=square, vjp=back, args=N, **settings)
    assert next(traced) > number + 10


def test_a_function_of_the_same_name_and_another_body_is_another_claim():
    right = "def back(args, ct):\n    return (2 * args[0] * ct,)"
    wrong = right.replace("2", "3")
    assert verdict(jnp.square, module(right).back) == "AGREES"
    assert verdict(jnp.square, module(wrong).back) == "WRONG"
    assert verdict(jnp.square, module(right).back) == "AGREES"


CELLS = """
FACTOR = 2
table = {"factor": 2}

def helper(x):
    return FACTOR * x

def back(args, ct):
    return (helper(args[0]) * ct * table["factor"] / 2,)
"""


@pytest.mark.parametrize(
    "cell",
    ["FACTOR = 3", "def helper(x):\n    return 3 * x", "table = {'factor': 3}", "table['factor'] = 3"],
)
def test_what_a_function_reads_belongs_to_the_claim(cell):
    cells = module(CELLS)
    assert verdict(jnp.square, cells.back) == "AGREES"
    exec(cell, cells.__dict__)
    assert verdict(jnp.square, cells.back) == "WRONG"


def test_a_closure_and_an_array_that_changes_in_place_belong_to_the_claim():
    factor = np.array([2.0])
    back = lambda args, ct: (factor * args[0] * ct,)
    assert verdict(jnp.square, back, [bp.array("3")]) == "AGREES"
    factor[:] = 3
    assert verdict(jnp.square, back, [bp.array("3")]) == "WRONG"


def test_other_arguments_and_other_settings_of_jax_are_other_claims():
    back = lambda args, ct: (2 * jnp.abs(args[0]) * ct,)
    assert verdict(jnp.square, back, [bp.array("n", low=0)]) == "AGREES"
    assert verdict(jnp.square, back, [bp.array("n")]) == "WRONG"
    parts = [Fingerprint(fn=back).parts]
    with jax.default_matmul_precision("highest"):
        parts.append(Fingerprint(fn=back).parts)
    assert parts[0] != parts[1]


def test_a_seed_and_a_precision_are_settings_of_a_call_and_need_no_other_claim():
    back = lambda args, ct: (2 * args[0] * ct,)
    seen = {
        verdict(jnp.square, back, seed=seed, dtypes=dtypes)
        for seed in (0, 1)
        for dtypes in ((), ("float16",))
    }
    assert seen == {"AGREES"}
    assert len(memory._REMEMBERED) == 1


def test_what_is_kept_is_bounded():
    for factor in range(EFFORT.campaigns + 3):
        memory.remember(_Campaign(), Fingerprint(factor=factor), Fingerprint(factor=factor))
    assert len(memory._REMEMBERED) == EFFORT.campaigns
    assert memory.recalled(Fingerprint(factor=0)) is None
    assert memory.recalled(Fingerprint(factor=EFFORT.campaigns)) is not None


class _Campaign:
    """Stands for a campaign whose results are freed."""

    evaluators = types.SimpleNamespace(release=lambda: None)
