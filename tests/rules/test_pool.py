"""Pooling against loops over every window, and against JAX's own reduction of windows by autodiff."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from laws_of_rules import by_autodiff, by_hand

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import average_pool, max_pool
from backproof.rules._windows import windows
from slips_in_files import assert_named

KEY = jax.random.key(0)
# Window, stride, padding, and the sizes of the image.
SETTINGS = {
    "side by side": (2, None, "VALID", (4, 6)),
    "entries left over": (2, None, "VALID", (5, 3)),
    "windows that overlap": (3, 1, "SAME", (4, 3)),
    "gaps between windows": ((1, 2), (3, 4), "VALID", (5, 7)),
    "uneven padding": ((3, 2), (2, 1), ((2, 0), (0, 1)), (4, 3)),
    "a sequence": ((3,), (2,), "SAME", (5,)),
    "one entry": ((2,), None, ((1, 1),), (1,)),
    "no window fits": ((3,), None, "VALID", (2,)),
    "an empty axis": ((3,), None, "SAME", (0,)),
}


def seen_in(case):
    window, stride, padding, sizes = SETTINGS[case]
    return windows(len(sizes), window, window if stride is None else stride, padding, 1, "here")


def drawn(case, batch=(2,), channels=2, seed=0):
    """Return x of few different numbers, so that many are equal, and a cotangent."""
    rng, sizes = np.random.default_rng(seed), SETTINGS[case][-1]
    x = rng.integers(-2, 2, (*batch, *sizes, channels)).astype(float)
    return x, rng.integers(-4, 5, (*batch, *seen_in(case).counts(sizes), channels)).astype(float)


def by_loops(case, take):
    """Return f(x, δy) -> (y, δx), where `take(entries)` gives a value and a weight for each entry."""

    def value_and_gradient(x, delta):
        seen, sizes = seen_in(case), SETTINGS[case][-1]
        y, delta_x, rank = np.zeros(delta.shape), np.zeros(x.shape), len(sizes)
        lows = [low for low, _ in seen.pads(sizes)]
        for out in np.ndindex(delta.shape):
            batch, corner, c = out[: -rank - 1], out[-rank - 1 : -1], out[-1]
            axes = [
                range(max(o * step - low, 0), min(o * step - low + side, n))
                for o, step, low, side, n in zip(corner, seen.strides, lows, seen.sides, sizes, strict=True)
            ]
            places = [(*batch, *place, c) for place in itertools.product(*axes)]
            y[out], weights = take([x[place] for place in places])
            for place, weight in zip(places, weights, strict=True):
                delta_x[place] += weight * delta[out]
        return y, delta_x

    return value_and_gradient


def first_largest(entries):
    return max(entries), [float(i == entries.index(max(entries))) for i in range(len(entries))]


def mean(entries):
    return sum(entries) / len(entries), [1 / len(entries)] * len(entries)


def every_largest(entries):
    return max(entries), [float(e == max(entries)) for e in entries]


def last_largest(entries):
    return max(entries), first_largest(entries[::-1])[1][::-1]


KINDS = {"max": (max_pool, first_largest), "mean": (average_pool, mean)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", SETTINGS)
def test_pooling_is_that_of_its_windows_one_by_one(case, kind):
    made, take = KINDS[kind]
    x, delta = drawn(case)
    assert_value(by_hand(made(*SETTINGS[case][:3])), (x, delta), by_loops(case, take)(x, delta))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (1,), (3, 2), (0,)])
def test_any_batch_axes_are_carried_through(batch, kind):
    made, take = KINDS[kind]
    x, delta = drawn("uneven padding", batch)
    rule = made(*SETTINGS["uneven padding"][:3])
    assert_value(by_hand(rule), (x, delta), by_loops("uneven padding", take)(x, delta))


@pytest.mark.parametrize("case", ["side by side", "windows that overlap", "a sequence"])
def test_equal_maxima_are_treated_as_jax_treats_them(case):
    seen, (x, delta) = seen_in(case), drawn(case)

    def of_jax(x):
        sides, steps = (1, *seen.sides, 1), (1, *seen.strides, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, sides, steps, seen.padding)

    assert_agrees(by_hand(max_pool(*SETTINGS[case][:3])), by_autodiff(of_jax), x, delta)


@pytest.mark.parametrize("wrong", [every_largest, last_largest])
def test_another_choice_among_equal_maxima_is_caught(wrong):
    x, delta = drawn("windows that overlap")
    rule = max_pool(*SETTINGS["windows that overlap"][:3])
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(by_hand(rule), (x, delta), by_loops("windows that overlap", wrong)(x, delta))


def counted_all(entries):
    return sum(entries) / 9, [1 / 9] * len(entries)


def not_divided(entries):
    return sum(entries) / len(entries), [1.0] * len(entries)


@pytest.mark.parametrize("wrong", [counted_all, not_divided])
def test_another_mean_is_caught(wrong):
    x, delta = drawn("windows that overlap")
    rule = average_pool(*SETTINGS["windows that overlap"][:3])
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(by_hand(rule), (x, delta), by_loops("windows that overlap", wrong)(x, delta))


def test_the_maximum_keeps_a_byte_for_each_comparison_and_the_mean_no_number():
    x = jnp.ones((2, 4, 6, 3))
    _, (places, shape) = max_pool(2).forward((), x)
    assert [(place.dtype.name, place.shape) for place in places] == [
        ("uint8", (2, 4, 3, 3)),
        ("uint8", (2, 2, 3, 3)),
    ]
    assert shape.size == average_pool(2).forward((), x)[1].size == 0
    _, (places, _) = jax.eval_shape(lambda x: max_pool((257,)).forward((), x), jnp.ones((257, 1)))
    assert places[0].dtype.name == "int32"


def test_nan_is_the_maximum_and_minus_infinity_has_a_gradient_inside_the_image():
    x = jnp.array([1.0, jnp.nan, 3.0, -jnp.inf])[:, None]
    rule = max_pool((2,), 1, ((1, 1),))
    y, kept = rule.forward((), x)
    assert [str(float(one)) for one in y[:, 0]] == ["1.0", "nan", "nan", "3.0", "-inf"]
    assert rule.backward((), kept, jnp.ones((5, 1)))[1][:, 0].tolist() == [1, 2, 1, 1]


def test_sums_are_taken_in_float32():
    y, kept = average_pool((2,)).forward((), jnp.full((2, 1), 60000, jnp.float16))
    assert y.tolist() == [[60000]]  # the sum is beyond float16
    rule = max_pool((3,), 1, ((2, 2),))
    y, kept = rule.forward((), jnp.ones((1, 1), jnp.bfloat16))
    delta_x = rule.backward((), kept, jnp.array([[256], [1], [1]], jnp.bfloat16))[1]
    assert (delta_x.tolist(), delta_x.dtype) == ([[258]], jnp.bfloat16)  # 256 + 1 is 256 in bfloat16


def test_shape_and_dtype_are_those_that_init_states():
    for made in (max_pool, average_pool):
        _, y = made((3, 2), 1, "SAME").init(KEY, jax.ShapeDtypeStruct((2, 5, 4, 3), "bfloat16"))
        assert (y.shape, y.dtype.name) == ((2, 5, 4, 3), "bfloat16")


@pytest.mark.parametrize("made", [max_pool, average_pool])
def test_what_does_not_fit_is_refused(made):
    name = made.__name__
    with pytest.raises(UsageError, match=f"{name}: a window has one side or two"):
        made((2, 2, 2))
    with pytest.raises(UsageError, match=f"{name}: the window must be a whole number"):
        made(0)
    with pytest.raises(UsageError, match=f"{name}: padding must be narrower than the window"):
        made(2, 2, ((0, 0), (2, 0)))
    with pytest.raises(UsageError, match=r"the input must be one array of shape \(\*batch, h, w, c\)"):
        made(2).init(KEY, jax.ShapeDtypeStruct((4, 4), "float32"))
    with pytest.raises(UsageError, match="the input must be floating"):
        made(2).forward((), np.ones((4, 4, 1), "i4"))
    kept = made(2).forward((), np.ones((4, 4, 1), "f4"))[1]
    with pytest.raises(UsageError, match=r"delta_y must have shape \(2, 2, 1\)"):
        made(2).backward((), kept, np.ones((4, 4, 1), "f4"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("made", "right", "wrong"),
    [
        (max_pool, "[jnp.where(place == p, delta, 0)", "[jnp.where(place >= p, delta, 0)"),
        (average_pool, "share = delta / line.along", "share = delta * line.along"),
    ],
)
def test_the_line_of_a_slip_is_named(made, right, wrong, tmp_path):
    def of_copy(module):
        return getattr(module, made.__name__)((3,), 2, "SAME")._replace(domain=array("2 n>=1 2"))

    assert_named(made((3,)), right, wrong, tmp_path, of_copy)
