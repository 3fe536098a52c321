"""What `verify` keeps from call to call: a claim is recognized, and a changed one is not taken for it."""

import itertools
import sys
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.numerics.effort import EFFORT
from backproof.verification import memory
from backproof.verification.fingerprint import LIBRARIES, Fingerprint, stands_in_library

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


CALLED = """
def back(args, ct):
    return (called(args[0]) * ct,)
"""
REACHES = {
    "a function mapped by JAX": "called = jax.vmap(helper)" + CALLED,
    "a checkpoint": "called = jax.checkpoint(helper)" + CALLED,
    "a compiled function": "called = jax.jit(lambda x: helper(x))" + CALLED,
    "a partial": "called = functools.partial(helper)" + CALLED,
    "a method": """
class Layer:
    def go(self, x):
        return helper(x)
called = lambda x: Layer().go(x)
"""
    + CALLED,
    "an object": """
class Layer:
    def __call__(self, x):
        return helper(x)
called = Layer()
"""
    + CALLED,
    "a frozen record": """
@dataclasses.dataclass(frozen=True)
class Layer:
    n: int
    def __call__(self, x):
        return helper(x)
called = Layer(1)
"""
    + CALLED,
    "a namespace": "space = types.SimpleNamespace(f=2)\ncalled = lambda x: space.f * x" + CALLED,
    "a class constant": "class C:\n    f = 2\ncalled = lambda x: C.f * x" + CALLED,
    "an attribute of a function": "called = lambda x: back.f * x" + CALLED + "back.f = 2",
    "a comprehension": "def back(args, ct):\n    return tuple(helper(a) * ct for a in args)",
    "a module in a closure": """
def make():
    other = sys.modules["cells_beside"]
    return lambda x: other.f * x
called = make()
"""
    + CALLED,
    "a module imported inside": "def called(x):\n    import cells_beside\n    return cells_beside.f * x"
    + CALLED,
    "a name imported inside": "def called(x):\n    from cells_beside import f\n    return f * x" + CALLED,
}
BESIDE = "sys.modules['cells_beside'].f = 3"
CHANGES = {
    "a namespace": "space.f = 3",
    "a class constant": "C.f = 3",
    "an attribute of a function": "back.f = 3",
    "a module in a closure": BESIDE,
    "a module imported inside": BESIDE,
    "a name imported inside": BESIDE,
}
# A namespace is an object of the standard library, which may change unseen.
NOT_KEPT = {"a namespace"}


@pytest.fixture
def _beside(monkeypatch):
    """Have a module of the user's stand beside the cells."""
    beside = module("f = 2")
    beside.__file__ = "cells_beside.py"
    monkeypatch.setitem(sys.modules, "cells_beside", beside)


@pytest.mark.usefixtures("_beside")
@pytest.mark.parametrize("name", REACHES)
def test_whatever_stands_between_a_function_and_what_it_reads_a_change_is_seen(name):
    head = "import dataclasses, functools, jax, sys, types\nF = 2\ndef helper(x):\n    return F * x\n"
    cells = module(head + REACHES[name])
    before = Fingerprint(vjp=cells.back)
    assert before.is_whole is (name not in NOT_KEPT)
    assert Fingerprint(vjp=cells.back).parts == before.parts
    exec(CHANGES.get(name, "F = 3"), cells.__dict__)
    assert name in NOT_KEPT or Fingerprint(vjp=cells.back).parts != before.parts


INDIRECT = {
    "a module that is not imported yet": "def back(args, ct):\n    import no_such_module\n    return args",
    "a table of names": "F = 2\ndef back(args, ct):\n    return globals()['F'] * args[0] * ct",
}


@pytest.mark.parametrize("name", INDIRECT)
def test_a_function_that_reads_what_its_names_do_not_tell_is_not_remembered(name):
    assert not Fingerprint(vjp=module(INDIRECT[name]).back).is_whole


def test_a_rule_of_its_own_made_by_jax_is_looked_into():
    cells = module(
        "import jax\nF = 2\n@jax.custom_jvp\ndef square(x):\n    return x * x\n"
        "square.defjvps(lambda t, ans, x: F * x * t)"
    )
    settings = {**QUICK, "of": jnp.square, "args": N}
    assert bp.verify(cells.square, **settings).verdict == "AGREES"
    cells.F = 3
    assert bp.verify(cells.square, **settings).verdict == "WRONG"


def test_a_claim_is_not_remembered_by_an_object_that_has_changed_since():
    def make(factors):
        return lambda args, ct: (factors[0] * args[0] * ct,)

    first, args = [2.0], [bp.array("n", low=-3, high=3)]
    assert verdict(jnp.square, make(first), args) == "AGREES"
    first[0] = 3.0
    assert verdict(jnp.square, make([2.0]), args, dtypes=("float16",)) == "AGREES"


class Raising:
    """An object that cannot be looked into."""

    def __getattr__(self, name):
        raise RuntimeError("planted")


ODD = {
    "an array of objects": lambda: np.array([1, None]),
    "an iterator": lambda: iter(()),
    "a long list": lambda: [0.5] * 30_000,
    "an object without an end": mock.MagicMock,
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_what_cannot_be_looked_into_is_verified_and_not_remembered(make):
    odd = make()
    back = lambda args, ct: (2 * args[0] * ct + 0 * (odd is None),)
    assert verdict(jnp.square, back) == "AGREES"
    assert memory._REMEMBERED == []


def test_an_object_that_raises_where_it_is_asked_is_no_error():
    odd = Raising()
    back = lambda args, ct: (2 * args[0] * ct * (1 if odd is not None else 0),)
    assert verdict(jnp.square, back) == "AGREES"


def test_an_array_that_was_deleted_is_no_error():
    gone = jnp.ones(3)
    gone.delete()
    back = lambda args, ct: (2 * args[0] * ct * (1 if gone is not None else 0),)
    assert verdict(jnp.square, back) == "AGREES"


def test_a_folder_beside_a_library_is_not_in_it():
    library = str(LIBRARIES[-1])
    assert stands_in_library(f"{library}/rules.py")
    assert not stands_in_library(f"{library}_mine/rules.py")


def test_no_result_is_kept_between_calls():
    back = lambda args, ct: (2 * args[0] * ct,)
    for seed in (0, 1):
        verdict(jnp.square, back, seed=seed, second_order=True)
    campaign = memory._REMEMBERED[0].campaign
    sides = (campaign.evaluators, campaign.second)
    assert [len(one._remembered) for side in sides for one in (side.hand, side.truth, side.primal)] == [0] * 6


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


def test_calls_that_hold_arrays_are_told_apart():
    back = lambda args, ct: (2 * args[0] * ct,)
    examples = [(np.ones(3, np.float32) * factor,) for factor in (1, 2)]
    seen = [verdict(jnp.square, back, args) for args in (*examples, *examples)]
    assert seen == ["AGREES"] * 4
    assert len(memory._REMEMBERED) == 2


def test_what_is_kept_is_bounded():
    for factor in range(EFFORT.campaigns + 3):
        memory.remember(_Campaign(), {"factor": factor}, Fingerprint(factor=factor))
    assert len(memory._REMEMBERED) == EFFORT.campaigns
    assert recalled(factor=0) is None
    assert recalled(factor=EFFORT.campaigns) is not None


def recalled(**call):
    return memory.recalled(call, Fingerprint(**call))


class _Campaign:
    """Stands for a campaign."""
