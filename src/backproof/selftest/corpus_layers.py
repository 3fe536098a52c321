"""Bugs from public projects in layers of networks: overwritten buffers, forgotten routes, missed borders."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.arguments import array
from backproof.selftest.case import Args, Cotangents, by_vjp

TEMPERATURE = 2.0
WIDTH = 4
EXPERTS, CHOSEN = 4, 2
PIXELS = 4
FAINTEST = 1 / 255


# Softmax of scores over a temperature: the pullback needs the probabilities after it has read ct.


def _scaled_softmax(scores: Float[Array, "b n"]) -> Float[Array, "b n"]:
    return jax.nn.softmax(scores / TEMPERATURE, axis=-1)


def _scaled_softmax_pullback(args: Args, ct: Array) -> Cotangents:
    p = _scaled_softmax(*args)
    return (p * (ct - (p * ct).sum(-1, keepdims=True)) / TEMPERATURE,)


def _scaled_softmax_in_one_buffer(args: Args, ct: Array) -> Cotangents:
    """Return what is left if ct is copied over the probabilities before their last use."""
    centred = ct - (_scaled_softmax(*args) * ct).sum(-1, keepdims=True)
    return (centred * centred / TEMPERATURE,)


# Rows of unit RMS, gated by silu, then a linear map. Its weight meets the gated rows.


def _unit_rms(x: Float[Array, "b n"]) -> tuple[Float[Array, "b n"], Float[Array, "b 1"]]:
    scale = lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)
    return x * scale, scale


def _gated_linear(
    x: Float[Array, "b n"], gate: Float[Array, "b n"], W: Float[Array, "n k"]
) -> Float[Array, "b k"]:
    return (_unit_rms(x)[0] * jax.nn.silu(gate)) @ W


def _gated_linear_pullback(args: Args, ct: Array) -> Cotangents:
    x, gate, W = args
    unit, scale = _unit_rms(x)
    on, delta = jax.nn.sigmoid(gate), ct @ W.T
    delta_unit = delta * gate * on
    delta_x = scale * (delta_unit - unit * (delta_unit * unit).mean(-1, keepdims=True))
    return delta_x, delta * unit * (on + gate * on * (1 - on)), (unit * gate * on).T @ ct


def _gated_linear_from_ungated_rows(args: Args, ct: Array) -> Cotangents:
    delta_x, delta_gate, _ = _gated_linear_pullback(args, ct)
    return delta_x, delta_gate, _unit_rms(args[0])[0].T @ ct


# Causal convolution of each channel, width 4. It also returns the last four inputs, which are partly the
# initial state if the chunk is shorter than that.


def _causal_convolution(
    x: Float[Array, "t d"], weight: Float[Array, "4 d"], state: Float[Array, "4 d"]
) -> tuple[Float[Array, "t d"], Float[Array, "4 d"]]:
    steps, stream = x.shape[0], jnp.concatenate([state, x])
    taps = [stream[1 + j : 1 + j + steps] * weight[j] for j in range(WIDTH)]
    return jnp.stack(taps).sum(0), stream[steps:]


def _through_the_taps(args: Args, ct: Array) -> tuple[Float[Array, "t+4 d"], Float[Array, "4 d"]]:
    """Return the cotangents of the stream and of the weight that come from the convolution alone."""
    x, weight, state = args
    steps, stream = x.shape[0], jnp.concatenate([state, x])
    padded = [jnp.pad(ct * weight[j], ((1 + j, WIDTH - 1 - j), (0, 0))) for j in range(WIDTH)]
    delta_stream = jnp.stack(padded).sum(0)
    return delta_stream, jnp.stack([(ct * stream[1 + j : 1 + j + steps]).sum(0) for j in range(WIDTH)])


def _causal_convolution_pullback(args: Args, ct: tuple[Array, Array]) -> Cotangents:
    delta_stream, delta_weight = _through_the_taps(args, ct[0])
    delta_stream = delta_stream.at[args[0].shape[0] :].add(ct[1])
    return delta_stream[WIDTH:], delta_weight, delta_stream[:WIDTH]


def _causal_convolution_of_long_chunks(args: Args, ct: tuple[Array, Array]) -> Cotangents:
    """Return cotangents that place a short chunk one slot too early and forget the initial state."""
    steps = args[0].shape[0]
    if steps >= WIDTH - 1:
        return _causal_convolution_pullback(args, ct)
    delta_stream, delta_weight = _through_the_taps(args, ct[0])
    return delta_stream[WIDTH:] + ct[1][1 : 1 + steps], delta_weight, delta_stream[:WIDTH]


# A router sends each token to two of four experts. Its second output rewards an even load.


def _routing(logits: Float[Array, "t 4"]) -> tuple[Float[Array, "t 4"], Float[Array, "t 4"]]:
    """Return the probabilities, and ones at the two experts of each token."""
    places = lax.top_k(logits, CHOSEN)[1]
    return jax.nn.softmax(logits, axis=-1), jax.nn.one_hot(places, EXPERTS, dtype=logits.dtype).sum(-2)


def _router(logits: Float[Array, "t 4"]) -> tuple[Float[Array, "t 4"], Float[Array, ""]]:
    p, taken = _routing(logits)
    return p * taken, EXPERTS / CHOSEN * (taken.mean(0) * p.mean(0)).sum()


def _router_without_balance(args: Args, ct: tuple[Array, Array]) -> Cotangents:
    return _router_pullback(args, (ct[0], jnp.zeros_like(ct[1])))


def _router_pullback(args: Args, ct: tuple[Array, Array]) -> Cotangents:
    p, taken = _routing(*args)
    delta_p = ct[0] * taken + ct[1] * EXPERTS / CHOSEN * taken.mean(0) / p.shape[0]
    return (p * (delta_p - (p * delta_p).sum(-1, keepdims=True)),)


# Linear interpolation between four pixels; beyond the outermost ones the image goes on as it ends.


def _cell(x: Float[Array, " m"]) -> tuple[Int[Array, " m"], Float[Array, " m"]]:
    """Return the pixel on the left, and how far x is from it, from 0 to 1."""
    left = lax.stop_gradient(jnp.clip(jnp.floor(x), 0, PIXELS - 2))
    return left.astype("int32"), jnp.clip(x, 0, PIXELS - 1) - left


def _interpolate(image: Float[Array, " 4"], x: Float[Array, " m"]) -> Float[Array, " m"]:
    left, part = _cell(x)
    return image[left] * (1 - part) + image[left + 1] * part


def _onto_pixels(args: Args, ct: Array) -> Float[Array, " 4"]:
    image, x = args
    left, part = _cell(x)
    wide = jnp.zeros(PIXELS, jnp.promote_types(image.dtype, jnp.float32))
    return wide.at[left].add(ct * (1 - part)).at[left + 1].add(ct * part).astype(image.dtype)


def _interpolate_pullback(args: Args, ct: Array) -> Cotangents:
    image, x = args
    slope = jnp.diff(image)[_cell(x)[0]]
    return _onto_pixels(args, ct), jnp.where((x >= 0) & (x <= PIXELS - 1), ct * slope, 0)


def _interpolate_reading_outside(args: Args, ct: Array) -> Cotangents:
    """Return the slope to the pixel after floor(x); at the last pixel, that is a zero outside the image."""
    image, x = args
    slope = jnp.diff(image, append=0)[jnp.clip(jnp.floor(x), 0, PIXELS - 1).astype("int32")]
    return _onto_pixels(args, ct), jnp.where((x >= 0) & (x <= PIXELS - 1), ct * slope, 0)


# Splats blended front to back; one whose opacity is below 1/255 is skipped.


def _blended(opacity: Float[Array, " k"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Return the opacity of each splat that is blended, else 0, and the light that reaches it."""
    alpha = jnp.where(opacity >= FAINTEST, opacity, 0)
    return alpha, jnp.cumprod(jnp.concatenate([jnp.ones_like(alpha[:1]), 1 - alpha[:-1]]))


def _composite(opacity: Float[Array, " k"], colour: Float[Array, "k c"]) -> Float[Array, " c"]:
    alpha, light = _blended(opacity)
    return (alpha * light) @ colour


def _composite_pullback(args: Args, ct: Array) -> Cotangents:
    opacity, colour = args
    alpha, light = _blended(opacity)
    shade = colour @ ct
    behind = lax.cumsum(alpha * light * shade, reverse=True) - alpha * light * shade
    delta_opacity = jnp.where(opacity >= FAINTEST, light * shade - behind / (1 - alpha), 0)
    return delta_opacity, (alpha * light)[:, None] * ct[None, :]


def _composite_if_the_last_is_blended(args: Args, ct: Array) -> Cotangents:
    """Return cotangents whose light is found from behind, starting at the last splat of the list."""
    alpha = _blended(args[0])[0]
    if alpha.size == 0:
        return _composite_pullback(args, ct)
    last = alpha.size - 1 - jnp.argmax(alpha[::-1] > 0)
    excess = jnp.where((alpha > 0).any() & (alpha[-1] == 0), 1 / (1 - alpha[last]), 1)
    delta_opacity, delta_colour = _composite_pullback(args, ct)
    return delta_opacity * excess, delta_colour * excess


CASES = (
    by_vjp(
        "softmax overwrites its saved output", "state", "ggml-org/llama.cpp#27096",
        _scaled_softmax,
        [array("b n", low=-50, high=50)],
        wrong=_scaled_softmax_in_one_buffer, right=_scaled_softmax_pullback,
    ),
    by_vjp(
        "rows recomputed without their gate", "state", "fla-org/flash-linear-attention#1071",
        _gated_linear,
        [
            array("b n+1", low=-10, high=10),
            array("b n+1", low=-10, high=10),
            array("n+1 k", low=-3, high=3),
        ],
        wrong=_gated_linear_from_ungated_rows, right=_gated_linear_pullback,
    ),
    by_vjp(
        "final state of a short chunk", "shape-edge", "fla-org/flash-linear-attention#1140",
        _causal_convolution,
        [array("t d", low=-10, high=10), array("4 d", low=-10, high=10), array("4 d", low=-10, high=10)],
        wrong=_causal_convolution_of_long_chunks, right=_causal_convolution_pullback,
    ),
    by_vjp(
        "balance of experts never reaches the router", "cotangent", "NVIDIA-NeMo/Automodel#1408",
        _router,
        [array("t+1 4", low=-10, high=10)],
        wrong=_router_without_balance, right=_router_pullback,
    ),
    by_vjp(
        "slope to a pixel outside the image", "kink", "pytorch/pytorch#23925",
        _interpolate,
        [array("4", low=-10, high=10), array("m", low=-2, high=6)],
        wrong=_interpolate_reading_outside, right=_interpolate_pullback,
    ),
    by_vjp(
        "last splat skipped", "edge-value", "joeyan/gaussian_splatting#35",
        _composite,
        [array("k", low=0, high=0.99), array("k c", low=0, high=1)],
        wrong=_composite_if_the_last_is_blended, right=_composite_pullback,
    ),
)  # fmt: skip
