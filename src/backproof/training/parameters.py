"""The trained parameters of any rule, in a file of their own, and its predictions."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import DataError, UsageError, message
from backproof.rule import PyTree, Rule
from backproof.training.archive import read_archive, write_archive
from backproof.training.files import PathLike
from backproof.training.model import CROSS_ENTROPY, TARGETS, columns_in
from backproof.training.standardiser import Standardiser
from backproof.training.tables import Columns

KIND = "backproof parameters"
ROWS_AT_ONCE = 4096


class Trained(NamedTuple):
    """Holds the parameters of a network, and what is needed to use them on samples as they are.

    Attributes:
        params: the parameters.
        standardiser: applied to every input first; None leaves the inputs as they are.
        labels: the text of each class, where the labels were texts.
        loss: the name of the loss that it was trained with.
        targets: the standardiser of the numbers that are predicted; None leaves them as they are.
        columns: the names of the columns of the table that it was trained on, where it was one.
    """

    params: PyTree
    standardiser: Standardiser | None = None
    labels: tuple[str, ...] = ()
    loss: str = CROSS_ENTROPY
    targets: Standardiser | None = None
    columns: Columns | None = None


def save_parameters(path: PathLike, network: Rule, params: PyTree, x: PyTree) -> None:
    """Write the parameters of a network to `path`, whole or not at all; a file that is there is replaced.

    Args:
        path: the file, an `.npz` archive without executable code.
        network: the rule that they belong to.
        params: its parameters, as `fit(…).params` or `network.init` give them.
        x: an input of the network, or its shape: a pytree of arrays or of `jax.ShapeDtypeStruct`. The form of
            the parameters may depend on it.

    Raises:
        UsageError: the parameters have not the form that the network gives them for such an input.
        DataError: the file cannot be written.
    """
    save_trained(path, network, Trained(params), x)


def save_trained(path: PathLike, network: Rule, trained: Trained, x: PyTree) -> None:
    """Write parameters with their standardiser and labels; else as `save_parameters`."""
    params = trained.params
    inputs = jax.tree.map(_shape, x)
    forms, prediction = jax.eval_shape(lambda: network.init(jax.random.key(0), inputs))
    wrong = _misfit(_named(forms), _named(params))
    if wrong:
        raise UsageError(
            message(
                must=f"the parameters must be those of {network.name}",
                found=wrong,
                where="save_parameters",
                do="pass the network that was trained, and an input as it was trained on",
            )
        )
    arrays = {f"{number}": np.asarray(leaf) for number, leaf in enumerate(_named(params).values())}
    about = {
        "rule": network.name,
        "leaves": list(_named(params)),
        "inputs": [[list(leaf.shape), leaf.dtype.name] for leaf in jax.tree.leaves(inputs)],
        "outputs": [list(leaf.shape) for leaf in jax.tree.leaves(prediction)],
        "labels": trained.labels,
        "loss": trained.loss,
        "columns": trained.columns,
    }
    for prefix, one in (("", trained.standardiser), (TARGETS, trained.targets)):
        arrays |= one.arrays(prefix) if one else {}
    write_archive(Path(path), KIND, about, arrays)


def load_parameters(path: PathLike, network: Rule, x: PyTree) -> PyTree:
    """Return the parameters that `save_parameters` wrote, as the network takes them, with the same bits.

    Args:
        path: the file.
        network: the rule that they belong to; its code is not in the file.
        x: an input of the network, or its shape; the size of a batch may be another one.

    Raises:
        DataError: the file cannot be read, or holds the parameters of another network.
    """
    return load_trained(path, network, x).params


def load_trained(path: PathLike, network: Rule, x: PyTree = None) -> Trained:
    """Return what `save_trained` wrote; else as `load_parameters`.

    Args:
        path: the file.
        network: the rule that the parameters belong to.
        x: an input of the network, or its shape; if None, as it was saved, for inputs that are one array.

    Raises:
        DataError: as for `load_parameters`.
    """

    def assembled(about: dict[str, Any], stored: dict[str, np.ndarray]) -> Trained:
        inputs = jax.ShapeDtypeStruct(*about["inputs"][0]) if x is None else jax.tree.map(_shape, x)
        expected = jax.eval_shape(lambda: network.init(jax.random.key(0), inputs)[0])
        found = {name: stored[str(number)] for number, name in enumerate(about["leaves"])}
        wrong = _misfit(_named(expected), found)
        if about["rule"] != network.name or wrong:
            raise DataError(
                message(
                    must=f"the file must hold parameters of {network.name}",
                    found=f"those of {about['rule']}" + (f": {wrong}" if wrong else ""),
                    where=str(path),
                    do="build the network as it was when they were saved, or name another file",
                )
            )
        leaves = [_as_saved(found[name]) for name in _named(expected)]
        params = jax.tree.unflatten(jax.tree.structure(expected), leaves)
        labels, loss = tuple(about.get("labels", ())), about.get("loss", CROSS_ENTROPY)
        both = Standardiser.among(stored), Standardiser.among(stored, TARGETS)
        return Trained(params, both[0], labels, loss, both[1], columns_in(about))

    return read_archive(Path(path), KIND, assembled)


def predict(network: Rule, params: PyTree, x: jax.Array | np.ndarray) -> np.ndarray:
    """Return what a network gives for each row of `x`, of any length: the value of its forward pass.

    Args:
        network: the rule.
        params: its parameters.
        x: the inputs, one for each entry of the first axis.

    Raises:
        UsageError: `x` has no first axis.
    """
    if np.ndim(x) == 0:
        raise UsageError(
            message(
                must="x must have one input for each entry of its first axis",
                found=f"x of shape {np.shape(x)}",
                where="predict",
                do="pass x[None] for one input",
            )
        )
    forward = jax.jit(lambda params, x: network.forward(params, x)[0])
    firsts = range(0, max(len(x), 1), ROWS_AT_ONCE)
    return np.concatenate([np.asarray(forward(params, x[first : first + ROWS_AT_ONCE])) for first in firsts])


def _as_saved(value: np.ndarray) -> jax.Array | np.ndarray:
    """Return an array of JAX, or of NumPy where JAX would narrow it under its current settings."""
    in_jax = jnp.asarray(value)
    return in_jax if in_jax.dtype == value.dtype else value


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf))


def _named(params: PyTree) -> dict[str, Any]:
    """Return the leaves of a tree by their paths."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}


def _misfit(expected: dict[str, Any], found: dict[str, Any]) -> str | None:
    """Return the first leaf whose path or shape differs, in words; None if there is none.

    Its dtype may differ: a network trained in bfloat16 has other parameters than `init` gives.
    """
    for name in (*expected, *found):
        if name not in found:
            return f"no leaf {name}"
        if name not in expected:
            return f"a leaf {name}, which it has not"
        if np.shape(expected[name]) != np.shape(found[name]):
            return f"leaf {name} of shape {np.shape(found[name])}, not {np.shape(expected[name])}"
    return None
