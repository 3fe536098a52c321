"""One rule applied many times in a loop, with the residuals of the layers stored or recomputed."""

import dataclasses
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from backproof.compose import require_kept
from backproof.rule import PyTree, Rule, Update, require_rule, require_whole_number
from backproof.stack import (
    Kept,
    Step,
    descend_step,
    down,
    forward_step,
    layer_of,
    require_stack,
    scan_up,
    written,
)


def repeat(rule: Rule, depth: int) -> Rule:
    """Return `rule` applied `depth` times, each time with its own parameters.

    The parameters of the copies are stacked along a new first axis, and every pass is one `lax.scan`,
    so that the size of the program, and with it the compile time, does not grow with depth. A `repeat`
    of a `repeat` is one scan over all layers. `descend` updates the stack in place where the caller
    donates it (`jax.jit(step, donate_argnums=0)`).

    Raises:
        UsageError: `rule` is not a rule; `depth` is not a whole number of at least 1; the rule changes
            the shape of its input (raised by `init`); or the first axis of a parameter is not `depth`
            (raised by `forward`).
    """
    require_rule(rule, "repeat")
    depth = require_whole_number(depth, "depth", f"repeat({rule.name})")
    name = f"repeat({rule.name}, {depth})"
    inner = _stack_of(rule)
    stack = Stack(name, inner.rule, (depth, *inner.shape)) if inner else Stack(name, rule, (depth,))
    return _repeated(rule, depth, name, stack.forward, stack.backward, stack.descend)


def remat_repeat(rule: Rule, depth: int, segment: int | None = None) -> Rule:
    """Return `repeat(rule, depth)` with the residuals recomputed segment by segment, not stored.

    The forward pass keeps the input of every `segment`-th layer only. The backward pass runs each segment
    forward again, from its input, and then backward. So about depth/segment + segment layers are held
    instead of depth, at the cost of one more forward pass. With `segment` = √depth, the default, memory
    grows as √depth (Chen et al. 2016, arXiv:1604.06174). The last segment may be shorter.

    Parameters and gradients are those of `repeat(rule, depth)`, so that either rule can run a network
    that was trained with the other. `descend` updates in place, as it does for `repeat`.

    Raises:
        UsageError: `rule` is not a rule; `depth` or `segment` is not a whole number of at least 1; the
            rule changes the shape of its input (raised by `init`); or the first axis of a parameter is
            not `depth` (raised by `forward`).
    """
    require_rule(rule, "remat_repeat")
    where = f"remat_repeat({rule.name})"
    depth = require_whole_number(depth, "depth", where)
    segment = math.isqrt(depth) if segment is None else require_whole_number(segment, "segment", where)
    segment = min(segment, depth)
    name = f"remat_repeat({rule.name}, {depth}, {segment})"
    full, shorter = divmod(depth, segment)

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        require_stack(params, (depth,), name)

        def step(carry: tuple[PyTree, PyTree], each: tuple[jax.Array, PyTree]) -> tuple[PyTree, None]:
            (x, inputs), (i, layer) = carry, each
            # x_i is written to place ⌈i / segment⌉; the last one written there is the input of that segment
            inputs = written(inputs, x, (i + segment - 1) // segment)
            return (rule.forward(layer, x)[0], inputs), None

        places = math.ceil((depth - 1) / segment) + 1
        inputs = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (places, *jnp.shape(leaf))), x)
        (y, inputs), _ = scan_up(step, (x, inputs), params, depth)
        return y, inputs

    def sweep(step: Step, stack: PyTree, inputs: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
        def through(stack: PyTree, delta: PyTree, k: jax.Array | int, length: int) -> tuple[PyTree, PyTree]:
            def again(x: PyTree, i: jax.Array) -> tuple[PyTree, Kept]:
                return forward_step(rule, x, layer_of(stack, i))

            start = k * segment
            y, kept = lax.scan(again, layer_of(inputs, k), start + jnp.arange(length))
            return down(step, stack, start, length, kept.under(y), delta)

        def segment_sweep(carry: tuple[PyTree, PyTree], k: jax.Array) -> tuple[tuple[PyTree, PyTree], None]:
            return through(*carry, k, segment), None

        if shorter:
            stack, delta = through(stack, delta, full, shorter)
        return lax.scan(segment_sweep, (stack, delta), jnp.arange(full), reverse=True)[0]

    def backward(params: PyTree, inputs: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
        def step(layer: PyTree, residuals: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
            grads, delta = rule.backward(layer, residuals, delta)
            return jax.tree.map(lambda p, grad: grad.astype(p.dtype), layer, grads), delta

        return sweep(step, params, inputs, delta)  # the gradient of each layer overwrites the layer

    def descend_layers(
        params: PyTree, inputs: PyTree, delta: PyTree, update: Update
    ) -> tuple[PyTree, PyTree]:
        return sweep(partial(descend_step, rule, update), params, inputs, delta)

    return _repeated(rule, depth, name, forward, backward, descend_layers)


@dataclasses.dataclass(frozen=True)
class Stack:
    """Holds the three passes of a `repeat`.

    Attributes:
        name: the name of the repeat.
        rule: the rule of one layer.
        shape: the first axes of every parameter: the depth, or the depths of a repeat of a repeat.
    """

    name: str
    rule: Rule
    shape: tuple[int, ...]

    def forward(self, params: PyTree, x: PyTree) -> tuple[PyTree, Kept]:
        """Return y and the residuals of all layers."""
        require_stack(params, self.shape, self.name)

        def step(x: PyTree, each: tuple[jax.Array, PyTree]) -> tuple[PyTree, Kept]:
            return forward_step(self.rule, x, each[1])

        y, kept = scan_up(step, x, self._flat(params), math.prod(self.shape))
        return y, kept.under(y)

    def backward(self, params: PyTree, kept: Kept, delta: PyTree) -> tuple[PyTree, PyTree]:
        """Return the gradients of all layers, stacked, and ∂L/∂x."""

        def step(carry: PyTree, each: tuple[PyTree, list[PyTree], list[PyTree]]) -> tuple[PyTree, PyTree]:
            (delta, outputs), (layer, inputs, rest) = carry, each
            grads, delta = self.rule.backward(layer, kept.residuals(inputs, outputs, rest), delta)
            return (delta, inputs), grads

        carry, each = (delta, kept.last), (self._flat(params), kept.inputs, kept.rest)
        (delta, _), grads = lax.scan(step, carry, each, length=math.prod(self.shape), reverse=True)
        return self._nested(grads), delta

    def descend(self, params: PyTree, kept: Kept, delta: PyTree, update: Update) -> tuple[PyTree, PyTree]:
        """Return the updated stack and ∂L/∂x."""
        step = partial(descend_step, self.rule, update)
        stack, delta = down(step, self._flat(params), 0, math.prod(self.shape), kept, delta)
        return self._nested(stack), delta

    def _flat(self, params: PyTree) -> PyTree:
        axes, depth = len(self.shape), math.prod(self.shape)
        return jax.tree.map(lambda leaf: jnp.reshape(leaf, (depth, *jnp.shape(leaf)[axes:])), params)

    def _nested(self, stack: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.reshape(*self.shape, *leaf.shape[1:]), stack)


def _stack_of(rule: Rule) -> Stack | None:
    """Return the `Stack` of a rule made by `repeat`; None for another rule, or if a pass was replaced."""
    stack = getattr(rule.forward, "__self__", None)
    if not isinstance(stack, Stack):
        return None
    passes = stack.forward, stack.backward, stack.descend
    return stack if (rule.forward, rule.backward, rule.descend) == passes else None


def _repeated(rule: Rule, depth: int, name: str, forward: Any, backward: Any, descend: Any) -> Rule:
    """Return the rule with these passes; its parameters are those of `depth` layers, stacked."""

    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        _, y = rule.init(key, x)
        require_kept(x, y, name)
        return jax.vmap(lambda k: rule.init(k, x)[0])(jax.random.split(key, depth)), y

    return Rule(name, init, forward, backward, rule.domain, rule.at_kinks, (rule,), descend)
