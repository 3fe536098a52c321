"""Arguments that are no arrays, or that a rule does not differentiate: they are passed on as they are.

A callable, a text, a bool, a whole number, a dtype, an enum and a record without arrays are static wherever
they stand, and so is a dict of Python's own numbers and texts, unless all of them are floats. At a position
that a rule lists in `nondiff_argnums` everything is. A module of equinox is callable too, but it is a pytree
with arrays in it: it is differentiated, and only its leaves that are callables or texts (an activation) are
passed on as they are.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.arguments import Specification
from backproof.errors import UsageError, message
from backproof.verification.claims.names import name_of
from backproof.verification.points.members import is_specification

# A dict of these is a set of settings, as {"stride": 2, "mode": "train"}.
SETTINGS = (int, float, bool, str)
NUMBERS = (float, complex, np.ndarray, np.generic, jax.Array, Specification)


class StaticLeaves(NamedTuple):
    """Holds the leaves of one pytree that are no arrays.

    Attributes:
        tree: the structure of the whole pytree.
        leaves: those leaves, by their number.
    """

    tree: Any
    leaves: dict[int, Any]

    @classmethod
    def among(cls, arg: Any) -> "StaticLeaves":
        """Return the static leaves in an argument; a specification is a leaf that is not static."""
        leaves, tree = jax.tree.flatten(arg)
        return cls(tree, {i: leaf for i, leaf in enumerate(leaves) if callable(leaf) or _is_text(leaf)})

    def put_into(self, rest: Any) -> Any:
        """Return the whole pytree, from one without these leaves."""
        others = iter(jax.tree.leaves(rest))
        count = self.tree.num_leaves
        return self.tree.unflatten(
            [self.leaves[i] if i in self.leaves else next(others) for i in range(count)]
        )

    def left_out(self, whole: Any) -> Any:
        """Return a pytree with None where these leaves stand; as it is if it has another structure."""
        leaves, tree = jax.tree.flatten(whole)
        if tree != self.tree:
            return whole
        return tree.unflatten([None if i in self.leaves else leaf for i, leaf in enumerate(leaves)])


class StaticArguments(NamedTuple):
    """Holds the static arguments, and the specification of the others.

    Attributes:
        values: the static arguments by position.
        args: that specification: a list, a strategy, or None where annotations are read.
        inside: the static leaves of the others that have such, by position among the others.
    """

    values: dict[int, Any]
    args: Any
    inside: Mapping[int, StaticLeaves] = {}

    @property
    def are_none(self) -> bool:
        """Whether there is nothing static."""
        return not self.values and not self.inside

    @classmethod
    def among(cls, args: Any, nondiff: Sequence[int] = ()) -> "StaticArguments":
        """Return the static arguments in `args`, which may also be a strategy or None.

        Args:
            args: the arguments as the caller specified them.
            nondiff: the positions that the rule does not differentiate. A specification there is drawn.
        """
        if not isinstance(args, list | tuple):
            return cls({}, args)
        fixed = [i for i in nondiff if i < len(args) and not _is_drawn(args[i])]
        values = {i: arg for i, arg in enumerate(args) if i in fixed or _is_static(arg)}
        others = [arg for i, arg in enumerate(args) if i not in values]
        leaves = ((i, StaticLeaves.among(arg)) for i, arg in enumerate(others))
        inside = {i: found for i, found in leaves if found.leaves}
        return cls(
            values, [inside[i].left_out(arg) if i in inside else arg for i, arg in enumerate(others)], inside
        )

    def merged(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Return the full argument tuple."""
        whole = (self.inside[i].put_into(a) if i in self.inside else a for i, a in enumerate(arguments))
        rest = iter(whole)
        count = len(arguments) + len(self.values)
        return tuple(self.values[i] if i in self.values else next(rest) for i in range(count))

    def left_out_of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of the arguments that are not static."""
        # a ufunc itself crashes jax.jit, on jax 0.10
        if self.are_none and not isinstance(function, np.ufunc):
            return function

        def of_others(*values: Any) -> Any:
            return function(*self.merged(values))

        of_others.__name__ = name_of(function)
        return of_others

    def without(self, results: Any) -> Any:
        """Return results, one for each argument, without those of the static ones."""
        if self.are_none or not isinstance(results, tuple | list):
            return results
        others = [result for i, result in enumerate(results) if i not in self.values]
        return tuple(self.inside[i].left_out(r) if i in self.inside else r for i, r in enumerate(others))

    def positions(self, argnums: int | Sequence[int] | None) -> tuple[int, ...] | None:
        """Return where arguments of the full tuple stand among those that are not static.

        Raises:
            UsageError: an argument is static, or there is none of that number.
        """
        if argnums is None:
            return None
        count = len(self.args) + len(self.values) if isinstance(self.args, list | tuple) else None
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        found = []
        for given in numbers:
            number = given + count if given < 0 and count is not None else given
            if number < 0 or number in self.values or (count is not None and number >= count):
                raise UsageError(
                    message(
                        must="argnums must number arguments that can be differentiated, as in jax.grad",
                        found=f"argnums={argnums!r}",
                        where="verify",
                        do="count the arguments from 0",
                    )
                )
            found.append(number - sum(i < number for i in self.values))
        return tuple(found)


def _is_drawn(arg: Any) -> bool:
    """Return whether an argument holds a specification, whose numbers are drawn."""
    return any(map(is_specification, jax.tree.leaves(arg, is_leaf=is_specification)))


def _is_static(arg: Any) -> bool:
    if _is_text(arg) or isinstance(arg, bool | int | enum.Enum | np.dtype):
        return True
    leaves = jax.tree.leaves(arg, is_leaf=is_specification)
    if type(arg) is dict and leaves and all(type(leaf) in SETTINGS for leaf in leaves):
        return not all(type(leaf) is float for leaf in leaves)
    if any(isinstance(leaf, NUMBERS) for leaf in leaves):
        return False
    if callable(arg):
        return True
    # a tuple of whole numbers is a shape or axes; in other trees whole numbers are leaves like any other
    return bool(leaves) and (isinstance(arg, tuple) or not all(isinstance(leaf, int) for leaf in leaves))


def _is_text(arg: Any) -> bool:
    return isinstance(arg, str | bytes)
