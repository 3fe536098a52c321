"""One call of a backward pass: which rule it belongs to, its arguments, and the leaves of its result."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from backproof.auditing.slips import COTANGENT, Slip, changed, largest, last
from backproof.numerics.leaves import is_inexact

FUNCTION, VJP, JVP, RULE, LOSS = "function", "custom_vjp", "custom_jvp", "Rule", "Loss"
# What the cotangent is called in backward passes that are plain functions.
COTANGENTS = (
    "ct", "cts", "cotangent", "cotangents", "g", "dout", "dy", "dz", "upstream", "grad_output",
    "grad_outputs", "grad_out", "grad_y", "delta", "delta_y", "dL_dy", "d_out", "d_y", "ybar", "y_bar",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """Holds a call of a backward pass.

    Attributes:
        rule: the name of the rule.
        kind: what it is: a custom_vjp, a custom_jvp, a Rule, a Loss or a plain function.
        backward: the function that was written by hand.
        args, named: its arguments.
        cotangent: the position, or the name, of the cotangent among them; None where it is not known. For a
            custom_jvp, the position of the tangents.
        leaf_names: the names of the parts of its result, in order.
    """

    rule: str
    kind: str
    backward: Callable[..., Any]
    args: tuple[Any, ...]
    named: Mapping[str, Any] = field(default_factory=dict)
    cotangent: int | str | None = None
    leaf_names: Sequence[str] = ()

    def result(self) -> Any:
        """Return what the function returns."""
        return self.backward(*self.args, **self.named)

    @property
    def towards(self) -> Any:
        """The cotangent, or the tangents; None where it is not known which argument that is."""
        if self.cotangent is None:
            return None
        return self.args[self.cotangent] if isinstance(self.cotangent, int) else self.named[self.cotangent]

    def with_towards(self, towards: Any) -> "Call":
        """Return the call with another cotangent."""
        if isinstance(self.cotangent, int):
            before, after = self.args[: self.cotangent], self.args[self.cotangent + 1 :]
            return replace(self, args=(*before, towards, *after))
        return replace(self, named={**self.named, str(self.cotangent): towards})

    def leaves(self, tree: Any) -> dict[str, Any]:
        """Return the leaves of a result that hold numbers, by their paths; e.g. `gain`, `params['W']`."""
        return {
            self._path(path): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
            if is_numbers(leaf)
        }

    def with_leaves(self, tree: Any, leaves: Mapping[str, Any]) -> Any:
        """Return a result with other leaves."""
        paths, form = jax.tree_util.tree_flatten_with_path(tree)
        return form.unflatten([leaves.get(self._path(path), leaf) for path, leaf in paths])

    def _path(self, path: Any) -> str:
        first = path[0].idx if path and isinstance(path[0], jax.tree_util.SequenceKey) else None
        if first is not None and first < len(self.leaf_names):
            return str(self.leaf_names[first]) + jax.tree_util.keystr(path[1:])
        return f"result{jax.tree_util.keystr(path)}"


def is_numbers(leaf: Any) -> bool:
    """Return whether a leaf is an array, or a number, that can be varied."""
    if isinstance(leaf, np.ndarray | np.generic | jax.Array):
        return is_inexact(leaf)
    return isinstance(leaf, float | complex)


def planted(call: Call, slip: Slip) -> Any:
    """Return what the rule returns with a slip in it.

    A custom_jvp gets the slip in its tangents: zeroing, scaling, transposing, reversing and exchanging are
    their own transposes, so that the gradient by that argument is wrong in the same way.
    """
    if slip.kind == COTANGENT:
        return call.with_towards(jax.tree.map(_ones, call.towards)).result()
    if call.kind == JVP:
        return call.with_towards(_with_slip(call, call.towards, slip)).result()
    return _with_slip(call, call.result(), slip)


def _with_slip(call: Call, tree: Any, slip: Slip) -> Any:
    leaves = {path: np.asarray(g) if isinstance(g, float) else g for path, g in call.leaves(tree).items()}
    return call.with_leaves(tree, changed(slip, leaves, last if call.kind == JVP else largest))


def _ones(leaf: Any) -> Any:
    return leaf * 0 + 1 if is_numbers(leaf) else leaf


def cotangent_of(function: Callable[..., Any], given: str | None) -> tuple[int, str]:
    """Return the position and the name of a plain function's cotangent; one beyond all where it is not known.

    Args:
        function: the function.
        given: the name that the user says, or None.
    """
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built-in functions have no signature
        names = []
    known = [name for name in names if (name == given if given else name in COTANGENTS)]
    return (names.index(known[0]), known[0]) if len(known) == 1 else (sys.maxsize, "")


def gradient_form(call: Call) -> Call:
    """Return the call as one that returns a gradient: of a custom_jvp, the transpose of its rule.

    Its cotangent is drawn at random, since a rule for tangents is never given one.
    """
    if call.kind != JVP:
        return call
    *static, primals, tangents = call.args
    kept, moving = _split(tangents)

    def linear(*leaves: Any) -> Any:
        return call.with_towards(kept(leaves)).result()[1]

    like = jax.eval_shape(linear, *moving)
    rng = np.random.default_rng(0)
    ct = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(leaf.dtype), like)

    def backward(primals: Any, ct: Any) -> Any:
        def along(*leaves: Any) -> Any:
            return call.backward(*static, primals, kept(leaves))[1]

        return tuple(jax.linear_transpose(along, *moving)(ct))

    names = list(call.leaves(tangents))
    return Call(call.rule, VJP, backward, (primals, ct), {}, 1, names)


def _split(tree: Any) -> tuple[Callable[[Sequence[Any]], Any], list[Any]]:
    """Return how a tree is put together from its leaves of numbers, and those leaves as zeros."""
    leaves, form = jax.tree.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if is_numbers(leaf)]

    def together(numbers: Sequence[Any]) -> Any:
        inside = dict(zip(places, numbers, strict=True))
        return form.unflatten([inside.get(i, leaf) for i, leaf in enumerate(leaves)])

    return together, [np.zeros(np.shape(leaves[i]), leaves[i].dtype) for i in places]
