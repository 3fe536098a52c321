"""What a run of the test shows of each rule: how often its backward pass ran, and at which points.

A backward pass that JAX traces runs later, in a compiled program. A callback in that program, which changes
no value, counts those executions and keeps their first points.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from backproof.auditing.call import JVP, Call, is_numbers
from backproof.numerics.leaves import is_key

# Points kept for each rule, the first ones: what a slip changes there is compared with rounding.
POINTS = 8

Form = tuple[tuple[int, ...], Any]


@dataclass
class Seen:
    """Holds what is seen of one rule in a run.

    Attributes:
        name, kind: the rule.
        forward: how often the function itself was called; only of a custom_vjp or custom_jvp.
        traced: how often its backward pass was traced.
        executed: how often it was executed.
        shapes: the shapes and dtypes of each leaf of its result.
        inputs: those of each leaf of the function's arguments, which its result would have.
        points: the calls, with the numbers that they had; the first POINTS.
    """

    name: str
    kind: str
    forward: int = 0
    traced: int = 0
    executed: int = 0
    shapes: dict[str, set[Form]] = field(default_factory=dict)
    inputs: dict[str, set[Form]] = field(default_factory=dict)
    points: list[Call] = field(default_factory=list)

    def add_point(self, call: Call) -> None:
        """Add one execution."""
        self.executed += 1
        if len(self.points) < POINTS:
            self.points.append(call)


class Watch:
    """Watches a run: `handler` and `called` are given to `intercepted`, and `seen` has what they saw."""

    def __init__(self, wanted: Callable[[str, bool], bool]) -> None:
        """Make a watch of the rules that are wanted.

        Args:
            wanted: of the name of a rule, and whether it is called within the backward pass of another.
        """
        self.seen: dict[str, Seen] = {}
        self.depth: int = 0
        self._wanted = wanted

    def called(self, name: str, kind: str, inputs: Mapping[str, Any]) -> None:
        """Note that a custom_vjp or custom_jvp is called, with these arguments."""
        if self._wanted(name, False):
            seen = self.seen.setdefault(name, Seen(name, kind))
            seen.forward += 1
            leaves = Call(name, kind, dict, (), {}, None, tuple(inputs)).leaves(tuple(inputs.values()))
            add_shapes(seen.inputs, leaves)

    def handler(self, call: Call) -> Any:
        """Return the result of the call, and note it."""
        if not self._wanted(call.rule, self.depth > 0):
            return call.result()
        seen = self.seen.setdefault(call.rule, Seen(call.rule, call.kind))
        before = _copied(call)  # the code may write into its arguments
        with self.within():
            result = call.result()
        add_shapes(seen.shapes, call.leaves(call.towards if call.kind == JVP else result))
        shown = _without_tangents(before) if call.kind == JVP else before
        leaves, form = jax.tree.flatten((shown.args, dict(shown.named)))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tracer)]
        if not places:
            seen.add_point(shown)
            return result
        seen.traced += 1
        # Only what is not traced is kept: a traced value must not outlive its trace.
        kept = [None if i in places else leaf for i, leaf in enumerate(leaves)]
        keys = {i: jax.random.key_impl(leaves[i]) for i in places if is_key(leaves[i])}
        bare = replace(call, args=(), named={})

        def note(*numbers: Any) -> None:
            found = list(kept)
            for i, number in zip(places, numbers, strict=True):
                found[i] = np.array(number)
                if i in keys:
                    found[i] = jax.random.wrap_key_data(jnp.asarray(number), impl=keys[i])
            args, named = form.unflatten(found)
            seen.add_point(replace(bare, args=args, named=named))

        shown_numbers = [jax.random.key_data(leaves[i]) if i in keys else leaves[i] for i in places]
        jax.debug.callback(note, *shown_numbers)
        return result

    @contextmanager
    def within(self) -> Iterator[None]:
        """Say that other backward passes which are called here belong to this one."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1


def add_shapes(known: dict[str, set[Form]], leaves: Mapping[str, Any]) -> None:
    """Add the shapes and dtypes of these leaves to those that are known."""
    for path, leaf in leaves.items():
        dtype = getattr(leaf, "dtype", np.dtype(np.float64))
        known.setdefault(path, set()).add((np.shape(leaf), dtype))


def _copied(call: Call) -> Call:
    """Return a call whose arrays are its own; what is traced stays."""

    def one(leaf: Any) -> Any:
        if isinstance(leaf, Tracer) or not isinstance(leaf, jax.Array | np.ndarray):
            return leaf
        return np.array(leaf) if isinstance(leaf, np.ndarray) else leaf

    args, named = jax.tree.map(one, (call.args, dict(call.named)))
    return replace(call, args=args, named=named)


def _without_tangents(call: Call) -> Call:
    """Return the call of a custom_jvp's rule with zeros for tangents, which autodiff traces."""

    def zero(leaf: Any) -> Any:
        return np.zeros(np.shape(leaf), leaf.dtype) if is_numbers(leaf) else leaf

    return replace(call, args=(*call.args[:-1], jax.tree.map(zero, call.args[-1])))
