"""Layer normalisation with its hand-written pullback, and the slips that people make in it."""

import jax.numpy as jnp

import backproof as bp

ARGS = [bp.array("b n"), bp.array("n"), bp.array("n")]


def layernorm(x, gain, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


def pullback(slip=None):
    """Return the pullback, with one `slip` or none."""

    def vjp(args, ct):
        x, gain, _ = args
        centred = x - x.mean(-1, keepdims=True)
        deviation = jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        hat = centred / deviation
        g = ct * gain
        dx = g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)
        slips = {
            "dropped term": (dx + hat * (g * hat).mean(-1, keepdims=True)) / deviation,
            "sign": -dx / deviation,
            "seven": 7 * dx / deviation,
            "float16": (dx / deviation).astype(jnp.float16),
            "clip": jnp.clip(dx / deviation, -1, 1),
        }
        grad_gain = ct * hat if slip == "no sum" else (ct * hat).sum(0)
        grad_shift = {"zero": None, "mean": ct.mean(0)}.get(slip, ct.sum(0))
        return slips.get(slip, dx / deviation), grad_gain, grad_shift

    return vjp
