"""Convolutions against loops over every window and every entry, and against autodiff of `jax.lax`."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import conv1d, conv2d
from backproof.rules._windows import windows
from slips_in_files import assert_named

KEY = jax.random.key(0)
# Rank, c, features, sides, stride, padding, dilation, groups, and the sizes of the image.
SETTINGS = {
    "as it is": (1, 2, 3, 3, 1, "SAME", 1, 1, (5,)),
    "an even side": (1, 2, 3, 4, 1, "SAME", 1, 1, (5,)),
    "strides that leave entries out": (1, 1, 2, 2, 3, "VALID", 1, 1, (7,)),
    "one entry": (1, 1, 1, 1, 1, "SAME", 1, 1, (1,)),
    "more padding than the window": (1, 2, 1, 2, 1, ((3, 2),), 1, 1, (2,)),
    "no window fits": (1, 2, 1, 3, 1, "VALID", 1, 1, (2,)),
    "an empty axis": (1, 2, 1, 3, 1, "SAME", 1, 1, (0,)),
    "no channels": (1, 0, 2, 3, 1, "SAME", 1, 1, (4,)),
    "a square": (2, 2, 3, 3, 1, "SAME", 1, 1, (4, 5)),
    "stride and dilation": (2, 2, 3, (3, 2), (2, 1), "SAME", (1, 2), 1, (5, 4)),
    "uneven padding": (2, 1, 2, (2, 3), 2, ((0, 1), (2, 1)), 1, 1, (3, 4)),
    "groups": (2, 4, 6, 2, 1, "VALID", 1, 2, (3, 2)),
    "a kernel for each channel": (1, 3, 6, 3, 2, "SAME", 1, 3, (6,)),
}


def made(case):
    """Return the rule with the settings of a case."""
    rank, _, features, sides, stride, padding, dilation, groups, _ = SETTINGS[case]
    return (conv1d, conv2d)[rank - 1](features, sides, stride, padding, dilation, groups)


def drawn(case, batch, seed=0):
    """Return (params, x, cotangent) of whole numbers, whose sums float64 holds exactly."""
    rng, rule = np.random.default_rng(seed), made(case)
    x = rng.integers(-4, 5, (*batch, *SETTINGS[case][-1], SETTINGS[case][1])).astype(float)
    params, z = rule.init(KEY, jax.ShapeDtypeStruct(x.shape, "float32"))
    params = jax.tree.map(lambda p: rng.integers(-4, 5, p.shape).astype(float), params)
    return params, x, rng.integers(-4, 5, z.shape).astype(float)


def by_loops(case, params, x, delta):
    """Return z and all gradients, window by window and entry by entry."""
    rank, c, features, sides, stride, padding, dilation, groups, sizes = SETTINGS[case]
    seen, W = windows(rank, sides, stride, padding, dilation, "here"), params["W"]
    z = np.broadcast_to(params["b"], delta.shape).copy()
    grad_W, delta_x = np.zeros_like(W), np.zeros_like(x)
    corners = itertools.product(*map(range, delta.shape[-rank - 1 : -1]))
    for out, p, k in itertools.product(corners, itertools.product(*map(range, seen.sides)), range(features)):
        place = [
            o * step + q * gap - low
            for o, step, q, gap, (low, _) in zip(
                out, seen.strides, p, seen.dilation, seen.pads(sizes), strict=True
            )
        ]
        if not all(0 <= i < n for i, n in zip(place, sizes, strict=True)):
            continue
        for j in range(c // groups):
            channel = k // (features // groups) * (c // groups) + j
            entry, to = (..., *place, channel), (..., *out, k)
            z[to] += x[entry] * W[(*p, j, k)]
            grad_W[(*p, j, k)] += (x[entry] * delta[to]).sum()
            delta_x[entry] += W[(*p, j, k)] * delta[to]
    return z, ({"W": grad_W, "b": delta.reshape(-1, features).sum(0)}, delta_x)


@pytest.mark.parametrize("case", SETTINGS)
def test_a_convolution_is_its_sums_written_out(case):
    point = drawn(case, (2,))
    assert_value(by_hand_with(made(case)), point, by_loops(case, *point))


@pytest.mark.parametrize("batch", [(), (1,), (3, 2), (0,), (2, 0)])
@pytest.mark.parametrize("case", ["stride and dilation", "a kernel for each channel"])
def test_any_batch_axes_are_carried_through_and_summed_over(case, batch):
    point = drawn(case, batch)
    assert_value(by_hand_with(made(case)), point, by_loops(case, *point))


@pytest.mark.parametrize("case", ["as it is", "stride and dilation", "groups"])
def test_it_is_that_of_jax_by_autodiff(case):
    rank, *_, stride, padding, dilation, groups, _ = SETTINGS[case]
    seen = windows(rank, 1, stride, padding, dilation, "here")
    letters = ("H", "HW")[rank - 1]

    def of_jax(params, x):
        layout = f"N{letters}C", f"{letters}IO", f"N{letters}C"
        z = lax.conv_general_dilated(
            x, params["W"], seen.strides, padding, None, seen.dilation, layout, groups
        )
        return z + jnp.broadcast_to(params["b"], z.shape)

    rng = np.random.default_rng(1)
    point = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), drawn(case, (2,)))
    assert_agrees(by_hand_with(made(case)), by_autodiff_with(of_jax), *point)


def unturned(rule, params, x, delta):
    flipped = {**params, "W": jnp.flip(params["W"], axis=(0, 1))}
    return rule.backward(params, x, delta)[0], rule.backward(flipped, x, delta)[1]


def shifted(rule, params, x, delta):
    grads, delta_x = rule.backward(params, x, delta)
    return grads, jnp.roll(delta_x, 1, axis=-2)


def transposed_channels(rule, params, x, delta):
    grads, _ = rule.backward(params, x, delta)
    swapped = {**params, "W": params["W"].swapaxes(-1, -2)}
    return grads, rule.backward(swapped, x, delta)[1]


def averaged(rule, params, x, delta):
    grads, delta_x = rule.backward(params, x, delta)
    return jax.tree.map(lambda g: g / len(x), grads), delta_x


@pytest.mark.parametrize("mutant", [unturned, shifted, transposed_channels, averaged])
def test_a_slip_is_caught(mutant):
    rng, rule = np.random.default_rng(0), conv2d(3, 3)
    x, delta = rng.integers(-4, 5, (2, 2, 4, 5, 3)).astype("f4")
    params = {"W": rng.integers(-4, 5, (3, 3, 3, 3)).astype("f4"), "b": np.zeros(3, "f4")}
    right = by_hand_with(rule)(params, x, delta)
    assert_value(by_hand_with(rule), (params, x, delta), right)
    slipped = rule._replace(backward=lambda *args: mutant(rule, *args))
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(by_hand_with(slipped), (params, x, delta), right)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_take_the_dtype_of_the_input_and_gradients_that_of_the_parameters(dtype):
    rule, x = conv2d(6, 3, groups=2), jnp.ones((2, 4, 4, 4), dtype)
    params, z = rule.init(KEY, jax.ShapeDtypeStruct(x.shape, dtype))
    assert jax.tree.map(lambda p: (p.shape, p.dtype.name), params) == {
        "W": ((3, 3, 2, 6), dtype),
        "b": ((6,), dtype),
    }
    wide = jax.tree.map(lambda p: p.astype("float32"), params)
    y, kept = rule.forward(wide, x)
    grads, delta_x = rule.backward(wide, kept, y)
    assert kept is x
    assert (y.dtype, delta_x.dtype, grads["W"].dtype, grads["b"].dtype) == (
        dtype,
        dtype,
        "float32",
        "float32",
    )
    assert (z.shape, z.dtype) == (y.shape, y.dtype)


def test_weights_start_with_variance_two_over_the_number_of_terms():
    params, _ = conv2d(400, (3, 2)).init(KEY, jax.ShapeDtypeStruct((4, 4, 5), "float32"))
    chi_squared = float((params["W"] ** 2).sum()) * 30 / 2  # of mean N and variance 2 N
    N = 30 * 400
    assert abs(chi_squared - N) < 5 * (2 * N) ** 0.5
    assert not params["b"].any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="conv2d: features must be a whole number of at least 1"):
        conv2d(0, 3)
    with pytest.raises(UsageError, match="conv1d: groups must be a whole number"):
        conv1d(2, 3, groups=0.5)
    with pytest.raises(
        UsageError, match="conv1d: groups must divide features, but found groups=2, features=3"
    ):
        conv1d(3, 3, groups=2)
    grouped, x = conv1d(4, 3, groups=2), jax.ShapeDtypeStruct((5, 3), "float32")
    with pytest.raises(UsageError, match="groups must divide c, but found groups=2, c=3"):
        grouped.init(KEY, x)
    with pytest.raises(UsageError, match=r"the input must be one array of shape \(\*batch, h, w, c\)"):
        conv2d(2, 3).init(KEY, x)
    params = {"W": np.ones((3, 3, 2), "f4"), "b": np.ones(2, "f4")}
    with pytest.raises(UsageError, match=r"W must have shape \(3, 4, 2\), but found W.shape=\(3, 3, 2\)"):
        conv1d(2, 3).forward(params, np.ones((5, 4), "f4"))
    with pytest.raises(UsageError, match=r"b must have shape \(2,\)"):
        conv1d(2, 3).forward({**params, "b": np.ones(3, "f4")}, np.ones((5, 3), "f4"))
    with pytest.raises(UsageError, match="W must be floating"):
        conv1d(2, 3).forward({**params, "W": np.ones((3, 3, 2), "i4")}, np.ones((5, 3), "f4"))
    with pytest.raises(UsageError, match=r"delta_z must have shape \(5, 2\)"):
        conv1d(2, 3).backward(params, np.ones((5, 3), "f4"), np.ones((4, 2), "f4"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("turned = jnp.flip(W, axis=tuple(range(rank)))", "turned = (W)"),
        ("(s - 1 - low, n + low - D)", "(low, n + s - 1 - low - D)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.conv1d(2, 2)._replace(domain=array("2 n>=1 2"))

    assert_named(conv1d(2, 2), right, wrong, tmp_path, made)


@pytest.mark.as_user
@pytest.mark.parametrize(("of_params", "of_x"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_parameters_may_have_another_dtype_than_images(of_params, of_x):
    rule, x = conv1d(2, 3), jnp.ones((2, 5, 2), of_x)
    params, _ = rule.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, of_params))
    z, kept = rule.forward(params, x)
    grads, delta_x = rule.backward(params, kept, jnp.ones_like(z))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(grads)} == {of_params}
    assert delta_x.dtype == of_x


@pytest.mark.parametrize("shape", [(2, 2, 5, 2), (2, 5, 0, 2), (0, 5, 5, 2)])
def test_where_no_window_fits_the_gradients_are_zero(shape):
    rule, x = conv2d(4, 3, padding="VALID"), jnp.ones(shape)
    params, _ = rule.init(jax.random.key(0), jax.ShapeDtypeStruct(shape, "float32"))
    z, kept = rule.forward(params, x)
    grads, delta_x = rule.backward(params, kept, jnp.ones_like(z))
    assert 0 in z.shape
    assert delta_x.shape == shape
    assert grads["W"].shape == (3, 3, 2, 4)
    assert not grads["W"].any()
    assert not delta_x.any()
