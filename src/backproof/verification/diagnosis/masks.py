"""Causes that say where the result is wrong: each predicts which entries are, and which are not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.leaves import is_floating, leaves_with_paths
from backproof.numerics.tolerance import BESIDE
from backproof.verification.diagnosis.compared import Compared
from backproof.verification.diagnosis.prediction import Cause, Points, Prediction

# The mask of a point: which entries of the leaf the cause is about. None where it says nothing.
Mask = Callable[[Compared], Any]


def _where(words: str, mask: Mask, at: Compared) -> Prediction:
    """Return the prediction that the wrong entries are those of a mask at which an error could be seen."""
    part = at.leaf.relative

    def holds(one: Compared) -> bool:
        here = mask(one)
        return here is not None and np.array_equal(one.leaf.wrong, here & one.leaf.shows(part))

    def is_seen(points: Points) -> bool:
        """Return whether entries outside the mask are seen to be right."""
        return any(bool(np.any(one.leaf.shows(part) & ~mask(one))) for one in points)

    return Prediction(words, holds, is_seen)


def _argument(path: str, at: Compared) -> Any:
    """Return an argument, spread to the shape of the leaf; None where it has no such shape."""
    held = dict(leaves_with_paths(at.point.args)).get(path)
    try:
        return None if held is None else np.broadcast_to(held, at.leaf.true.shape)
    except ValueError:
        return None


def _input_is(test: Callable[[Any], Any], path: str) -> Mask:
    def mask(at: Compared) -> Any:
        arg = _argument(path, at)
        return None if arg is None else test(arg)

    return mask


def _arguments(at: Compared, *, floating: bool) -> list[str]:
    """Return the arguments that have an entry for each entry of the leaf."""
    held = [(path, np.asarray(arg)) for path, arg in leaves_with_paths(at.point.args)]
    return [
        path for path, arg in held
        if (is_floating(arg) if floating else arg.dtype.kind in "biu") and _argument(path, at) is not None
    ]  # fmt: skip


def _where_input(words: str, test: Callable[[Any], Any]) -> Cause:
    def cause(at: Compared) -> Iterator[Prediction]:
        for path in _arguments(at, floating=True):
            yield _where(f"{at.name} is wrong only where its input is {words}", _input_is(test, path), at)

    return cause


def _at_constants(at: Compared) -> Iterator[Prediction]:
    """Yield the entries at, beyond and below each constant of the code."""
    constants = [sign * c for c in (0.5, 1.0, 2.0, *at.elsewhere.constants()) for sign in (1, -1)]
    for path in _arguments(at, floating=True):
        arg = _argument(path, at)
        for c in constants:
            for text, test in _sides_of(arg.dtype.type(c)):
                one = _where(f"{at.name} is wrong only where args{path} {text}", _input_is(test, path), at)

                def is_seen(points: Points, one: Prediction = one, path: str = path) -> bool:
                    return one.is_seen(points) and all(map(one.holds, _beside(constants, path, points)))

                yield one._replace(is_seen=is_seen)


def _beside(constants: Sequence[float], path: str, points: Points) -> Iterator[Compared]:
    """Yield points at which an argument holds numbers next to constants, within what it was seen to hold."""
    held = [one.argument(path) for one in points]
    least, most = (find(np.concatenate([np.ravel(arg) for arg in held])) for find in (np.min, np.max))
    numbers = [c * (1 + sign * BESIDE) for c in constants for sign in (1, -1)]
    numbers = [number for number in numbers if least <= number <= most]
    size = max(map(np.size, held))
    widest = next(one for one, arg in zip(points, held, strict=True) if np.size(arg) == size)
    for first in range(0, len(numbers), max(size, 1)):
        filled = np.resize(numbers[first : first + size], _shape(widest, path))
        found = widest.at_point(widest.with_argument(path, filled.astype(widest.argument(path).dtype)))
        if found:
            yield found


def _sides_of(c: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    for spelt, test in (("is", np.equal), ("is above", np.greater), ("is below", np.less)):
        yield f"{spelt} {c:g}", lambda x, test=test: test(x, c)
    if c > 0:
        yield f"is beyond ±{c:g}", lambda x: np.abs(x) > c
        yield f"is within ±{c:g}", lambda x: np.abs(x) < c


def _masked(at: Compared) -> Iterator[Prediction]:
    """Yield the entries at which a condition or a whole number among the arguments is 0, or is not."""
    for path in _arguments(at, floating=False):
        is_bool = _argument(path, at).dtype == bool
        texts = ("holds", "does not hold") if is_bool else ("is not 0", "is 0")
        for text, test in zip(texts, (lambda m: m != 0, lambda m: m == 0), strict=True):
            yield _where(f"{at.name} is wrong only where args{path} {text}", _input_is(test, path), at)


def _end(name: str, end: int) -> Cause:
    def cause(at: Compared) -> Iterator[Prediction]:
        for axis in range(-at.leaf.true.ndim, 0):

            def mask(one: Compared, axis: int = axis) -> Any:
                shape = one.leaf.true.shape
                if -axis > len(shape):
                    return None
                return np.indices(shape)[axis] == end % max(shape[axis], 1)

            where = _where(f"{at.name} is wrong only at the {name} index of axis {axis}", mask, at)

            def is_seen(points: Points, where: Prediction = where, axis: int = axis) -> bool:
                """Return whether axes of several sizes are wrong at that end: at one size, any index is."""
                sizes = {one.leaf.true.shape[axis] for one in points if one.is_wrong} - {1}
                return len(sizes) > 1 and where.is_seen(points)

            yield where._replace(is_seen=is_seen)

    return cause


def _tied(arg: Any) -> Any:
    """Return a mask of the entries whose magnitude occurs at another place too.

    The place across the diagonal does not count: in a symmetric matrix it always holds the same.
    """
    sizes = np.abs(np.asarray(arg))
    _, where, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    others = counts[where].reshape(sizes.shape) - 1
    if sizes.ndim > 1 and sizes.shape[-1] == sizes.shape[-2]:
        off = ~np.eye(sizes.shape[-1], dtype=bool)
        others = others - (off & (np.swapaxes(sizes, -1, -2) == sizes))
    return others > 0


def _ties(at: Compared) -> Iterator[Prediction]:
    """Yield the entries that tie; what does not tie must be right, and in most ties something is wrong."""
    words = f"{at.name} is wrong only where inputs tie"
    own = [path for path in _arguments(at, floating=True) if _shape(at, path) == at.leaf.true.shape]
    for path in own or [path for path, arg in leaves_with_paths(at.point.args) if is_floating(arg)]:

        def mask(one: Compared, path: str = path) -> Any:
            tied = _tied(one.argument(path))
            # at other sizes an argument may have another shape than the leaf
            is_own = own and tied.shape == one.leaf.true.shape
            return tied if is_own else np.full(one.leaf.true.shape, np.any(tied))

        def holds(one: Compared, mask: Mask = mask) -> bool:
            return not np.any(one.leaf.wrong & ~mask(one))

        def is_seen(points: Points, mask: Mask = mask, path: str = path) -> bool:
            shown = [(one, mask(one), one.leaf.shows(at.leaf.relative)) for one in points]
            ties = [tie for one, tied, seen in shown for tie in _ties_in(one, path, tied & seen)]
            return 2 * sum(ties) >= len(ties) and any(np.any(seen & ~tied) for _, tied, seen in shown)

        yield Prediction(words, holds, is_seen)


def _ties_in(one: Compared, path: str, tied: Any) -> list[bool]:
    """Return, for each tie that is seen, whether an entry of it is wrong."""
    if _shape(one, path) != tied.shape:
        return [one.is_wrong] if np.any(tied) else []
    sizes = np.abs(one.argument(path))
    return [bool(np.any(one.leaf.wrong[sizes == size])) for size in np.unique(sizes[tied])]


def _shape(at: Compared, path: str) -> tuple[int, ...]:
    return at.argument(path).shape


MASKS: dict[str, Cause] = {
    "at-zeros": _where_input("zero", lambda x: x == 0),
    "negative-inputs": _where_input("negative", lambda x: x < 0),
    "positive-inputs": _where_input("positive", lambda x: x > 0),
    "masked": _masked,
    "first-row": _end("first", 0),
    "last-row": _end("last", -1),
    "at-ties": _ties,
    "at-constant": _at_constants,
}


def wrong_sizes(points: Points) -> str | None:
    """Return at which sizes of an axis every point is wrong, and right at all others; None if there is none.

    Sizes of 1 do not count, since much is right there by chance.
    """
    paths = [path for path, _ in leaves_with_paths(points[0].point.args)]
    for which, path in enumerate(paths):
        shapes = [np.shape(jax.tree.leaves(one.point.args)[which]) for one in points]
        if len({len(shape) for shape in shapes}) > 1:
            continue
        for axis in range(len(shapes[0])):
            seen = [(s[axis], one.is_wrong) for s, one in zip(shapes, points, strict=True) if _tells(one)]
            wrong, right = ({size for size, is_wrong in seen if is_wrong is side} for side in (True, False))
            if wrong and right - {1} and not wrong & right:
                sizes = [", ".join(map(str, sorted(found))) for found in (wrong, right)]
                return f"axis {axis} of args{path}: wrong at size {sizes[0]}, right at {sizes[1]}"
    return None


def _tells(one: Compared) -> bool:
    """Return whether a wrong value would be seen there."""
    return bool(np.any(one.leaf.seen)) or one.is_wrong
