"""The points at which a claim or a derivation can be tried, as its caller describes the arguments."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from hypothesis import strategies as st

from backproof.arguments import Specification, from_annotations, names_in, names_of
from backproof.errors import UsageError, did_you_mean, message
from backproof.numerics.leaves import PyTree
from backproof.verification.points.draws import SEEDS, Drawn, Points, drawn
from backproof.verification.points.from_arguments import FromArguments
from backproof.verification.points.members import is_specification
from backproof.verification.points.sizes import menu
from backproof.verification.points.values import STYLES, Style


def domain_of(
    args: Any,
    of: Callable[..., PyTree],
    *,
    styles: Sequence[Style] = STYLES,
    sizes_of: Callable[[list[Specification]], list[dict[str, Any]]] = menu,
    in_turn: bool = True,
) -> Points:
    """Return the points that `args` describes.

    Args:
        args: a list with a specification, or an example array or pytree, for each argument; or a
            strategy that draws the whole tuple; or None where `of` carries jaxtyping annotations.
        of: the function whose annotations are read.
        styles: the kinds of numbers that are drawn.
        sizes_of: gives the sizes that are tried for the names in the specifications.
        in_turn: whether the styles are used in turn; otherwise the seed of a block chooses one.
    """
    if args is None:
        args = from_annotations(of)
    if isinstance(args, st.SearchStrategy):
        return Points(st.tuples(args, SEEDS).map(_as_drawn))
    if not isinstance(args, list | tuple):
        raise UsageError(
            message(
                must="args must be a list, one entry for each argument",
                found=repr(args),
                where="verify",
                do="write e.g. args=[backproof.array('b n'), backproof.array('n')]",
            )
        )
    _require_axes(
        [leaf for leaf in jax.tree.leaves(args, is_leaf=is_specification) if is_specification(leaf)]
    )
    return FromArguments(tuple(args), styles=styles, sizes_of=sizes_of, in_turn=in_turn)


def _as_drawn(pair: tuple[Any, int]) -> list[Drawn]:
    values, seed = tuple(pair[0]), pair[1]
    return [drawn(lambda: values, values, seed)]


def _require_axes(specs: Sequence[Specification]) -> None:
    """Raise `UsageError` unless each name in a bound is that of an axis of some argument."""
    axes = {name.lstrip("*") for spec in specs for text in spec.dims for name in names_in(str(text))}
    for spec in specs:
        for name in names_of(spec):
            if name.lstrip("*") not in axes:
                raise UsageError(
                    message(
                        must="a name in a bound must be that of an axis of some argument",
                        found=name,
                        where=f"argument {spec}",
                        do=did_you_mean(name, axes) if axes else "write a number",
                    )
                )
