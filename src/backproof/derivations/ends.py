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
    def names(self) -> tuple[str, ...]:
        """The names in `wrt`."""
        return self.wrt if isinstance(self.wrt, tuple) else (self.wrt,)

    @property
    def what_ships(self) -> str:
        """The name of the shipped code that runs last; empty if there is none."""
        return (shipped_by(_told(self.ships, "")[1]) or "") if self.ships else ""

    def around(self, function: Lines, latex: str) -> Lines:
        """Return the generator of all lines: that of the definition, those of `function`, that of what ships.

        Raises:
            UsageError: an end names an argument that is not there.
        """
        _require_usable(function, self)
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


def _require_usable(function: Lines, ends: Ends) -> None:
    """Require functions, alone or after their formulas, and names that stand for something once.

    Raises:
        UsageError: something else is given.
    """
    for option, end in (("of", ends.of), ("ships", ends.ships)):
        is_pair = isinstance(end, tuple) and len(end) == 2 and isinstance(end[0], str) and callable(end[1])
        if end is not None and not (is_pair or (callable(end) and not isinstance(end, tuple))):
            raise _unusable(function, f"{option}= must be a function, or its formula and it", repr(end))
    if ends.of is None and (ends.wrt or ends.cotangent):
        raise _unusable(
            function, "wrt= and cotangent= must come with of=", f"{ends.wrt!r}, {ends.cotangent!r}"
        )
    wrt = ends.names
    if not all(isinstance(name, str) for name in wrt) or len(set(wrt)) < len(wrt):
        raise _unusable(function, "wrt= must name arguments, each once", repr(ends.wrt))


def _definition(function: Lines, latex: str, told: Ended, ends: Ends) -> Callable[[tuple[PyTree, ...]], End]:
    """Return line 0 as a function of the arguments: the gradient of the definition, or its pullback."""
    formula, of = _told(told, left_side(latex))
    names, own, called = _arguments(function, of, "of")
    wrt = ends.names
    for name, among, option in [(ends.cotangent, names, "cotangent"), *((one, own, "wrt") for one in wrt)]:
        if name is not None and name not in among:
            raise _unusable(function, f"{option}= must name one of {', '.join(among)}", repr(name))
    if not own:
        raise _unusable(function, "the function given as of= must take an argument of the derivation", "none")
    row = _row(of, function)

    def derivative(args: tuple[PyTree, ...]) -> PyTree:
        given = [args[names.index(name)] for name in own]
        by = [own.index(name) for name in wrt] or [i for i, one in enumerate(given) if _moves(one)]
        by = by if ends.cotangent or wrt else by[:1]
        meant = jax.eval_shape(called, *given)
        if ends.cotangent:
            cotangent = args[names.index(ends.cotangent)]
            _require_cotangent(meant, cotangent, row)
            found = jax.vjp(called, *given)[1](cotangent)
            value = tuple(found[place] for place in by)
        else:
            _require_one_number(meant, row)
            value = jax.grad(called, argnums=tuple(by))(*given)
        return value[0] if len(by) == 1 else value

    anchor = "jax.vjp" if ends.cotangent else "jax.grad"
    return lambda args: End(formula, lambda: derivative(args), "definition", row, anchor=anchor)


def _shipped(function: Lines, ships: Ended, what: str) -> Callable[[tuple[PyTree, ...]], End]:
    """Return the last line as a function of the arguments: the value of the code that runs."""
    formula, runs = _told(ships, r"\texttt{" + what.replace("_", r"\_") + "}" if what else r"\text{code}")
    names, own, called = _arguments(function, runs, "ships")
    row = _row(runs, function)

    def value(args: tuple[PyTree, ...]) -> PyTree:
        return called(*(args[names.index(name)] for name in own))

    return lambda args: End(formula, lambda: value(args), "what ships", row, ships=what)


def _told(end: Ended, otherwise: str) -> tuple[str, Function]:
    """Return the formula of an end, and its function."""
    return end if isinstance(end, tuple) else (otherwise, end)


def _arguments(function: Lines, end: Function, option: str) -> tuple[list[str], list[str], Function]:
    """Return the names of the arguments of a derivation and of one of its ends, and that end by position.

    What has a value of its own, as of a partial, is an argument only if the derivation has one of that name.
    """
    names = list(inspect.signature(function).parameters)
    taken = inspect.signature(end).parameters.values()
    own = [one for one in taken if one.default is one.empty or one.name in names]
    missing = [one.name for one in own if one.name not in names]
    if missing:
        must = f"the function given as {option}= must take arguments of the derivation, by their names"
        raise _unusable(function, must, f"{missing[0]!r}, which is not among {', '.join(names) or 'none'}")
    is_named = [one.kind is not one.POSITIONAL_ONLY for one in own]

    def called(*values: PyTree) -> PyTree:
        pairs = list(zip(own, is_named, values, strict=True))
        plain = [value for _, named, value in pairs if not named]
        return end(*plain, **{one.name: value for one, named, value in pairs if named})

    return names, [one.name for one in own], called


def _moves(value: PyTree) -> bool:
    """Return whether an argument holds real or complex numbers, by which one can differentiate."""
    return all(jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) for leaf in jax.tree.leaves(value))


def _require_cotangent(meant: PyTree, cotangent: PyTree, row: int) -> None:
    forms = [jax.tree.map(jnp.shape, one) for one in (meant, cotangent)]
    if forms[0] != forms[1]:
        must = "the cotangent must have the form of the result of the function given as of="
        raise LineError(f"{must}; but found {forms[1]} for {forms[0]}", row)


def _require_one_number(meant: PyTree, row: int) -> None:
    leaves = jax.tree.leaves(meant)
    if len(leaves) == 1 and leaves[0].shape == () and jnp.issubdtype(leaves[0].dtype, jnp.floating):
        return
    found = ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves) or "nothing"
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
