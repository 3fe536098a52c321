"""What a run of tests asks of the verifier, and what it hears."""

import contextlib
import gc
import subprocess
import sys
import threading

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


def test_the_context_put_in_place_last_is_taken_out_first():
    entered = []

    def noted(name):
        @contextlib.contextmanager
        def context():
            entered.append(name)
            yield
            entered.append(name)

        return context

    stops = [session.stand_around(noted(name)) for name in ("outer", "inner")]
    with session.verifying():
        entered.append("verified")
    for stop in stops:
        stop()
    assert entered == ["inner", "outer", "verified", "outer", "inner"]


def test_two_threads_share_the_contexts_until_the_last_verification_ends():
    entered, begun, ended = [], threading.Event(), threading.Event()

    @contextlib.contextmanager
    def noted():
        entered.append("in")
        yield
        entered.append("out")

    def other():
        with session.verifying():
            begun.set()
            ended.wait()

    stop, thread = session.stand_around(noted), threading.Thread(target=other)
    with session.verifying():
        thread.start()
        begun.wait()
    during = [*entered]
    ended.set()
    thread.join()
    stop()
    assert (during, entered) == (["in"], ["in", "out"])


def test_a_context_that_cannot_be_entered_does_not_count_as_a_verification():
    def broken():
        raise RuntimeError("planted")

    stop, entered = session.stand_around(broken), []
    with pytest.raises(RuntimeError, match="planted"), session.verifying():
        pass
    stop()
    stop = session.stand_around(lambda: contextlib.nullcontext(entered.append("in")))
    with session.verifying():
        assert entered == ["in"]
    stop()


def test_a_derivation_is_a_verification():
    entered = []
    stop = session.stand_around(lambda: contextlib.nullcontext(entered.append("in")))

    @bp.derivation("f'", of=lambda z: jnp.sin(z).sum())
    def slope(z: Float[Array, " n"]):
        assert entered == ["in"]
        yield bp.line("cos z", jnp.cos(z), "slope of sin")

    assert slope.verify(examples=1).ok
    stop()


def test_what_is_heard_apart_is_not_mixed_with_what_was_heard_before():
    session.take()
    heard = [session.Heard("gradient", name, "AGREES", None, True) for name in ("outer", "inner")]
    session.note(heard[0])
    end = session.hear_apart()
    session.note(heard[1])
    assert session.take() == heard[1:]
    end()
    assert session.take() == heard[:1]


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
