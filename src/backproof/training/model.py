"""A trained classifier as one `.npz` file: everything that is needed to use it, and no executable code.

In the file, `about` is JSON that says how the network is built and which dtype each parameter has; `1.W`,
`1.b`, `2.W` … are the parameters; `mean` and `scale` are the numbers that standardise its inputs. NumPy
cannot name dtypes such as bfloat16 in a file: arrays of such a dtype are stored as whole numbers with the
same bits.
"""

import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any
from zipfile import is_zipfile

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from backproof import rules
from backproof.errors import DataError, UsageError, did_you_mean, message
from backproof.network import mlp
from backproof.rule import PyTree, Rule
from backproof.training.files import UNREADABLE, PathLike
from backproof.training.standardiser import Standardiser

KIND, FORMAT = "backproof model", 1
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

    Raises:
        UsageError: a name or a width is not valid, or the parameters do not fit such a network.
    """

    sizes: tuple[int, ...]
    activation: str
    params: PyTree
    standardiser: Standardiser | None = None
    last: str = "identity"

    def __post_init__(self) -> None:
        _require_fit(self.network, self)

    @property
    def network(self) -> Rule:
        """The network, built from `sizes`, `activation` and `last`."""
        return mlp(self.sizes, *(activation_named(name, "Model") for name in (self.activation, self.last)))

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.sizes[-1]


def probabilities(model: Model, x: Shaped[np.ndarray, "m n"]) -> Float[np.ndarray, "m classes"]:
    """Return the probability of each class for every row of `x`, which must not be standardised already.

    The probabilities are the softmax of the network's prediction, as in `losses.softmax_cross_entropy`.

    Raises:
        DataError: `x` does not have one row of `model.sizes[0]` numbers for each sample.
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
        return jax.nn.softmax(network.forward(params, x)[0].astype(jnp.float32))

    def predicted(x: np.ndarray) -> np.ndarray:
        x = x if model.standardiser is None else model.standardiser.apply(x)
        return np.asarray(predict(params, x.astype(dtype)))  # on the host: JAX would narrow int64 first

    parts = [x[first : first + ROWS_AT_ONCE] for first in range(0, len(x), ROWS_AT_ONCE)]
    return np.concatenate([np.zeros((0, model.classes), np.float32), *map(predicted, parts)])


def save_model(path: PathLike, model: Model) -> None:
    """Write `model` to `path`, whole or not at all; a file that is there is replaced.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    require_place(path)
    arrays = {
        f"{number}.{name}": np.asarray(leaf)
        for number, layer in enumerate(model.params, start=1)
        for name, leaf in layer.items()
    }
    about = {
        "kind": KIND,
        "format": FORMAT,
        "sizes": model.sizes,
        "activation": model.activation,
        "last": model.last,
        "dtypes": {name: array.dtype.name for name, array in arrays.items()},
    }
    stored = {name: _as_bits(array) for name, array in arrays.items()}
    if model.standardiser is not None:
        stored |= {"mean": model.standardiser.mean, "scale": model.standardiser.scale}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    try:
        _write_whole(path, lambda file: np.savez(file, about=text, **stored))  # pyright: ignore[reportArgumentType] - names are free
    except OSError as error:
        raise _no_place(path, f"{type(error).__name__}: {error.strerror}") from error


def load_model(path: PathLike) -> Model:
    """Return the model that `save_model` wrote to `path`. Nothing in the file is unpickled or run.

    Raises:
        DataError: the file is missing, truncated, damaged, not a model, or in a format that this version of
            backproof does not read.
    """
    path = Path(path)
    if not path.is_file():
        raise _no_model(path, "a folder" if path.is_dir() else "no such file")
    try:
        content = io.BytesIO(path.read_bytes())  # in memory: NumPy leaves a damaged archive open
    except OSError as error:
        raise _no_model(path, f"{type(error).__name__}: {error.strerror}") from error
    if not is_zipfile(content):
        raise _no_model(path, "another kind of file, or an incomplete one")
    try:
        with np.load(content, allow_pickle=False) as file:
            if "about" not in file.files:
                raise _no_model(path, f"an archive of {', '.join(sorted(file.files)[:4])}")
            about = _about(file["about"].tobytes(), path)
            stored = {name: file[name] for name in file.files}
            return _assembled(about, stored)
    except DataError:
        raise
    except (*UNREADABLE, KeyError, TypeError, AttributeError) as error:  # UsageError is a ValueError
        raise _no_model(path, f"a damaged one ({type(error).__name__}: {error})") from error


def require_place(path: Path) -> None:
    """Raise `DataError` if something other than a file is at `path`, because it must not be replaced."""
    if path.exists() and not path.is_file():
        raise _no_place(path, "a folder" if path.is_dir() else "a device")


def _about(text: bytes, path: Path) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except ValueError:
        about = None
    if not isinstance(about, dict) or about.get("kind") != KIND:
        raise _no_model(path, "something that backproof did not write")
    if about["format"] != FORMAT:
        raise DataError(
            message(
                must=f"the model must have format {FORMAT}",
                found=f"format {about['format']}",
                where=str(path),
                do="read it with the backproof that wrote it, or a newer one",
            )
        )
    return about


def _assembled(about: dict[str, Any], stored: dict[str, np.ndarray]) -> Model:
    layers = len(about["sizes"]) - 1
    params = tuple(
        {
            name: _from_bits(stored[f"{number}.{name}"], about["dtypes"][f"{number}.{name}"])
            for name in ("W", "b")
        }
        for number in range(1, layers + 1)
    )
    standardiser = Standardiser(stored["mean"], stored["scale"]) if "mean" in stored else None
    return Model(tuple(about["sizes"]), about["activation"], params, standardiser, about["last"])


def _as_bits(array: np.ndarray) -> np.ndarray:
    """Return `array`, or its bits as whole numbers if an `.npz` cannot name its dtype."""
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")


def _from_bits(array: np.ndarray, dtype: str) -> np.ndarray:
    wanted = np.dtype(getattr(jnp, dtype))
    if array.dtype == wanted:
        return array
    if array.dtype != np.dtype(f"u{wanted.itemsize}"):
        raise ValueError(f"{array.dtype} in the place of {dtype}")
    return array.view(wanted)


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


def _write_whole(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write next to `path` and rename at the end, so that readers find either the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _no_model(path: Path, found: str) -> DataError:
    return DataError(
        message(
            must="the model must be a whole file that backproof wrote",
            found=found,
            where=str(path),
            do="write it with backproof train --save, or with training.save_model",
        )
    )


def _no_place(path: Path, found: str) -> DataError:
    return DataError(
        message(
            must="the model must be written to a file", found=found, where=str(path), do="name another file"
        )
    )
