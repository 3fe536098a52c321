"""Samples in memory: training and test part, split, standardisation, and the check of their values."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from backproof.errors import DataError, message
from backproof.rule import PyTree, require_whole_number
from backproof.training.standardiser import Standardiser

HELD_OUT_ONE_IN = 5


class Data(NamedTuple):
    """Holds the samples of an experiment, along the first axis of every leaf.

    Attributes:
        x_train, y_train: inputs and targets to learn from.
        x_test, y_test: inputs and targets held out; None if there is no test part.
    """

    x_train: PyTree
    y_train: PyTree
    x_test: PyTree = None
    y_test: PyTree = None


def split(x: Shaped[np.ndarray, "m n"], y: np.ndarray, seed: int) -> Data:
    """Return the samples with one in five held out, chosen by `seed`.

    The split is stratified: every class gives a fifth of its samples to the test part, to within
    one sample. Labels become int32; x is left as it is. Targets that are real numbers have no classes, and
    keep their dtype.

    Raises:
        DataError: there are fewer than two samples, x and y do not fit together, or y holds no labels.
        UsageError: the seed is negative.
    """
    seed = require_whole_number(seed, "seed", "split", least=0)
    require_samples(x, y, "split")
    x, y = np.asarray(x), np.asarray(y)
    is_real = np.issubdtype(y.dtype, np.floating)
    if not is_real and (y.ndim != 1 or not np.issubdtype(y.dtype, np.integer)):
        raise DataError(
            message(
                must="y must hold real numbers, or one whole-number label for each sample, "
                "because each class is split by itself",
                found=f"y of shape {y.shape} and dtype {y.dtype}",
                where="split",
                do="pass labels; for other targets build training.Data(x_train, y_train, x_test, y_test)",
            )
        )
    if len(x) < 2:
        raise DataError(
            message(must="a split needs at least 2 samples", found="1", where="split", do="pass more samples")
        )
    shuffled = np.random.default_rng(seed).permutation(len(y))
    by_class = shuffled if is_real else shuffled[np.argsort(y[shuffled], kind="stable")]
    held_out = np.arange(len(y)) % HELD_OUT_ONE_IN == 0
    train, test = by_class[~held_out], by_class[held_out]
    held = y.dtype if is_real else np.int32
    return Data(x[train], y[train].astype(held), x[test], y[test].astype(held))


def standardise(data: Data, standardiser: Standardiser | None = None) -> Data:
    """Return `data` with x as float32, every feature shifted and scaled to mean 0 and deviation 1.

    Shift and scale come from the training part alone; a feature that is constant there is only shifted. To
    keep them for later inputs, pass `Standardiser.fitted(data.x_train)` as `standardiser`.
    """
    standardiser = Standardiser.fitted(data.x_train) if standardiser is None else standardiser
    x_train, x_test = (None if x is None else standardiser.apply(x) for x in (data.x_train, data.x_test))
    return data._replace(x_train=x_train, x_test=x_test)


def digest(tree: PyTree) -> str:
    """Return the SHA-256 of every leaf's dtype, shape and bytes, in order."""
    known = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        known.update(f"{array.dtype} {array.shape};".encode())
        known.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return known.hexdigest()


def require_usable(data: Data) -> None:
    """Raise `DataError` unless both parts of `data` hold finite samples of the same shape.

    The test part is optional. The arrays may be on a device; every value is checked once, on the host.
    """
    require_samples(data.x_train, data.y_train, "the training part")
    if data.x_test is not None or data.y_test is not None:
        require_samples(data.x_test, data.y_test, "the test part")
        _require_alike("x", data.x_train, data.x_test)
        _require_alike("y", data.y_train, data.y_test)


def require_classes(data: Data, classes: int, also: Sequence[int] = ()) -> None:
    """Raise `DataError` unless every label of `data` is a number from 0 to `classes` − 1, or in `also`."""
    for name, y in (("y_train", data.y_train), ("y_test", data.y_test)):
        labels = np.asarray([] if y is None else y)
        outside = ((labels < 0) | (labels >= classes)) & ~np.isin(labels, also)
        if outside.any():
            at = [int(i) for i in np.argwhere(outside)[0]]
            raise DataError(
                message(
                    must=f"labels must lie between 0 and {classes - 1}, "
                    f"because the network predicts {classes} numbers",
                    found=f"{name}{at}={labels[tuple(at)]}",
                    where="labels",
                    do="number the classes from 0, or widen the last layer",
                )
            )


def require_fitting(name: str, part: PyTree, where: str) -> None:
    """Raise `DataError` if a value overflows in the dtype to which JAX converts it.

    By default JAX converts float64 to float32 and int64 to int32. Rounding is accepted, overflow is not.
    """
    for place, leaf in _leaves(name, part):
        dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
        if dtype == leaf.dtype:
            continue
        with np.errstate(over="ignore"):
            taken = leaf.astype(dtype)
        lost = taken != leaf if leaf.dtype.kind in "iu" else np.logical_not(np.isfinite(taken))
        if lost.any():
            at = tuple(int(i) for i in np.argwhere(lost)[0])
            raise DataError(
                message(
                    must=f"every value must fit into {dtype}, to which JAX converts {leaf.dtype}",
                    found=f"{place}{list(at)}={leaf[at]} ({np.count_nonzero(lost)} of {leaf.size} values)",
                    where=where,
                    do="scale or renumber the data, or switch on jax_enable_x64",
                )
            )


def require_samples(x: PyTree, y: PyTree, where: str) -> None:
    """Raise `DataError` unless x and y hold equally many samples, at least one, of finite numbers."""
    leaves = _leaves("x", x) + _leaves("y", y)
    lengths = {name: leaf.shape[0] if leaf.ndim else None for name, leaf in leaves}
    given = {name[0] for name in lengths} == {"x", "y"}
    if not given or len(set(lengths.values())) != 1 or None in lengths.values():
        raise DataError(
            message(
                must="x and y must have one entry for each sample along their first axis",
                found=", ".join(f"{name}: {length}" for name, length in lengths.items()) or "no array",
                where=where,
                do="pass as many targets as inputs",
            )
        )
    if 0 in lengths.values():
        raise DataError(
            message(must="there must be at least one sample", found="0", where=where, do="pass some data")
        )
    for name, leaf in leaves:
        _require_finite(name, leaf, where)


def _require_alike(name: str, train: PyTree, test: PyTree) -> None:
    """Raise `DataError` unless the samples of both parts have the same shape."""
    expected, found = (
        {place: leaf.shape[1:] for place, leaf in _leaves(f"{name}_{part}", tree)}
        for part, tree in (("train", train), ("test", test))
    )
    if list(expected.values()) != list(found.values()):
        raise DataError(
            message(
                must=f"samples must have the same shape as in the training part, {_listed(expected)}",
                found=_listed(found),
                where="the test part",
                do="prepare both parts in the same way",
            )
        )


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{place}: {shape}" for place, shape in shapes.items())


def _require_finite(name: str, leaf: np.ndarray, where: str) -> None:
    if leaf.dtype.kind in "biu":
        return
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):  # unlike NumPy's, it knows bfloat16
        raise DataError(
            message(
                must="data must be numbers",
                found=f"{name}.dtype={leaf.dtype}",
                where=where,
                do="convert it to numbers first",
            )
        )
    finite = np.isfinite(leaf)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise DataError(
            message(
                must="every value must be finite",
                found=f"{name}{list(index)}={leaf[index]} ({np.sum(~finite)} of {leaf.size} values)",
                where=where,
                do="repair or leave out those samples",
            )
        )


def _leaves(name: str, tree: PyTree) -> list[tuple[str, np.ndarray]]:
    return [
        (name + jax.tree_util.keystr(path), np.asarray(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]
