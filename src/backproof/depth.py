"""One rule many times: depth as a loop, and what the loop holds in memory.

A stack of layers is stored along a first axis of every parameter. Forward keeps what each layer needs
for its backward step, but never the same buffer twice: what a rule keeps of its own input or output is
the input of a layer, which the loop stores once. `descend` writes each updated layer where the old one
stood, so that a donated stack is never copied and one gradient is alive at a time.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, Update, descend, require_rule, require_whole_number

Step = Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["inputs", "last", "rest"],
    meta_fields=["held", "places", "tree"],
)
@dataclasses.dataclass(frozen=True)
class Kept:
    """Holds what a stack of layers keeps for the backward pass, each buffer once.

    Attributes:
        inputs: those leaves of x that a layer keeps as its input or as its output: the input of every
            layer, stacked.
        last: the same leaves of the last layer's output.
        rest: what else the layers keep, stacked.
        held: the numbers of those leaves of x.
        places: where each leaf of a layer's own residuals is found: (list, number).
        tree: the tree of a layer's own residuals.
    """

    inputs: list[PyTree]
    last: list[PyTree]
    rest: list[PyTree]
    held: tuple[int, ...]
    places: tuple[tuple[str, int], ...]
    tree: jax.tree_util.PyTreeDef

    @classmethod
    def sort(cls, residuals: PyTree, x: PyTree, y: PyTree) -> "Kept":
        """Return what one layer keeps, the very leaves of its input and output told from the rest."""
        leaves, tree = jax.tree.flatten(residuals)
        inputs, outputs = jax.tree.leaves(x), jax.tree.leaves(y)
        wanted = {id(leaf) for leaf in leaves}
        held = tuple(
            i for i, (a, b) in enumerate(zip(inputs, outputs, strict=True)) if wanted & {id(a), id(b)}
        )
        place = {id(outputs[i]): ("output", n) for n, i in enumerate(held)}
        place |= {id(inputs[i]): ("input", n) for n, i in enumerate(held)}
        rest = []
        for leaf in leaves:
            if id(leaf) not in place:
                place[id(leaf)] = "rest", len(rest)
                rest.append(leaf)
        return cls([inputs[i] for i in held], [], rest, held, tuple(place[id(leaf)] for leaf in leaves), tree)

    def under(self, y: PyTree) -> "Kept":
        """Return the same with the output of the last layer."""
        outputs = jax.tree.leaves(y)
        return dataclasses.replace(self, last=[outputs[i] for i in self.held])

    def residuals(self, inputs: list[PyTree], outputs: list[PyTree], rest: list[PyTree]) -> PyTree:
        """Return the residuals of one layer from its part of the stacks."""
        lists = {"input": inputs, "output": outputs, "rest": rest}
        return self.tree.unflatten([lists[name][number] for name, number in self.places])


def repeat(rule: Rule, depth: int) -> Rule:
    """Return `rule` applied `depth` times, each time with parameters of its own.

    The parameters of the copies are stacked along a new first axis, and every pass is one `lax.scan`,
    so that the size of the program, and with it the compile time, does not grow with depth. `descend`
    updates the stack in place where the caller donates it (`jax.jit(step, donate_argnums=…)`).

    Raises:
        UsageError: `rule` is no rule, `depth` is no whole number of at least 1, or (seen by `init`) the
            rule changes the shape of its input.
    """
    require_rule(rule, "repeat")
    depth = require_whole_number(depth, "depth", f"repeat({rule.name})")

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, "Kept"]:
        return _up(rule, x, params, depth)

    def backward(params: PyTree, kept: "Kept", delta: PyTree) -> tuple[PyTree, PyTree]:
        def step(carry: PyTree, each: tuple[PyTree, list[PyTree], list[PyTree]]) -> tuple[PyTree, PyTree]:
            (delta, outputs), (layer, inputs, rest) = carry, each
            grads, delta = rule.backward(layer, kept.residuals(inputs, outputs, rest), delta)
            return (delta, inputs), grads

        each = (params, kept.inputs, kept.rest)
        (delta, _), grads = lax.scan(step, (delta, kept.last), each, length=depth, reverse=True)
        return grads, delta

    def descend_layers(
        params: PyTree, kept: "Kept", delta: PyTree, update: Update
    ) -> tuple[PyTree, PyTree]:
        return _down(partial(_descended, rule, update), params, 0, depth, kept, delta)

    name = f"repeat({rule.name}, {depth})"
    init = _init(rule, depth, name)
    return Rule(name, init, forward, backward, rule.domain, rule.at_kinks, (rule,), descend_layers)


def remat_repeat(rule: Rule, depth: int, segment: int | None = None) -> Rule:
    """Return `repeat(rule, depth)` with the residuals recomputed segment by segment, not stored.

    Forward keeps the input of every `segment`-th layer only; backward runs each segment once more,
    from its input, before it goes down through it: about depth/segment + segment activations are held
    in place of depth, for one more forward pass. With √depth, the default, memory grows as √depth
    (Chen et al. 2016, arXiv:1604.06174). The last segment may be shorter.

    Parameters and gradients are those of `repeat(rule, depth)`, so that the one can take the place of
    the other under a trained network. `descend` updates in place, as that of `repeat` does.

    Raises:
        UsageError: `rule` is no rule, `depth` or `segment` no whole number of at least 1, or (seen by
            `init`) the rule changes the shape of its input.
    """
    require_rule(rule, "remat_repeat")
    where = f"remat_repeat({rule.name})"
    depth = require_whole_number(depth, "depth", where)
    segment = math.isqrt(depth) if segment is None else require_whole_number(segment, "segment", where)
    segment = min(segment, depth)
    full, shorter = divmod(depth, segment)

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        def step(carry: tuple[PyTree, PyTree], each: tuple[jax.Array, PyTree]) -> tuple[PyTree, None]:
            (x, inputs), (i, layer) = carry, each
            # x_i to place ⌈i / segment⌉: what stays there is the last, the input of that segment
            inputs = _written(inputs, x, (i + segment - 1) // segment)
            return (rule.forward(layer, x)[0], inputs), None

        places = math.ceil((depth - 1) / segment) + 1
        inputs = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (places, *jnp.shape(leaf))), x)
        (y, inputs), _ = lax.scan(step, (x, inputs), (jnp.arange(depth), params), length=depth)
        return y, inputs

    def down(step: Step, stack: PyTree, inputs: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
        def through(stack: PyTree, delta: PyTree, k: jax.Array | int, length: int) -> tuple[PyTree, PyTree]:
            start = k * segment
            _, kept = _up(rule, _layer(inputs, k), start + jnp.arange(length), length, partial(_layer, stack))
            return _down(step, stack, start, length, kept, delta)

        if shorter:
            stack, delta = through(stack, delta, full, shorter)
        each_full = lambda carry, k: (through(*carry, k, segment), None)  # noqa: E731 - one line of a scan
        return lax.scan(each_full, (stack, delta), jnp.arange(full), reverse=True)[0]

    def backward(params: PyTree, inputs: PyTree, delta: PyTree) -> tuple[PyTree, PyTree]:
        return down(rule.backward, params, inputs, delta)  # each layer gives way to its gradient

    def descend_layers(
        params: PyTree, inputs: PyTree, delta: PyTree, update: Update
    ) -> tuple[PyTree, PyTree]:
        return down(partial(_descended, rule, update), params, inputs, delta)

    name = f"remat_repeat({rule.name}, {depth}, {segment})"
    init = _init(rule, depth, name)
    return Rule(name, init, forward, backward, rule.domain, rule.at_kinks, (rule,), descend_layers)


def _up(
    rule: Rule, x: PyTree, each: PyTree, count: int, layer_of: Callable[[PyTree], PyTree] = lambda layer: layer
) -> tuple[PyTree, Kept]:
    """Return what `count` layers make of `x`, and what they keep; `layer_of` an entry of `each` is a layer."""

    def step(x: PyTree, entry: PyTree) -> tuple[PyTree, Kept]:
        y, residuals = rule.forward(layer_of(entry), x)
        return y, Kept.sort(residuals, x, y)

    y, kept = lax.scan(step, x, each, length=count)
    return y, kept.under(y)


def _down(
    step: Step, stack: PyTree, start: jax.Array | int, count: int, kept: Kept, delta: PyTree
) -> tuple[PyTree, PyTree]:
    """Return (`stack` with layers start … start + count − 1 replaced by what `step` makes of them, ∂L/∂x).

    The next layer is read from the stack into which the last was written. That order is what lets the
    compiler write in place: a loop that reads and writes the stack side by side holds a copy of all of
    it, and the optimization barrier that would order them is dropped by the CPU compiler of jax 0.10.
    """

    def one(carry: PyTree, each: tuple[jax.Array, list[PyTree], list[PyTree]]) -> tuple[PyTree, None]:
        (stack, layer, outputs, delta), (i, inputs, rest) = carry, each
        layer, delta = step(layer, kept.residuals(inputs, outputs, rest), delta)
        stack = _written(stack, layer, i)
        return (stack, _layer(stack, jnp.maximum(i - 1, 0)), inputs, delta), None

    carry = (stack, _layer(stack, start + count - 1), kept.last, delta)
    each = (start + jnp.arange(count), kept.inputs, kept.rest)
    (stack, _, _, delta), _ = lax.scan(one, carry, each, length=count, reverse=True)
    return stack, delta


def _descended(
    rule: Rule, update: Update, layer: PyTree, residuals: PyTree, delta: PyTree
) -> tuple[PyTree, PyTree]:
    return descend(rule, layer, residuals, delta, update)


def _layer(stack: PyTree, i: jax.Array | int) -> PyTree:
    return jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, i, keepdims=False), stack)


def _written(stack: PyTree, layer: PyTree, i: jax.Array | int) -> PyTree:
    return jax.tree.map(lambda leaf, new: lax.dynamic_update_index_in_dim(leaf, new, i, 0), stack, layer)


def _init(rule: Rule, depth: int, name: str) -> Callable[[jax.Array, PyTree], tuple[PyTree, PyTree]]:
    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        _, y = rule.init(key, x)
        if jax.tree.map(_signature, y) != jax.tree.map(_signature, x):
            raise UsageError(
                message(
                    must="a repeated rule must keep the shape and dtype of its input",
                    found=f"{jax.tree.map(_signature, x)} to {jax.tree.map(_signature, y)}",
                    where=name,
                    do="repeat a rule with as many outputs as inputs",
                )
            )
        return jax.vmap(lambda k: rule.init(k, x)[0])(jax.random.split(key, depth)), y

    return init


def _signature(leaf: jax.ShapeDtypeStruct) -> str:
    return f"{jnp.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"
