"""What a run of tests asks of the verifier, and what it hears."""

import contextlib
import gc
import subprocess
import sys

import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof import session

pytestmark = pytest.mark.smoke
PART = {"of": jnp.sin, "vjp": lambda args, ct: (ct * jnp.cos(args[0]),), "args": [bp.array("n")]}


def test_a_verification_is_heard_once_with_its_outcome():
    session.take()
    report = bp.verify(**PART, examples=3)
    (heard,) = session.take()
    assert session.take() == []
    assert (heard.name, heard.verdict, heard.ok, heard.points) == (
        report.name,
        "AGREES",
        True,
        report.examples,
    )
    assert [reference() for reference in heard.subjects] == [PART["vjp"]]


def test_intermediates_and_derivations_are_heard():
    @bp.derivation("f'", of=lambda z: jnp.sin(z).sum())
    def slope(z: Float[Array, " n"]):
        yield bp.line("cos z", jnp.cos(z), "slope of sin")

    session.take()
    slope.verify(examples=1)
    bp.verify_intermediates(lambda x: jnp.sum(bp.tap("z", x * 2)), [jnp.ones(2)], {"z": jnp.zeros(2)})
    told = [(one.kind, one.name, one.verdict, one.ok) for one in session.take()]
    assert told == [("derivation", "slope", "HOLDS", True), ("intermediates", "<lambda>", "WRONG", False)]


def test_what_is_asked_takes_the_place_of_what_a_call_says():
    before = session.ask(session.Asked(examples=2, seed=5, budget=7.0))
    try:
        report = bp.verify(**PART, examples=40, seed=1)
    finally:
        session.ask(before)
    assert (report.seed, report.reach.budget) == (5, 7.0)
    assert report.examples < 40
    assert bp.verify(**PART, examples=3).seed == 0


def test_a_context_stands_around_the_outermost_verification_only():
    entered = []

    @contextlib.contextmanager
    def noted():
        entered.append("in")
        yield
        entered.append("out")

    stop = session.stand_around(noted)
    with session.verifying(), session.verifying():
        assert entered == ["in"]
    assert entered == ["in", "out"]
    stop()
    with session.verifying():
        pass
    assert entered == ["in", "out"]


def test_what_was_judged_is_not_kept_alive():
    def judged():
        return None

    (reference,) = session.references([judged, ()])
    del judged
    gc.collect()
    assert reference() is None


def test_an_error_carries_its_report_and_no_earlier_error():
    try:
        raise ValueError("earlier")
    except ValueError:
        with pytest.raises(bp.GradientError) as raised:
            bp.check(
                of=jnp.sin, vjp=lambda args, ct: (-ct * jnp.cos(*args),), args=[bp.array("n")], examples=3
            )
    assert raised.value.report.cause == "sign"
    assert raised.value.__suppress_context__


def test_it_imports_nothing_heavy():
    code = "import sys, backproof.session\nprint(*{'jax', 'numpy', 'hypothesis'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""
