"""Initialisers that raise, what a rule passes on, and derivatives declared in a region."""

import dataclasses
import enum
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import backproof as bp
from backproof.verification import Verdict

pytestmark = pytest.mark.as_user
N = bp.array("n")
QUICK = {"examples": 30, "dtypes": (), "second_order": False}


def rule_with(init):
    forward = lambda p, x: (x @ p["W"], x)
    backward = lambda p, x, d: ({"W": jnp.einsum("...i,...o->io", x, d)}, d @ p["W"].T)
    return bp.Rule("scaled", init, forward, backward, bp.array("b n"))


def by_fan_in(key, x):
    fan_in = x.shape[-1]
    return {"W": jax.random.normal(key, (fan_in, 2), x.dtype) * (1 / fan_in) ** 0.5}, None


def not_of_none(key, x):
    if 0 in x.shape:
        raise ValueError("no channels")
    return by_fan_in(key, x)


def by_assertion(key, x):
    assert x.shape[-1] > 0
    return by_fan_in(key, x)


@pytest.mark.parametrize("init", [by_fan_in, not_of_none, by_assertion])
def test_shapes_with_an_empty_axis_for_which_init_raises_are_left_out_and_counted(init):
    report = bp.verify(rule_with(init), **QUICK)
    assert report.verdict is Verdict.AGREES
    assert any("init raises" in note and "left out" in note for note in report.notes)


def test_an_init_that_raises_at_ordinary_shapes_is_a_usage_error():
    def init(key, x):
        raise RuntimeError("no such layer")

    with pytest.raises(bp.UsageError, match=r"scaled.init at .*RuntimeError: no such layer; mend init"):
        bp.verify(rule_with(init), **QUICK)


class Mode(enum.Enum):
    SCALED = 2.0


@dataclasses.dataclass(frozen=True)
class Options:
    by: float


STATIC = {
    "float": (0.5, lambda s: s),
    "numpy array": (np.float32([2.0]), lambda s: s),
    "tuple": ((1.0, 3.0), lambda s: s[1]),
    "callable": (jnp.cos, lambda s: s(1.0)),
    "none": (None, lambda s: 1.0 if s is None else 2.0),
    "dtype": (jnp.dtype("float32"), lambda s: s.itemsize),
    "enum": (Mode.SCALED, lambda s: s.value),
    "record": (Options(3.0), lambda s: s.by),
}


@pytest.mark.parametrize("kind", STATIC)
def test_whatever_stands_at_a_nondiff_position_is_passed_on_as_it_is(kind):
    static, number = STATIC[kind]
    for slip, verdict in ((1.0, Verdict.AGREES), (2.0, Verdict.WRONG)):
        fn = jax.custom_vjp(lambda x, s: jnp.sin(x) * number(s), nondiff_argnums=(1,))
        fn.defvjp(
            lambda x, s: (jnp.sin(x) * number(s), x),
            lambda s, x, ct, slip=slip: (slip * ct * jnp.cos(x) * number(s),),
        )
        assert bp.verify(fn, args=[N, static], **QUICK).verdict is verdict
        assert bp.verify(jax.jit(fn, static_argnums=1) if kind == "float" else fn, args=[N, static], **QUICK)
        bound = functools.partial(fn, s=static)
        assert bp.verify(bound, args=[N], **QUICK).verdict is verdict


def test_a_custom_jvp_passes_its_nondiff_arguments_on():
    fn = jax.custom_jvp(lambda x, k: x**2 * k, nondiff_argnums=(1,))
    fn.defjvp(lambda k, primals, tangents: (primals[0] ** 2 * k, 2 * k * primals[0] * tangents[0]))
    assert bp.verify(fn, args=[N, 0.5], **QUICK).verdict is Verdict.AGREES
    assert bp.verify(fn, args=[N, bp.array("")], **QUICK).verdict is Verdict.AGREES


def test_a_specification_at_a_nondiff_position_is_a_usage_error():
    fn = jax.custom_vjp(lambda x, k: x * k, nondiff_argnums=(1,))
    fn.defvjp(lambda x, k: (x * k, None), lambda k, _, ct: (ct * k,))
    for args in ([N, bp.array("")], st.just((np.ones(2, "float32"), 2.0))):
        with pytest.raises(bp.UsageError, match="an argument of nondiff_argnums must be given as a value"):
            bp.verify(fn, args=args, **QUICK)


def test_keyword_arguments_work_through_defaults_and_partials():
    def of(x, *, k=2.0):
        return x * k

    back = lambda args, ct, *, k=2.0: (ct * k,)
    assert bp.verify(of=of, vjp=back, args=[N], **QUICK).ok
    of, back = (functools.partial(one, k=3.0) for one in (of, back))
    assert bp.verify(of=of, vjp=back, args=[N], **QUICK).ok
    assert not bp.verify(of=of, vjp=lambda args, ct: (ct,), args=[N], **QUICK).ok


def test_axes_and_records_are_static_wherever_they_stand():
    of = lambda x, axes, options: jnp.sum(x**2, axes) * options.by
    back = lambda a, ct: (2 * a[0] * jnp.expand_dims(ct, a[1]) * a[2].by, None, None)
    assert bp.verify(of=of, vjp=back, args=[bp.array("b n"), (0, 1), Options(2.0)], **QUICK).ok


# sqrt(x²)·y by hand, with a 7 near 0
def guarded(x, y):
    return jnp.sqrt(x * x) * y


def guarded_back(args, ct, home=jnp):
    x, y = args
    return home.where(home.abs(x) < 1e-3, 7.0, home.sign(x)) * ct * y, ct * home.abs(x)


REGION = {"x": ("guard", lambda x: abs(x) < 1e-3)}


@pytest.mark.parametrize("home", [jnp, np])
def test_a_region_is_excused_and_the_rest_is_compared(home):
    back = functools.partial(guarded_back, home=home)
    report = bp.verify(of=guarded, vjp=back, args=[N, N], declared=REGION, **QUICK)
    assert report.verdict is Verdict.DECLARED, str(report)
    assert "x is guard where lambda x: abs(x) < 1e-3 holds" in report.explanation
    assert any("entries at" in note and "were not compared" in note for note in report.notes)
    assert bp.verify(of=guarded, vjp=back, args=[N, N], **QUICK).verdict is Verdict.WRONG


def test_a_slip_outside_the_region_or_in_another_argument_is_found():
    narrow = {"x": ("guard", lambda x: abs(x) < 1e-9)}
    assert not bp.verify(of=guarded, vjp=guarded_back, args=[N, N], declared=narrow, **QUICK).ok
    in_y = lambda a, ct: (guarded_back(a, ct)[0], -ct * jnp.abs(a[0]))
    assert not bp.verify(of=guarded, vjp=in_y, args=[N, N], declared=REGION, **QUICK).ok


def test_a_region_that_excuses_everything_shows_nothing():
    everything = {"x": ("all", lambda x: x == x), "y": ("all", lambda y: y == y)}
    report = bp.verify(of=guarded, vjp=guarded_back, args=[N, N], declared=everything, **QUICK)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_declared_name_counts_the_static_arguments_before_it():
    of = lambda f, x, y: f(x) * y
    back = lambda a, ct: (None, -ct, ct * a[0](a[1]))
    report = bp.verify(of=of, vjp=back, args=[jnp.sin, N, N], declared={"x": "unused"}, **QUICK)
    assert report.verdict is Verdict.DECLARED


@pytest.mark.parametrize("said", [3, ("guard",), ("guard", 1e-7), (lambda x: x, "guard")])
def test_a_declaration_of_another_form_is_a_usage_error(said):
    with pytest.raises(bp.UsageError, match="must be a word, or a word and a predicate of the argument"):
        bp.verify(of=guarded, vjp=guarded_back, args=[N, N], declared={"x": said}, **QUICK)
