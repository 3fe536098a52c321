"""The two ends of a derivation: line 0 as autodiff of a definition, and last the code that ships."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from backproof.derivations.latex import left_side
from backproof.derivations.lines import End, LineError, PyTree
from backproof.derivations.source import AROUND, shipped_by
from backproof.errors import UsageError, message

Function = Callable[..., PyTree]
Ended = Function | tuple[str, Function]
Lines = Callable[..., Iterator[Any]]


class Ends(NamedTuple):
    """Holds what `bp.derivation` is told of the two ends.

    Attributes:
        of: the definition, a function of arguments of the derivation, alone or after its formula.
        wrt: the names of the arguments by which it is differentiated, or one of them.
        cotangent: the name of the argument that is the cotangent of its result, if that is not one number.
        ships: the code that runs, a function of arguments of the derivation, alone or after its formula.
    """

    of: Ended | None = None
    wrt: str | tuple[str, ...] = ()
    cotangent: str | None = None
    ships: Ended | None = None

    @property
    def what_ships(self) -> str:
        """The name of the shipped code that runs last; empty if there is none."""
        return (shipped_by(_told(self.ships, "")[1]) or "") if self.ships else ""

    def around(self, function: Lines, latex: str) -> Lines:
        """Return the generator of all lines: that of the definition, those of `function`, that of what ships.

        Raises:
            UsageError: an end names an argument that is not there.
        """
        first = _definition(function, latex, self.of, self) if self.of else None
        last = _shipped(function, self.ships, self.what_ships) if self.ships else None
        if first is None and last is None:
            return function

        def whole(written: Lines) -> Lines:
            @functools.wraps(written)
            def lines(*args: PyTree) -> Iterator[Any]:
                if first:
                    yield first(args)
                yield from written(*args)
                if last:
                    yield last(args)

            setattr(lines, AROUND, whole)
            return lines

        return whole(function)


def _definition(function: Lines, latex: str, told: Ended, ends: Ends) -> Callable[[tuple[PyTree, ...]], End]:
    """Return line 0 as a function of the arguments: the gradient of the definition, or its pullback."""
    formula, of = _told(told, left_side(latex))
    names, own = _arguments(function, of, "of")
    wrt = (ends.wrt,) if isinstance(ends.wrt, str) else ends.wrt
    for name, among, option in [(ends.cotangent, names, "cotangent"), *((one, own, "wrt") for one in wrt)]:
        if name is not None and name not in among:
            raise _unusable(function, f"{option}= must name one of {', '.join(among)}", repr(name))
    by = [own.index(name) for name in wrt] or (list(range(len(own))) if ends.cotangent else [0])
    row = _row(of, function)

    def derivative(args: tuple[PyTree, ...]) -> PyTree:
        given = [args[names.index(name)] for name in own]
        if ends.cotangent:
            found = jax.vjp(of, *given)[1](args[names.index(ends.cotangent)])
            value = tuple(found[place] for place in by)
        else:
            _require_one_number(jax.eval_shape(of, *given), row)
            value = jax.grad(of, argnums=tuple(by))(*given)
        return value[0] if len(by) == 1 else value

    anchor = "jax.vjp" if ends.cotangent else "jax.grad"
    return lambda args: End(formula, lambda: derivative(args), "definition", row, anchor=anchor)


def _shipped(function: Lines, ships: Ended, what: str) -> Callable[[tuple[PyTree, ...]], End]:
    """Return the last line as a function of the arguments: the value of the code that runs."""
    formula, runs = _told(ships, r"\texttt{" + what.replace("_", r"\_") + "}" if what else r"\text{code}")
    names, own = _arguments(function, runs, "ships")
    row = _row(runs, function)

    def value(args: tuple[PyTree, ...]) -> PyTree:
        return runs(*(args[names.index(name)] for name in own))

    return lambda args: End(formula, lambda: value(args), "what ships", row, ships=what)


def _told(end: Ended, otherwise: str) -> tuple[str, Function]:
    """Return the formula of an end, and its function."""
    return end if isinstance(end, tuple) else (otherwise, end)


def _arguments(function: Lines, end: Function, option: str) -> tuple[list[str], list[str]]:
    """Return the names of the arguments of a derivation, and of the function that is one of its ends."""
    names = list(inspect.signature(function).parameters)
    own = list(inspect.signature(end).parameters)
    missing = [name for name in own if name not in names]
    if missing:
        must = f"the function given as {option}= must take arguments of the derivation, by their names"
        raise _unusable(function, must, f"{missing[0]!r}, which is not among {', '.join(names)}")
    return names, own


def _require_one_number(meant: PyTree, row: int) -> None:
    leaves = jax.tree.leaves(meant)
    if len(leaves) == 1 and leaves[0].shape == () and jnp.issubdtype(leaves[0].dtype, jnp.floating):
        return
    found = ", ".join(str(leaf) for leaf in leaves) or "nothing"
    must = "the function given as of= must return one real number, or cotangent= name the argument for it"
    raise LineError(f"{must}; but found {found}", row)


def _row(end: Any, function: Any) -> int:
    """Return the row of an end if it stands in the file of the derivation, else that of the derivation."""
    codes = [getattr(inspect.unwrap(one), "__code__", None) for one in (end, function)]
    own, other = codes
    if own is not None and other is not None and own.co_filename == other.co_filename:
        return own.co_firstlineno
    return other.co_firstlineno if other else 0


def _unusable(function: Any, must: str, found: str) -> UsageError:
    return UsageError(
        message(must=must, found=found, where=function.__name__, do="correct the arguments of bp.derivation")
    )
