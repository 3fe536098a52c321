"""A trained classifier as one `.npz` file: everything that is needed to use it, and no executable code.

In the file, `about` is JSON that says how the network is built and which dtype each parameter has; `1.W`,
`1.b`, `2.W` … are the parameters; `mean` and `scale` are the numbers that standardise its inputs.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from backproof import rules
from backproof.errors import DataError, UsageError, did_you_mean, message
from backproof.network import mlp
from backproof.rule import PyTree, Rule
from backproof.training.archive import read_archive, write_archive
from backproof.training.files import PathLike
from backproof.training.standardiser import Standardiser
from backproof.training.tables import Columns

KIND = "backproof model"
CROSS_ENTROPY = "softmax_cross_entropy"
TARGETS = "target "
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Model:
    """Holds a trained `mlp` that predicts classes, and the standardiser of its inputs.

    Attributes:
        sizes: the widths of the network, the input's first; the last is the number of classes.
        activation: the name of σ of the hidden layers, one of `rules.ACTIVATIONS`.
        params: a tuple of `{"W", "b"}`, one for each layer.
        standardiser: applied to every input first; None leaves the inputs as they are.
        last: the name of σ of the last layer.
        labels: the text of each class, where the labels were texts.
        loss: the name of the loss that it was trained with; with `half_squared_error` it predicts numbers.
        targets: the standardiser of those numbers; None leaves the predictions as they are.
        columns: the names of the columns of the table that it was trained on, where it was one.

    Raises:
        UsageError: a name or a width is not valid, or the parameters do not fit such a network.
    """

    sizes: tuple[int, ...]
    activation: str
    params: PyTree
    standardiser: Standardiser | None = None
    last: str = "identity"
    labels: tuple[str, ...] = ()
    loss: str = CROSS_ENTROPY
    targets: Standardiser | None = None
    columns: Columns | None = None

    def __post_init__(self) -> None:
        _require_fit(self.network, self)

    @property
    def network(self) -> Rule:
        """The network, built from `sizes`, `activation` and `last`."""
        return mlp(self.sizes, *(activation_named(name, "Model") for name in (self.activation, self.last)))

    @property
    def classes(self) -> int:
        """The number of classes, or of predicted numbers."""
        return self.sizes[-1]


def probabilities(model: Model, x: Shaped[np.ndarray, "m n"]) -> Float[np.ndarray, "m classes"]:
    """Return the probability of each class for every row of `x`, which must not be standardised already.

    The probabilities are the softmax of the network's prediction, as in `losses.softmax_cross_entropy`.

    Raises:
        DataError: `x` does not have one row of `model.sizes[0]` numbers for each sample.
    """
    return softmax(predictions(model, x))


def softmax(prediction: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "m n"]:
    """Return the probability of each class from the prediction of a network."""
    return np.asarray(jax.nn.softmax(jnp.asarray(prediction, jnp.float32)))


def predictions(model: Model, x: Shaped[np.ndarray, "m n"]) -> Float[np.ndarray, "m outputs"]:
    """Return what the network gives for every row of `x`, which must not be standardised already.

    Raises:
        DataError: as for `probabilities`.
    """
    x = np.asarray(x)
    is_numbers = x.dtype.kind in "biu" or jnp.issubdtype(x.dtype, jnp.floating)
    if x.ndim != 2 or x.shape[1] != model.sizes[0] or not is_numbers:
        raise DataError(
            message(
                must=f"the model needs rows of {model.sizes[0]} numbers",
                found=f"x of shape {x.shape} and dtype {x.dtype}",
                where="predict",
                do="pass inputs as wide as those it was trained on",
            )
        )
    network, params = model.network, jax.tree.map(jnp.asarray, tuple(model.params))
    dtype = params[0]["W"].dtype

    @jax.jit
    def predict(params: PyTree, x: jax.Array) -> jax.Array:
        return network.forward(params, x)[0].astype(jnp.float32)

    def predicted(x: np.ndarray) -> np.ndarray:
        x = x if model.standardiser is None else model.standardiser.apply(x)
        return np.asarray(predict(params, x.astype(dtype)))  # on the host: JAX would narrow int64 first

    parts = [x[first : first + ROWS_AT_ONCE] for first in range(0, len(x), ROWS_AT_ONCE)]
    found = np.concatenate([np.zeros((0, model.classes), np.float32), *map(predicted, parts)])
    return found if model.targets is None else model.targets.undo(found)


def save_model(path: PathLike, model: Model) -> None:
    """Write `model` to `path`, whole or not at all; a file that is there is replaced.

    Raises:
        DataError: the file cannot be written.
    """
    arrays = {
        f"{number}.{name}": np.asarray(leaf)
        for number, layer in enumerate(model.params, start=1)
        for name, leaf in layer.items()
    }
    for prefix, one in (("", model.standardiser), (TARGETS, model.targets)):
        arrays |= one.arrays(prefix) if one else {}
    about = {"sizes": model.sizes, "activation": model.activation, "last": model.last}
    about |= {"labels": model.labels, "loss": model.loss, "columns": model.columns}
    write_archive(Path(path), KIND, about, arrays)


def load_model(path: PathLike) -> Model:
    """Return the model that `save_model` wrote to `path`. Nothing in the file is unpickled or run.

    Raises:
        DataError: the file is missing, truncated, damaged, not a model, or in a format that this version of
            backproof does not read.
    """
    return read_archive(Path(path), KIND, _assembled)


def _assembled(about: dict[str, Any], stored: dict[str, np.ndarray]) -> Model:
    layers = len(about["sizes"]) - 1
    params = tuple(
        {name: stored[f"{number}.{name}"] for name in ("W", "b")} for number in range(1, layers + 1)
    )
    standardiser, targets = Standardiser.among(stored), Standardiser.among(stored, TARGETS)
    # models were once written without labels and without the name of the loss
    labels, loss = tuple(about.get("labels", ())), about.get("loss", CROSS_ENTROPY)
    sizes, activation, last = tuple(about["sizes"]), about["activation"], about["last"]
    return Model(sizes, activation, params, standardiser, last, labels, loss, targets, columns_in(about))


def columns_in(about: dict[str, Any]) -> Columns | None:
    """Return the names of the columns that a file holds; None if it holds none."""
    found = about.get("columns")
    return Columns(tuple(found[0]), found[1]) if found else None


def _require_fit(network: Rule, model: Model) -> None:
    """Raise `UsageError` unless the parameters and the standardiser of `model` fit `network`."""
    expected = [{"W": (n, m), "b": (n,)} for m, n in pairwise(model.sizes)]
    found = [{name: np.shape(leaf) for name, leaf in layer.items()} for layer in model.params]
    features = None if model.standardiser is None else np.shape(model.standardiser.mean)
    if found != expected or features not in (None, model.sizes[:1]):
        raise UsageError(
            message(
                must=f"parameters and standardiser must fit {network.name} of sizes {model.sizes}",
                found=f"{found}" if found != expected else f"standardiser.mean.shape={features}",
                where="Model",
                do="pass the sizes that the network was trained with, and the params that fit returned",
            )
        )


def activation_named(name: str, where: str) -> Rule:
    """Return the activation called `name`, or raise `UsageError` with the list of those that exist."""
    known = {rule.name: rule for rule in rules.ACTIVATIONS}
    if name in known:
        return known[name]
    raise UsageError(
        message(
            must=f"an activation must be one of {', '.join(sorted(known))}",
            found=repr(name),
            where=where,
            do=did_you_mean(name, known),
        )
    )
