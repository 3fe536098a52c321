"""The hand-written sweep against autodiff on a transformer, and on attention by itself."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof import losses, rules
from backproof.benchmark.autodiff import rule_by_autodiff
from backproof.benchmark.problem import by_autodiff, by_hand, normal
from backproof.benchmark.program import Function
from backproof.benchmark.tables import Table, Way, table
from backproof.compose import chain, residual
from backproof.depth import repeat
from backproof.rule import PyTree, Rule

VOCABULARY = 96


def transformer(
    seconds: float, depth: int = 4, width: int = 128, heads: int = 4, length: int = 128, batch: int = 8
) -> Table:
    """Return the table of a gradient of a decoder-only transformer with a tied embedding."""
    attention = chain(rules.rms_norm, rules.self_attention(heads))
    gated = chain(rules.rms_norm, rules.affine(4 * width), rules.swiglu, rules.affine(width))
    body = chain(repeat(chain(residual(attention), residual(gated)), depth), rules.rms_norm)
    network = rules.tied_embedding(VOCABULARY, width, body)
    numbers = np.random.default_rng(0).integers(0, VOCABULARY, (batch, length + 1), np.int32)
    x, y = map(jnp.asarray, (numbers[:, :-1], numbers[:, 1:]))
    params, _ = network.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    loss = losses.mean(losses.softmax_cross_entropy)
    ways = [
        Way(name, partial(side, network, loss), (params, x, y))
        for name, side in (("autodiff", by_autodiff), ("by hand", by_hand))
    ]
    title = f"a gradient of a transformer of depth {depth}, width {width}, length {length}, batch {batch}"
    return table(title, ways, seconds)


def attention(seconds: float, length: int = 4096, heads: int = 1, width: int = 64, block: int = 256) -> Table:
    """Return the table of causal attention, both passes: all scores at once, or those of a block of keys."""
    numbers = np.random.default_rng(0)
    shape = (heads, length, width)
    x = tuple(normal(numbers, shape, "float32") for _ in range(3))
    delta = normal(numbers, shape, "float32")
    plain = rules.attention_with(causal=True)
    ways = [
        Way(name, partial(_passes, rule), (x, delta))
        for name, rule in (
            ("autodiff", rule_by_autodiff(plain)),
            ("by hand", plain),
            ("by hand, in blocks", rules.attention_in_blocks(block, causal=True)),
        )
    ]
    title = f"causal attention at length {length}, {heads} heads of width {width}, float32"
    return table(title, ways, seconds)


def _passes(rule: Rule) -> Function:
    """Return a new function for both passes of a rule without parameters."""

    def both(x: PyTree, delta: PyTree) -> Any:
        y, kept = rule.forward((), x)
        return y, rule.backward((), kept, delta)[1]

    return both
