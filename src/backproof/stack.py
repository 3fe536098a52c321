"""A stack of layers: the residuals of a loop over the layers, and its forward and backward passes.

The parameters of the layers are stacked along a new first axis, and so are their residuals. No buffer is
stored twice: a layer often keeps its own input or output, and its output is the next layer's input, so
these inputs are stored once. The backward pass writes its result for each layer over that layer.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, Update, descend

Step = Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["inputs", "last", "rest"],
    meta_fields=["held", "places", "tree"],
)
@dataclasses.dataclass(frozen=True)
class Kept:
    """Holds the residuals of a stack of layers, each buffer once.

    Attributes:
        inputs: the leaves of x that a layer keeps as part of its input or of its output, stacked: one
            entry for the input of every layer.
        last: the same leaves of the last layer's output.
        rest: all other residuals of the layers, stacked.
        held: the positions of the leaves in `inputs` among the leaves of x.
        places: where each leaf of a layer's own residuals is found, as (list, position).
        tree: the tree of a layer's own residuals.
    """

    inputs: list[PyTree]
    last: list[PyTree]
    rest: list[PyTree]
    held: tuple[int, ...]
    places: tuple[tuple[str, int], ...]
    tree: Any

    @classmethod
    def sort(cls, residuals: PyTree, x: PyTree, y: PyTree) -> "Kept":
        """Return the residuals of one layer, with the leaves of its input and output kept apart."""
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
        """Return a copy that also holds `y`, the output of the last layer."""
        outputs = jax.tree.leaves(y)
        return dataclasses.replace(self, last=[outputs[i] for i in self.held])

    def residuals(self, inputs: list[PyTree], outputs: list[PyTree], rest: list[PyTree]) -> PyTree:
        """Return the residuals of one layer from its part of the stacks."""
        lists = {"input": inputs, "output": outputs, "rest": rest}
        return self.tree.unflatten([lists[name][number] for name, number in self.places])


def scan_up(
    step: Callable[[PyTree, tuple[jax.Array, PyTree]], tuple[PyTree, PyTree]],
    carry: PyTree,
    stack: PyTree,
    depth: int,
) -> tuple[PyTree, PyTree]:
    """Return `lax.scan` of `step(carry, (i, layer i))` over the stack.

    The loop reads the stack by index, because under `vmap` a scan over slices would transpose the stack
    and so copy all weights. When JAX differentiates the function, a scan over slices takes the place of
    the loop, because its derivative writes each layer once.
    """

    @jax.custom_jvp
    def by_index(stack: PyTree, carry: PyTree) -> tuple[PyTree, PyTree]:
        return lax.scan(lambda carry, i: step(carry, (i, layer_of(stack, i))), carry, jnp.arange(depth))

    @by_index.defjvp
    def by_slices(primals: tuple[PyTree, PyTree], tangents: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        scan = lambda stack, carry: lax.scan(step, carry, (jnp.arange(depth), stack))  # noqa: E731 - one line
        return jax.jvp(scan, primals, tangents)

    return by_index(stack, carry)


def forward_step(rule: Rule, x: PyTree, layer: PyTree) -> tuple[PyTree, Kept]:
    """Return the output of one layer and its residuals."""
    y, residuals = rule.forward(layer, x)
    return y, Kept.sort(residuals, x, y)


def down(
    step: Step, stack: PyTree, start: jax.Array | int, count: int, kept: Kept, delta: PyTree
) -> tuple[PyTree, PyTree]:
    """Return (`stack` with layers start … start + count − 1 replaced by the results of `step`, ∂L/∂x).

    A layer is read from the stack after the result for the layer above was written to it. This order lets
    the compiler write in place: a loop that reads and writes the stack independently holds a copy of the
    whole stack, and the CPU compiler of jax 0.10 drops the optimization barrier that would order the two.
    """

    def one(carry: PyTree, each: tuple[jax.Array, list[PyTree], list[PyTree]]) -> tuple[PyTree, None]:
        (stack, layer, outputs, delta), (i, inputs, rest) = carry, each
        layer, delta = step(layer, kept.residuals(inputs, outputs, rest), delta)
        stack = written(stack, layer, i)
        return (stack, layer_of(stack, jnp.maximum(i - 1, 0)), inputs, delta), None

    carry = (stack, layer_of(stack, start + count - 1), kept.last, delta)
    each = (start + jnp.arange(count), kept.inputs, kept.rest)
    (stack, _, _, delta), _ = lax.scan(one, carry, each, length=count, reverse=True)
    return stack, delta


def descend_step(
    rule: Rule, update: Update, layer: PyTree, residuals: PyTree, delta: PyTree
) -> tuple[PyTree, PyTree]:
    """Return the updated layer and ∂L/∂x; `descend` with its arguments in the order of a `Step`."""
    return descend(rule, layer, residuals, delta, update)


def layer_of(stack: PyTree, i: jax.Array | int) -> PyTree:
    """Return layer i of the stack."""
    return jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, i, keepdims=False), stack)


def written(stack: PyTree, layer: PyTree, i: jax.Array | int) -> PyTree:
    """Return the stack with `layer` as its layer i."""
    return jax.tree.map(lambda leaf, new: lax.dynamic_update_index_in_dim(leaf, new, i, 0), stack, layer)


def require_stack(params: PyTree, shape: tuple[int, ...], where: str) -> None:
    """Raise `UsageError` unless the first axes of every parameter are `shape`."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if jnp.shape(leaf)[: len(shape)] != shape:
            raise UsageError(
                message(
                    must=f"the first axes of every parameter must be {shape}, one layer for each entry",
                    found=f"params{jax.tree_util.keystr(path)}.shape={jnp.shape(leaf)}",
                    where=where,
                    do="initialise them with rule.init(key, x)",
                )
            )
