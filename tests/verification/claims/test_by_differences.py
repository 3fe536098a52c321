"""NumPy code that JAX cannot differentiate is compared with extrapolated differences of itself."""

import math

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.special

import backproof as bp
from backproof.numerics.tracing import float64
from backproof.verification import Verdict
from backproof.verification.claims.beside import computes_in_long_double
from backproof.verification.claims.by_differences import Differences
from backproof.verification.points.domain import domain_of

pytestmark = pytest.mark.as_user
N = bp.array("n")


def verified(of, args, **how):
    return bp.verify(of=of, args=args, **{"examples": 30, **how})


def through_a_view(x):
    """Write through a view, which an array of JAX does not have."""
    out = np.zeros((2, len(x)), np.asarray(x).dtype)
    out.reshape(-1)[: len(x)] = x**2
    return out


def in_python(x):
    return np.array([math.exp(v) * math.erf(v) for v in x])


def in_python_back(args, ct, slip):
    (x,) = args
    slope = [math.exp(v) * math.erf(v) + slip * math.exp(v - v * v) * 2 / math.sqrt(math.pi) for v in x]
    return (ct * np.array(slope),)


def bessel(x):
    return scipy.special.jv(1.5, x)


def product(x, w):
    return np.array([[sum(float(a) * float(b) for a, b in zip(r, c, strict=True)) for c in w.T] for r in x])


CASES = {
    "writes through a view": (through_a_view, lambda a, ct, slip: (slip * 2 * a[0] * ct[0],), [N]),
    "Python's own mathematics": (in_python, in_python_back, [bp.array("n", low=-3, high=3)]),
    "a function that JAX lacks": (
        bessel,
        lambda a, ct, slip: (slip * ct * scipy.special.jvp(1.5, a[0]),),
        [bp.array("n", low=0.5, high=5)],
    ),
    "a shape that depends on values": (
        lambda x: np.unique(x).sum(),
        lambda a, ct, slip: (slip * ct * np.ones_like(a[0]),),
        [N],
    ),
    "complex numbers": (
        lambda z: np.array([complex(v) ** 2 for v in z]),
        lambda a, ct, slip: (slip * 2 * a[0] * ct,),
        [bp.array("n", dtype="complex64")],
    ),
    "two arguments": (
        product,
        lambda a, ct, slip: (slip * ct @ a[1].T, a[0].T @ ct),
        [bp.array("2 n"), bp.array("n 3")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_right_pullback_agrees_and_a_slip_of_one_in_a_million_is_wrong(name):
    of, back, args = CASES[name]
    right = verified(of, args, vjp=lambda a, ct: back(a, ct, 1.0))
    assert right.verdict is Verdict.AGREES, str(right)
    assert any("extrapolated differences" in note for note in right.notes)
    wrong = verified(of, args, vjp=lambda a, ct: back(a, ct, 1 + 1e-6))
    assert wrong.verdict is Verdict.WRONG, str(wrong)
    assert "differences" in str(wrong)


def each(f):
    return lambda x: np.array([f(float(v)) for v in x])


def each_back(slope):
    return lambda a, ct: (ct * np.array([slope(float(v)) for v in a[0]]),)


def norm(x):
    return math.sqrt(sum(float(v) ** 2 for v in x))


def root(v):
    return scipy.optimize.brentq(lambda t: t**3 + t - v, -100, 100)


def in_float32(x):
    return np.array([np.float32(v) ** 2 for v in x.tolist()], np.float32)


def median(x):
    return sorted(float(v) for v in x)[len(x) // 2]


def median_back(a, ct):
    (x,) = a
    return (ct * (np.arange(len(x)) == np.argsort(x, kind="stable")[len(x) // 2]),)


RIGHT = {
    "at a bound": (norm, lambda a, ct: (ct * a[0] / norm(a[0]),), [bp.array("n>=1", low=0.5, high=4)]),
    "short waves": (
        each(lambda v: math.sin(100 * v)),
        each_back(lambda v: 100 * math.cos(100 * v)),
        [N],
    ),
    "float32 inside": (in_float32, lambda a, ct: (2 * a[0] * ct,), [N]),
    "an iteration": (
        each(root),
        each_back(lambda v: 1 / (3 * root(v) ** 2 + 1)),
        [bp.array("n", low=-50, high=50)],
    ),
    "kinks nearby": (median, median_back, [bp.array("n>=1")]),
    "an infinite slope": (
        each(math.sqrt),
        each_back(lambda v: 0.5 / math.sqrt(v) if v else math.inf),
        [bp.array("n", low=0)],
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_code_that_is_hard_to_differentiate_is_not_called_wrong(name):
    of, back, args = RIGHT[name]
    assert verified(of, args, vjp=back, examples=80).ok


def test_points_with_the_same_numbers_in_other_shapes_are_told_apart():
    of = lambda x: sum(float(v) * k for row in x for k, v in enumerate(row))
    differences = Differences(of, lambda args, _: args)
    for shape in ((2, 3), (3, 2)):
        with float64():
            found = np.asarray(differences.pullback()((np.ones(shape),), np.ones(()))[0])
        assert np.max(np.abs(found - np.arange(shape[1]))) < 1e-9


def test_random_numbers_and_results_without_a_gradient_are_usage_errors():
    rng = np.random.default_rng(0)
    back = lambda a, ct: (ct,)
    for of, said in (
        (each(lambda v: v + rng.standard_normal()), "the same numbers when it is called again"),
        (each(lambda v: int(v > 0)), "arrays of real numbers, of which there is a gradient.* int64"),
        (lambda x: None, "arrays of real numbers, of which there is a gradient, but found nothing"),
    ):
        with pytest.raises(bp.UsageError, match=said):
            verified(of, [N], vjp=back)


def test_a_function_that_raises_at_some_numbers_is_named_and_not_the_derivative():
    def below(x):
        assert float(np.max(x)) < 100, "too large"
        return np.array([float(v) for v in x])

    with pytest.raises(bp.UsageError, match=r"the function of .* wherever its gradient .* AssertionError"):
        verified(below, [bp.array("n>=1")], vjp=lambda a, ct: (ct,))


def test_at_a_kink_any_slope_between_those_on_its_sides_is_right():
    of = lambda x: np.array([max(float(v), 0.0) for v in x])

    def at_zero(slope):
        return lambda a, ct: (ct * np.where(a[0] == 0, slope, a[0] > 0),)

    for slope in (0.0, 0.5, 1.0):
        assert verified(of, [N], vjp=at_zero(slope)).verdict is Verdict.SUBGRADIENT
    report = verified(of, [N], vjp=at_zero(1.5))
    assert (report.verdict, report.cause) == (Verdict.WRONG, "at-zeros")


def test_where_python_overflows_the_function_has_no_value():
    of = lambda x: np.array([math.exp(v) for v in x])  # raises beyond 709, which is drawn
    assert verified(of, [N], vjp=lambda a, ct: (ct * np.exp(a[0]),)).verdict is Verdict.AGREES


def test_a_bound_of_the_domain_is_not_crossed():
    of = lambda x: np.array([math.sqrt(v) * v for v in x])
    back = lambda a, ct: (ct * 1.5 * np.sqrt(a[0]),)
    domain = [bp.array("n", low=0, high=4)]
    assert verified(of, domain, vjp=back).verdict is Verdict.AGREES


@pytest.mark.parametrize(
    ("of", "digits"), [(through_a_view, 1e-12), (lambda x: np.array(list(map(float, x**2))), 1e-10)]
)
def test_the_derivative_is_known_to_the_digits_in_which_the_code_computes(of, digits):
    points = domain_of([bp.array("3", low=0.1, high=2)], of)
    (args,) = (one.build() for one in points.plain()[:1])
    args = tuple(np.asarray(arg, np.float64) for arg in args)
    assert computes_in_long_double(of, args) == (of is through_a_view)
    with float64():
        ct = np.ones_like(of(*args))
        pullback = Differences(of, lambda held, _: held).pullback()
        found = pullback(args, jax.numpy.asarray(ct))
        assert np.max(np.abs(found[0] / (2 * args[0]) - 1)) < digits
