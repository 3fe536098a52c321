"""The points of specifications and examples, chosen to include those at which gradients go wrong.

Hypothesis draws seeds; each seed gives shapes from a short menu and, for each shape, numbers of some kind,
made in NumPy, outside jit. Among the numbers are ties, signed zeros, large and tiny ones, mixed scales, and
the edges of the declared domain.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.arguments import Dims, Specification, bind, evaluate, names_in, names_of, shape_of
from backproof.errors import UsageError
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree
from backproof.verification.points.draws import SEEDS, Drawn, Long, Points, drawn
from backproof.verification.points.examples import held_still, variations
from backproof.verification.points.members import Holder, is_specification, made, rounds, varies, within
from backproof.verification.points.sizes import least_of, menu, small_sizes, with_long
from backproof.verification.points.structure import NoMemberError
from backproof.verification.points.structures import STRUCTURES
from backproof.verification.points.values import STYLES, Style, grid, plain, positive

LONG = (16384, 1024)
SHORT = 64
# A draw that `where` refuses is made again from a seed this much larger: few draws may fit a shape.
RETRY = 10_007
# Draws made from one seed where there is only one size.
FIXED = 8
# From one size of a block to the next the style moves on by STEP, and from one block to the next by STRIDE;
# both are prime to the number of styles.
STEP, STRIDE = 5, 8


class FromArguments(Points):
    """Draws the arguments of a claim for which specifications or examples are given.

    Hypothesis draws seeds; each gives a block: a draw at every size of the menu, each in a style of its own.
    """

    def __init__(
        self,
        arguments: PyTree,
        arrange: Callable[[PyTree], tuple[PyTree, ...]] = tuple,
        *,
        styles: Sequence[Style] = STYLES,
        sizes_of: Callable[[list[Specification]], list[dict[str, Any]]] = menu,
        in_turn: bool = True,
    ) -> None:
        """Hold the specifications and examples of the arguments.

        Args:
            arguments: a pytree of specifications that share their names, and of example arrays, whose
                shapes are kept and whose numbers are varied; in one draw out of three their integers too.
            arrange: makes the argument tuple from the pytree of leaves; leaves that it adds (the shapes of
                parameters) are drawn like any floating array.
            styles: the kinds of numbers that are drawn.
            sizes_of: gives the sizes that are tried for the names in the specifications.
            in_turn: whether the styles are used in turn; otherwise the seed of a block chooses one.
        """
        super().__init__(SEEDS)
        self._leaves, self._tree = jax.tree.flatten(arguments, is_leaf=is_specification)
        self._specs = [leaf for leaf in self._leaves if is_specification(leaf)]
        self._arrange, self._styles, self._in_turn = arrange, styles, in_turn
        self._sizes, self._least = sizes_of(self._specs), least_of(self._specs)
        self._vary = variations(arguments)
        self.held: tuple[str, ...] = held_still(arguments, self._vary)
        self.related: bool = sum(one is not None for one in self._vary) > 1
        self._arranged: dict[str, tuple[tuple[PyTree, ...], Drawn] | None] = {}
        self.axes: tuple[str, ...] = tuple(
            dict.fromkeys(name for spec in self._specs for name in names_of(spec))
        )
        self.block: int = len(self._sizes) if len(self._sizes) > 1 else FIXED

    def made(self, drawn: int, number: int, first: int) -> list[Drawn]:
        """Return a draw at every size, from a seed."""
        places = enumerate(self._sizes * FIXED if len(self._sizes) == 1 else self._sizes)
        # in turn, so that every size gets every style; neighbouring sizes get very different ones
        turn, styles = first + STRIDE * number if self._in_turn else drawn, self._styles
        return self._every((dims, styles[(turn + STEP * i) % len(styles)], drawn + i) for i, dims in places)

    def styled(self, style: Style, seed: int) -> list[Drawn]:
        """Return draws of a style from a seed, one at each size."""
        return self._every((dims, style, seed) for dims in self._sizes)

    def not_empty(self, axis: str) -> str:
        """Return how a specification says that a named axis is never empty, alone or in an expression."""
        dims = [dim for spec in self._specs for dim in spec.dims if {*names_in(dim)} == {axis}]
        alone = axis in dims or not dims
        return f"{axis}>=1" if alone else f"{dims[0]}>={evaluate(dims[0], {axis: 1})}"

    def longer(self, axis: str, size: int, seed: int) -> Drawn | None:
        """Return a draw of plain numbers in which one axis has a given size and the others are short."""
        if size < self._least.get(axis, 0):
            return None
        found = self._at(with_long(self._specs, axis, size), Style(plain, ordinary=True), seed)
        return found and found._replace(kind="random")

    def large(self, affords: Callable[[str, int], bool]) -> list[Long]:
        """Return, for each axis, draws in which it is long and the others short."""
        pairs = []
        for axis in [name for name in self.axes if self._least.get(name, 0) <= SHORT]:
            fitting = (n for n in LONG if self._entries(with_long(self._specs, axis, n)) <= EFFORT.arguments)
            size = next((n for n in fitting if affords(axis, n)), SHORT)
            style = Style(positive, ordinary=True)
            long, short = (self._at(with_long(self._specs, axis, n), style, 1) for n in (size, SHORT))
            if long is not None and short is not None and size > SHORT:
                pairs.append(Long(long, short, size, SHORT))
        return pairs

    def small(self) -> list[Drawn]:
        """Return draws at sizes from 1 to 3, the smallest first."""
        names = sorted(self.axes)
        rounds = itertools.islice(itertools.product(*small_sizes(self._specs, names)), EFFORT.small)
        every_size = [dict(zip(names, one, strict=True)) for one in rounds] if names else []
        styles = [Style(plain), Style(None), Style(grid)]
        styles *= 2 if any(spec.also for spec in self._specs) else 1  # so that its values are met
        numbered = enumerate(styles, 1)
        made = self._every((dims, style, seed) for seed, style in numbered for dims in every_size)
        return sorted(made, key=lambda one: one.size)

    def admits(self, args: tuple[PyTree, ...]) -> bool:
        """Return whether bounds, structures and every `where=` hold at `args`, whatever their sizes."""
        dims = self._dims_at(args)
        if dims is None:
            return False
        return all(within(spec, value, dims) for spec, value in self._pairs(args)) and self._satisfied(args)

    def sizes_at(self, args: tuple[PyTree, ...]) -> dict[str, Any]:
        """Return the size of each named axis at an argument tuple."""
        return {name: size for name, size in (self._dims_at(args) or {}).items() if name in self.axes}

    def landmarks(self, args: tuple[PyTree, ...]) -> dict[str, bool]:
        """Return, for each value that a specification names, whether it is met in an argument tuple.

        Those are the values of `also=`, and bounds of integers that are numbers.
        """
        found: dict[str, bool] = {}
        for spec, value in self._pairs(args):
            bounds = () if spec.is_differentiable else (spec.low, spec.high)
            named = [*spec.also, *(bound for bound in bounds if isinstance(bound, int))]
            found.update({f"{one} in {spec}": bool(np.any(np.asarray(value) == one)) for one in named})
        return found

    def plainer(self, args: tuple[PyTree, ...]) -> list[tuple[int, list[np.ndarray]]]:
        """Return, for the leaves of `args` that have a structure, their number and the plainest members."""
        dims, built = self._dims_at(args), jax.tree.leaves(args)
        found = []
        for place, spec in enumerate(self._leaves, len(built) - len(self._leaves)):
            if dims is not None and is_specification(spec) and spec.structure and np.size(built[place]):
                plain = STRUCTURES[spec.structure].plainer(np.shape(built[place]), spec, dims)
                found.append((place, [np.array(one, built[place].dtype) for one in plain]))
        return found

    def free(self, args: tuple[PyTree, ...]) -> tuple[int, ...] | None:
        """Return the arguments that can move in every direction and stay in the domain; None for all."""
        last = len(jax.tree.leaves(args)) - len(self._leaves)
        tied = {last + place for place, spec in enumerate(self._leaves) if _is_tied(spec)}
        places = itertools.count()
        owned = [{next(places) for _ in jax.tree.leaves(arg)} for arg in args]
        return tuple(i for i, own in enumerate(owned) if not own & tied) if tied else None

    def _dims_at(self, args: tuple[PyTree, ...]) -> Dims | None:
        """Return the sizes of the names at `args`; None where they cannot be determined."""
        dims = Dims()
        try:
            # axes that are plain names first: an expression may hold for several sizes of its name
            for spec, value in sorted(self._pairs(args), key=_has_expressions):
                dims = bind(spec, np.shape(value), dims)
        except UsageError:
            return None
        return dims

    def _every(self, choices: Iterable[tuple[Dims, Style, int]]) -> list[Drawn]:
        made = (self._at(*choice) for choice in choices)
        return [one for one in made if one is not None]

    def _at(self, dims: Dims, style: Style, seed: int, tries: int = EFFORT.draws) -> Drawn | None:
        """Return the draw at given sizes, in a given style; None where it does not satisfy `where`."""
        found = self._placed(dims)
        if found is None:
            return None
        args, like = found
        held, whole = jax.tree.flatten(args)

        def build(exact: bool = False) -> tuple[PyTree, ...]:
            numbered = enumerate(held)
            return whole.unflatten([made(leaf, style, seed, place, exact=exact) for place, leaf in numbered])

        try:
            if not self._checked or self._satisfied(build()):
                varied = any(self._vary) and varies(style, seed)
                exact = functools.partial(build, True) if any(map(rounds, self._leaves)) else None
                return like._replace(build=build, seed=seed, varied=varied, exact=exact)
        except NoMemberError:
            return None
        return self._at(dims, style, seed + RETRY, tries - 1) if tries else None

    def _placed(self, dims: Dims) -> tuple[tuple[PyTree, ...], Drawn] | None:
        """Return the argument tuple at given sizes, its numbers not made yet, and a pattern for its draws."""
        key = repr(sorted(dims.items()))
        if key not in self._arranged:
            self._arranged[key] = self._arranged_at(dims)
        return self._arranged[key]

    def _arranged_at(self, dims: Dims) -> tuple[tuple[PyTree, ...], Drawn] | None:
        try:
            if any(n < 0 for spec in self._specs for n in shape_of(spec, dims)):
                return None  # an axis `n-1` where n is 0
            pairs = zip(self._leaves, self._vary, strict=True)
            args = self._arrange(self._tree.unflatten([Holder(leaf, dims, vary) for leaf, vary in pairs]))
        except UsageError:
            return None  # parameters, or an axis `12//n`, do not exist at these sizes
        return args, drawn(tuple, args, 0)._replace(dims=tuple(dims.items()))

    def _entries(self, dims: Dims) -> int:
        return sum(int(np.prod(shape_of(spec, dims), dtype=int)) for spec in self._specs)

    @property
    def _checked(self) -> bool:
        """Whether a draw may exist at some sizes, or seeds, and not at others."""
        return any(
            spec.where is not None
            or spec.structure is not None
            or not spec.is_differentiable
            or any(isinstance(bound, str) for bound in (spec.low, spec.high, *spec.also))
            for spec in self._specs
        )

    def _pairs(self, args: tuple[PyTree, ...]) -> list[tuple[Specification, Any]]:
        """Return each specification with its value; those of the arguments come last, in order."""
        built = jax.tree.leaves(args)[-len(self._leaves) :]
        pairs = zip(self._leaves, built, strict=True)
        return [(spec, value) for spec, value in pairs if is_specification(spec)]

    def _satisfied(self, args: tuple[PyTree, ...]) -> bool:
        """Return whether every `where=` holds."""
        return all(spec.where is None or bool(spec.where(value)) for spec, value in self._pairs(args))


def _is_tied(stated: Any) -> bool:
    """Return whether the entries of an argument satisfy an equation."""
    structure = stated.structure if is_specification(stated) else None
    return structure is not None and STRUCTURES[structure].is_tied


def _has_expressions(pair: tuple[Specification, Any]) -> bool:
    return not all(dim.lstrip("*").isidentifier() for dim in pair[0].dims)
